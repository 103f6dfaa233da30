"""The loop of a body: order, time, refusals, and living inside other loops."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from edge_runtime import App, Context, UsageError
from edge_runtime.base.limits import LIFETIME_MS_MAX
from edge_runtime.objects.codec import decode_value
from edge_runtime.objects.script import Resumed, Resumption
from edge_runtime.program.driver import Body, Completed, Failed
from tests.support.replay_child import START, Bench, Facts, bench_of, new_script

# A body that is not freed, or a coroutine that is lost on the way, would show as a warning.
pytestmark = pytest.mark.filterwarnings("error")

Handler = Callable[..., Awaitable[Any]]


def result_of(bench: Bench) -> Any:
    assert isinstance(bench.body.ended, Completed), bench.body.ended
    return decode_value(bench.body.ended.value)


def fire(bench: Bench, late_ms: int = 0) -> None:
    """Let the soonest timer fire."""
    timer = bench.body.timers()[0]
    age_ms = timer.due_age_ms + late_ms
    bench.deliver(Resumption(Resumed.TIMER, timer.path, age_ms, 1_000_000 + age_ms))


# --- Order --------------------------------------------------------------------------------------------------------


def test_callbacks_run_in_the_order_in_which_they_became_ready() -> None:
    async def body(ctx: Context) -> list[int]:
        order: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(5):
            loop.call_soon(order.append, number)
        loop.call_soon(order.append, 99).cancel()
        await asyncio.sleep(0)
        return order

    assert result_of(bench_of(body)) == [0, 1, 2, 3, 4]


def test_sets_of_tasks_and_futures_come_in_the_order_of_creation() -> None:
    async def body(ctx: Context) -> list[list[int]]:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(30)]
        futures = [loop.create_future() for _ in range(30)]
        return [[tasks.index(task) for task in set(tasks)], [futures.index(future) for future in set(futures)]]

    assert result_of(bench_of(body)) == [list(range(30)), list(range(30))]


def test_a_timers_path_is_its_scope_and_number_and_a_cancelled_one_is_gone() -> None:
    async def sleeper() -> None:
        await asyncio.sleep(2)
        await asyncio.sleep(3)

    async def body(ctx: Context) -> None:
        task = asyncio.create_task(sleeper())
        asyncio.get_running_loop().call_later(1, print).cancel()
        await asyncio.sleep(2)
        await task

    bench = bench_of(body)
    assert [(timer.path, timer.due_age_ms) for timer in bench.body.timers()] == [
        ("0/0/timer:2", 2_000),
        ("0/1/timer:1", 2_000),
    ]
    fire(bench)
    fire(bench)
    assert [(timer.path, timer.due_age_ms) for timer in bench.body.timers()] == [("0/1/timer:2", 5_000)]


@pytest.mark.parametrize(
    ("seconds", "due_ms"),
    [(0.2, 300), (0.0001, 101), (1e-5, 101), (0.1 + 0.2, 400), (3, 3_100)],
)
def test_delays_round_up_to_whole_milliseconds(seconds: float, due_ms: int) -> None:
    async def sleep(ctx: Context) -> None:
        await asyncio.sleep(0.1)
        await asyncio.sleep(seconds)

    async def sleep_until(ctx: Context) -> None:
        await asyncio.sleep(0.1)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_at(loop.time() + seconds, future.set_result, None)
        await future

    for handler in (sleep, sleep_until):
        bench = bench_of(handler)
        fire(bench)
        assert bench.body.timers()[0].due_age_ms == due_ms


def test_a_delay_beyond_any_lifetime_ends_with_it() -> None:
    async def body(ctx: Context) -> None:
        await asyncio.sleep(0.1)
        await asyncio.sleep(float("inf"))

    bench = bench_of(body)
    fire(bench)
    assert bench.body.timers()[0].due_age_ms == 100 + LIFETIME_MS_MAX


def test_time_is_the_age_at_the_newest_resumption() -> None:
    async def body(ctx: Context) -> list[float]:
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        await asyncio.sleep(1)
        times.append(loop.time())
        await asyncio.sleep(0)
        return [*times, loop.time()]

    bench = bench_of(body)
    fire(bench, late_ms=234)
    assert result_of(bench) == [0.0, 1.234, 1.234]


# --- Scopes -------------------------------------------------------------------------------------------------------


def test_scopes_follow_the_making_of_tasks_and_not_their_running() -> None:
    async def leaf(ctx: Context, name: str) -> None:
        await ctx.promise(name)

    async def inner(ctx: Context) -> None:
        await asyncio.gather(leaf(ctx, "a"), asyncio.wait_for(leaf(ctx, "b"), 9), leaf(ctx, "c"))

    async def body(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(leaf(ctx, "first"))
            group.create_task(inner(ctx))
            await asyncio.wait_for(leaf(ctx, "own"), 9)

    waits = bench_of(body).body.input_waits()
    assert sorted(wait.path for wait in waits) == [
        "0/0/own:1",
        "0/1/first:1",
        "0/2.1/a:1",
        "0/2.2/b:1",
        "0/2.3/c:1",
    ]


def test_a_name_counts_in_its_scope_whatever_it_is_used_for() -> None:
    async def body(ctx: Context) -> None:
        await ctx.fact("timer")
        await ctx.state.get("timer")
        asyncio.get_running_loop().call_later(1, print)
        await ctx.promise("timer")

    bench = bench_of(body)
    assert list(bench.script.learned) == ["0/0/timer:1", "0/0/timer:2"]
    assert [timer.path for timer in bench.body.timers()] == ["0/0/timer:3"]
    assert [wait.path for wait in bench.body.input_waits()] == ["0/0/timer:4"]


def test_tasks_nested_without_end_are_refused() -> None:
    async def deeper(ctx: Context) -> None:
        await asyncio.create_task(deeper(ctx))

    ended = bench_of(deeper).body.ended
    assert isinstance(ended, Failed)
    assert "nested too deep" in ended.error


# --- wait_for, which makes a task of its own up to Python 3.11 ------------------------------------------------------


async def _note(order: list[str], name: str, event: asyncio.Event) -> None:
    order.append(f"{name} begins")
    try:
        await event.wait()
        order.append(f"{name} ends")
    except asyncio.CancelledError:
        order.append(f"{name} is cancelled")
        raise


def _pair(order: list[str], event: asyncio.Event) -> list[asyncio.Task[None]]:
    """One through `wait_for`, made first, and one without."""
    waited = asyncio.wait_for(_note(order, "first", event), 9)
    return [asyncio.create_task(waited), asyncio.create_task(_note(order, "second", event))]


def test_what_wait_for_waits_for_begins_and_ends_in_its_callers_place() -> None:
    """Behaviour: 1.13."""

    async def body(ctx: Context) -> list[str]:
        order: list[str] = []
        event = asyncio.Event()
        tasks = _pair(order, event)
        await ctx.promise("go")
        event.set()
        await asyncio.gather(*tasks)
        return order

    bench = bench_of(body)
    bench.deliver(Resumption(Resumed.INPUT, "0/0/go:1", 1, 1, b"\x01"))
    assert result_of(bench) == ["first begins", "second begins", "first ends", "second ends"]


def test_what_wait_for_waits_for_is_cancelled_in_its_callers_place() -> None:
    """Behaviour: 1.13."""

    async def body(ctx: Context) -> list[Any]:
        order: list[str] = []
        tasks = _pair(order, asyncio.Event())
        await ctx.promise("go")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return [order[2:], [task.cancelled() for task in tasks], len(asyncio.get_running_loop().timers())]

    bench = bench_of(body)
    bench.deliver(Resumption(Resumed.INPUT, "0/0/go:1", 1, 1, b"\x01"))
    assert result_of(bench) == [["first is cancelled", "second is cancelled"], [True, True], 0]


# --- Refusals -----------------------------------------------------------------------------------------------------


async def _nothing() -> None:
    return None


async def _unix(ctx: Context) -> None:
    await asyncio.open_unix_connection("/nowhere")


async def _connect(ctx: Context) -> None:
    await asyncio.open_connection("host.test", 80)


async def _serve(ctx: Context) -> None:
    await asyncio.start_server(print, "host.test", 80)


async def _thread(ctx: Context) -> None:
    await asyncio.to_thread(print)


async def _executor(ctx: Context) -> None:
    await asyncio.get_running_loop().run_in_executor(None, print)


async def _process(ctx: Context) -> None:
    await asyncio.create_subprocess_exec("true")


async def _signal(ctx: Context) -> None:
    asyncio.get_running_loop().add_signal_handler(1, print)


async def _resolve(ctx: Context) -> None:
    await asyncio.get_running_loop().getaddrinfo("host.test", 80)


async def _threadsafe(ctx: Context) -> None:
    asyncio.get_running_loop().call_soon_threadsafe(print)


async def _nested(ctx: Context) -> None:
    asyncio.get_running_loop().run_until_complete(None)


async def _stopped(ctx: Context) -> None:
    asyncio.get_running_loop().stop()


@pytest.mark.parametrize(
    "handler",
    [_unix, _connect, _serve, _thread, _executor, _process, _signal, _resolve, _threadsafe, _nested, _stopped],
)
def test_what_reaches_the_machine_is_refused_with_the_way_out(handler: Handler) -> None:
    ended = bench_of(handler).body.ended
    assert isinstance(ended, Failed)
    assert ended.error_type == "UsageError"
    assert "which a body may not: put it in a function of its own and call it as a step" in ended.error


def test_as_completed_over_bare_coroutines_is_refused_and_over_tasks_works() -> None:
    coroutines = [_nothing(), _nothing()]

    async def bare(ctx: Context) -> None:
        for next_one in asyncio.as_completed(coroutines):
            await next_one

    async def made(ctx: Context) -> int:
        tasks = [asyncio.create_task(_nothing()) for _ in range(3)]
        return len([await next_one for next_one in asyncio.as_completed(tasks)])

    ended = bench_of(bare).body.ended
    for coroutine in coroutines:
        coroutine.close()
    assert isinstance(ended, Failed)
    assert "create tasks first" in ended.error
    assert result_of(bench_of(made)) == 3


def test_a_wait_over_several_gathers_is_refused_and_over_one_works() -> None:
    async def body(ctx: Context, count: int) -> int:
        gathers = [asyncio.gather(_nothing(), _nothing()) for _ in range(count)]
        done, _ = await asyncio.wait([*gathers, asyncio.create_task(_nothing())])
        return len(done)

    assert result_of(bench_of(body, 1)) == 2
    ended = bench_of(body, 2).body.ended
    assert isinstance(ended, Failed)
    assert "asyncio.wait over several gather() futures" in ended.error


def test_options_of_later_pythons_are_let_pass_unless_they_change_the_order() -> None:
    async def body(ctx: Context, eager: bool) -> str:
        loop: Any = asyncio.get_running_loop()
        task = loop.create_task(_nothing(), name="mine", eager_start=eager)
        await task
        return task.get_name()

    assert result_of(bench_of(body, False)) == "mine"
    ended = bench_of(body, True).body.ended
    assert isinstance(ended, Failed)
    assert "create_task(eager_start=…)" in ended.error


# --- Where it runs ------------------------------------------------------------------------------------------------


async def _look_around(ctx: Context) -> list[bool]:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    await asyncio.sleep(0)
    return [
        asyncio.get_event_loop() is loop,
        loop.is_running(),
        task is not None and task in asyncio.all_tasks(),
        asyncio.current_task() is task,
        sys.get_asyncgen_hooks().finalizer is not None,
    ]


def test_a_body_finds_its_own_loop_and_leaves_none_behind() -> None:
    assert result_of(bench_of(_look_around)) == [True] * 5
    assert asyncio._get_running_loop() is None
    assert sys.get_asyncgen_hooks() == (None, None)


async def test_a_body_is_driven_inside_a_task_of_another_loop_which_then_goes_on() -> None:
    outer, task, hooks = asyncio.get_running_loop(), asyncio.current_task(), sys.get_asyncgen_hooks()
    bench = bench_of(_look_around)
    assert result_of(bench) == [True] * 5
    bench.body.free()
    assert asyncio.get_running_loop() is outer
    assert asyncio.current_task() is task
    assert sys.get_asyncgen_hooks() == hooks
    answers: list[Any] = []
    outer.call_soon(lambda: answers.append(result_of(bench_of(_look_around))))
    await asyncio.wait_for(asyncio.sleep(0), 5)
    assert answers == [[True] * 5]


def test_a_body_is_driven_in_a_thread_without_any_loop() -> None:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(result_of(bench_of(_look_around))))
    thread.start()
    thread.join(timeout=30)
    assert answers == [[True] * 5]


def test_a_body_starts_in_an_empty_context_and_its_tasks_in_a_copy_of_their_parents() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("of the node")

    async def child() -> str:
        seen = variable.get()
        variable.set("of the child")
        return seen

    async def body(ctx: Context) -> list[str]:
        first = variable.get()
        variable.set("of the body")
        return [first, await asyncio.create_task(child()), variable.get()]

    assert result_of(bench_of(body)) == ["none", "of the body", "of the body"]
    assert variable.get() == "of the node"


def test_what_asyncio_would_log_is_kept_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("nobody looks")

    async def body(ctx: Context) -> None:
        asyncio.get_running_loop().call_soon(int, "no number")
        for _ in range(40):
            asyncio.create_task(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    bench = bench_of(body)
    gc.collect()
    assert "no number" in bench.body.complaints[0]
    bench.body.free()
    gc.collect()
    assert 1 <= len(bench.body.complaints) <= 16
    assert not caplog.records


def test_a_task_that_nobody_holds_goes_on_whenever_the_collector_runs() -> None:
    async def forgotten(ctx: Context, name: str) -> None:
        await ctx.promise(name)
        ctx.publish("done", name)

    async def body(ctx: Context) -> None:
        asyncio.create_task(forgotten(ctx, "a"))
        await ctx.promise("end")

    bench = bench_of(body)
    gc.collect()
    [path] = [wait.path for wait in bench.body.input_waits() if wait.name == "a"]
    bench.deliver(Resumption(Resumed.INPUT, path, 1, 1, b"\x01"))
    assert list(bench.script.published.values()) == ["done"]


def test_a_dropped_generator_is_not_closed_at_the_collectors_moment() -> None:
    closed: list[str] = []

    async def numbers(ctx: Context) -> Any:
        try:
            while True:
                yield 1
        finally:
            closed.append("closing")
            await ctx.promise("never")
            closed.append("not reached")

    async def body(ctx: Context) -> None:
        async for _ in numbers(ctx):
            break
        gc.collect()
        await ctx.promise("go")

    app = App("test")
    app.intent("test")(body)
    driven = Body(app.intents["test"], START, new_script(None))
    driven.replay(Facts())
    assert closed == []
    assert [wait.name for wait in driven.input_waits()] == ["go"]
    driven.free()
    assert closed == ["closing"]


def test_the_context_is_refused_outside_its_body() -> None:
    kept: list[Context] = []

    async def body(ctx: Context) -> None:
        kept.append(ctx)
        await ctx.promise("go")

    bench = bench_of(body)
    with pytest.raises(UsageError, match="a context works only in its body"):
        kept[0].publish("x", 1)
    assert bench.body.take_made() == []

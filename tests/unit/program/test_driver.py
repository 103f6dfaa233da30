"""A body driven, replayed, ended and freed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from edge_runtime import App, BodyFreed, Context, StepFailed, UsageError
from edge_runtime.base.limits import RESULT_BYTES_MAX
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.objects.codec import decode_value, encode_value
from edge_runtime.objects.script import Resumed, Resumption, Script
from edge_runtime.program.driver import (
    Again,
    Body,
    BodyOverran,
    Cancelled,
    Completed,
    Failed,
    Nondeterminism,
)
from tests.support.replay_child import START, Bench, Facts, bench_of, new_script, outcome_of, work

# A body that is not freed, or a coroutine that is lost on the way, would show as a warning.
pytestmark = pytest.mark.filterwarnings("error")

Handler = Callable[..., Awaitable[Any]]


def finish(bench: Bench, path: str, age_ms: int = 1) -> None:
    call = next(call for call in bench.body.steps() if call.path == path)
    bench.deliver(outcome_of(call, age_ms, age_ms))


def cancel(bench: Bench) -> None:
    bench.deliver(Resumption(Resumed.CANCEL, "", 9, 9))


def replayed(handler: Handler, script: Script) -> Body:
    """Replay records made by another version of the handler."""
    app = App("test")
    app.intent("test")(handler)
    body = Body(app.intents["test"], START, script)
    try:
        body.replay(Facts())
    except BaseException:
        body.free()
        raise
    return body


def difference_of(handler: Handler, script: Script) -> str:
    with pytest.raises(Nondeterminism) as raised:
        replayed(handler, script)
    return raised.value.difference


# --- Resuming -----------------------------------------------------------------------------------------------------


async def mixed(ctx: Context) -> list[Any]:
    """Waits for one of each kind at once."""
    seen: list[Any] = []

    async def note(what: Awaitable[Any], name: str) -> None:
        try:
            seen.append([name, await what])
        except asyncio.CancelledError:
            seen.append([name, "cancelled"])

    tasks = [
        asyncio.create_task(note(ctx.run("step", work, "done"), "step")),
        asyncio.create_task(note(ctx.promise("signal"), "signal")),
        asyncio.create_task(note(asyncio.sleep(1), "timer")),
        asyncio.create_task(note(ctx.until("x == 1"), "condition")),
    ]
    await asyncio.gather(*tasks[:3])
    try:
        await tasks[3]
    except asyncio.CancelledError:
        seen.append("stopped")
    return seen


def test_a_body_is_resumed_by_one_thing_at_a_time_and_replay_keeps_the_order() -> None:
    """Behaviour: 1.12."""
    bench = bench_of(mixed)
    bench.deliver(Resumption(Resumed.TIMER, "0/3/timer:1", 1_000, 1_000))
    bench.deliver(Resumption(Resumed.INPUT, "0/2/signal:1", 1_001, 1_001, encode_value("yes")))
    finish(bench, "0/1/step:1", 1_002)
    cancel(bench)
    assert isinstance(bench.body.ended, Completed)
    expected = [["timer", None], ["signal", "yes"], ["step", "done"], ["condition", "cancelled"]]
    assert decode_value(bench.body.ended.value) == expected
    bench.rebuild()
    assert isinstance(bench.body.ended, Completed)
    assert decode_value(bench.body.ended.value) == expected


def test_a_late_result_for_an_abandoned_call_is_harmless_live_and_in_replay() -> None:
    async def body(ctx: Context) -> str:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ctx.run("slow", work, "late"), 1)
        return str(await ctx.promise("go"))

    bench = bench_of(body)
    [call] = bench.body.steps()
    timer = bench.body.timers()[0]
    bench.deliver(Resumption(Resumed.TIMER, timer.path, 1_000, 1_000))
    assert bench.body.steps() == ()
    assert bench.body.abandoned_steps() == ("0/0/slow:1",)
    bench.rebuild()
    assert bench.body.abandoned_steps() == ("0/0/slow:1",)
    for _ in range(2):
        bench.deliver(outcome_of(call, 1_001, 1_001))
        assert bench.body.abandoned_steps() == ()
    bench.deliver(Resumption(Resumed.TIMER, timer.path, 1_002, 1_002))
    bench.rebuild()
    bench.deliver(Resumption(Resumed.INPUT, "0/0/go:1", 2_000, 2_000, encode_value("gone")))
    assert bench.body.ended == Completed(encode_value("gone"))


def test_a_late_result_of_another_call_is_still_a_difference() -> None:
    async def body(ctx: Context) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ctx.run("slow", work, "late"), 1)
        await ctx.promise("go")

    bench = bench_of(body)
    [call] = bench.body.steps()
    bench.deliver(Resumption(Resumed.TIMER, "0/0/timer:1", 1_000, 1_000))
    with pytest.raises(Nondeterminism, match=f"fingerprint {'ee' * 16}; now: run 'slow' at 0/0/slow:1 with"):
        bench.deliver(replace(outcome_of(call, 1_001, 1_001), fingerprint=b"\xee" * 16))


def test_a_task_group_that_aborts_abandons_its_steps() -> None:
    async def body(ctx: Context) -> Any:
        try:
            async with asyncio.TaskGroup() as group:
                for label in ("bad", "a", "b"):
                    group.create_task(ctx.run("step", work, label))
        except ExceptionGroup as failed:
            return await ctx.promise(str(failed.exceptions[0]))

    bench = bench_of(body)
    finish(bench, "0/1/step:1")
    assert bench.body.abandoned_steps() == ("0/2/step:1", "0/3/step:1")
    assert [wait.name for wait in bench.body.input_waits()] == ["invalid: asked to"]
    assert bench.body.steps() == ()


# --- Ends ---------------------------------------------------------------------------------------------------------


def test_a_cancelled_body_may_clean_up_and_then_is_cancelled() -> None:
    async def body(ctx: Context) -> None:
        try:
            await ctx.promise("go")
        finally:
            await ctx.run("tidy", work, "x")

    bench = bench_of(body)
    cancel(bench)
    assert bench.body.ended is None
    bench.rebuild()
    finish(bench, "0/0/tidy:1", 10)
    assert bench.body.ended == Cancelled()


def test_a_body_may_survive_its_cancellation() -> None:
    async def body(ctx: Context) -> str:
        try:
            await ctx.promise("go")
        except asyncio.CancelledError:
            return "went on"
        return ""

    bench = bench_of(body)
    cancel(bench)
    assert bench.body.ended == Completed(encode_value("went on"))


async def _raises(ctx: Context) -> None:
    raise ValueError("token=s3cret\nsecond line")


async def _cancels_itself(ctx: Context) -> None:
    raise asyncio.CancelledError


async def _exits(ctx: Context) -> None:
    sys.exit(3)


async def _exits_in_a_task(ctx: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_exits(ctx))


async def _returns_nothing_recordable(ctx: Context) -> Any:
    return object()


async def _returns_too_much(ctx: Context) -> bytes:
    return b"x" * RESULT_BYTES_MAX


async def _fails_in_a_group(ctx: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_raises(ctx))


@pytest.mark.parametrize(
    ("handler", "error", "error_type"),
    [
        (_raises, "ValueError: token=***", "ValueError"),
        (_cancels_itself, "CancelledError: the body cancelled itself", "CancelledError"),
        (_exits, "SystemExit: 3", "SystemExit"),
        (_exits_in_a_task, "SystemExit: 3", "SystemExit"),
        (_returns_nothing_recordable, "UsageError: the result of test cannot be recorded: ", "UsageError"),
        (_returns_too_much, "PayloadTooLarge: the result of test has 16387 bytes", "PayloadTooLarge"),
        (_fails_in_a_group, "ValueError: token=***", "ExceptionGroup"),
    ],
)
def test_a_body_that_raises_has_failed_with_one_line(handler: Handler, error: str, error_type: str) -> None:
    """Behaviour: 7.1."""
    ended = bench_of(handler).body.ended
    assert isinstance(ended, Failed)
    assert ended.error.startswith(error)
    assert ended.error_type == error_type
    assert "\n" not in ended.error


def test_arguments_that_no_longer_fit_fail_the_run() -> None:
    async def body(ctx: Context, count: int) -> None: ...

    bench = bench_of(body, "three")
    assert isinstance(bench.body.ended, Failed)
    assert "argument 'count' of test does not fit" in bench.body.ended.error
    assert (bench.body.steps(), bench.body.timers(), bench.body.abandoned_steps()) == ((), (), ())


def test_after_the_end_nothing_waits_and_what_was_under_way_is_abandoned() -> None:
    async def body(ctx: Context) -> str:
        for what in (ctx.run("step", work, "x"), ctx.promise("p"), ctx.until("x == 1"), asyncio.sleep(5)):
            asyncio.create_task(what)
        await asyncio.sleep(0)
        return "done"

    bench = bench_of(body)
    assert bench.body.ended == Completed(encode_value("done"))
    assert bench.body.abandoned_steps() == ("0/1/step:1",)
    waits = (bench.body.steps(), bench.body.input_waits(), bench.body.condition_waits(), bench.body.timers())
    assert waits == ((), (), (), ())


def test_a_run_begins_with_what_the_last_one_carried() -> None:
    async def body(ctx: Context, count: int = 0) -> int:
        if count < 3:
            await ctx.run("sample", work, str(count))
            ctx.again(count + 1)
        return count

    bench, paths = bench_of(body), []
    while not isinstance(bench.body.ended, Completed):
        [call] = bench.body.steps()
        paths.append(call.path)
        finish(bench, call.path)
        assert isinstance(bench.body.ended, Again)
        state, run = bench.body.ended.state, bench.script.run + 1
        bench.body.free()
        bench = Bench(bench.intent, Script(run, state, 0, 0))
    assert paths == ["0/0/sample:1", "1/0/sample:1", "2/0/sample:1"]
    bench.body.free()


# --- Differences --------------------------------------------------------------------------------------------------


async def original(ctx: Context) -> None:
    await ctx.fact("battery")
    ctx.publish("progress", 1)
    await ctx.run("shoot", work, "a")
    await ctx.promise("go")
    await asyncio.sleep(1)
    await ctx.promise("end")


@pytest.fixture
def script() -> Script:
    """The records of `original`, up to its last wait."""
    bench = bench_of(original)
    finish(bench, "0/0/shoot:1")
    bench.deliver(Resumption(Resumed.INPUT, "0/0/go:1", 2, 2, encode_value(1)))
    bench.deliver(Resumption(Resumed.TIMER, "0/0/timer:1", 1_002, 1_002))
    return bench.script


async def _renamed(ctx: Context) -> None:
    await ctx.fact("battery")
    ctx.publish("progress", 1)
    await ctx.run("photograph", work, "a")


async def _other_arguments(ctx: Context) -> None:
    await ctx.fact("battery")
    ctx.publish("progress", 1)
    await ctx.run("shoot", work, "b")


async def _other_kind(ctx: Context) -> None:
    await ctx.fact("battery")
    ctx.publish("progress", 1)
    await ctx.promise("shoot")


async def _other_order(ctx: Context) -> None:
    await ctx.fact("battery")
    ctx.publish("progress", 1)
    await ctx.promise("go")
    await ctx.run("shoot", work, "a")


async def _timer_for_input(ctx: Context) -> None:
    await ctx.fact("battery")
    ctx.publish("progress", 1)
    await ctx.run("shoot", work, "a")
    await asyncio.sleep(1)


async def _input_for_timer(ctx: Context) -> None:
    await ctx.fact("battery")
    ctx.publish("progress", 1)
    await ctx.run("shoot", work, "a")
    await ctx.promise("go")
    await ctx.promise("timer")


async def _ends_early(ctx: Context) -> None:
    await ctx.fact("battery")
    ctx.publish("progress", 1)


async def _reads_nothing(ctx: Context) -> None:
    ctx.publish("progress", 1)
    await ctx.run("shoot", work, "a")
    await ctx.promise("go")
    await asyncio.sleep(1)
    await ctx.promise("end")


async def _publishes_nothing(ctx: Context) -> None:
    await ctx.fact("battery")
    await ctx.run("shoot", work, "a")
    await ctx.promise("go")
    await asyncio.sleep(1)
    await ctx.promise("end")


async def _publishes_for_fact(ctx: Context) -> None:
    ctx.publish("battery", 1)


async def _runs_for_fact(ctx: Context) -> None:
    await ctx.run("battery", work, "a")


async def _reads_for_publish(ctx: Context) -> None:
    await ctx.fact("battery")
    await ctx.state.get("progress")


async def _sets_for_publish(ctx: Context) -> None:
    await ctx.fact("battery")
    ctx.state.set("progress", 1)


async def _runs_for_publish(ctx: Context) -> None:
    await ctx.fact("battery")
    await ctx.run("progress", work, "a")


SHOT = "recorded: run 'shoot' at 0/0/shoot:1 with fingerprint "


@pytest.mark.parametrize(
    ("handler", "recorded", "now"),
    [
        (_renamed, SHOT, "the body has not asked for it, and waits for run 'photograph' at 0/0/photograph:1 with"),
        (_other_arguments, SHOT, "run 'shoot' at 0/0/shoot:1 with fingerprint "),
        (_other_kind, SHOT, "wait for input 'shoot' at 0/0/shoot:1"),
        (_other_order, SHOT, "waits for wait for input 'go' at 0/0/go:1"),
        (_timer_for_input, "recorded: wait for input 'go' at 0/0/go:1", "timer at 0/0/timer:1"),
        (_input_for_timer, "recorded: timer 'timer' at 0/0/timer:1", "wait for input 'timer' at 0/0/timer:1"),
        (_ends_early, SHOT, "the run has ended without it"),
        (_reads_nothing, "recorded: something read at 0/0/battery:1", "waits for wait for input 'end'"),
        (_publishes_nothing, "recorded: publish 'progress' at 0/0/progress:1", "waits for wait for input 'end'"),
        (_publishes_for_fact, "recorded: something read at 0/0/battery:1", "publish 'battery' at 0/0/battery:1"),
        (_runs_for_fact, "recorded: something read at 0/0/battery:1", "run 'battery' at 0/0/battery:1 with"),
        (_reads_for_publish, "recorded: publish 'progress'", "state 'progress' at 0/0/progress:1"),
        (_sets_for_publish, "recorded: publish 'progress'", "state set at 0/0/progress:1"),
        (_runs_for_publish, "recorded: publish 'progress'", "run 'progress' at 0/0/progress:1 with"),
    ],
)
def test_a_body_that_differs_from_its_records_is_told_apart_with_both_sides(
    handler: Handler, recorded: str, now: str, script: Script
) -> None:
    """Behaviour: 1.14."""
    difference = difference_of(handler, script)
    assert difference.startswith(recorded)
    assert now in difference.split("; now: ")[1]


def test_a_difference_cannot_be_swallowed_by_the_body(script: Script) -> None:
    """Behaviour: 1.14."""

    async def swallows(ctx: Context) -> str:
        with contextlib.suppress(Exception):
            ctx.publish("battery", 1)
        return "as if nothing had been"

    assert "publish 'battery'" in difference_of(swallows, script)


def test_a_state_set_to_another_value_is_a_difference() -> None:
    async def sets(ctx: Context, value: int) -> None:
        ctx.state.set("count", value)
        await ctx.promise("go")

    bench = bench_of(sets, 1)
    bench.script.arguments = encode_value(2)
    with pytest.raises(Nondeterminism, match="state 'count' at 0/0/count:1 set to another value"):
        bench.rebuild()


def test_a_result_that_the_new_code_cannot_read_is_a_difference(script: Script) -> None:
    def number(label: str) -> int:
        return len(label)

    async def retyped(ctx: Context) -> None:
        await ctx.fact("battery")
        ctx.publish("progress", 1)
        await ctx.run("shoot", number, "a")

    assert "the recorded result does not fit: Expected `int`, got `str`" in difference_of(retyped, script)


def test_a_read_that_is_new_in_the_middle_is_made_and_found_again(script: Script) -> None:
    """A version may look at more than the last one did; the records it leaves are complete."""

    async def extended(ctx: Context) -> None:
        await ctx.fact("battery")
        ctx.publish("progress", 1)
        await ctx.run("shoot", work, "a")
        await ctx.fact("link")
        ctx.publish("more", 1)
        await ctx.promise("go")
        await asyncio.sleep(1)
        await ctx.promise("end")

    app = App("test")
    app.intent("test")(extended)
    bench = Bench(app.intents["test"], script)
    assert sorted(bench.script.learned) == ["0/0/battery:1", "0/0/link:1"]
    before = dict(bench.script.learned)
    bench.rebuild()
    assert bench.script.learned == before
    bench.body.free()


def test_what_waits_is_listed_only_so_far(script: Script) -> None:
    async def many(ctx: Context) -> None:
        await asyncio.gather(*(ctx.promise(f"p{number}") for number in range(9)))

    assert difference_of(many, script).endswith("and 4 more")


# --- Overrunning --------------------------------------------------------------------------------------------------


def test_a_body_that_loops_is_interrupted_from_another_thread() -> None:
    """The watchdog's way: an exception raised asynchronously in the thread that drives the body."""
    looping = threading.Event()
    driver = threading.get_ident()

    async def child(ctx: Context) -> None:
        while True:
            with contextlib.suppress(Exception):
                looping.set()

    async def body(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child(ctx))

    def interrupt() -> None:
        looping.wait(timeout=30)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(driver), ctypes.py_object(BodyOverran))

    app = App("test")
    app.intent("test")(body)
    driven = Body(app.intents["test"], START, new_script(None))
    watchdog = threading.Thread(target=interrupt)
    watchdog.start()
    with pytest.raises(BodyOverran):
        driven.replay(Facts())
    watchdog.join(timeout=30)
    assert asyncio._get_running_loop() is None
    driven.free()


# --- Freeing ------------------------------------------------------------------------------------------------------


class Left:
    """What a body holds; its end shows that nothing of the body is left."""


async def test_a_freed_body_leaves_no_task_and_no_memory() -> None:
    """Behaviour: 3.9."""
    held: list[weakref.ref[Any]] = []

    async def child(ctx: Context, left: Left) -> None:
        await ctx.run("step", work, "x")

    async def body(ctx: Context) -> None:
        left = Left()
        held.extend([weakref.ref(left), weakref.ref(ctx._ledger)])
        async with asyncio.TaskGroup() as group:
            group.create_task(child(ctx, left))
            group.create_task(ctx.promise("p", timeout=5))
            group.create_task(asyncio.wait_for(ctx.until("x == 1"), 5))

    app = App("test")
    app.intent("test")(body)
    driven = Body(app.intents["test"], START, new_script(None))
    gc.disable()
    try:
        driven.replay(Facts())
        assert all(reference() is not None for reference in held)
        assert driven.size_hint() > 3 * 1_000
        driven.free()
        assert held[0]() is None
        assert (driven.steps(), driven.timers(), driven.input_waits()) == ((), (), ())
        del driven
        gc.collect()
        assert held[1]() is None
    finally:
        gc.enable()
    assert len(asyncio.all_tasks()) == 1


def test_in_a_finally_of_a_freed_body_everything_raises_and_nothing_is_recorded(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Behaviour: 3.9."""
    tried: list[str] = []

    async def attempt(name: str, call: Callable[[], Any]) -> None:
        try:
            answer = call()
            if asyncio.iscoroutine(answer) or asyncio.isfuture(answer):
                await answer
            tried.append(f"{name} went through")
        except BodyFreed:
            tried.append(name)
        except BaseExceptionGroup as group:  # as every error comes out of a TaskGroup
            tried.extend([name] * isinstance(group.exceptions[0], BodyFreed))

    async def group(ctx: Context) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ctx.run("x", work, "x"))

    async def body(ctx: Context) -> None:
        try:
            await ctx.promise("go")
        finally:
            await attempt("run", lambda: ctx.run("tidy", work, "x"))
            await attempt("publish", lambda: ctx.publish("x", 1))
            await attempt("set", lambda: ctx.state.set("x", 1))
            await attempt("get", lambda: ctx.state.get("x"))
            await attempt("fact", lambda: ctx.fact("x"))
            await attempt("until", lambda: ctx.until("x == 1"))
            await attempt("promise", lambda: ctx.promise("x", timeout=1))
            await attempt("again", lambda: ctx.again(1))
            await attempt("sleep", lambda: asyncio.sleep(1))
            await attempt("yield", lambda: asyncio.sleep(0))
            await attempt("wait_for", lambda: asyncio.wait_for(ctx.run("x", work, "x"), 1))
            await attempt("gather", lambda: asyncio.gather(ctx.run("x", work, "x")))
            await attempt("group", lambda: group(ctx))
            raise ValueError("also this is let be")

    bench = bench_of(body)
    bench.body.free()
    assert tried == [
        "run", "publish", "set", "get", "fact", "until", "promise", "again", "sleep", "yield", "wait_for", "gather",
        "group",
    ]  # fmt: skip
    assert bench.body.take_made() == []
    assert bench.body.complaints == ()
    gc.collect()
    assert (caplog.records, capsys.readouterr().err) == ([], "")


def test_a_body_that_will_not_close_is_dropped_after_so_many_awaits() -> None:
    rounds: list[int] = []

    async def body(ctx: Context) -> None:
        while len(rounds) < 1_000:
            try:
                await asyncio.sleep(1)
            except BaseException:
                rounds.append(1)

    bench = bench_of(body)
    bench.body.free()
    assert 50 < len(rounds) < 200
    rounds.extend([1] * 1_000)


def test_a_body_is_freed_before_its_tasks_have_begun_and_twice() -> None:
    async def never(ctx: Context) -> None:
        ctx.publish("never", 1)

    async def body(ctx: Context) -> None:
        asyncio.create_task(never(ctx))

    bench = bench_of(body)
    bench.body.free()
    bench.body.free()
    assert bench.script.published == {}
    app = App("test")
    app.intent("test")(body)
    Body(app.intents["test"], START, new_script(None)).free()


def test_a_freed_body_is_not_driven_again() -> None:
    bench = bench_of(original)
    [call] = bench.body.steps()
    bench.body.free()
    with pytest.raises(AssertionError):
        bench.body.deliver(outcome_of(call, 1, 1), Facts())
    with pytest.raises(AssertionError):
        started = bench_of(original).body
        started.replay(Facts())


def test_a_context_used_by_a_step_is_refused() -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.run("step", lambda: ctx.publish("x", 1))

    bench = bench_of(body)
    [call] = bench.body.steps()
    with pytest.raises(UsageError, match="a context works only in its body"):
        call.function()


def test_the_outcome_of_a_failed_step_is_its_recorded_number() -> None:
    async def body(ctx: Context) -> str:
        try:
            await ctx.run("step", work, "x")
        except StepFailed as error:
            return error.outcome.name
        return ""

    for outcome in (Outcome.TIMEOUT, Outcome.INVALID, Outcome.EXPIRED):
        bench = bench_of(body)
        [call] = bench.body.steps()
        bench.deliver(replace(outcome_of(call, 1, 1), outcome=int(outcome), value=b""))
        assert bench.body.ended == Completed(encode_value(outcome.name))

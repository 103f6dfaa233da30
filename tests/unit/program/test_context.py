"""What a handler can do with its context, and what is recorded of it."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from edge_runtime import App, Busy, Context, EffectClass, Outcome, Retry, StepFailed
from edge_runtime.base.limits import (
    LIFETIME_MS_MAX,
    LIST_ITEMS_MAX,
    PUBLISHED_NAMES_MAX,
    RESULT_BYTES_MAX,
    STEP_TIMEOUT_MS_DEFAULT,
)
from edge_runtime.objects.codec import decode_value, encode_value
from edge_runtime.objects.condition_text import parse
from edge_runtime.objects.intents import attempt_id, fingerprint_of
from edge_runtime.objects.script import Resumed, Resumption
from edge_runtime.objects.triggers import When
from edge_runtime.program.driver import Again, Body, Completed, Failed, InputWait
from tests.support.replay_child import START, Bench, Facts, bench_of, new_script, outcome_of

# A body that is not freed, or a coroutine that is lost on the way, would show as a warning.
pytestmark = pytest.mark.filterwarnings("error")

Handler = Callable[..., Awaitable[Any]]


def result_of(bench: Bench) -> Any:
    assert isinstance(bench.body.ended, Completed), bench.body.ended
    return decode_value(bench.body.ended.value)


def error_of(handler: Handler, argument: Any = None) -> str:
    ended = bench_of(handler, argument).body.ended
    assert isinstance(ended, Failed), ended
    return ended.error


def signal(bench: Bench, name: str, value: Any, age_ms: int = 5) -> None:
    """Deliver an input to the first wait of that name, as the node does."""
    path = next(wait.path for wait in bench.body.input_waits() if wait.name == name)
    bench.deliver(Resumption(Resumed.INPUT, path, age_ms, 1_000_000 + age_ms, encode_value(value)))


def fire(bench: Bench) -> None:
    timer = bench.body.timers()[0]
    bench.deliver(Resumption(Resumed.TIMER, timer.path, timer.due_age_ms, 1_000_000 + timer.due_age_ms))


@dataclass
class Cell:
    """What a step is given and returns."""

    row: int
    label: str = ""


def shoot(cell: Cell, label: str = "") -> Cell:
    """A plain step."""
    return dataclasses.replace(cell, label=label)


async def send(cell: Cell) -> int:
    """An async step."""
    return cell.row


# --- Steps --------------------------------------------------------------------------------------------------------


def test_a_call_says_everything_that_the_node_needs() -> None:
    async def body(ctx: Context) -> None:
        await ctx.run(
            "shoot",
            shoot,
            Cell(1),
            "x",
            needs={"camera", "arm.left"},
            resource="gimbal",
            not_after=timedelta(hours=1),
            effect="observe",
            timeout=2.5,
            retry=Retry(attempts=3),
            to=["server-b", "server-a", "server-b"],
        )

    [call] = bench_of(body).body.steps()
    fingerprint = fingerprint_of("shoot", encode_value([{"row": 1, "label": ""}, "x"]))
    assert (call.path, call.name) == ("0/0/shoot:1", "shoot")
    assert (call.function, call.arguments) == (shoot, (Cell(1), "x"))
    assert call.fingerprint == fingerprint
    assert call.attempt == attempt_id(START.lineage, 0, "0/0/shoot:1", fingerprint)
    assert (call.needs, call.resource) == (("arm.left", "camera"), "gimbal")
    assert (call.not_after_ms, call.timeout_ms) == (3_600_000, 2_500)
    assert (call.effect, call.retry, call.result_type) == (EffectClass.OBSERVE, Retry(attempts=3), Cell)
    assert (call.to, call.bytes_size) == (("server-b", "server-a"), len(encode_value([{"row": 1, "label": ""}, "x"])))


def test_a_call_that_says_little_inherits_and_is_idempotent() -> None:
    async def body(ctx: Context) -> None:
        await ctx.run("send", send, Cell(1))

    [call] = bench_of(body).body.steps()
    assert (call.needs, call.resource, call.not_after_ms) == (None, "", None)
    assert (call.effect, call.timeout_ms, call.retry) == (EffectClass.IDEMPOTENT, STEP_TIMEOUT_MS_DEFAULT, Retry())
    assert call.result_type is int


def test_a_result_is_the_decoded_record_at_the_first_run_too() -> None:
    given = Cell(1, "given")

    async def body(ctx: Context) -> list[Any]:
        result = await ctx.run("shoot", shoot, given)
        return [type(result).__name__, result.label, result is given]

    bench = bench_of(body)
    [call] = bench.body.steps()
    recorded = encode_value({"row": 1, "label": "recorded"})
    bench.deliver(Resumption(Resumed.STEP, call.path, 1, 1, recorded, call.fingerprint))
    assert result_of(bench) == ["Cell", "recorded", False]


def test_what_goes_into_the_fingerprint_is_the_name_and_every_argument() -> None:
    calls = [
        ("a", shoot, (Cell(1),)),
        ("b", shoot, (Cell(1),)),
        ("a", shoot, (Cell(2),)),
        ("a", shoot, (Cell(1), "x")),
        ("a", functools.partial(shoot, label="x"), (Cell(1),)),
        ("a", functools.partial(shoot, label="y"), (Cell(1),)),
        ("a", functools.partial(functools.partial(shoot, Cell(1)), label="z"), ()),
    ]

    async def body(ctx: Context) -> None:
        await asyncio.gather(*(ctx.run(name, function, *args) for name, function, args in calls))

    steps = bench_of(body).body.steps()
    assert len({step.fingerprint for step in steps}) == len(calls)

    async def same(ctx: Context) -> None:
        bound = functools.partial(shoot, Cell(1))
        await asyncio.gather(ctx.run("a", shoot, Cell(1)), ctx.run("a", bound), ctx.run("a", bound.func, Cell(1)))

    assert len({step.fingerprint for step in bench_of(same).body.steps()}) == 1


def test_a_failed_step_raises_in_the_body_with_its_outcome_at_the_first_run_and_in_replay() -> None:
    async def body(ctx: Context) -> list[str]:
        try:
            await ctx.run("send", send, Cell(1))
        except StepFailed as error:
            return [error.outcome.name, error.message, error.error_type]
        return []

    bench = bench_of(body)
    [call] = bench.body.steps()
    bench.deliver(
        Resumption(Resumed.STEP, call.path, 1, 1, b"", call.fingerprint, Outcome.BUSY, "later", Busy.__name__)
    )
    assert result_of(bench) == ["BUSY", "later", "Busy"]
    bench.rebuild()
    assert result_of(bench) == ["BUSY", "later", "Busy"]


async def _many_needs(ctx: Context) -> None:
    await ctx.run("x", send, Cell(1), needs={f"n{number}" for number in range(LIST_ITEMS_MAX + 1)})


async def _argument(ctx: Context) -> None:
    await ctx.run("x", print, object())


async def _function(ctx: Context) -> None:
    not_callable: Any = "send"
    await ctx.run("x", not_callable)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"effect": "exclusive"}, "effect 'exclusive' cannot be promised by this version"),
        ({"effect": EffectClass.BOUNDED}, "effect='bounded' names the rights"),
        ({"effect": "irreversible"}, "effect='irreversible' names not_after="),
        ({"effect": "twice"}, "effect='twice' is unknown: use one of observe, idempotent"),
        ({"needs": "camera"}, "write needs={'camera'}"),
        ({"needs": {"Camera"}}, "need 'Camera' is no name"),
        ({"needs": {"a..b"}}, "need 'a..b' is no name"),
        ({"needs": {""}}, "a need is a text of 1 to 128 bytes"),
        ({"resource": "x" * 129}, "a resource is a text of 1 to 128 bytes"),
        ({"to": "server"}, "write to=['server']"),
        ({"to": [""]}, "a peer is a text of 1 to 128 bytes"),
        ({"to": [str(number) for number in range(17)]}, "17 peers are too many: at most 16"),
        ({"timeout": "1s"}, "timeout='1s' is no duration"),
        ({"timeout": float("nan")}, "timeout=nan is no duration"),
        ({"not_after": 1e12}, "not_after=1000000000000.0 is no duration"),
    ],
)
def test_an_ill_made_call_is_refused_with_what_to_change(given: dict[str, Any], says: str) -> None:
    async def body(ctx: Context) -> None:
        await ctx.run("x", send, Cell(1), **given)

    assert says in error_of(body)


def test_names_functions_and_arguments_of_a_call_are_checked() -> None:
    async def unnamed(ctx: Context, name: Any) -> None:
        await ctx.run(name, send, Cell(1))

    assert "a step's name is a text of 1 to 128 bytes, not ''" in error_of(unnamed, {"name": ""})
    assert "a step's name is a text of 1 to 128 bytes" in error_of(unnamed, {"name": "é" * 65})
    assert "a step's name" in error_of(unnamed, 7)
    assert "65 needs are too many" in error_of(_many_needs)
    assert "an argument of step 'x' cannot be recorded: Encoding objects of type object" in error_of(_argument)
    assert "needs a function second, not str" in error_of(_function)


def test_a_tiny_timeout_is_at_least_a_millisecond_and_a_huge_one_a_lifetime() -> None:
    async def body(ctx: Context) -> None:
        await asyncio.gather(
            ctx.run("a", send, Cell(1), timeout=0), ctx.run("b", send, Cell(1), timeout=timedelta.max)
        )

    assert [call.timeout_ms for call in bench_of(body).body.steps()] == [1, LIFETIME_MS_MAX]


# --- Waits --------------------------------------------------------------------------------------------------------


def test_until_carries_its_condition_and_returns_when_it_holds() -> None:
    async def body(ctx: Context) -> str:
        await ctx.until("link.ground == 'up'")
        return ctx.now().isoformat()

    bench = bench_of(body)
    [wait] = bench.body.condition_waits()
    assert (wait.path, wait.text) == ("0/0/until:1", "link.ground == 'up'")
    assert wait.trigger == When(parse("link.ground == 'up'"))
    bench.deliver(Resumption(Resumed.CONDITION, wait.path, 9, 2_000))
    assert result_of(bench) == "1970-01-01T00:00:02+00:00"


def test_a_condition_that_cannot_be_read_fails_where_it_is_written() -> None:
    async def body(ctx: Context) -> None:
        await ctx.until("link.ground ==")

    assert error_of(body).startswith("UsageError: ")


def test_every_wait_ends_with_its_timeout() -> None:
    async def until(ctx: Context) -> None:
        await ctx.until("x == 1", timeout=2)

    async def promise(ctx: Context) -> None:
        await ctx.promise("p", timeout=timedelta(seconds=2))

    async def signals(ctx: Context) -> None:
        async for _ in ctx.signals("s", timeout=2):
            pass

    for handler in (until, promise, signals):
        bench = bench_of(handler)
        assert [(timer.path, timer.due_age_ms) for timer in bench.body.timers()] == [("0/0/timer:1", 2_000)]
        fire(bench)
        assert isinstance(bench.body.ended, Failed)
        assert bench.body.ended.error_type == "TimeoutError"
        assert "2000 ms passed" in bench.body.ended.error


def test_a_wait_that_ends_in_time_leaves_no_timer() -> None:
    async def body(ctx: Context) -> Any:
        value = await ctx.promise("p", timeout=2)
        return [value, await ctx.promise("q")]

    bench = bench_of(body)
    signal(bench, "p", "now")
    assert bench.body.timers() == ()


def test_a_promise_without_an_answer_gives_its_default_even_none() -> None:
    async def body(ctx: Context) -> list[Any]:
        return [await ctx.promise("p", 1, default=None), await ctx.promise("p", 1, default="no")]

    bench = bench_of(body)
    fire(bench)
    fire(bench)
    assert result_of(bench) == [None, "no"]


def test_the_first_completion_is_the_promises_value_for_all_who_wait_and_for_later() -> None:
    async def body(ctx: Context) -> list[Any]:
        both = await asyncio.gather(ctx.promise("p"), ctx.promise("p"))
        return [*both, await ctx.promise("p"), await ctx.promise("q")]

    bench = bench_of(body)
    signal(bench, "p", {"yes": True})
    assert bench.body.input_waits() == (InputWait("0/0/q:1", "q"),)
    bench.rebuild()
    assert bench.body.input_waits() == (InputWait("0/0/q:1", "q"),)
    signal(bench, "q", 2)
    assert result_of(bench) == [{"yes": True}] * 3 + [2]


def test_each_signal_is_taken_once_by_the_first_who_waits() -> None:
    async def take(ctx: Context, count: int) -> list[Any]:
        taken = []
        async for value in ctx.signals("s"):
            taken.append(value)
            if len(taken) == count:
                break
        return taken

    async def body(ctx: Context) -> list[Any]:
        return list(await asyncio.gather(take(ctx, 2), take(ctx, 1)))

    bench = bench_of(body)
    assert [wait.path for wait in bench.body.input_waits()] == ["0/1/s:1", "0/2/s:1"]
    signal(bench, "s", "a")
    assert [wait.path for wait in bench.body.input_waits()] == ["0/2/s:1", "0/1/s:2"]
    signal(bench, "s", "b")
    signal(bench, "s", "c")
    assert result_of(bench) == [["a", "c"], ["b"]]


def test_an_abandoned_wait_takes_no_signal() -> None:
    async def body(ctx: Context) -> Any:
        try:
            await asyncio.wait_for(anext(aiter(ctx.signals("s"))), 1)
        except TimeoutError:
            return await anext(aiter(ctx.signals("s")))

    bench = bench_of(body)
    fire(bench)
    assert [wait.path for wait in bench.body.input_waits()] == ["0/0/s:2"]
    signal(bench, "s", 7, age_ms=2_000)
    assert result_of(bench) == 7


# --- Reads and makes ----------------------------------------------------------------------------------------------


class Unknown(Facts):
    """A world that knows nothing."""

    def fact(self, name: str) -> bool | int | float | str | None:
        """Say that it is unknown."""
        super().fact(name)
        return None


def test_a_fact_is_looked_at_once_and_then_read_from_its_record() -> None:
    async def body(ctx: Context) -> None:
        await ctx.promise(f"saw {await ctx.fact('battery', default=0)} {await ctx.fact('battery')}")

    bench = bench_of(body)
    assert bench.script.learned == {"0/0/battery:1": encode_value(1), "0/0/battery:2": encode_value(2)}
    bench.rebuild()
    assert bench.body.input_waits()[0].name == "saw 1 2"
    assert bench.world.looks == 2


def test_an_unknown_fact_is_recorded_as_unknown_and_its_default_is_the_programs() -> None:
    async def body(ctx: Context) -> list[Any]:
        return [await ctx.fact("f", default=5), await ctx.fact("f")]

    bench = bench_of(body, world=Unknown())
    assert result_of(bench) == [5, None]
    assert list(bench.script.learned.values()) == [encode_value(None)] * 2


def test_a_state_is_read_as_this_turn_has_set_it_and_not_looked_at_again() -> None:
    async def body(ctx: Context) -> list[Any]:
        first = await ctx.state.get("count", "none")
        ctx.state.set("count", {"n": 1})
        second = await ctx.state.get("count")
        ctx.state.set("count", {"n": 2})
        await ctx.promise("go")
        return [first, second, await ctx.state.get("count")]

    bench = bench_of(body)
    assert bench.world.state == {"count": encode_value({"n": 2})}
    assert bench.script.learned["0/0/count:1"] == b""
    bench.rebuild()
    bench.world.state["count"] = encode_value("another object's")
    signal(bench, "go", None)
    assert result_of(bench) == ["none", {"n": 1}, "another object's"]


def test_a_published_value_is_made_once() -> None:
    async def body(ctx: Context) -> None:
        ctx.publish("progress", [1, b"x"])
        await ctx.promise("go")

    app = App("test")
    app.intent("test")(body)
    script = new_script(None)
    driven = Body(app.intents["test"], START, script)
    driven.replay(Facts())
    [made] = driven.take_made()
    assert (made.path, made.value) == ("0/0/progress:1", encode_value([1, b"x"]))
    assert driven.take_made() == []
    script.published["0/0/progress:1"] = "progress"
    again = Body(app.intents["test"], START, script)
    again.replay(Facts())
    assert again.take_made() == []
    driven.free()
    again.free()


def test_what_is_published_or_set_has_bounds() -> None:
    async def names(ctx: Context) -> None:
        for number in range(PUBLISHED_NAMES_MAX + 1):
            ctx.publish(f"name {number}", 1)

    async def one_name(ctx: Context) -> None:
        for number in range(PUBLISHED_NAMES_MAX + 1):
            ctx.publish("name", number)

    async def large(ctx: Context) -> None:
        ctx.publish("name", b"x" * RESULT_BYTES_MAX)

    async def large_state(ctx: Context) -> None:
        ctx.state.set("name", b"x" * RESULT_BYTES_MAX)

    assert "at most 64 names can be published" in error_of(names)
    assert isinstance(bench_of(one_name).body.ended, Completed)
    assert "the published value 'name' has 16387 bytes" in error_of(large)
    assert "state 'name' has 16387 bytes" in error_of(large_state)


def test_time_and_id_are_those_of_the_records() -> None:
    async def body(ctx: Context) -> list[Any]:
        before = [ctx.now().isoformat(), ctx.age().total_seconds(), ctx.object_id]
        await ctx.promise("go")
        return [*before, ctx.now().isoformat(), ctx.age().total_seconds()]

    bench = bench_of(body)
    signal(bench, "go", None, age_ms=1_234)
    assert result_of(bench) == [
        "1970-01-01T00:16:40+00:00",
        0.0,
        "6f" * 32,
        "1970-01-01T00:16:41.234000+00:00",
        1.234,
    ]


def test_chance_is_the_lineages_and_differs_between_tasks_and_calls() -> None:
    async def draw(ctx: Context) -> list[Any]:
        return [ctx.random.random(), ctx.random.random(), ctx.uuid(), ctx.uuid()]

    async def body(ctx: Context) -> list[Any]:
        drawn = await asyncio.gather(draw(ctx), draw(ctx))
        return [*drawn[0], *drawn[1], *await draw(ctx)]

    first, second = result_of(bench_of(body)), result_of(bench_of(body))
    assert first == second
    assert len({repr(value) for value in first}) == 12
    for text in (first[2], first[3]):
        assert [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
        assert text[14] == "4" and text[19] in "89ab"

    app = App("test")
    app.intent("test")(body)
    other = Body(app.intents["test"], replace(START, lineage=b"x" * 32), new_script(None))
    other.replay(Facts())
    assert isinstance(other.ended, Completed)
    assert decode_value(other.ended.value)[0] != first[0]


def test_a_new_run_carries_its_state_and_ends_whatever_else_goes_on() -> None:
    async def child(ctx: Context) -> None:
        try:
            ctx.again({"count": 3})
        finally:
            ctx.publish("never", 1)

    async def body(ctx: Context, count: int = 0) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child(ctx))
                group.create_task(ctx.run("send", send, Cell(count)))
        finally:
            ctx.publish("never", 2)

    bench = bench_of(body)
    assert bench.body.ended == Again(encode_value({"count": 3}))
    assert (bench.body.steps(), bench.script.published) == ((), {})
    bench.body.free()
    following = Bench(bench.intent, replace(new_script(None), run=1, arguments=bench.body.ended.state))
    assert isinstance(following.body.ended, Again)
    following.body.free()


def test_a_state_too_large_to_carry_fails_the_run() -> None:
    async def body(ctx: Context) -> None:
        ctx.again(b"x" * 20_000)

    assert "the state given to again() has 20003 bytes" in error_of(body)


def test_the_bench_ends_a_step_as_asked() -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.run("echo", str, "bad luck")

    bench = bench_of(body)
    bench.deliver(outcome_of(bench.body.steps()[0], 1, 1))
    assert isinstance(bench.body.ended, Failed)
    assert bench.body.ended.error == "StepFailed: invalid: asked to"

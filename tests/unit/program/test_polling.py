"""`ctx.poll` in a body: what it asks for, what resumes it, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge_runtime import Context
from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import POLL_MS_MAX, POLLED_PROBES_MAX
from edge_runtime.objects.codec import decode_value, encode_value
from edge_runtime.objects.script import Resumed, Resumption
from edge_runtime.program.driver import Completed, Nondeterminism, PollWait
from edge_runtime.program.polling import checked_cadence
from tests.support.replay_child import Bench, bench_of

# A coroutine that is lost on the way would show as a warning.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def read(bench: Bench, wait: PollWait, value: Any, age_ms: int = 50) -> None:
    bench.deliver(Resumption(Resumed.POLL, wait.path, age_ms, 0, encode_value(value)))


def result_of(bench: Bench) -> Any:
    assert isinstance(bench.body.ended, Completed), bench.body.ended
    return decode_value(bench.body.ended.value)


def test_a_poll_waits_for_its_probe_and_returns_the_reading() -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.poll("door", every=(60, 3_600), until="size > 3")

    bench = bench_of(body)
    (wait,) = bench.body.poll_waits()
    assert (wait.path, wait.probe, wait.least_ms, wait.most_ms) == ("0/0/poll:1", "door", 60_000, 3_600_000)
    assert wait.until and wait.text == "size > 3"
    read(bench, wait, {"size": 4})
    assert result_of(bench) == {"size": 4}


def test_a_wait_for_a_change_has_no_condition() -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.poll("door", every=60)

    (wait,) = bench_of(body).body.poll_waits()
    assert (wait.until, wait.text, wait.since_age_ms) == (b"", "changed", 0)


def test_the_timeout_is_a_durable_timer() -> None:
    async def body(ctx: Context) -> str:
        try:
            await ctx.poll("door", every=60, timeout=100)
        except TimeoutError as error:
            return str(error)
        return "read"

    bench = bench_of(body)
    (timer,) = bench.body.timers()
    bench.deliver(Resumption(Resumed.TIMER, timer.path, timer.due_age_ms, 0))
    assert result_of(bench) == "poll 'door' until changed: 100000 ms passed"


def test_two_tasks_may_not_poll_one_probe_and_one_may_poll_it_again() -> None:
    async def body(ctx: Context) -> Any:
        first = asyncio.create_task(ctx.poll("door", every=60))
        second = asyncio.create_task(ctx.poll("door", every=60))
        errors = await asyncio.gather(first, second, return_exceptions=True)
        return [str(error) for error in errors] + [await ctx.poll("door", every=60)]

    bench = bench_of(body)
    read(bench, bench.body.poll_waits()[0], "a")
    read(bench, bench.body.poll_waits()[0], "b")
    first, second, third = result_of(bench)
    assert (first, third) == ("a", "b") and "is polled already" in second


def test_a_wait_that_was_given_up_frees_its_probe() -> None:
    async def body(ctx: Context) -> Any:
        task = asyncio.create_task(ctx.poll("door", every=60))
        await asyncio.sleep(1)
        task.cancel()
        return await ctx.poll("door", every=60)

    bench = bench_of(body)
    (timer,) = bench.body.timers()
    bench.deliver(Resumption(Resumed.TIMER, timer.path, timer.due_age_ms, 0))
    (wait,) = bench.body.poll_waits()
    assert (wait.path, wait.since_age_ms) == ("0/0/poll:1", 1_000)
    read(bench, wait, 5, 2_000)
    assert result_of(bench) == 5


def test_a_reading_for_another_call_is_a_difference() -> None:
    """Behaviour: 1.14."""

    async def body(ctx: Context) -> None:
        await ctx.poll("door", every=60)

    bench = bench_of(body)
    with pytest.raises(Nondeterminism, match="poll 'door'|poll 'poll' at 0/0/poll:7"):
        read(bench, PollWait("0/0/poll:7", "door", 1, 1, 0, b"", ""), 1)


def test_the_probes_of_one_run_are_bounded() -> None:
    async def body(ctx: Context) -> Any:
        tasks = [asyncio.create_task(ctx.poll(f"p{n}", every=60)) for n in range(POLLED_PROBES_MAX + 1)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return str(done.pop().exception())

    assert "at most" in result_of(bench_of(body))


@pytest.mark.parametrize("every", [0, 0.5, (60, 30), (1, 2, 3), POLL_MS_MAX, "60", None, (60, "x")])
def test_a_cadence_that_is_none_is_refused_with_an_example(every: Any) -> None:
    with pytest.raises(UsageError):
        checked_cadence(every)


@pytest.mark.parametrize("until", ["size >", "", "size > 1 and " * 70 + "size > 1", 5])
def test_a_condition_that_is_none_is_refused(until: Any) -> None:
    async def body(ctx: Context) -> str:
        try:
            await ctx.poll("door", every=60, until=until)
        except UsageError:
            return "refused"
        return "taken"

    assert result_of(bench_of(body)) == "refused"

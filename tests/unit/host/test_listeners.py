"""Answers that come after their step's limit: measured once, bounded, and of no other effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from edge_runtime import current_attempt
from edge_runtime.base.limits import LISTENERS_MAX
from edge_runtime.host.listeners import Listeners
from edge_runtime.host.workers import Workers
from edge_runtime.judge.outcomes import Outcome
from tests.unit.host.test_workers import Bench, until


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    found = Bench()
    yield found
    await found.workers.close()


async def test_a_late_answer_on_the_loop_is_measured_and_the_rest_of_the_step_is_not_done(bench: Bench) -> None:
    """Behaviours: 1.7, 6.12: the step is cancelled at its limit, its request alone is listened for."""
    answer, done = asyncio.Event(), list[str]()

    async def fetch() -> str:
        await answer.wait()
        return "late"

    async def step() -> None:
        try:
            await current_attempt().reply(fetch())
            done.append("a second effect")
        finally:
            done.append("cancelled")

    bench.start(step, timeout_ms=5, path="late")
    ended = await bench.outcome()
    assert (Outcome(ended.outcome), done) == (Outcome.TIMEOUT, ["cancelled"])
    answer.set()
    late = await bench.outcome()
    assert (late.path, late.attempt, late.try_number, Outcome(late.outcome)) == ("late", b"a" * 16, 1, Outcome.OK)
    assert late.latency_ms >= ended.latency_ms and late.value == b"" and done == ["cancelled"]
    assert bench.ended.empty()


async def test_an_answer_in_time_is_the_steps_own_and_told_once(bench: Bench) -> None:
    """Behaviour: 6.12."""

    async def fetch(value: int) -> int:
        await asyncio.sleep(0)
        return value

    async def step() -> int:
        return await current_attempt().reply(fetch(1)) + await current_attempt().reply(fetch(2))

    assert await bench.result(step) == 3
    assert bench.ended.empty()


async def test_a_late_failure_and_a_stopped_step_are_no_answers(bench: Bench) -> None:
    """Behaviour: 6.12."""
    gate, cancelled = asyncio.Event(), list[str]()

    async def fetch(name: str) -> None:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            cancelled.append(name)
            raise
        raise ConnectionResetError

    async def step(name: str) -> None:
        await current_attempt().reply(fetch(name))

    bench.start(step, "fails late", timeout_ms=5, path="fails late")
    assert (await bench.outcome()).outcome == Outcome.TIMEOUT
    bench.start(step, "stopped", path="stopped")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.workers.stop(b"o" * 32, "stopped")
    assert (await bench.outcome()).outcome == Outcome.CRASHED
    await until(lambda: cancelled == ["stopped"])
    gate.set()
    await until(lambda: len(listeners_of(bench.workers)) == 0)
    assert bench.ended.empty()


async def test_so_many_are_listened_for_and_no_more() -> None:
    """Behaviour: 6.12: the oldest ends, and at the end all do."""
    listeners, said = Listeners(asyncio.get_running_loop()), list[int]()
    futures = [asyncio.get_running_loop().create_future() for _ in range(LISTENERS_MAX + 2)]
    for number, future in enumerate(futures):
        listening = asyncio.create_task(
            listeners.listen(future, lambda: True, lambda number=number: said.append(number))  # type: ignore[misc]
        )
        await asyncio.sleep(0)
        listening.cancel()
        await asyncio.wait([listening], timeout=10)
    assert len(listeners) == LISTENERS_MAX
    assert [future.cancelled() for future in futures[:3]] == [True, True, False]
    futures[2].set_result(None)
    await until(lambda: said == [2])
    listeners.close()
    await until(lambda: len(listeners) == 0)
    assert said == [2]


def listeners_of(workers: Workers) -> Listeners:
    return workers._listeners

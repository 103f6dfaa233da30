"""Sources share ticks on a grid, a dead one holds up no other group, and nothing ticks without sources."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from edge_runtime.host.sensors.readers import Value
from edge_runtime.host.sensors.ticker import Source, Ticker


class Bench:
    """A ticker on a clock of the test's own."""

    def __init__(self) -> None:
        self.now_ms = 10_500
        self.taken: asyncio.Queue[tuple[str, Value]] = asyncio.Queue()
        self.ticker = Ticker(self._take, lambda: self.now_ms, asyncio.get_running_loop())

    def _take(self, name: str, value: Value, origin: str, interval_ms: int, max_age_ms: int) -> None:
        self.taken.put_nowait((name, value))

    async def next(self) -> tuple[str, Value]:
        """Return the next reading."""
        async with asyncio.timeout(10):
            return await self.taken.get()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    found = Bench()
    yield found
    found.ticker.close()


def source(name: str, interval_ms: int, group: str = "sensors") -> Source:
    """Return a source that always says 1."""
    return Source(group, (lambda: {name: 1},), "sensor", interval_ms, 3 * interval_ms)


async def test_all_are_read_at_once_and_then_on_a_grid_that_they_share(bench: Bench) -> None:
    bench.ticker.replace([source("slow", 60_000), source("other", 60_000), source("fast", 20_000)])
    assert sorted([await bench.next(), await bench.next(), await bench.next()]) == [("fast", 1), ("other", 1), ("slow", 1)]
    assert sorted(bench.ticker._due_ms.values()) == [20_000, 60_000, 60_000]
    assert bench.ticker.ticks == 1
    bench.now_ms = 20_000
    bench.ticker._tick()
    assert await bench.next() == ("fast", 1)
    bench.now_ms = 200_000  # the machine was suspended: one reading each, not one for each that was missed
    bench.ticker._tick()
    assert sorted([await bench.next(), await bench.next(), await bench.next()]) == [("fast", 1), ("other", 1), ("slow", 1)]
    assert bench.taken.empty() and min(bench.ticker._due_ms.values()) == 220_000


async def test_a_group_that_hangs_is_named_and_holds_up_no_other(bench: Bench) -> None:
    gate = threading.Event()

    def hang() -> dict[str, Value]:
        gate.wait(30)
        return {"dead": 1}

    bench.ticker.replace([Source("files", (hang,), "file", 1_000, 3_000), source("load", 1_000)])
    assert await bench.next() == ("load", 1)
    for _ in range(3):
        bench.now_ms += 1_000
        bench.ticker._tick()
        assert await bench.next() == ("load", 1)
    assert bench.ticker.stuck == ["files"] and threading.active_count() < 10
    gate.set()
    assert await bench.next() == ("dead", 1)
    assert bench.ticker.stuck == []


async def test_without_sources_nothing_ticks_and_what_was_replaced_is_not_told(bench: Bench) -> None:
    gate = threading.Event()

    def late() -> dict[str, Value]:
        gate.wait(30)
        return {"old": 1}

    bench.ticker.replace([Source("files", (late,), "file", 1_000, 3_000)])
    bench.ticker.replace([])
    assert bench.ticker._timer is None
    gate.set()
    while bench.ticker.stuck:
        await asyncio.sleep(0.001)
    assert bench.taken.empty()

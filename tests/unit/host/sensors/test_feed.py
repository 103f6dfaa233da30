"""What is worth telling the node: changes, and refreshes before what is known grows too old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from edge_runtime.base.limits import FACT_GAP_MS, FACTS_MAX
from edge_runtime.host.sensors.feed import Feed
from edge_runtime.node.events import FactRead

MINUTE_MS = 60_000


class Bench:
    """A feed on a clock of the test's own; its gap's timer is rung by hand."""

    def __init__(self) -> None:
        self.now_ms = 1_000
        self.events: list[FactRead] = []
        self.has_room = True
        self.feed = Feed(self._post, lambda: self.now_ms, asyncio.get_running_loop())

    def _post(self, event: FactRead) -> bool:
        if self.has_room:
            self.events.append(event)
        return self.has_room

    def take(self, value: bool | int | str, name: str = "load") -> int:
        """Take a reading of a sensor that is read once a minute; return how many were told so far."""
        self.feed.take(name, value, "sensor", MINUTE_MS, 3 * MINUTE_MS)
        return len(self.events)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    found = Bench()
    yield found
    found.feed.close()


async def test_the_same_value_is_told_only_before_it_grows_too_old(bench: Bench) -> None:
    told = []
    for _ in range(7):
        told.append(bench.take(5))
        bench.now_ms += MINUTE_MS
    assert told == [1, 1, 2, 2, 3, 3, 4], "at two of the three intervals: the next reading may be late"
    assert bench.events[0] == FactRead("load", 5, "sensor", 3 * MINUTE_MS)


async def test_a_reading_that_comes_a_little_early_does_not_let_the_fact_grow_too_old(bench: Bench) -> None:
    """Readings come by a timer and a thread, and so a few ms around their grid; expiry knows no tolerance."""
    begin_ms, told = bench.now_ms, []
    for after_ms in (0, MINUTE_MS + 1, 2 * MINUTE_MS - 1, 3 * MINUTE_MS + 1):
        bench.now_ms = begin_ms + after_ms
        told.append(bench.take(5))
    assert told == [1, 1, 2, 2]


async def test_another_value_or_type_is_told_at_once(bench: Bench) -> None:
    assert bench.take(1) == 1
    bench.now_ms += FACT_GAP_MS
    assert bench.take(True) == 2, "true and 1 are not the same"


async def test_of_values_within_the_gap_the_newest_is_told_once(bench: Bench) -> None:
    bench.take(1)
    for value in (2, 3, 4):
        assert bench.take(value) == 1
    bench.now_ms += FACT_GAP_MS
    bench.feed._ring()
    assert [event.value for event in bench.events] == [1, 4]
    bench.take(5)
    bench.take(4)
    bench.now_ms += FACT_GAP_MS
    bench.feed._ring()
    assert [event.value for event in bench.events] == [1, 4], "it went to and fro: nothing to tell"


async def test_the_gaps_timer_rings_by_itself() -> None:
    told: asyncio.Queue[FactRead] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def post(event: FactRead) -> bool:
        told.put_nowait(event)
        return True

    feed = Feed(post, lambda: int(loop.time() * 1_000), loop)
    for value in (1, 2):
        feed.take("load", value, "sensor", MINUTE_MS, 3 * MINUTE_MS)
    async with asyncio.timeout(10):
        assert [(await told.get()).value, (await told.get()).value] == [1, 2]
    feed.close()


async def test_names_without_end_are_remembered_within_the_bound(bench: Bench) -> None:
    for number in range(FACTS_MAX + 10):
        bench.take(1, f"topic.n{number}")
    assert len(bench.feed._told) == FACTS_MAX


async def test_what_the_node_has_no_room_for_is_offered_again_the_newest_only(bench: Bench) -> None:
    bench.has_room = False
    for value in (1, 2, 2, 3):
        assert bench.take(value) == 0
    bench.now_ms += FACT_GAP_MS
    bench.feed._ring()
    bench.has_room = True
    bench.now_ms += FACT_GAP_MS
    bench.feed._ring()
    assert [event.value for event in bench.events] == [3] and bench.feed.told == 1

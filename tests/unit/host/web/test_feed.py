"""The feed: nothing is read while nobody looks, and an onlooker is told what changed and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import WEB_ONLOOKERS_MAX
from edge_runtime.host.web.feed import Feed, View, changes

WAIT_S = 5


class World:
    """What there is to see, and how often it was read."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {"a": {"status": "dormant"}, "b": {"status": "awake"}}
        self.reads = 0
        self.looked: list[bool] = []
        self.failing = ""
        self.feed = Feed(self.read, self.read_object, self.looked.append)

    async def read(self) -> View:
        """Return the view."""
        self.reads += 1
        if self.failing:
            raise UsageError(self.failing)
        return {"objects": {key: dict(row) for key, row in self.rows.items()}}

    async def read_object(self, reference: str, before: View) -> View:
        """Return the view of one object."""
        return {"chosen": {"show": {"object": reference, "reads": self.reads}}}


async def told(events: Any) -> dict[str, Any]:
    """Return the next event."""
    async with asyncio.timeout(WAIT_S):
        data: bytes = await anext(events)
    found: dict[str, Any] = json.loads(data.removeprefix(b"data: "))
    return found


def test_only_sections_rows_and_keys_that_changed_are_told() -> None:
    same = {"x": 1}
    old = {"a": {"1": same, "2": {"x": 2}}, "b": {"": same}}
    new = {"a": {"1": same, "3": {"x": 3}}, "b": {"": same}}
    assert changes(old, new) == {"a": {"set": [["3", {"x": 3}]], "drop": ["2"]}}
    assert changes(new, new) == {}


async def test_nothing_is_read_while_nobody_looks() -> None:
    world = World()
    world.feed.notice()
    await asyncio.sleep(0)
    assert (world.reads, world.looked) == (0, [])
    with world.feed.join("") as onlooker:
        await told(world.feed.events(onlooker))
        assert (world.reads, world.looked) == (1, [True])
    reads = world.reads
    world.feed.notice()
    await asyncio.sleep(0)
    assert (world.reads, world.looked) == (reads, [True, False])


async def test_the_first_event_has_everything_and_the_next_what_changed() -> None:
    world = World()
    with world.feed.join("") as onlooker:
        events = world.feed.events(onlooker)
        first = await told(events)
        assert [key for key, _ in first["changed"]["objects"]["set"]] == ["a", "b"]
        world.rows = {"a": {"status": "ended"}, "b": {"status": "awake"}}
        world.feed.notice()
        second = await told(events)
    assert second["changed"] == {"objects": {"set": [["a", {"status": "ended"}]], "drop": []}}


async def test_an_onlooker_that_is_slow_gets_the_newest_state_and_no_queue_grows() -> None:
    world = World()
    with world.feed.join("") as slow, world.feed.join("") as quick:
        slow_events, quick_events = world.feed.events(slow), world.feed.events(quick)
        await told(slow_events)
        await told(quick_events)
        for number in range(3):
            world.rows = {"a": {"status": str(number)}}
            world.feed.notice()
            await told(quick_events)
        found = await told(slow_events)
    assert found["changed"]["objects"] == {"set": [["a", {"status": "2"}]], "drop": ["b"]}


async def test_each_onlooker_sees_the_object_that_it_opened() -> None:
    world = World()
    with world.feed.join("one") as first, world.feed.join("two") as second:
        found = [await told(world.feed.events(onlooker)) for onlooker in (first, second)]
    assert [event["changed"]["chosen"]["set"][0][1]["object"] for event in found] == ["one", "two"]


async def test_one_onlooker_too_many_is_turned_away_and_one_that_leaves_makes_room() -> None:
    world = World()
    contexts = [world.feed.join("") for _ in range(WEB_ONLOOKERS_MAX)]
    for context in contexts:
        context.__enter__()
    with pytest.raises(UsageError, match="open already"), world.feed.join(""):
        pass
    contexts[0].__exit__(None, None, None)
    with world.feed.join(""):
        assert world.feed.count == WEB_ONLOOKERS_MAX
    for context in contexts[1:]:
        context.__exit__(None, None, None)
    assert world.looked == [True, False]


async def test_a_node_that_gives_no_answer_is_said_and_the_picture_stays() -> None:
    world = World()
    with world.feed.join("") as onlooker:
        events = world.feed.events(onlooker)
        assert (await told(events))["trouble"] is None
        world.failing = "The node gave no answer."
        world.feed.notice()
        found = await told(events)
    assert (found["trouble"], found["changed"]) == ("The node gave no answer.", {})


async def test_a_feed_that_closes_ends_its_streams() -> None:
    world = World()
    with world.feed.join("") as onlooker:
        events = world.feed.events(onlooker)
        await told(events)
        world.feed.close()
        async with asyncio.timeout(WAIT_S):
            assert len([event async for event in events]) <= 1

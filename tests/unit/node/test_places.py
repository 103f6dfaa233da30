"""Free places: who gets them, in what order, and what it costs those that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edge_runtime import App, Busy, Context, Unreachable
from edge_runtime.base.limits import NAME_BYTES_MAX, RAMP_MAX
from edge_runtime.node import events as e
from edge_runtime.node.effects import StartStep, Turn
from edge_runtime.node.places import SLOT_TOPIC, topic_of
from edge_runtime.testing import Device, World

HERD = 1_000


class Base:
    """One destination, and when which of the waiting asked it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []
        self.answer: Callable[[], Any] = lambda: None
        self.now_ms: Callable[[], int] = lambda: 0

    def deliver(self, name: str) -> None:
        """Ask."""
        self.asked.append((self.now_ms(), name))
        self.answer()

    def app(self) -> App:
        """Return the app."""
        app = App("herd")

        @app.intent("deliver")
        async def deliver(ctx: Context, name: str, filler: str = "") -> None:
            await ctx.run("deliver", self.deliver, name)

        return app


@pytest.fixture
def server() -> Base:
    return Base()


@pytest.fixture
def world(server: Base) -> World:
    found = World("base", "ground", apps=[server.app()])
    server.now_ms = lambda: found.now_ms
    return found


@pytest.fixture
def base(world: World) -> Device:
    return world.device("base")


def away() -> None:
    raise Unreachable("no way there")


def entries_of(device: Device, name: str) -> int:
    found: int = device.show(name)["entries"]
    return found


@pytest.mark.wide
def test_a_thousand_that_wait_cost_one_attempt_and_are_served_one_two_four_in_order(
    world: World, server: Base, base: Device
) -> None:
    """Behaviours: 6.10, 4.8: the probe fails: 1 attempt, 999 untouched; it succeeds: 1, 2, 4 …, by priority."""
    server.answer = away
    base.submit("deliver", {"name": "first"}, name="first", priority=15)
    world.run(ms=1)
    for number in range(HERD - 1):
        base.submit("deliver", {"name": f"o{number}"}, name=f"o{number}", priority=number % 15)
    world.run()
    assert [name for _, name in server.asked] == ["first"]
    untouched = [entries_of(base, f"o{number}") for number in range(0, HERD - 1, 37)]
    world.run(minutes=10)
    probes = len(server.asked)
    assert probes <= 40, "one prober for all: not a thousand"
    assert [entries_of(base, f"o{number}") for number in range(0, HERD - 1, 37)] == untouched
    server.asked.clear()
    server.answer = lambda: None
    world.takes("deliver", seconds=1)
    starts: list[int] = []

    def watch(device: Device, events: object, turn: Turn) -> None:
        starts.extend(world.now_ms for effect in turn.effects if isinstance(effect, StartStep))

    world.watchers.append(watch)
    world.link("base", "ground", up=True)
    world.run(minutes=5)
    rounds = [starts.count(at_ms) for at_ms in dict.fromkeys(starts)]
    assert rounds[:6] == [1, 1, 2, 4, 8, 16], "one probe first"
    assert max(rounds) == RAMP_MAX and sum(rounds) == HERD
    served = [name for _, name in server.asked if name != "first"]
    priorities = [int(name[1:]) % 15 for name in served]
    assert priorities == sorted(priorities), "by priority"
    assert all(base.show(f"o{number}")["end"] == "completed" for number in range(0, HERD - 1, 37))


def test_of_equal_priority_the_sooner_deadline_goes_first_and_then_the_smaller(
    world: World, server: Base, base: Device
) -> None:
    """Behaviours: 6.10, 4.8."""
    server.answer = away
    base.submit("deliver", {"name": "first"}, name="first", priority=0)
    world.run(ms=1)
    for name, lifetime_ms, filler in (("late", 9_000_000, ""), ("large", 8_000_000, "x" * 500), ("small", 8_000_000, "")):
        base.submit("deliver", {"name": name, "filler": filler}, name=name, lifetime_ms=lifetime_ms)
    world.run(seconds=1)
    server.asked.clear()
    server.answer = lambda: None
    world.takes("deliver", seconds=1)
    world.link("base", "ground", up=True)
    world.run(minutes=1)
    order = sorted((at_ms, ["first", "small", "large", "late"].index(name)) for at_ms, name in server.asked)
    assert [index for _, index in order] == [0, 1, 2, 3]


def test_a_place_that_is_not_taken_is_passed_on(world: World, server: Base, base: Device) -> None:
    """A held object at the head of the queue keeps nobody behind it from being served."""
    from edge_runtime.node import commands as c

    server.answer = away
    base.submit("deliver", {"name": "first"}, name="first", priority=9)
    world.run(ms=1)
    for number in range(5):
        base.submit("deliver", {"name": f"o{number}"}, name=f"o{number}", priority=number)
    world.run(seconds=1)
    server.answer = lambda: None
    base.ask(c.Hold("o0"))
    world.link("base", "ground", up=True)
    world.run(minutes=1)
    assert [base.show(f"o{number}")["end"] for number in range(5)] == [None, *["completed"] * 4]
    base.ask(c.Release("o0"))
    world.run(minutes=1)
    assert base.show("o0")["end"] == "completed"


def test_a_link_that_is_down_is_neither_tried_nor_charged_however_often_an_object_comes_up(
    world: World, server: Base, base: Device
) -> None:
    """Behaviour: 6.1, property P6: no attempt, no budget, no timer but the safety look; then within 1 s of link-up."""
    base.fact("link.deliver", "down")
    base.submit("deliver", {"name": "o"}, name="o", attempts_max=2)
    for number in range(100):
        world.run(minutes=1)
        base.node.parts.agenda.add(1)
        base.fact("noise", number)
    assert server.asked == []
    up_ms = world.now_ms
    base.fact("link.deliver", "up")
    world.run(seconds=1)
    assert [name for _, name in server.asked] == ["o"] and server.asked[0][0] - up_ms <= 1_000
    assert base.show("o")["end"] == "completed"


def test_timeouts_and_pushback_are_two_series(world: World, server: Base, base: Device) -> None:
    """Behaviour: 6.2: exactly 10 s each; a backed-off timeout with jitter, which repeats on replay."""

    def later() -> None:
        raise Busy("later", 10)

    server.answer = later
    base.submit("deliver", {"name": "o"}, name="busy")
    world.run(seconds=51)
    times = [at_ms for at_ms, _ in server.asked]
    assert [after - before for before, after in zip(times, times[1:], strict=False)] == [10_000] * 5

    def silent() -> None:
        raise TimeoutError

    other = World("base", "ground", apps=[server.app()])
    server.now_ms = lambda: other.now_ms
    server.answer = silent
    server.asked.clear()
    other.device("base").submit("deliver", {"name": "o"}, name="silent")
    other.run(minutes=1)
    times = [at_ms for at_ms, _ in server.asked]
    waits = [after - before for before, after in zip(times, times[1:], strict=False)]
    for number, wait_ms in enumerate(waits[:4], start=1):
        assert 1_000 * 2**number <= wait_ms <= 1_500 * 2**number


def test_a_name_too_long_for_a_key_still_has_one_of_its_own() -> None:
    assert topic_of("") == SLOT_TOPIC
    assert topic_of("deliver") == "slot.deliver"
    long, longer = topic_of("x" * NAME_BYTES_MAX), topic_of("y" * NAME_BYTES_MAX)
    assert long != longer and len(long) <= NAME_BYTES_MAX


def test_events_without_anybody_waiting_wake_nobody(world: World, server: Base, base: Device) -> None:
    base.submit("deliver", {"name": "o"}, name="o")
    world.run(seconds=1)
    looks = base.node.parts.agenda.looks
    base.inbox.append(e.TimeCame())
    world.run(seconds=1)
    assert base.node.parts.agenda.looks == looks


def test_after_a_restart_those_that_wait_go_one_by_one_at_first(world: World, server: Base, base: Device) -> None:
    """Behaviours: 6.10, 6.13: what the last process knew of the destination is gone, and costs one attempt."""
    server.answer = away
    base.submit("deliver", {"name": "first"}, name="first")
    world.run(ms=1)
    for number in range(20):
        base.submit("deliver", {"name": f"o{number}"}, name=f"o{number}")
    world.run(seconds=1)
    server.asked.clear()
    world.crash("base")
    world.run(seconds=1)
    assert len(server.asked) == 1
    server.answer = lambda: None
    world.run(minutes=5)
    assert all(base.show(f"o{number}")["end"] == "completed" for number in range(20))

"""The wake index costs what subscribes, and a due time is looked at once."""

from __future__ import annotations

import pytest

from edge_runtime import App, Context
from edge_runtime.base.limits import WAKES_PER_SECOND_MAX
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.agenda import LOOKS_PER_EVENT
from edge_runtime.testing import Device, World
from tests.support.world_app import Doings, make_app

MANY = 10_000


@pytest.fixture(scope="module")
def crowd() -> tuple[World, Device, Doings]:
    """A device with ten thousand sleepers, three of which wait for the door."""
    doings = Doings()
    world = World("base", apps=[make_app(doings)])
    device = world.device("base")
    for number in range(MANY - 3):
        nap = c.Submit("nap", {"seconds": 30 * 86_400 - 1 - number % 60})
        device.inbox.append(e.Asked(1_000_000 + number, nap))
    world.run()
    for number in range(3):
        device.submit("guard", name=f"guard{number}")
    world.run()
    return world, device, doings


@pytest.mark.wide
def test_ten_thousand_sleepers_cost_no_look_and_no_turn_while_nothing_is_due(
    crowd: tuple[World, Device, Doings],
) -> None:
    """Behaviour: 3.2, P5."""
    world, device, _ = crowd
    looks, turns = device.node.parts.agenda.looks, world.turns
    world.run(days=7)
    assert (device.node.parts.agenda.looks, world.turns) == (looks, turns)
    assert device.alarm_ms is not None and device.alarm_ms > world.now_ms


@pytest.mark.wide
def test_a_fact_that_three_wait_for_costs_at_most_three_looks(crowd: tuple[World, Device, Doings]) -> None:
    """Behaviour: 4.7."""
    world, device, doings = crowd
    looks = device.node.parts.agenda.looks
    device.fact("battery.percent", 40)
    assert device.node.parts.agenda.looks == looks, "nobody waits for that one"
    device.fact("door.open", False)
    assert device.node.parts.agenda.looks <= looks + 3
    looks = device.node.parts.agenda.looks
    device.fact("door.open", True)
    assert device.node.parts.agenda.looks <= looks + 3
    world.run(seconds=1)
    assert [name for _, name in doings.done] == ["ring"] * 3
    looks = device.node.parts.agenda.looks
    device.fact("door.open", False)
    assert device.node.parts.agenda.looks == looks, "those who went on wait no more"


def test_a_due_time_is_met_once_and_not_before() -> None:
    """Behaviour: 4.1."""
    world = World("base", apps=[make_app(Doings())])
    device = world.device("base")
    device.submit("nap", {"seconds": 30}, name="nap")
    looks = device.node.parts.agenda.looks
    world.run(ms=29_900)
    assert device.node.parts.agenda.looks == looks and device.show("nap")["status"] == "dormant"
    world.run(ms=100)
    assert device.node.parts.agenda.looks == looks + 1 and device.show("nap")["end"] == "completed"


def test_what_is_due_together_goes_on_in_bounded_turns_and_nothing_is_left_out() -> None:
    """Mind: a clock jump makes thousands due."""
    doings = Doings()
    world = World("base", apps=[make_app(doings)])
    device = world.device("base")
    count = LOOKS_PER_EVENT * 5 + 7
    for _ in range(count):
        device.submit("nap", {"seconds": 60})
    turns = world.turns
    world.run(minutes=2)
    assert len(doings.done) == count
    assert world.turns - turns >= count // LOOKS_PER_EVENT


@pytest.mark.wide
def test_ten_thousand_that_wait_for_a_threshold_cost_nothing_until_it_is_crossed() -> None:
    """Behaviour: 4.7: a leaf is judged when its truth can have changed, and not when the fact only changed."""
    app = App("thresholds")

    @app.intent("charged")
    async def charged(ctx: Context, percent: int, also: str = "") -> None:
        await ctx.until(f"battery.percent >= {percent}{also}")

    world = World("base", apps=[app])
    device = world.device("base")
    device.fact("battery.percent", 10)
    for number in range(MANY - 3):
        command = c.Submit("charged", {"percent": 90, "also": " and never == 1" if number % 2 else ""})
        device.inbox.append(e.Asked(1_000_000 + number, command))
    world.run()
    for number in range(3):
        device.submit("charged", {"percent": 40, "also": " and never != 1"}, name=f"three{number}")
    device.fact("never", 0)
    agenda = device.node.parts.agenda
    looks, judged = agenda.looks, agenda.evaluations
    for percent in (20, 30, 39, 12, 39):
        device.fact("battery.percent", percent)
    assert (agenda.looks, agenda.evaluations) == (looks, judged)
    device.fact("battery.percent", 40)
    assert agenda.looks - looks == 3 and agenda.evaluations - judged <= 3 * 2
    assert device.show("three2")["end"] == "completed"
    looks, judged = agenda.looks, agenda.evaluations
    for percent in (50, 51, 89):
        device.fact("battery.percent", percent)
    assert (agenda.looks, agenda.evaluations) == (looks, judged)


@pytest.mark.wide
def test_a_clock_that_jumps_wakes_so_many_in_a_second_most_overdue_first() -> None:
    """Behaviour: 16.1, 4.11. Mind: a clock jump makes thousands due."""
    doings = Doings()
    world = World("base", apps=[make_app(doings)])
    device = world.device("base")
    count = WAKES_PER_SECOND_MAX * 2 + 100
    for number in range(count):
        device.submit("nap", {"seconds": 600 + count - number})
    world.crash("base", power_cut=True, restart=False)
    world.run(hours=2)
    world.restart("base")
    world.run(ms=1)
    first_ms = 1_000 - device.node.parts.timeline.life_ms % 1_000
    assert len(doings.done) <= WAKES_PER_SECOND_MAX
    world.run(ms=first_ms + 500)
    assert len(doings.done) <= 2 * WAKES_PER_SECOND_MAX
    world.run(seconds=3)
    assert len(doings.done) == count
    ends = [row["object"] for row in device.ask(c.List(most=count))]
    assert len(ends) == count
    woken = device.store.run("SELECT object FROM shelf ORDER BY ended_ms, object DESC LIMIT 1").fetchone()
    assert woken == (count,), "the one due longest ago came first"


@pytest.mark.parametrize("park", [c.Hold("nap"), c.Hold()])
def test_a_held_object_ends_with_its_lifetime_and_does_not_spin(park: c.Command) -> None:
    """Behaviour: 3.6, 3.10. Found by seed 1: its passed due time called the node for ever."""
    world = World("base", apps=[make_app(Doings())])
    device = world.device("base")
    device.submit("nap", {"seconds": 60}, name="nap", lifetime_ms=3_600_000)
    device.ask(park)
    turns = world.turns
    world.run(minutes=59)
    assert device.show("nap")["reason"] in ("held by an operator", "sleeping")
    assert world.turns - turns <= 4
    world.run(minutes=2)
    assert device.show("nap")["end"] == "expired"

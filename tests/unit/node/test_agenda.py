"""The wake index costs what subscribes, and a due time is looked at once."""

from __future__ import annotations

import pytest

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


def test_ten_thousand_sleepers_cost_no_look_and_no_turn_while_nothing_is_due(
    crowd: tuple[World, Device, Doings],
) -> None:
    """Behaviour: 3.2, P5."""
    world, device, _ = crowd
    looks, turns = device.node.parts.agenda.looks, world.turns
    world.run(days=7)
    assert (device.node.parts.agenda.looks, world.turns) == (looks, turns)
    assert device.alarm_ms is not None and device.alarm_ms > world.now_ms


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

"""Recurring submissions: one object a slot, whatever dies, whenever the device was off, whatever the wall clock says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from edge_runtime.base.moment import Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.schedules import Schedule
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app
from tests.unit.node.test_quarantine import damage

GREET = c.Submit("greet", {"name": "you"}, name="hourly-{slot}")
HOURLY = Schedule("hourly", GREET, every_ms=HOUR_MS)
MORNING = Schedule("morning", c.Submit("greet", name="morning-{slot}"), minute=6 * 60)


def follow(world: World, device: Device, *schedules: Schedule) -> None:
    """Do what the host does at each start and reload."""
    device.inbox.append(e.Called(lambda: device.node.schedules.replace(schedules)))
    world.run(ms=1)


def names(device: Device) -> list[str]:
    return sorted(row["name"] for row in device.ask(c.List()))


def row_of(device: Device) -> dict[str, Any]:
    (row,) = device.ask(c.Schedules())
    found: dict[str, Any] = row
    return found


@pytest.fixture
def doings() -> Doings:
    return Doings()


@pytest.fixture
def world(doings: Doings) -> World:
    return World("base", apps=[make_app(doings)])


def turns_of(world: World, device: Device) -> list[Any]:
    seen: list[Any] = []
    world.watchers.append(lambda other, events, turn: seen.append(events) if other is device else None)
    return seen


def test_each_slot_makes_one_object_and_nothing_ticks_in_between(world: World) -> None:
    """Behaviour: 5.1"""
    base = world.device("base")
    follow(world, base, HOURLY)
    world.run(minutes=59)
    assert names(base) == []
    world.run(minutes=2)
    assert names(base) == ["hourly-1"]
    seen = turns_of(world, base)
    world.run(minutes=55)
    assert len(seen) <= 1, "the clock's own look at most"
    world.run(hours=2)
    assert names(base) == ["hourly-1", "hourly-2", "hourly-3"]
    row = row_of(base)
    assert row["slots"] == 3 and row["missed"] == 0 and row["error"] is None
    assert 0 < row["next_in_ms"] <= HOUR_MS


def test_the_phase_is_kept_over_a_restart_and_no_slot_is_made_twice(world: World) -> None:
    """Behaviour: 5.1"""
    base = world.device("base")
    follow(world, base, HOURLY)
    world.run(minutes=70)
    for _ in range(3):
        world.crash("base")
        follow(world, base, HOURLY)
        world.run(minutes=1)
    assert names(base) == ["hourly-1"], "not at once, and not one a start"
    world.run(minutes=50)
    assert names(base) == ["hourly-1", "hourly-2"], "an hour after the last slot, not after the start"


def test_a_crash_at_the_commit_of_a_slot_neither_loses_nor_doubles_it(world: World, doings: Doings) -> None:
    base = world.device("base")
    follow(world, base, HOURLY)
    world.run(minutes=59)
    world.crash("base", at_commit=True)
    world.run(minutes=2)
    follow(world, base, HOURLY)
    world.run(minutes=5)
    assert names(base) == ["hourly-1"] and row_of(base)["slots"] == 1


def test_what_was_missed_while_off_is_one_catch_up_and_then_the_cadence(world: World) -> None:
    """Behaviour: 5.2"""
    base = world.device("base")
    follow(world, base, HOURLY)
    world.run(minutes=30)
    world.crash("base", restart=False)
    world.run(hours=10)
    world.restart("base")
    follow(world, base, HOURLY)
    world.run(minutes=1)
    assert names(base) == ["hourly-10"], "the last of the ten slots that passed"
    row = row_of(base)
    assert (row["slots"], row["missed"]) == (10, 9)
    world.run(minutes=30)
    assert names(base) == ["hourly-10", "hourly-11"]


def test_an_interval_needs_no_clock_and_a_step_of_it_changes_nothing(world: World) -> None:
    """Behaviour: 16.1"""
    base = world.device("base")
    world.set_clock("base", trust=Trust.NONE)
    follow(world, base, HOURLY)
    world.run(minutes=30)
    world.set_clock("base", shift_ms=50 * 365 * DAY_MS)
    world.run(minutes=10)
    world.set_clock("base", shift_ms=-50 * 365 * DAY_MS)
    world.run(minutes=10)
    assert names(base) == []
    world.run(minutes=11)
    assert names(base) == ["hourly-1"]


def days(base: Device) -> Sequence[str]:
    return [name.removeprefix("morning-") for name in names(base)]


def test_a_time_of_day_waits_for_a_trusted_clock_and_comes_once_a_day(doings: Doings) -> None:
    """Behaviour: 4.11"""
    world = World(DevicePlan("base", trust=Trust.NONE), apps=[make_app(doings)])
    base = world.device("base")
    follow(world, base, MORNING)
    world.run(days=2)
    assert names(base) == []
    assert row_of(base)["waits_for_clock"] and row_of(base)["next_in_ms"] is None
    world.set_clock("base", trust=Trust.NTP)
    world.run(hours=24)
    assert len(days(base)) == 1
    world.run(days=2)
    found = days(base)
    assert len(found) == 3 and len(dict.fromkeys(found)) == 3
    wall_ms = base.read_moment().wall_ms
    due_ms = wall_ms + row_of(base)["next_in_ms"]
    assert due_ms % DAY_MS == 6 * HOUR_MS and due_ms - wall_ms <= DAY_MS


def test_a_clock_that_jumps_ahead_makes_one_object_and_does_not_silence_the_schedule_when_set_back(
    world: World,
) -> None:
    """Behaviour: 16.6"""
    base = world.device("base")
    world.set_clock("base", trust=Trust.NTP)
    follow(world, base, MORNING)
    world.run(days=1)
    assert len(days(base)) == 1
    world.set_clock("base", shift_ms=1_000 * DAY_MS)
    world.run(minutes=1)
    assert len(days(base)) == 2, "one catch-up for a thousand days"
    world.set_clock("base", shift_ms=0)
    world.run(days=2)
    assert len(days(base)) == 4


def test_another_interval_begins_anew_and_no_name_is_used_twice(world: World) -> None:
    base = world.device("base")
    follow(world, base, HOURLY)
    world.run(minutes=61)
    follow(world, base, Schedule("hourly", GREET, every_ms=10 * MINUTE_MS))
    world.run(minutes=21)
    assert names(base) == ["hourly-1", "hourly-2", "hourly-3"]
    follow(world, base)
    world.run(hours=5)
    assert names(base) == ["hourly-1", "hourly-2", "hourly-3"] and base.ask(c.Schedules()) == []
    follow(world, base, HOURLY)
    world.run(minutes=61)
    assert names(base)[-1] == "hourly-4" and row_of(base)["missed"] == 0, "while it was not wanted nothing was missed"


def test_what_is_refused_is_said_and_the_next_slot_is_tried(world: World) -> None:
    base = world.device("base")
    follow(world, base, Schedule("odd", c.Submit("nonsense", name="odd-{slot}"), every_ms=HOUR_MS))
    world.run(hours=2, minutes=1)
    row = row_of(base)
    assert row["missed"] == row["slots"] == 2 and "nonsense" in row["error"] and row["object"] is None
    follow(world, base, HOURLY)
    world.run(minutes=61)
    assert names(base) == ["hourly-1"], "nothing else was held up"


def test_a_mistake_in_what_a_slot_begins_costs_that_slot_alone(world: World) -> None:
    base = world.device("base")
    follow(world, base, HOURLY)

    def fails(command: c.Submit) -> Any:
        raise ZeroDivisionError("a mistake")

    submit, base.node.schedules._submit = base.node.schedules._submit, fails
    world.run(minutes=61)
    assert row_of(base)["error"] == "ZeroDivisionError: a mistake"
    base.node.schedules._submit = submit
    world.run(minutes=61)
    assert names(base) == ["hourly-2"] and row_of(base)["error"] is None


def test_a_slot_whose_name_an_object_with_damaged_bytes_has_sets_that_object_aside(world: World) -> None:
    """Behaviour: 18.3: the damage is the object's, not the task's: it is said of it, and peers are asked for it."""
    base = world.device("base")
    follow(world, base, HOURLY)
    base.submit("greet", {"name": "me"}, name="hourly-1")
    world.run(seconds=1)
    damage(base, "hourly-1")
    world.run(hours=2)
    assert [row["name"] for row in base.ask(c.Status())["quarantined"]] == ["hourly-1"]
    assert names(base) == ["hourly-2"] and row_of(base)["missed"] == 1

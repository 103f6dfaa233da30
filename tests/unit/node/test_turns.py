"""One turn, one transaction: what is refused or raises changes nothing; a failed commit says nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import TURN_EVENTS_MAX
from edge_runtime.judge.call import Call
from edge_runtime.judge.policy import Policy, Verdict
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.effects import Answer
from edge_runtime.node.store import StoreFailed
from edge_runtime.node.turns import run_turn
from edge_runtime.objects.conditions import FactView
from edge_runtime.objects.due import ByTime
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app

SOURCE = (
    "objects", "entries", "grants", "revocations", "fleets", "releases", "keyed_state", "set_facts", "adverts", "shelf",
    "wakes",
)  # fmt: skip


class MistakenPolicy(Policy):
    """A mistake of ours, on purpose: judging one intent raises what nobody expects."""

    def decide(self, call: Call, view: FactView, clock: ByTime | None = None) -> Verdict:
        """Raise for `greet`."""
        if call.intent == "greet":
            raise ZeroDivisionError("a mistake in the judge")
        return super().decide(call, view, clock)


def make_base(policy: Policy | None = None) -> Device:
    plan = DevicePlan("base", apps=(make_app(Doings()),), policy=policy)
    return World(plan).device("base")


def contents(device: Device) -> list[list[tuple[object, ...]]]:
    return [device.store.run(f"SELECT * FROM {table}").fetchall() for table in SOURCE]


@contextmanager
def full_disk(connection: sqlite3.Connection) -> Iterator[None]:
    """The database may not grow by a page."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 1073741823")


@pytest.mark.parametrize(
    "command",
    [
        c.Submit("nothing"),
        c.Submit("survey", {"cells": "many"}),
        c.Signal("nobody", "answer", 1),
        c.Hand("nobody", "question"),
        c.Grant("zz" * 32, ["executor"]),
        c.Grant("00" * 32, ["king"]),
        c.FactSet("No Name", 1),
        c.Join("ff"),
    ],
)
def test_a_refused_command_changes_nothing(command: c.Command) -> None:
    device = make_base()
    device.submit("ask", name="question")
    before = contents(device)
    with pytest.raises(UsageError):
        device.ask(command)
    assert contents(device) == before
    assert device.signal("question", "answer", 1)["ok"]


def test_an_input_that_the_role_forbids_leaves_nothing_in_memory_either() -> None:
    """Behaviour: 1.1. Found by seed 8: the store was rolled back, the cached history was not."""
    app = make_app(Doings())
    world = World("base", DevicePlan("drone", roles=("executor",)), apps=[app])
    base, drone = world.device("base"), world.device("drone")
    base.submit("ask", name="question")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    entries = drone.show("question")["entries"]
    with pytest.raises(UsageError, match="has no role"):
        drone.ask(c.Hold("question"))
    assert drone.show("question")["entries"] == entries


def test_an_object_that_raises_is_set_aside_and_what_woke_it_and_the_others_go_on() -> None:
    """One fact wakes three objects; the judge is mistaken about one: neither the fact nor the others pay for it."""
    doings = Doings()
    world = World("base", apps=[make_app(doings)])
    device = world.device("base")
    for name, intent in (("one", "guard"), ("culprit", "greet"), ("two", "guard")):
        device.ask(c.Hold())
        device.submit(intent, name=name)
    good = Policy.default()
    device.node.replace_policy(MistakenPolicy(good.rules, good.hash, good.is_default))
    assert device.ask(c.Release())["ok"]
    device.fact("door.open", True)
    world.run(seconds=1)
    assert device.show("culprit")["reason"].startswith("quarantined: ZeroDivisionError")
    assert [device.show(name)["end"] for name in ("one", "two")] == ["completed", "completed"]
    device.node.replace_policy(good)
    device.ask(c.Resume("culprit"))
    world.run(seconds=1)
    assert device.show("culprit")["end"] == "completed"


def test_steps_that_a_failed_commit_undid_take_no_place_for_ever() -> None:
    """At most 32 steps of a name and 256 in all run at once: counted from what runs, not from what was tried."""
    device = make_base()
    small, large = c.Submit("greet"), c.Submit("greet", labels=["x" * 120] * 60)
    events = [e.Asked(7_000, small), *(e.Asked(7_001 + number, large) for number in range(9))]
    with full_disk(device.connection):
        for _ in range(300):
            with pytest.raises(StoreFailed):
                run_turn(device.node, events, device.read_moment)
    assert device.node.judgement.flights_count() == 0
    device.submit("greet")
    assert device.node.judgement.flights_count() == 1


def test_a_request_that_meets_a_mistake_is_answered_and_changes_nothing() -> None:
    good = Policy.default()
    device = make_base(MistakenPolicy(good.rules, good.hash, good.is_default))
    before = contents(device)
    with pytest.raises(UsageError, match="mistake in the daemon") as caught:
        device.submit("greet", name="hello")
    assert caught.value.exit is Exit.FAILED
    assert contents(device) == before


def test_a_failed_commit_says_nothing_and_the_same_events_work_later() -> None:
    """Persist, then speak: a full disk is no answer, no step and no entry."""
    device = make_base()
    before = contents(device)
    event = e.Asked(7_000, c.Submit("survey", {"cells": 3}, name="survey" * 10, labels=["x" * 120] * 60))
    with full_disk(device.connection):
        for _ in range(3):
            with pytest.raises(StoreFailed):
                run_turn(device.node, [event], device.read_moment)
        assert contents(device) == before and not device.connection.in_transaction
    turn, handled = run_turn(device.node, [event], device.read_moment)
    answers = [effect for effect in turn.effects if isinstance(effect, Answer)]
    assert handled == 1 and answers[0].value["status"] == "attempting"


def test_a_world_on_a_full_disk_goes_on_when_there_is_room() -> None:
    doings = Doings()
    world = World("base", apps=[make_app(doings)])
    device = world.device("base")
    with full_disk(device.connection):
        for number in range(200):
            device.inbox.append(e.Asked(9_000 + number, c.Submit("greet", name=f"n{number}", labels=["y" * 120] * 20)))
        world.run(seconds=10)
        assert len(doings.done) < 200
    world.run(seconds=10)
    assert len(doings.done) == 200


def test_a_turn_takes_a_bounded_number_of_events() -> None:
    device = make_base()
    events = [e.FactRead(f"a.b{number}", number, "test") for number in range(TURN_EVENTS_MAX + 10)]
    _, handled = run_turn(device.node, events, device.read_moment)
    assert handled == TURN_EVENTS_MAX


def test_a_turn_ends_when_its_time_is_up() -> None:
    device = make_base()
    moments = iter([replace(device.read_moment(), boot_ms=device.read_moment().boot_ms + 9 * n) for n in range(9)])
    _, handled = run_turn(device.node, [e.TimeCame()] * 8, lambda: next(moments))
    assert handled == 2

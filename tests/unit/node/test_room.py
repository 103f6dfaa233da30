"""A device without room: nothing new comes in, what it has custody of goes on, and all is taken in when there is room."""

from __future__ import annotations

from functools import partial

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.room import Room, Shortage
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app

FULL = "the disk is full"


def say(world: World, device: Device, reason: str, shortage: Shortage = Shortage.DISK) -> None:
    device.inbox.append(e.Called(partial(device.node.hearing.say_room, shortage, reason)))
    world.run(ms=1)


def fleet() -> World:
    return World("base", DevicePlan("drone", has=("camera",)), apps=[make_app(Doings())])


def test_intake_begins_and_ends_with_the_first_and_the_last_reason() -> None:
    room = Room()
    assert room.why_none == "" and room.say(Shortage.SPOOL, "at its bound")
    assert not room.say(Shortage.DISK, FULL) and room.why_none == FULL
    assert not room.say(Shortage.DISK, "") and room.why_none == "at its bound"
    assert room.say(Shortage.SPOOL, "") and not room.say(Shortage.SPOOL, "") and room.why_none == ""


def test_a_submission_is_refused_with_the_reason_and_what_runs_goes_on() -> None:
    """Behaviour: 18.2."""
    world = fleet()
    base = world.device("base")
    base.submit("ask", name="question")
    base.submit("nap", {"seconds": 60}, name="nap")
    say(world, base, FULL)
    with pytest.raises(UsageError, match=FULL) as refused:
        base.submit("greet", name="new")
    assert refused.value.exit is Exit.REFUSED and refused.value.details == {"storage": FULL}
    assert base.ask(c.Status())["storage"] == {"takes_in": False, "reason": FULL}
    assert base.submit("nap", {"seconds": 60}, name="nap")["name"] == "nap", "it is here already"
    base.signal("question", "answer", "yes")
    world.run(minutes=2)
    assert base.show("question")["result"] == "yes" and base.show("nap")["end"] == "completed"
    say(world, base, "")
    base.submit("greet", name="new")
    world.run(seconds=1)
    assert base.show("new")["end"] == "completed"


def test_nothing_is_offered_to_a_device_without_room_and_all_is_told_once_there_is() -> None:
    """Behaviour: 18.2: custody refused; afterwards the object goes where it can go on, without a restart."""
    world = fleet()
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    say(world, drone, FULL)
    base.submit("shoot", name="survey")
    world.run(seconds=10)
    assert base.show("survey")["reason"] == "no device with camera"
    assert [row for row in drone.ask(c.List())] == [], "what others hold is not stored"
    say(world, drone, "")
    world.run(minutes=1)
    assert base.show("survey")["end"] == "completed" and base.show("survey")["custodian_name"] == "drone"


@pytest.mark.parametrize("is_known", [False, True], ids=["unknown object", "known object"])
def test_custody_that_was_offered_before_is_refused_on_the_wire_and_leaves_no_record(is_known: bool) -> None:
    """Behaviour: 11.12, 18.2: reason code 4, storage; nobody else can do it, so the offer stands."""
    world = fleet()
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    if is_known:
        base.submit("ask", name="survey")
        world.run(seconds=1)
        world.link("base", "drone", up=False)
        base.ask(c.Hand("drone", "survey"))
    else:
        world.link("base", "drone", up=False)
        base.submit("shoot", name="survey")
    world.run(seconds=1)
    say(world, drone, FULL)
    assert base.show("survey")["reason"].startswith("offered to drone")
    world.link("base", "drone", up=True)
    world.run(seconds=10)
    assert base.show("survey")["reason"].startswith("offered to drone")
    assert not [row for row in base.trace("survey") if row["kind"] == "claimed"]
    assert drone.node.intake.refusals["storage"] >= 1
    assert len(drone.ask(c.List())) == is_known, "nothing partial is left there"
    say(world, drone, "")
    world.run(minutes=1)
    assert base.show("survey")["custodian_name"] == "drone"
    if not is_known:
        assert base.show("survey")["end"] == "completed" and base.show("survey")["custodian_name"] == "drone"


def test_a_capsule_and_a_claim_are_refused_without_room() -> None:
    """Behaviour: 18.2."""
    world = fleet()
    base, drone = world.device("base"), world.device("drone")
    base.submit("ask", name="question")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    say(world, drone, FULL)
    with pytest.raises(UsageError, match=FULL):
        drone.ask(c.Claim("question"))
    live = base.node.parts.spool.find(bytes.fromhex(base.show("question")["object"]))
    assert live is not None
    entries = tuple(placed.entry for placed in live.state.history.placed.values())
    answer = drone.node.capsules.take(e.Imported(1, live.object, (), entries, 0, True))
    assert answer.error is not None and FULL in answer.error.message

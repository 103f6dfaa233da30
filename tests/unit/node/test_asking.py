"""Who waits or follows is told when it happens; capsules go out and come in with the checks of a peer."""

from __future__ import annotations

from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.effects import Answer
from edge_runtime.objects.capsule import read_capsule
from edge_runtime.testing import DevicePlan, World
from tests.support.world_app import Doings, make_app


def answers_of(world: World, ticket: int) -> list[Answer]:
    found: list[Answer] = []
    world.watchers.append(
        lambda _, __, turn: found.extend(x for x in turn.effects if isinstance(x, Answer) and x.ticket == ticket)
    )
    return found


def test_a_wait_is_answered_once_when_the_object_ends() -> None:
    world = World("base", apps=[make_app(Doings())])
    base = world.device("base")
    found = answers_of(world, 900)
    base.inbox.append(e.Asked(900, c.Submit("nap", {"seconds": 60}, name="nap", wait=True)))
    world.run(seconds=59)
    assert not found
    world.run(seconds=2)
    assert [answer.value["end"] for answer in found] == ["completed"]
    world.run(hours=1)
    assert len(found) == 1


def test_a_follower_hears_every_record_once_and_then_the_end() -> None:
    world = World("base", apps=[make_app(Doings())])
    base = world.device("base")
    base.submit("nap", {"seconds": 60}, name="nap")
    found = answers_of(world, 901)
    base.inbox.append(e.Asked(901, c.Trace("nap", follow=True)))
    world.run(minutes=2)
    kinds = [answer.value["kind"] for answer in found if not answer.is_last]
    assert kinds == ["created", "dormant", "reentered", "took", "executed", "terminated"]
    assert [answer.is_last for answer in found][-1]


def test_who_hung_up_is_told_nothing() -> None:
    world = World("base", apps=[make_app(Doings())])
    base = world.device("base")
    found = answers_of(world, 902)
    base.inbox.append(e.Asked(902, c.Submit("nap", {"seconds": 60}, wait=True)))
    base.inbox.append(e.AskerGone(902))
    world.run(minutes=2)
    assert not found


def test_an_object_goes_on_from_its_capsule_alone_when_an_operator_claims_it() -> None:
    """Behaviour: 1.6: recorded steps do not run again."""
    doings = Doings()
    world = World("base", DevicePlan("drone", has=("camera",)), apps=[make_app(doings)])
    base, drone = world.device("base"), world.device("drone")
    base.submit("survey", {"cells": 2}, name="tour")
    world.run(seconds=1)
    exported = base.ask(c.Export("tour"))
    capsule = read_capsule(bytes.fromhex(exported["capsule"]))
    imported = e.Imported(
        903, capsule.header.object, capsule.grants, capsule.entries, capsule.header.age_ms, capsule.header.age_is_exact
    )
    found = answers_of(world, 903)
    for _ in range(2):
        drone.inbox.append(imported)
        world.run(seconds=1)
    assert [answer.value["new"] for answer in found] == [exported["entries"], 0]
    assert doings.done and drone.show("tour")["status"] == "dormant"
    before = len(doings.done)
    drone.ask(c.Claim("tour"))
    world.run(seconds=1)
    assert drone.show("tour")["end"] == "completed"
    assert [name for _, name in doings.done[before:]] == ["shoot"]

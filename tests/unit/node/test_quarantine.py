"""Damaged bytes of one object: set aside, the rest goes on, fetched again from peers, mended with what is left here."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.node import commands as c
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app
from tests.support.world_checks import WorldChecks


def damage(device: Device, reference: str, n: int = 0) -> None:
    """Flip a bit of one stored entry, as a worn card does, and let the device forget what it holds in memory."""
    row = device.node.parts.spool.find(bytes.fromhex(device.show(reference)["object"])).row  # type: ignore[union-attr]
    run = device.store.run
    raw = bytearray(run("SELECT raw FROM entries WHERE object = ? AND n = ?", (row, n)).fetchone()[0])
    raw[len(raw) // 2] ^= 1
    run("UPDATE entries SET raw = ? WHERE object = ? AND n = ?", (bytes(raw), row, n))
    device.node.forget_memory()


def fleet(doings: Doings | None = None) -> World:
    plans = [DevicePlan("base"), DevicePlan("drone", has=("camera",))]
    return World(*plans, apps=[make_app(doings or Doings())])


def test_a_damaged_object_is_set_aside_said_and_asked_about_and_the_others_go_on() -> None:
    """Behaviour: 18.3."""
    world = fleet()
    base = world.device("base")
    base.submit("ask", name="hurt")
    base.submit("ask", name="well")
    damage(base, "hurt")
    with pytest.raises(UsageError, match="quarantine.*fetched again") as refused:
        base.show("hurt")
    assert refused.value.exit is Exit.FAILED
    status = base.ask(c.Status())
    assert [row["name"] for row in status["quarantined"]] == ["hurt"]
    assert "does not have its hash" in status["quarantined"][0]["reason"]
    assert [row["name"] for row in base.ask(c.List())] == ["well"]
    base.signal("well", "answer", 1)
    world.run(seconds=1)
    assert base.show("well")["result"] == 1
    with pytest.raises(UsageError, match="quarantine"):
        base.submit("ask", name="hurt")
    world.crash("base")
    world.run(days=31)
    assert len(base.ask(c.Status())["quarantined"]) == 1, "it stays until somebody brings it"


@pytest.mark.parametrize("n", [0, 1, -1], ids=["first entry", "second entry", "last entry"])
def test_a_damaged_object_comes_back_from_a_peer_and_goes_on_under_a_new_epoch(n: int) -> None:
    """Behaviour: 18.3: the custodian's own copy is damaged; a peer that only holds it has the history."""
    world = fleet()
    base, drone = world.device("base"), world.device("drone")
    base.submit("survey", {"cells": 2}, name="survey", needs=["nobody"])
    base.submit("ask", name="question")
    base.signal("question", "note", 1)
    world.link("base", "drone", up=True)
    world.run(seconds=2)
    world.link("base", "drone", up=False)
    world.run(seconds=1)
    entries = base.show("question")["entries"]
    damage(base, "question", n % entries)
    with pytest.raises(UsageError, match="quarantine"):
        base.show("question")
    checks = WorldChecks(world)  # from here on nothing may be set aside
    world.link("base", "drone", up=True)
    world.run(seconds=10)
    shown = base.show("question")
    assert shown["epoch"] == 1 and shown["custodian_name"] == "base" and shown["entries"] > entries
    assert base.ask(c.Status())["quarantined"] == []
    base.signal("question", "answer", "yes")
    world.run(seconds=10)
    assert base.show("question")["result"] == "yes" == drone.show("question")["result"]
    checks.heal()
    checks.after_healing()


def test_entries_that_no_peer_has_are_mended_in_where_they_can_still_be_read() -> None:
    """Behaviour: 18.3: what was acknowledged after the last contact is not lost with an older page."""
    world = fleet()
    base, drone = world.device("base"), world.device("drone")
    base.submit("ask", name="question")
    world.link("base", "drone", up=True)
    world.run(seconds=2)
    world.link("base", "drone", up=False)
    world.run(seconds=1)
    base.signal("question", "note", "only here")
    heads = base.show("question")["heads"]
    damage(base, "question", 0)
    with pytest.raises(UsageError, match="quarantine"):
        base.show("question")
    world.link("base", "drone", up=True)
    world.run(seconds=10)
    assert {row["entry"] for row in base.trace("question")} >= set(heads)
    assert drone.show("question")["heads"] == base.show("question")["heads"]
    assert base.ask(c.Status())["quarantined"] == []


def test_an_object_held_for_others_comes_back_as_it_was() -> None:
    """Behaviour: 18.3: whoever is not its custodian writes nothing."""
    world = fleet()
    base, drone = world.device("base"), world.device("drone")
    base.submit("ask", name="question")
    world.link("base", "drone", up=True)
    world.run(seconds=2)
    before = drone.show("question")["heads"]
    damage(drone, "question")
    with pytest.raises(UsageError, match="quarantine"):
        drone.show("question")
    world.link("base", "drone", up=False)
    world.run(seconds=1)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert drone.show("question")["heads"] == before and drone.show("question")["epoch"] == 0


def test_damage_found_in_a_contact_costs_that_contact_nothing() -> None:
    """Behaviour: 18.3: a peer asks for ten objects of which one is damaged, and gets nine."""
    world = fleet()
    base, drone = world.device("base"), world.device("drone")
    for number in range(10):
        base.submit("ask", name=f"q{number}")
    damage(base, "q3", 1)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert sorted(row["name"] for row in drone.ask(c.List())) == [f"q{number}" for number in range(10) if number != 3]
    assert [row["name"] for row in base.ask(c.Status())["quarantined"]] == ["q3"]


def test_damage_found_while_the_derived_tables_are_made_anew_stops_no_start() -> None:
    """Behaviours: 17.2, 18.3."""
    world = fleet()
    base = world.device("base")
    for number in range(3):
        base.submit("ask", name=f"q{number}")
    damage(base, "q1")
    world.crash("base", restart=False)
    base.store.clear_derived()
    world.restart("base")
    world.run(seconds=1)
    base = world.device("base")
    assert sorted(row["name"] for row in base.ask(c.List())) == ["q0", "q2"]
    assert len(base.ask(c.Status())["quarantined"]) == 1

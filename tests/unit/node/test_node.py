"""A whole device as a function: names, rebuilds, damage at rest, restarts."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.node import commands as c
from edge_runtime.node.effects import Note, Stage
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app
from tests.support.world_checks import WorldChecks


@pytest.fixture
def doings() -> Doings:
    return Doings()


@pytest.fixture
def world(doings: Doings) -> World:
    return World("base", DevicePlan("drone", has=("camera",)), apps=[make_app(doings)])


@pytest.fixture
def base(world: World) -> Device:
    return world.device("base")


def flip_a_bit(device: Device, reference: str, n: int) -> bytes:
    object_id = bytes.fromhex(device.show(reference)["object"])
    where = "WHERE n = ? AND object = (SELECT row FROM objects WHERE id = ?)"
    raw = bytearray(device.store.run(f"SELECT raw FROM entries {where}", (n, object_id)).fetchone()[0])
    raw[len(raw) // 2] ^= 1
    device.store.run(f"UPDATE entries SET raw = ? {where}", (bytes(raw), n, object_id))
    return bytes(raw)


def test_a_flipped_bit_at_rest_sets_the_object_aside_and_touches_nothing(world: World, base: Device) -> None:
    """Behaviour: 1.3."""
    base.submit("nap", {"seconds": 60}, name="nap")
    base.submit("nap", {"seconds": 60}, name="sound")
    world.run()
    raw = flip_a_bit(base, "nap", 1)
    notes: list[Note] = []
    world.watchers.append(lambda _, __, turn: notes.extend(x for x in turn.effects if isinstance(x, Note)))
    world.crash("base")
    world.run(minutes=2)
    found = [note for note in notes if note.stage is Stage.VERIFIED]
    assert found and "entry 1" in found[0].fields["quarantined"]
    assert base.show("sound")["end"] == "completed"
    assert [row[0] for row in base.store.run("SELECT raw FROM entries WHERE n = 1 AND object = 1")] == [raw]
    assert base.store.run("SELECT count(*) FROM entries WHERE object = 1").fetchone() == (2,)
    turns = world.turns
    world.run(days=1)
    assert world.turns == turns


@pytest.mark.parametrize(
    "command", [c.Show("nap"), c.Signal("nap", "x"), c.Cancel("nap"), c.Trace("nap"), c.Explain("nap"), c.Hold("nap")]
)
def test_asking_for_a_damaged_object_is_refused_and_appends_nothing(
    world: World, base: Device, command: c.Command
) -> None:
    base.submit("nap", {"seconds": 60}, name="nap")
    flip_a_bit(base, "nap", 1)
    world.crash("base")
    world.run()
    with pytest.raises(UsageError):
        base.ask(command)
    assert base.store.run("SELECT count(*) FROM entries WHERE object = 1").fetchone() == (2,)


def test_a_name_given_twice_is_one_object(base: Device) -> None:
    """Behaviour: 1.11."""
    first = base.submit("nap", {"seconds": 60}, name="nap")
    assert base.submit("nap", {"seconds": 60}, name="nap")["object"] == first["object"]


@pytest.mark.parametrize("intent, arguments", [("nap", {"seconds": 61}), ("ask", {"seconds": 60})])
def test_a_name_given_to_something_else_is_refused(base: Device, intent: str, arguments: object) -> None:
    """Behaviour: 1.11."""
    base.submit("nap", {"seconds": 60}, name="nap")
    with pytest.raises(UsageError) as caught:
        base.submit(intent, arguments, name="nap")
    assert caught.value.exit is Exit.REFUSED
    assert base.store.run("SELECT count(*) FROM objects").fetchone() == (1,)


def test_a_name_given_on_two_devices_is_two_objects_of_one_lineage(world: World, doings: Doings) -> None:
    """Behaviour: 1.11: equal attempt ids, so that one effect remains where the key is kept."""
    for name in ("base", "drone"):
        world.device(name).submit("greet", {"name": "Ada"}, name="hello")
    world.run(seconds=1)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert len(world.device("base").ask(c.List())) == 2
    (first, _), (second, _) = doings.done
    assert first == second


def test_an_unknown_intent_is_refused_with_the_nearest_names(base: Device) -> None:
    """Behaviour: 1.10."""
    with pytest.raises(UsageError, match="greet") as caught:
        base.submit("gret")
    assert caught.value.exit is Exit.REFUSED and caught.value.details["nearest"][0] == "greet"  # type: ignore[index]
    assert base.submit("gret", needs=["lidar"])["reason"] == "no app here offers gret"
    assert base.submit("gret", anyway=True)["status"] == "dormant"


def test_derived_tables_that_were_deleted_are_the_same_after_a_restart(world: World, base: Device) -> None:
    checks = WorldChecks(world)
    for intent in ("nap", "ask", "guard", "shoot", "greet"):
        base.submit(intent, name=intent)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    tables = ("shelf", "wakes", "digests")
    before = [base.store.run(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]
    for table in tables:
        base.store.run(f"DELETE FROM {table}")
    world.crash("base")
    assert [base.store.run(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables] == before
    world.run(hours=1)
    checks.at_rest()
    assert base.show("nap")["end"] == "completed"


def test_a_restart_loses_no_sleeper_and_wakes_none(world: World, base: Device) -> None:
    """Behaviour: 3.4: still dormant, same trigger, deadline honoured."""
    base.submit("nap", {"seconds": 3600}, name="nap")
    world.run(minutes=30)
    before = base.show("nap")
    world.crash("base")
    world.run()
    after = base.show("nap")
    for key in ("status", "waits", "entries"):
        assert after[key] == before[key]
    world.run(minutes=29)
    assert base.show("nap")["status"] == "dormant"
    world.run(minutes=1)
    assert base.show("nap")["end"] == "completed"


def test_a_step_that_kills_its_process_three_times_is_set_aside(world: World, base: Device, doings: Doings) -> None:
    """Behaviour: 6.15: counted over processes; nothing else suffers."""
    world.takes("greet", minutes=1)
    base.submit("greet", name="poison")
    for _ in range(3):
        world.run(seconds=30)
        world.crash("base")
    world.run(days=1)
    assert "3 process deaths" in base.show("poison")["reason"]
    assert len(doings.done) == 3
    base.ask(c.Resume("poison"))
    world.run(hours=1)
    assert base.show("poison")["end"] == "completed"


def test_a_crash_between_commit_and_effect_loses_no_step(world: World, base: Device, doings: Doings) -> None:
    """Behaviour: 1.5; effects are derived again from the store."""
    world.crash("base", at_commit=True)
    with_answer = base.ask(c.Submit("greet", name="hello"))
    assert with_answer is None, "nothing of the commit was said"
    world.run(minutes=1)
    assert base.show("hello")["end"] == "completed" and len(doings.done) == 1

"""A device on an older card: it learns what peers hold of it before it writes, and no number is given out twice."""

from __future__ import annotations

from collections import Counter

import pytest

from edge_runtime import App, Context
from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import SEQUENCE_JUMP
from edge_runtime.node import commands as c
from edge_runtime.node import membership, returning
from edge_runtime.node.contacts import Contact
from edge_runtime.node.events import Imported
from edge_runtime.node.messages import Head, Heads
from edge_runtime.node.returning import TWIN
from edge_runtime.objects.capsule import read_capsule
from edge_runtime.objects.entries import verify
from edge_runtime.testing import Device, World

done: Counter[str] = Counter()
app = App("work")


@app.intent("work")
async def work(ctx: Context, name: str) -> str:
    await ctx.run("first", step, f"{name}-first")
    await ctx.until("go == True")
    return await ctx.run("second", step, f"{name}-second")


def step(name: str) -> str:
    done[name] += 1
    return name


@pytest.fixture
def world() -> World:
    done.clear()
    made = World("base", "peer", apps=[app])
    made.link("base", "peer", up=True)
    made.run(ms=10)
    return made


def entries_of(world: World) -> list[tuple[bytes, int, bytes]]:
    """Return (author, sequence, id) of every entry that any device holds, each entry once."""
    found = {}
    for device in world.devices.values():
        for (raw,) in device.store.run("SELECT raw FROM entries"):
            entry = verify(bytes(raw))
            found[entry.id] = (entry.author, entry.sequence, entry.id)
    return list(found.values())


def counters_are_unique(world: World) -> bool:
    found = entries_of(world)
    return len({item[:2] for item in found}) == len(found)


def went_back(world: World) -> Device:
    """Return base on a card of before its object went on; only the peer knows what happened since."""
    base = world.device("base")
    base.submit("work", {"name": "early"}, name="early")
    world.run(seconds=1)
    card = world.copy_card("base")
    base.fact("go", True)
    base.submit("work", {"name": "late"}, name="late")
    world.run(seconds=1)
    assert base.show("early")["end"] == base.show("late")["end"] == "completed"
    world.link("base", "peer", up=False)
    world.insert_card("base", card)
    base.fact("go", True)
    world.run(minutes=1)
    return base


def test_a_restored_device_writes_nothing_until_it_has_met_a_peer_and_then_does_nothing_twice(world: World) -> None:
    """Behaviour: 12.5: it asks peers before it writes; what was done since the backup is learnt, not done again."""
    base = went_back(world)
    before = entries_of(world)
    assert "in quarantine" in base.show("early")["reason"] and base.ask(c.Status())["quarantine"]
    world.run(hours=5)
    assert entries_of(world) == before
    world.link("base", "peer", up=True)
    world.run(minutes=1)
    assert base.ask(c.Status())["quarantine"] is None
    assert base.show("early")["end"] == base.show("late")["end"] == "completed"
    assert set(done.values()) == {1}, "no step ran twice"
    base.submit("work", {"name": "new"}, name="new")
    world.run(minutes=1)
    assert base.show("new")["end"] == "completed" and counters_are_unique(world)


@pytest.mark.parametrize(
    "command",
    [c.Submit("work", {"name": "x"}), c.Signal("early", "s"), c.Cancel("early"), c.Hold("early"), c.Resume("early"),
     c.Claim("early"), c.Hand("peer"), c.Revoke("peer")], ids=lambda command: type(command).__name__,
)  # fmt: skip
def test_what_would_write_is_refused_with_what_to_do(world: World, command: c.Command) -> None:
    """Behaviour: 12.5."""
    base = went_back(world)
    before = entries_of(world)
    with pytest.raises(UsageError, match="quarantine.*resume") as refusal:
        base.ask(command)
    assert refusal.value.exit is Exit.REFUSED and entries_of(world) == before


def test_in_quarantine_no_custody_is_taken_and_what_it_holds_is_served(world: World) -> None:
    """Behaviour: 12.5: a peer that holds more than it can give at once keeps it waiting, not silent."""
    base, peer = world.device("base"), world.device("peer")
    peer.submit("work", {"name": "b"}, name="b")
    base.submit("work", {"name": "a"}, name="a")
    world.run(seconds=1)
    card = world.copy_card("base")
    world.link("base", "peer", up=False)
    world.insert_card("base", card)
    base.node.returning.hear_hello = base.node.returning.hear_heads = lambda *_: None  # type: ignore[method-assign]
    world.link("base", "peer", up=True)
    peer.ask(c.Hand("base", "b"))
    world.run(seconds=5)
    assert peer.show("b")["custodian"] == peer.key.public.hex(), "refused on the wire"
    assert base.show("a")["intent"] == "work" and base.ask(c.Peers())[0]["connected"]


def test_what_can_not_be_had_any_more_is_not_waited_for(world: World) -> None:
    """Behaviour: 12.5: an object that ended and is past its lifetime is refused by whoever did not know it."""
    base, peer = world.device("base"), world.device("peer")
    base.submit("work", {"name": "early"}, name="early")
    world.run(seconds=1)
    card = world.copy_card("base")
    peer.submit("work", {"name": "short"}, name="short", lifetime_ms=60_000)
    world.run(minutes=5)
    assert peer.show("short")["end"] == "expired"
    world.link("base", "peer", up=False)
    world.insert_card("base", card)
    world.run(minutes=1)
    world.link("base", "peer", up=True)
    world.run(minutes=1)
    assert base.ask(c.Status())["quarantine"] is None


def test_a_list_of_heads_without_end_fills_no_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaviour: 12.5: and a quarantine does not end by what was not looked at."""
    monkeypatch.setattr(returning, "KNOWN_HEADS_MAX", 10)
    base = went_back(world)
    returned = base.node.returning
    contact = Contact(99, world.device("peer").key.public, (), 0, "", "", 0)
    for number in range(100):
        items = tuple(Head(bytes([number, at] * 16), (bytes(32),)) for at in range(5))
        returned.hear_heads(contact, Heads(items, number == 99))
        assert len(returned._lacking[99]) <= 15
        if number == 50:
            returned._lacking[99].clear()  # all of it came meanwhile; of what was not remembered nobody knows
    assert returned.why


def test_an_operators_word_ends_it_where_no_peer_is_left(world: World) -> None:
    """Behaviour: 12.5: `restore --alone`, or `resume` with no object."""
    base = went_back(world)
    base.ask(c.Resume(""))
    world.run(minutes=1)
    assert base.show("early")["end"] == "completed" and base.ask(c.Status())["quarantine"] is None
    assert done["early-second"] == 2, "nobody could tell it that this was done"
    assert min(item[1] for item in entries_of(world) if item[2].hex() in base.show("early")["heads"]) >= SEQUENCE_JUMP


def test_it_survives_a_power_cut(world: World) -> None:
    """Behaviour: 12.5."""
    base = went_back(world)
    before = entries_of(world)
    world.crash("base", power_cut=True)
    world.run(hours=1)
    assert entries_of(world) == before and base.ask(c.Status())["quarantine"]


def test_a_card_that_nobody_could_tell_is_found_when_a_peer_brings_what_it_never_signed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behaviours: 12.4, 12.5: entries of its own key with numbers that it never gave out."""
    monkeypatch.setattr(membership, "SEQUENCE_BLOCK", 8)
    base = world.device("base")
    base.submit("work", {"name": "early"}, name="early")
    world.run(seconds=1)
    card = world.copy_card("base")
    base.fact("go", True)
    for number in range(20):
        base.submit("work", {"name": f"n{number}"}, name=f"n{number}")
    world.run(seconds=2)
    world.link("base", "peer", up=False)
    world.insert_card("base", card, "")
    notes: list[str] = []
    world.watchers.append(lambda device, events, turn: notes.extend(str(effect) for effect in turn.effects))
    world.link("base", "peer", up=True)
    world.run(minutes=2)
    assert any(TWIN in note for note in notes) and base.ask(c.Status())["quarantine"] is None
    assert base.show("n0")["end"] == "completed" and base.show("early")["end"] == "completed"


def test_two_branches_by_one_key_prove_two_writers_and_nothing_more_happens_to_them(world: World) -> None:
    """Behaviour: 12.4: both entries are kept, the author is suspect, the object goes on; only an operator revokes."""
    base, peer = world.device("base"), world.device("peer")
    base.submit("work", {"name": "twin"}, name="twin")
    world.run(seconds=1)
    card = world.copy_card("base")
    base.fact("go", True)
    world.run(seconds=1)
    world.link("base", "peer", up=False)
    world.insert_card("base", card, "")
    base.ask(c.Cancel("twin"))
    world.run(seconds=1)
    world.link("base", "peer", up=True)
    world.run(minutes=2)
    (row,) = (row for row in peer.ask(c.Peers()) if row["name"] == "base")
    assert row["suspect"] and peer.ask(c.Status())["suspects"] == 1
    assert peer.show("twin")["heads"] == base.show("twin")["heads"], "all branches are kept on both"


def test_honest_devices_are_never_suspect(world: World) -> None:
    """Behaviour: 12.4: crashes, hand-overs and signals from both sides leave no fork of one author."""
    base, peer = world.device("base"), world.device("peer")
    for number in range(6):
        base.submit("work", {"name": f"o{number}"}, name=f"o{number}")
        world.run(ms=100)
        world.link("base", "peer", up=number % 2 == 0)
        world.run(ms=100)
        peer.ask(c.Signal(base.show(f"o{number}")["object"], "s")) if number % 2 == 0 else None
        world.crash("base", power_cut=True)
        world.run(ms=100)
    base.fact("go", True)
    world.link("base", "peer", up=True)
    world.run(minutes=5)
    assert base.ask(c.Status())["suspects"] == peer.ask(c.Status())["suspects"] == 0


def test_two_writers_are_found_by_what_a_stick_brings_as_well(world: World) -> None:
    """Behaviour: 12.4: where devices never meet, capsules are all that goes between them."""
    base, peer = world.device("base"), world.device("peer")
    base.submit("work", {"name": "twin"}, name="twin")
    world.run(seconds=1)
    world.link("base", "peer", up=False)
    card = world.copy_card("base")
    base.fact("go", True)
    world.run(seconds=1)
    capsules = [base.ask(c.Export("twin"))["capsule"]]
    world.insert_card("base", card, "")
    base.ask(c.Cancel("twin"))
    world.run(seconds=1)
    capsules.append(base.ask(c.Export("twin"))["capsule"])
    for number, data in enumerate(capsules):
        found = read_capsule(bytes.fromhex(data))
        header = found.header
        peer.inbox.append(
            Imported(900 + number, header.object, found.grants, found.entries, header.age_ms, header.age_is_exact)
        )
        world.run(seconds=1)
    assert peer.ask(c.Status())["suspects"] == 1

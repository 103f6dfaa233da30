"""Contacts between real devices: equal stores say little, relays carry and never turn, liars cost bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import ASIDE_BYTES_MAX, CONTACT_INFLIGHT_BYTES_MAX
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.effects import Close, Effect, Send
from edge_runtime.node.messages import Entries, Head, Heads, Message, Want, decode_message
from edge_runtime.node.turns import run_turn
from edge_runtime.objects.entries import Draft, Entry, seal
from edge_runtime.objects.grants import Role, issue_grant
from edge_runtime.objects.keys import SigningKey
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app
from tests.support.world_checks import WorldChecks, _states

LIAR = 77_777


def make_world(*plans: str | DevicePlan, doings: Doings | None = None) -> World:
    return World(*plans, apps=[make_app(doings or Doings())])


def turn(device: Device, *events: e.Event) -> list[Effect]:
    found, handled = run_turn(device.node, events, device.read_moment)
    assert handled == len(events)
    return found.effects


def said(effects: Sequence[Effect]) -> list[Message]:
    return [decode_message(data) for effect in effects if isinstance(effect, Send) for data in effect.messages]


def open_liar(world: World, device: Device) -> SigningKey:
    """Open a contact with a member of the fleet who then says what it likes."""
    key = SigningKey.from_seed(b"liar" * 8)
    root = world.device("base").root_keys[0]
    grant = issue_grant(root, key.public, (Role.EXECUTOR,), 0)
    turn(device, e.ContactOpened(LIAR, key.public, (grant.raw,), "lan", "liar", False))
    return key


def test_after_a_contact_both_hold_the_same_and_say_no_more() -> None:
    """Behaviour: P3, P5."""
    world = make_world("base", DevicePlan("drone", has=("camera",)))
    checks = WorldChecks(world)
    for number in range(20):
        world.device("base").submit("nap", {"seconds": 900}, name=f"nap{number}")
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    checks.after_healing()
    turns = world.turns
    world.run(minutes=10)
    assert world.turns == turns


def test_equal_stores_exchange_no_heads() -> None:
    world = make_world("base", "drone")
    world.device("base").submit("nap", {"seconds": 86_400})
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    world.link("base", "drone", up=False)
    world.run(seconds=5)
    kinds: list[str] = []
    world.watchers.append(lambda _, __, found: kinds.extend(type(message).__name__ for message in said(found.effects)))
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert sorted(dict.fromkeys(kinds)) == ["Adverts", "Hello"]


def test_a_relay_holds_and_carries_but_never_turns() -> None:
    """Behaviour: 19.5: it appends nothing and is never custodian."""
    doings = Doings()
    plans = ("base", DevicePlan("truck", roles=("relay",)), DevicePlan("drone", has=("camera",)))
    world = make_world(*plans, doings=doings)
    base, truck = world.device("base"), world.device("truck")
    base.submit("shoot", name="survey", needs=["camera"])
    world.link("truck", "drone", up=True)
    world.run(seconds=1)
    world.link("truck", "drone", up=False)
    world.link("truck", "base", up=True)
    world.run(seconds=5)
    base.submit("greet", name="hello")
    base.ask(c.Hand("truck", "survey")) if not base.show("survey")["reason"].startswith("offered") else None
    world.run(hours=1)
    with pytest.raises(UsageError, match="may not make objects"):
        truck.submit("greet", name="mine")
    for live in _states(truck).values():
        assert all(placed.entry.author != truck.key.public for placed in live.state.history.placed.values())
    world.link("truck", "base", up=False)
    for _ in range(2):
        world.link("truck", "drone", up=True)
        world.run(seconds=5)
        world.link("truck", "base", up=True)
        world.run(seconds=5)
    assert base.show("survey")["end"] == "completed"
    assert [name for _, name in doings.done] == ["greet", "shoot"]


def test_custody_handed_to_a_relay_is_refused_and_comes_back() -> None:
    world = make_world("base", DevicePlan("truck", roles=("relay",)))
    base = world.device("base")
    base.submit("nap", {"seconds": 3600}, name="nap")
    world.link("base", "truck", up=True)
    world.run(seconds=1)
    base.ask(c.Hand("truck", "nap"))
    world.run(seconds=5)
    shown = base.show("nap")
    assert (shown["custodian_name"], shown["epoch"], shown["reason"]) == ("base", 2, "sleeping")


def test_a_peer_of_another_fleet_is_sent_away() -> None:
    base, other = make_world("base").device("base"), World("stranger", seed=9).device("stranger")
    grants = other.node.membership().grants
    effects = turn(base, e.ContactOpened(1, other.key.public, grants, "lan", "?", False))
    assert [effect for effect in effects if isinstance(effect, Close)]
    assert not turn(base, e.Heard(1, Heads((), True)))


def test_a_transfer_that_is_cut_again_and_again_comes_to_its_end() -> None:
    """What was received is committed with its turn; a lost contact goes on at the next one."""
    world = make_world("base", "drone")
    for _ in range(300):
        world.device("base").submit("nap", {"seconds": 86_400}, labels=["x" * 100] * 8)
    drone = world.device("drone")
    counts = []
    for _ in range(60):
        world.link("base", "drone", up=True, latency_ms=20, bytes_per_s=50_000)
        world.run(seconds=2)
        world.link("base", "drone", up=False)
        world.run(seconds=1)
        counts.append(drone.store.run("SELECT count(*) FROM objects").fetchone()[0])
    assert counts[-1] == 300 and counts[0] < 300 and counts == sorted(counts)


def test_what_is_handed_to_a_slow_channel_is_bounded() -> None:
    world = make_world("base", "drone")
    base = world.device("base")
    for _ in range(800):
        base.submit("nap", {"seconds": 86_400}, labels=["x" * 100] * 8)
    peaks: list[int] = []
    world.watchers.append(
        lambda device, _, __: peaks.extend(item.inflight_bytes for item in device.node.contacts.by_number.values())
    )
    world.link("base", "drone", up=True, bytes_per_s=100_000)
    world.run(minutes=2)
    assert world.device("drone").store.run("SELECT count(*) FROM objects").fetchone() == (800,)
    assert max(peaks) <= CONTACT_INFLIGHT_BYTES_MAX + 64 * 1024


# --- Lying peers --------------------------------------------------------------------------------------------------


def forge(key: SigningKey, object_id: bytes, number: int, like: Entry) -> Entry:
    parent = number.to_bytes(32, "big")
    return seal(
        key, Draft(object_id, (parent,), like.grant, b"\x00" * 8, number, 5, 0, 0, like.trust, 0, True, like.records)
    )  # fmt: skip


def test_entries_without_their_parents_are_kept_aside_within_a_bound() -> None:
    """Hostile: a peer that sends what can never be placed costs at most ASIDE_BYTES_MAX."""
    world = make_world("base")
    base = world.device("base")
    base.submit("nap", {"seconds": 60}, name="nap")
    live = next(iter(_states(base).values()))
    like = [placed.entry for placed in live.state.history.placed.values()][-1]
    key = open_liar(world, base)
    before = base.store.run("SELECT count(*) FROM entries").fetchone()
    for batch in range(40):
        entries = tuple(forge(key, live.object, 1 + batch * 128 + n, like) for n in range(128))
        turn(base, e.Heard(LIAR, Entries(live.object, (), (), 0, True, 0, 0), entries))
    intake = base.node.intake
    assert intake._aside_bytes == sum(len(entry.raw) for entry in intake._aside.values()) <= ASIDE_BYTES_MAX
    assert base.store.run("SELECT count(*) FROM entries").fetchone() == before
    assert base.show("nap")["reason"] == "sleeping"


def test_a_turn_of_one_who_has_no_custody_is_stored_and_void() -> None:
    world = make_world("base")
    base = world.device("base")
    base.submit("nap", {"seconds": 60}, name="nap")
    live = next(iter(_states(base).values()))
    like = [placed.entry for placed in live.state.history.placed.values()][-1]
    key = open_liar(world, base)
    grant = issue_grant(base.root_keys[0], key.public, (Role.EXECUTOR,), 0)
    heads = live.state.history.heads
    height = like.height + 1
    forged = seal(
        key, Draft(live.object, tuple(heads), grant.id, b"\x00" * 8, 1, height, 0, 0, like.trust, 0, True, like.records)
    )  # fmt: skip
    turn(base, e.Heard(LIAR, Entries(live.object, (grant.raw,), (), 0, True, 0, 0), (forged,)))
    rows = [row for row in base.trace("nap") if row["device"] == key.public.hex()]
    assert rows and all(row["void"] for row in rows)
    world.run(minutes=2)
    assert base.show("nap")["end"] == "completed"


def test_wants_and_heads_of_objects_that_nobody_has_change_nothing_and_are_asked_for_once() -> None:
    world = make_world("base")
    base = world.device("base")
    open_liar(world, base)
    items = tuple(Head(number.to_bytes(32, "big"), (b"\x07" * 32,)) for number in range(1, 501))
    first = said(turn(base, e.Heard(LIAR, Heads(items, True))))
    assert sum(len(message.items) for message in first if isinstance(message, Want)) == 500
    again = said(turn(base, e.Heard(LIAR, Heads(items, True))))
    assert not [message for message in again if isinstance(message, Want)]
    assert not said(turn(base, e.Heard(LIAR, Want(items))))
    assert base.store.run("SELECT count(*) FROM objects").fetchone() == (0,)

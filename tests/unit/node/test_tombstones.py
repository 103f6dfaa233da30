"""What is left of objects that went: it stops live copies by the signed end alone, and is kept as long as they may live."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import INTEGER_MAX, TOMBSTONE_MARGIN_MS
from edge_runtime.base.moment import Moment, Trust
from edge_runtime.base.units import DAY_MS
from edge_runtime.node import commands as c
from edge_runtime.node.effects import Send, StartStep
from edge_runtime.node.messages import Ended, Entries, decode_message
from edge_runtime.objects import bodies as b
from edge_runtime.objects.entries import Draft, Entry, seal, verify
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import make
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.small_spools import hold, make_world, names, pass_days
from tests.support.world_checks import WorldChecks


def meet(world: World, one: str, other: str, seconds: int = 5) -> None:
    world.link(one, other, up=True)
    world.run(seconds=seconds)
    world.link(one, other, up=False)


def ended_apart(lifetime_ms: int = 30 * DAY_MS, trust: Trust = Trust.NTP) -> tuple[World, Device, Device, bytes]:
    """Return a world in which `drone` took an object from `base`, `base` claimed it and ended it, and let it go.

    `drone`, which still is its custodian as far as it knows, has heard nothing of that.
    """
    world = make_world(DevicePlan("base", trust=trust), DevicePlan("drone", trust=trust), "third")
    base, drone = world.device("base"), world.device("drone")
    meet(world, "base", "drone")
    made = hold(base, "it", kib=1, lifetime_ms=lifetime_ms)
    base.ask(c.Hand("drone", "it"))
    meet(world, "base", "drone")
    assert drone.show("it")["custodian_name"] == "drone"
    base.ask(c.Claim("it"))
    base.signal("it", "go")
    pass_days(world, base, 8)
    assert names(base) == [] and names(drone) == ["it"]
    return world, base, drone, bytes.fromhex(made["object"])


def end_of(device: Device, object_id: bytes) -> Entry:
    left = device.node.parts.eviction.tombstones.find(object_id)
    assert left is not None
    return verify(left.terminated)


def test_a_live_copy_that_comes_back_is_neither_taken_nor_spread_nor_run() -> None:
    """Behaviour: 14.6."""
    world, base, drone, object_id = ended_apart()
    checks = WorldChecks(world)
    meet(world, "drone", "third")
    assert names(world.device("third")) == ["it"]
    meet(world, "base", "drone")
    assert names(base) == [] and drone.show("it")["status"] == "ended" and drone.show("it")["end"] == "completed"
    started = []
    world.watchers.append(lambda device, events, turn: started.extend(
        effect for effect in turn.effects if isinstance(effect, StartStep)))  # fmt: skip
    drone.signal("it", "go")
    world.run(days=1)
    assert started == [] and drone.show("it")["result"] == 1_024, "nothing begins any more; the end tells its result"
    meet(world, "drone", "third")
    assert world.device("third").show("it")["end"] == "completed", "the word of its end goes with it"
    checks.at_rest()
    pass_days(world, drone, 8)
    assert names(drone) == [] and end_of(drone, object_id) == end_of(base, object_id)
    sent = []
    world.watchers.append(lambda device, events, turn: sent.extend(
        decode_message(data) for effect in turn.effects if isinstance(effect, Send) for data in effect.messages))  # fmt: skip
    meet(world, "base", "drone")
    meet(world, "base", "drone")
    assert not [message for message in sent if isinstance(message, Entries | Ended)]
    checks.at_rest()


def test_a_tombstone_without_a_signed_end_stops_nobody() -> None:
    """Behaviour: 14.6."""
    world = make_world("base", DevicePlan("relay", roles=("relay",)))
    base, relay = world.device("base"), world.device("relay")
    hold(base, "it", kib=1)
    meet(world, "base", "relay")
    with relay.store.transaction():
        relay.node.parts.eviction.tombstones.bury(1, "by hand")
    hold(base, "other", kib=1)
    meet(world, "base", "relay")
    assert names(relay) == ["other"] and base.show("it")["status"] == "dormant"
    base.signal("it", "go")
    assert base.show("it")["end"] == "completed"


def test_custody_that_is_offered_brings_back_what_went_for_room() -> None:
    world = make_world("base", "drone")
    base, drone = world.device("base"), world.device("drone")
    hold(base, "it", kib=1)
    meet(world, "base", "drone")
    with drone.store.transaction():
        drone.node.parts.eviction.tombstones.bury(1, "by hand")
    meet(world, "base", "drone")
    assert names(drone) == []
    base.ask(c.Hand("drone", "it"))
    meet(world, "base", "drone")
    assert base.show("it")["custodian_name"] == "drone" and names(drone) == ["it"]


def test_custody_that_is_offered_brings_it_back_in_the_contact_in_which_it_went() -> None:
    """Behaviour: 14.7: what was asked once in a contact is asked again, for it went in between."""
    world = make_world("base", "drone")
    base, drone = world.device("base"), world.device("drone")
    hold(base, "it", kib=1)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert names(drone) == ["it"]
    with drone.store.transaction():
        drone.node.parts.eviction.tombstones.bury(1, "by hand")
    base.ask(c.Hand("drone", "it"))
    world.run(seconds=5)
    assert base.show("it")["custodian_name"] == "drone" and names(drone) == ["it"]


def test_a_maker_that_lies_about_the_time_keeps_no_object_from_going() -> None:
    """Behaviour: 14.6: the largest wall time there is, too, makes a tombstone that fits the store."""
    world = make_world("base", "drone")
    base, drone = world.device("base"), world.device("drone")
    base.node.parts.timeline.advance = lambda reading: None  # type: ignore[method-assign]
    base.node.parts.timeline.moment = Moment(0, INTEGER_MAX, Trust.GPS)
    hold(base, "it", kib=1)
    meet(world, "base", "drone")
    assert names(drone) == ["it"]
    with drone.store.transaction():
        drone.node.parts.eviction.tombstones.bury(1, "by hand")
    assert drone.store.run("SELECT until_wall_ms FROM tombstones").fetchone()[0] == INTEGER_MAX


def forged(device: Device, signer: Device, epoch: int, kind: Kind = Kind.TERMINATED) -> Entry:
    live = device.node.parts.spool.find_row(1)
    assert live is not None
    history = live.state.history
    grant = signer.node.parts.members.grant_under(history.created.roots)
    assert grant is not None
    device.node.parts.members.keep_grant(signer.node.parts.members.grant_bytes(grant[0]))
    record = make(Kind.TERMINATED, b.TerminatedClear(0), b.TerminatedSealed(b"\xf6", "", ""))
    if kind == Kind.CANCEL_REQUESTED:
        record = make(kind, b.Empty(), b.CancelSealed(""))
    draft = Draft(live.object, (bytes(32),), grant[0], bytes(8), 1, 9, epoch, 0, Trust.NTP, 0, True, (record,))
    return seal(signer.key, draft)


def test_an_end_that_another_than_the_custodian_signed_under_its_epoch_counts_nothing() -> None:
    world = make_world("base", "drone", DevicePlan("relay", roles=("relay",)))
    base, drone, relay = (world.device(name) for name in ("base", "drone", "relay"))
    hold(base, "it", kib=1)
    live = base.node.parts.spool.find_row(1)
    assert live is not None
    stage = base.node.parts.eviction.tombstones.stage
    with base.store.transaction():
        assert not stage(live, forged(base, drone, epoch=0))
        with pytest.raises(PeerError, match="may not end"):
            stage(live, forged(base, relay, epoch=1))
        with pytest.raises(PeerError, match="no end of this"):
            stage(live, forged(base, drone, epoch=1, kind=Kind.CANCEL_REQUESTED))
        assert not live.staged
        assert stage(live, forged(base, drone, epoch=1)) and live.staged
        assert not stage(live, forged(base, drone, epoch=2)), "one word is enough"


def test_the_history_up_to_an_end_told_ahead_takes_its_place() -> None:
    world = make_world("base", "drone")
    base, drone = world.device("base"), world.device("drone")
    hold(base, "it", kib=1)
    meet(world, "base", "drone")
    base.signal("it", "go")
    live = base.node.parts.spool.find_row(1)
    copy = drone.node.parts.spool.find_row(1)
    assert live is not None and copy is not None
    tip = live.state.history.placed[live.state.history.view.tip].entry
    with drone.store.transaction():
        assert drone.node.parts.eviction.tombstones.stage(copy, tip)
        drone.node.turner.go_on(copy)
    assert drone.show("it")["end"] == "completed" and drone.show("it")["status"] == "ended"
    meet(world, "base", "drone")
    assert drone.show("it")["result"] == 1_024
    assert drone.store.run("SELECT count(*) FROM tombstones").fetchone() == (0,)
    WorldChecks(world).at_rest()


def test_a_tombstone_goes_when_the_wall_time_refuses_the_object_and_not_before() -> None:
    """Behaviour: 14.6, 15.4: nothing that stops a second run goes before expiry and the margin for clocks."""
    world, base, drone, object_id = ended_apart(lifetime_ms=20 * DAY_MS)
    tombstones = base.node.parts.eviction.tombstones
    world.run(days=12)
    base.fact("x", 1)
    assert tombstones.find(object_id) is not None, "past its lifetime, but within the margin"
    world.run(ms=TOMBSTONE_MARGIN_MS + DAY_MS)
    base.fact("x", 2)
    world.run(seconds=1)
    assert tombstones.find(object_id) is None
    before = base.node.intake.refusals.get("lifetime", 0)
    with base.store.transaction():
        live = base.node.parts.spool.find(object_id)
        assert live is None
    source = drone.node.parts.spool.find(object_id)
    if source is not None:
        entries = tuple(placed.entry for placed in source.state.history.placed.values())
        with base.store.transaction():
            assert base.node.intake.take(object_id, (), entries, 0, True).live is None
        assert base.node.intake.refusals["lifetime"] > before


def test_where_nobody_set_the_clock_a_tombstone_is_kept_for_good() -> None:
    """Behaviour: 14.6."""
    world, base, drone, object_id = ended_apart(lifetime_ms=20 * DAY_MS, trust=Trust.NONE)
    world.run(days=400)
    base.fact("x", 1)
    world.run(seconds=1)
    assert base.node.parts.eviction.tombstones.find(object_id) is not None


def test_a_row_of_an_object_that_went_is_not_given_to_another() -> None:
    world = make_world("base")
    base = world.device("base")
    hold(base, "one", kib=1, intent="finish")
    pass_days(world, base, 8)
    assert names(base) == []
    hold(base, "two", kib=1)
    assert base.store.run("SELECT row FROM objects").fetchall() == [(2,)]

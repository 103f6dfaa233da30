"""Revocation between devices: heard before or after what it is about, across a partition, told on, and final."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from edge_runtime import App, Context
from edge_runtime.base.errors import PeerError, UsageError
from edge_runtime.base.moment import Trust
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node import messages as m
from edge_runtime.node.effects import Close, Effect, Send, StartStep, Turn
from edge_runtime.node.messages import decode_message
from edge_runtime.node.turns import run_turn
from edge_runtime.objects.grants import Role, issue_grant
from edge_runtime.objects.keys import SigningKey
from edge_runtime.objects.revocations import issue_revocation
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app
from tests.support.world_checks import WorldChecks, _states


def make_world(*plans: str | DevicePlan, doings: Doings | None = None) -> tuple[World, WorldChecks]:
    world = World(*plans, apps=[make_app(doings or Doings())])
    return world, WorldChecks(world)


def revoke(device: Device, other: Device, from_sequence: int | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = device.ask(c.Revoke(other.key.public.hex(), from_sequence))
    return answer


def is_revoked(device: Device, other: Device) -> bool:
    revoked = device.node.membership().revoked
    return any(found == other.key.public for _, found in revoked)


def in_contact(device: Device, other: Device) -> bool:
    return other.key.public in device.node.contacts.devices()


def turn(device: Device, *events: e.Event) -> list[Effect]:
    found, handled = run_turn(device.node, events, device.read_moment)
    assert handled == len(events)
    return found.effects


def said(effects: Sequence[Effect]) -> list[m.Message]:
    return [decode_message(data) for effect in effects if isinstance(effect, Send) for data in effect.messages]


def rows(device: Device, reference: str, kind: str) -> list[dict[str, Any]]:
    return [row for row in device.trace(reference) if row["kind"] == kind]


def test_a_withdrawn_device_is_told_why_and_its_contacts_end_for_good() -> None:
    """Behaviour: 11.4."""
    world, _ = make_world("base", DevicePlan("drone", has=("camera",)))
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert in_contact(base, drone) and base.node.parts.adverts.others()
    answer = revoke(base, drone)
    assert (answer["what"], answer["name"], answer["objects_held"]) == ("withdrawn", "drone", 0)
    assert revoke(base, drone)["revocations"] == [], "said already"
    world.run(minutes=10)
    assert is_revoked(base, drone) and is_revoked(drone, drone), "the device itself heard of it before the goodbye"
    assert not in_contact(base, drone) and not in_contact(drone, base)
    assert base.node.parts.adverts.others() == []
    turns = world.turns
    world.run(hours=10)
    assert world.turns == turns, "nobody dials in vain"
    assert base.ask(c.Status())["revoked"] == 1


def test_a_device_that_was_away_is_told_at_its_next_contact_and_stays_outside() -> None:
    """Behaviour: 11.4: not known, for there was a partition."""
    world, _ = make_world("base", "relay", DevicePlan("drone", has=("camera",)))
    base, relay, drone = (world.device(name) for name in ("base", "relay", "drone"))
    revoke(base, drone)
    base.submit("nap", name="secret")
    world.link("base", "relay", up=True)
    world.run(seconds=1)
    world.link("base", "relay", up=False)
    assert is_revoked(relay, drone) and not is_revoked(drone, drone)
    world.link("relay", "drone", up=True)
    world.run(seconds=1)
    assert is_revoked(drone, drone), "a relay told it on"
    assert not in_contact(relay, drone) and _states(drone) == {}, "it got no object any more"


@pytest.mark.parametrize("whose", ["base", "drone"])
def test_no_effect_rests_on_a_withdrawn_grant_of_the_maker_or_of_the_device(whose: str) -> None:
    """Behaviour: 11.4: `denied`, with the rule."""
    doings = Doings()
    world, _ = make_world("root", "base", DevicePlan("drone", has=("camera",)), doings=doings)
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    base.submit("nap", {"seconds": 60}, name="nap")
    base.ask(c.Hand("drone", "nap"))
    world.run(seconds=30)
    assert drone.show("nap")["custodian"] == drone.key.public.hex()
    world.link("base", "drone", up=False)
    revoke(world.device("root"), world.device(whose))
    world.link("root", "drone", up=True)
    world.run(minutes=5)
    assert "yawn" not in [name for _, name in doings.done]
    (row,) = rows(drone, "nap", "denied")
    assert row["body"]["rule"] == "grant withdrawn"
    assert "grant withdrawn" in drone.show("nap")["reason"]


def test_a_step_that_was_released_and_has_not_begun_is_withheld() -> None:
    """Behaviour: 11.4, 2.5: the second look, right before the step runs."""
    world, _ = make_world("base", "drone")
    base, drone = world.device("base"), world.device("drone")
    started: list[StartStep] = []
    world.watchers.append(
        lambda device, events, turn: started.extend(f for f in turn.effects if isinstance(f, StartStep))
    )
    raw = issue_revocation(base.root_keys[0], b"", base.root_keys[0].public, drone.key.public, None, 0,
                           base.read_moment()).raw  # fmt: skip
    contact = open_contact(drone, base.key, base.root_keys[0])

    def hear_before_it_runs(device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        if device is drone and any(isinstance(effect, StartStep) for effect in turn.effects):
            world.watchers.remove(hear_before_it_runs)
            run_turn(drone.node, [heard(contact, raw)], drone.read_moment)

    world.watchers.append(hear_before_it_runs)
    drone.submit("greet", name="one")
    world.run(seconds=1)
    assert len(started) == 1 and started[0].under
    assert rows(drone, "one", "executed") == []
    assert [row["body"]["rule"] for row in rows(drone, "one", "denied")] == ["grant withdrawn"]


def open_contact(device: Device, key: SigningKey, root: SigningKey, number: int = 4_444) -> int:
    grant = issue_grant(root, key.public, (Role.EXECUTOR, Role.OPERATOR))
    turn(device, e.ContactOpened(number, key.public, (grant.raw,), "lan", "peer", False))
    return number


def heard(contact: int, *raws: bytes) -> e.Heard:
    return e.Heard(contact, m.Revocations(b"\x00" * 32, raws), (), 0, sum(map(len, raws)))


def test_what_was_written_before_the_withdrawal_was_known_counts_and_is_flagged_with_its_ages() -> None:
    """Behaviour: 11.4."""
    doings = Doings()
    world, checks = make_world("base", DevicePlan("drone", has=("camera",)), "relay", doings=doings)
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    drone.submit("nap", {"seconds": 600, "times": 2}, name="nap")
    world.run(minutes=1)
    world.link("base", "drone", up=False)
    revoke(base, drone)
    world.run(minutes=59)
    assert drone.show("nap")["end"] == "completed" and drone.show("nap")["acted_before_revocation_known"] == []
    world.link("drone", "relay", up=True)
    world.run(seconds=5)
    world.link("drone", "relay", up=False)
    world.link("base", "relay", up=True)
    world.run(seconds=5)
    shown = base.show("nap")
    assert (shown["end"], shown["result"]) == ("completed", 2), "it counts as data"
    flags = shown["acted_before_revocation_known"]
    assert len(flags) > 2 and all(flag["device"] == drone.key.public.hex() for flag in flags)
    for flag in flags:
        assert flag["is_certain"] and flag["issued_age_ms"] == 60_000
        assert 600_000 <= flag["acted_age_ms"] and flag["known_age_ms"] < flag["acted_age_ms"], "base knew at once"
    traced = {row["entry"]: row["acted_before_revocation_known"] for row in base.trace("nap")}
    assert {entry: flag for entry, flag in traced.items() if flag} == {
        flag["entry"]: {key: flag[key] for key in ("acted_age_ms", "known_age_ms", "issued_age_ms", "is_certain")}
        for flag in flags
    }
    assert any(flag is None for flag in traced.values()), "what came before it was issued"
    late = world.device("relay").show("nap")["acted_before_revocation_known"][0]
    assert late["known_age_ms"] > late["acted_age_ms"], "the relay heard of it after the deed"
    checks.at_rest()


def test_photographs_before_the_word_arrives_are_flagged_and_those_after_it_are_denied() -> None:
    """Behaviours: 19.1 (row 1100), 11.4: issued at 300 s, heard at 1030 s; a photograph each 70 s."""
    app = App("camera")

    @app.intent("survey")
    async def survey(ctx: Context) -> int:
        for number in range(17):
            await asyncio.sleep(70)
            await ctx.run("photograph", lambda: None)
        return number

    world = World("base", "drone", apps=[app])
    base, drone = world.device("base"), world.device("drone")
    drone.submit("survey", name="survey")
    world.run(seconds=300)
    revoke(base, drone)
    world.run(seconds=730)
    world.link("base", "drone", up=True)
    world.run(hours=3)
    taken = rows(drone, "survey", "executed")
    flagged = [at for at, row in enumerate(taken, start=1) if row["acted_before_revocation_known"]]
    assert flagged == list(range(5, 15)) and len(taken) == 14
    for at in flagged:
        flag = taken[at - 1]["acted_before_revocation_known"]
        assert (flag["acted_age_ms"], flag["issued_age_ms"]) == (at * 70_000, 300_000)
        assert 1_030_000 <= flag["known_age_ms"] < 1_031_000
    (denied,) = rows(drone, "survey", "denied")
    assert denied["body"]["rule"] == "grant withdrawn" and denied["acted_before_revocation_known"] is None
    assert denied["age_ms"] == 15 * 70_000


def test_where_a_clock_cannot_tell_the_flag_says_so() -> None:
    """Behaviours: 11.4, 12.10."""
    world, _ = make_world("base", DevicePlan("drone", trust=Trust.NONE))
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    drone.submit("greet", name="hello")
    world.run(seconds=5)
    revoke(base, drone)
    flags = base.show("hello")["acted_before_revocation_known"]
    assert flags and not any(flag["is_certain"] for flag in flags)
    assert all(flag["issued_age_ms"] is None for flag in flags)


def compromise(world: World, cut: int, is_known_first: bool) -> None:
    """A drone takes an object, does a step and is cut off; the revocation reaches the relay before or after that."""
    base, drone, relay = (world.device(name) for name in ("base", "drone", "relay"))
    world.link("base", "drone", up=True)
    base.submit("survey", {"cells": 2}, name="one")
    world.takes("shoot", minutes=5)
    world.run(seconds=5)
    world.link("base", "drone", up=False)
    world.run(minutes=10)
    assert drone.show("one")["end"] == "completed"
    sequences = sorted(row["sequence"] for row in base.trace("one") if row["device"] == drone.key.public.hex())
    from_sequence = sequences[0] + cut
    if is_known_first:
        revoke(base, drone, from_sequence)
        world.link("base", "relay", up=True)
        world.run(seconds=5)
    # What the relay has of it comes as it would from a stick.
    live = _states(drone)[bytes.fromhex(base.show("one")["object"])]
    entries = tuple(placed.entry for placed in live.state.history.placed.values())
    grants = tuple(raw for entry in entries if (raw := drone.node.parts.members.grant_bytes(entry.grant)))

    def take() -> None:
        taken = relay.node.intake.take(live.object, grants, entries, 1_000, True)
        assert taken.live is not None and taken.aside == taken.refused == 0
        relay.node.turner.go_on(taken.live)

    turn(relay, e.Called(take))
    if not is_known_first:
        revoke(base, drone, from_sequence)
    world.link("base", "relay", up=False)
    world.link("base", "relay", up=True)
    world.run(seconds=5)


@pytest.mark.parametrize("cut", [0, 1])
def test_a_compromised_devices_entries_are_void_in_whichever_order_it_was_heard(cut: int) -> None:
    """Behaviour: 11.4."""
    found: list[dict[str, Any]] = []
    for is_known_first in (True, False):
        world = make_world("base", DevicePlan("drone", has=("camera",)), "relay")[0]
        compromise(world, cut, is_known_first)
        base, relay = world.device("base"), world.device("relay")
        states = [_states(device)[bytes.fromhex(base.show("one")["object"])].state for device in (base, relay)]
        assert states[0].envelope_bytes() == states[1].envelope_bytes()
        assert states[0].content_bytes() == states[1].content_bytes()
        voids = [row["void"] for row in relay.trace("one") if row["device"] == world.device("drone").key.public.hex()]
        assert voids.count(None) == cut and voids.count("author compromised") > 1
        shown = relay.show("one")
        assert (shown["end"], shown["custodian"] == base.key.public.hex()) == (None, cut == 0)
        found.append({"voids": voids, "epoch": shown["epoch"]})
    assert found[0] == found[1]


def test_an_acceptance_that_became_void_gives_custody_back_and_the_work_goes_on() -> None:
    """Behaviour: 11.4: refolded when the revocation comes."""
    doings = Doings()
    world, checks = make_world("base", DevicePlan("drone", has=("camera",)), DevicePlan("other", has=("camera",)),
                               doings=doings)  # fmt: skip
    base, drone = world.device("base"), world.device("drone")
    world.takes("shoot", hours=5)
    world.link("base", "drone", up=True)
    base.submit("shoot", name="one", needs=["camera"])
    world.run(seconds=5)
    assert base.show("one")["custodian_name"] == "drone"
    world.link("base", "drone", up=False)
    first = min(row["sequence"] for row in base.trace("one") if row["device"] == drone.key.public.hex())
    assert revoke(base, drone, first)["objects_held"] in (0, 1)
    world.takes("shoot", seconds=1)
    world.link("base", "other", up=True)
    world.run(hours=30)
    shown = base.show("one")
    assert (shown["end"], shown["custodian_name"]) == ("completed", "other")
    checks.at_rest()


def test_a_device_that_hears_that_it_is_compromised_writes_nothing_more() -> None:
    """Behaviour: 11.4: what it wrote would be void."""
    world, checks = make_world("base", "drone")
    base, drone = world.device("base"), world.device("drone")
    drone.submit("nap", {"seconds": 600}, name="nap")
    revoke(base, drone, 10_000_000)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    entries = drone.show("nap")["entries"]
    world.run(days=40)
    assert drone.show("nap")["entries"] == entries
    for command in (c.Submit("greet"), c.Signal("nap", "x", 1), c.Cancel("nap")):
        with pytest.raises(UsageError):
            drone.ask(command)


def test_what_a_revoked_device_holds_is_claimed_by_an_operator() -> None:
    """Behaviours: 11.4, 8.5."""
    doings = Doings()
    world, checks = make_world("base", "drone", doings=doings)
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    base.submit("nap", {"seconds": 600}, name="nap")
    base.ask(c.Hand("drone", "nap"))
    world.run(seconds=5)
    assert revoke(base, drone)["objects_held"] == 1
    base.ask(c.Claim("nap"))
    world.run(hours=1)
    assert base.show("nap")["end"] == "completed" and [name for _, name in doings.done] == ["yawn"]
    checks.at_rest()


def test_an_offer_to_a_device_that_is_revoked_is_taken_back_at_once() -> None:
    """Behaviour: 11.4: no offer to it."""
    world, _ = make_world("base", DevicePlan("drone", has=("camera",)))
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    world.link("base", "drone", up=False)
    base.submit("shoot", name="one", needs=["camera"])
    world.run(seconds=5)
    assert "offered to drone" in base.show("one")["reason"]
    revoke(base, drone)
    world.run(seconds=5)
    assert base.show("one")["custodian_name"] == "base" and "offered" not in base.show("one")["reason"]


def test_only_operators_revoke_nobody_revokes_itself_and_an_operator_without_the_root_key_may() -> None:
    """Behaviour: 12.4."""
    world, _ = make_world("root", DevicePlan("tablet", roles=("operator",)), DevicePlan("drone", roles=("executor",)))
    root, tablet, drone = (world.device(name) for name in ("root", "tablet", "drone"))
    with pytest.raises(UsageError, match="Only an operator"):
        revoke(drone, tablet)
    with pytest.raises(UsageError, match="this device"):
        revoke(root, root)
    with pytest.raises(UsageError, match="No device"):
        root.ask(c.Revoke("nobody"))
    revoke(tablet, drone)
    world.link("root", "tablet", up=True)
    world.run(seconds=5)
    assert is_revoked(root, drone)
    revoke(root, tablet, 0)
    assert not is_revoked(root, drone), "the root says that this operator's words never counted"
    with pytest.raises(UsageError, match="Only an operator"):
        world.run(seconds=5)
        revoke(tablet, root)


def test_bad_revocations_are_refused_and_counted_and_the_others_taken() -> None:
    world, _ = make_world("base", "drone", "other")
    base, drone, other = (world.device(name) for name in ("base", "drone", "other"))
    root, moment = base.root_keys[0], base.read_moment()
    good = issue_revocation(root, b"", root.public, other.key.public, None, 0, moment).raw
    foreign = issue_revocation(other.key, b"", other.key.public, drone.key.public, None, 0, moment).raw
    contact = open_contact(drone, base.key, root)
    effects = turn(drone, heard(contact, good[:-1] + bytes([good[-1] ^ 1]), b"", foreign, good, good))
    assert is_revoked(drone, other) and not is_revoked(drone, drone)
    refused = drone.ask(c.Status())["refused"]
    assert refused["signature"] == 1 and refused["fleet"] == 1 and sum(refused.values()) == 3
    digests = [message.digest for message in said(effects) if isinstance(message, m.Revocations)]
    assert digests, "it says what it holds now"
    count = drone.store.run("SELECT count(*) FROM revocations").fetchone()[0]
    assert count == 1
    with pytest.raises(PeerError):
        decode_message(m.encode_message(m.Revocations(b"d" * 32, (good,) * 33)))


def test_who_holds_the_same_is_told_the_digest_alone_and_without_any_nothing_is_said() -> None:
    """Behaviour: 14.13: they come right after hello."""
    told: list[list[m.Message]] = []
    world, _ = make_world("base", "drone", "other")

    def watch(device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        if device.name == "base" and any(isinstance(event, e.ContactOpened) for event in events):
            told.append(said(turn.effects))

    world.watchers.append(watch)
    for number in range(4):
        if number == 1:
            revoke(world.device("base"), world.device("other"))
        world.link("base", "drone", up=True)
        world.run(seconds=2)
        world.link("base", "drone", up=False)
    assert not any(isinstance(message, m.Revocations) for message in told[0])
    for messages in told[1:]:
        assert isinstance(messages[0], m.Hello) and isinstance(messages[1], m.Revocations)
    counts = [len(messages[1].items) for messages in told[1:] if isinstance(messages[1], m.Revocations)]
    assert counts == [1, 0, 0]


def test_revocations_survive_the_process_and_a_peer_that_lost_them_gets_them_again() -> None:
    world, _ = make_world("base", "drone", "other")
    base, drone, other = (world.device(name) for name in ("base", "drone", "other"))
    revoke(base, other)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    world.link("base", "drone", up=False)
    world.crash("drone")
    assert is_revoked(drone, other)
    world.crash("drone", restart=False)
    drone.store.run("DELETE FROM revocations")  # as of a backup from before
    world.restart("drone")
    world.run(seconds=1)
    assert not is_revoked(drone, other)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert is_revoked(drone, other)


def test_a_revoked_device_cannot_come_back_with_a_new_grant_or_advert() -> None:
    """It is final for that key: a new grant would be a race with the revocation on its way."""
    world, _ = make_world("base", "drone")
    base, drone = world.device("base"), world.device("drone")
    advert = drone.node.parts.adverts.by_device[drone.key.public][1]
    revoke(base, drone)
    grant = issue_grant(base.root_keys[0], drone.key.public, (Role.EXECUTOR,), base.read_moment().wall_ms + 1)
    effects = turn(base, e.ContactOpened(9, drone.key.public, (grant.raw,), "lan", "drone", False))
    assert [type(message) for message in said(effects)] == [m.Revocations]
    size = sum(len(data) for effect in effects if isinstance(effect, Send) for data in effect.messages)
    assert [effect.reason for effect in turn(base, e.Drained(9, size)) if isinstance(effect, Close)] == ["grant withdrawn"]
    assert turn(base, e.Heard(9, m.Hello("drone", 0, 0, b"d" * 32, 0), (), 0, 1)) == []
    with pytest.raises(PeerError, match="withdrawn"):
        base.node.parts.adverts.keep(advert, 0, base.read_moment(), b"")


@pytest.mark.parametrize("name", ["nap", "yawn"])
def test_one_kind_of_work_is_withdrawn_by_its_intent_or_its_step_and_the_device_stays_a_member(name: str) -> None:
    """Behaviour: 11.4: known and not known; what is not of that kind runs on and is not flagged."""
    doings = Doings()
    world, _ = make_world("base", DevicePlan("drone", has=("camera",)), doings=doings)
    base, drone = world.device("base"), world.device("drone")
    answer = base.ask(c.Revoke(drone.key.public.hex(), operations=[name]))
    assert (answer["what"], answer["operations"], len(answer["revocations"])) == ("withdrawn", [name], 1)
    assert base.ask(c.Revoke(drone.key.public.hex(), operations=[name]))["revocations"] == [], "said already"
    drone.submit("nap", {"seconds": 60}, name="before")
    world.run(minutes=2)
    assert drone.show("before")["end"] == "completed"
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert in_contact(base, drone), "it stays a member"
    drone.submit("nap", {"seconds": 60}, name="after")
    drone.submit("greet", name="other")
    world.run(minutes=2)
    assert drone.show("other")["end"] == "completed" and drone.show("other")["acted_before_revocation_known"] == []
    assert "grant withdrawn for this work" in drone.show("after")["reason"]
    assert "yawn" in [row["body"]["path"].rpartition("/")[2].split(":")[0] for row in rows(drone, "before", "executed")]
    assert base.show("before")["acted_before_revocation_known"]


def test_a_compromised_device_cannot_be_so_for_one_kind_of_work() -> None:
    world, _ = make_world("base", "drone")
    with pytest.raises(UsageError, match="as a whole"):
        world.device("base").ask(
            c.Revoke(world.device("drone").key.public.hex(), from_sequence=1, operations=["greet"])
        )

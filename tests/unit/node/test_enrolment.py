"""Invitations in the node: how often, how long, and for whom they hold."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import INVITATIONS_MAX
from edge_runtime.base.moment import Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.effects import Answer
from edge_runtime.objects.grants import MembershipFile, verify_grant
from edge_runtime.objects.invitations import read_code, spell_secret
from edge_runtime.testing import Device, DevicePlan, World

KEY = b"k" * 32
NEW, OTHER = b"n" * 32, b"o" * 32


@pytest.fixture
def world() -> World:
    return World("base", "camera")


def post(world: World, device: Device, event: e.Event) -> Any:
    """Give the node an event and return what it answers, or raise its refusal."""
    answers: list[Answer] = []

    def watch(of: Device, events: object, turn: Any) -> None:
        answers.extend(effect for effect in turn.effects if isinstance(effect, Answer) and effect.ticket == -7)

    world.watchers.append(watch)
    device.inbox.append(event)
    world.run(ms=1)
    world.watchers.remove(watch)
    (answer,) = answers
    if answer.error is not None:
        raise answer.error
    return answer.value


def invite(world: World, **fields: Any) -> Any:
    return post(world, world.device("base"), e.Inviting(-7, c.Enroll(**fields), spell_secret(b"chance 12"), KEY))


def admit(world: World, device: bytes, number: int = 0, key: bytes = KEY) -> Any:
    return post(world, world.device("base"), e.Enrolling(-7, number, key, device))


def test_who_knows_the_code_gets_the_grant_that_the_operator_meant(world: World) -> None:
    made = invite(world, roles=["relay", "executor"])
    assert read_code(made["code"]).number == made["number"] == 0
    file = MembershipFile.from_bytes(bytes.fromhex(admit(world, NEW)["file"]))
    grant = verify_grant(file.grants[0])
    assert grant.body.audience == NEW and [role.value for role in grant.roles] == ["executor", "relay"]
    assert file.root.hex() == made["fleet"]


def test_an_invitation_holds_for_so_many_devices_and_the_same_one_may_ask_again(world: World) -> None:
    """The answer may be lost after the commit: asking again uses nothing up and gives the same grant."""
    invite(world)
    first = admit(world, NEW)
    assert admit(world, NEW) == first
    with pytest.raises(UsageError, match="used up") as refusal:
        admit(world, OTHER)
    assert refusal.value.exit is Exit.REFUSED
    (row,) = world.device("base").ask(c.Invitations())
    assert row["uses_left"] == 0 and row["devices"] == [NEW.hex()]
    assert "code" not in row and KEY.hex() not in str(row)


def test_a_used_invitation_is_used_up_after_a_restart_too(world: World) -> None:
    invite(world, uses=2)
    first = admit(world, NEW)
    world.crash("base", power_cut=True)
    assert admit(world, NEW) == first
    admit(world, OTHER)
    with pytest.raises(UsageError, match="used up"):
        admit(world, b"t" * 32)


def test_an_invitation_ends_by_the_devices_own_clock_whatever_the_wall_says(world: World) -> None:
    invite(world, expires_ms=HOUR_MS)
    world.run(minutes=59)
    admit(world, NEW)
    world.run(minutes=2)
    for device in (NEW, OTHER):
        with pytest.raises(UsageError, match="has ended"):
            admit(world, device)
    assert world.device("base").ask(c.Invitations()) == []
    assert world.device("base").node.membership().invitations == ()


def test_a_withdrawn_invitation_lets_nobody_in_and_its_number_is_free(world: World) -> None:
    invite(world)
    base = world.device("base")
    assert base.ask(c.Uninvite(0)) == {"ok": True, "number": 0}
    with pytest.raises(UsageError, match="has ended"):
        admit(world, NEW)
    with pytest.raises(UsageError, match="No invitation 0"):
        base.ask(c.Uninvite(0))
    assert invite(world)["number"] == 0


def test_an_old_code_does_not_open_the_next_invitation_of_its_number(world: World) -> None:
    invite(world)
    with pytest.raises(UsageError, match="has ended"):
        admit(world, NEW, key=b"x" * 32)


def test_one_more_than_can_be_open_is_refused_with_what_to_do(world: World) -> None:
    for number in range(INVITATIONS_MAX):
        assert invite(world)["number"] == number
    with pytest.raises(UsageError, match="--withdraw"):
        invite(world)


def test_who_holds_no_root_key_invites_nobody(world: World) -> None:
    with pytest.raises(UsageError, match="fleet create"):
        post(world, world.device("camera"), e.Inviting(-7, c.Enroll(), spell_secret(bytes(9)), KEY))


def test_a_revoked_key_is_not_let_in_again(world: World) -> None:
    base, camera = world.device("base"), world.device("camera")
    invite(world)
    base.ask(c.Revoke(camera.key.public.hex()))
    with pytest.raises(UsageError, match="new key"):
        admit(world, camera.key.public)


def test_a_role_that_is_none_is_named(world: World) -> None:
    with pytest.raises(UsageError, match="'pilot'"):
        invite(world, roles=["pilot"])


def test_an_operator_without_the_root_key_is_told_where_it_is_to_be_had() -> None:
    """The role alone signs no grant."""
    world = World("base", DevicePlan("deputy", roles=("executor", "operator")))
    with pytest.raises(UsageError, match="fleet restore FILE") as refusal:
        post(world, world.device("deputy"), e.Inviting(-7, c.Enroll(), spell_secret(bytes(9)), KEY))
    assert refusal.value.exit is Exit.REFUSED
    assert world.device("deputy").node.membership().invitations == ()


def be_off(world: World, hours: int, then: Trust) -> None:
    """Cut the power for so long; the clock of the next boot is trusted so far."""
    base = world.device("base")
    world.crash("base", power_cut=True, restart=False)
    base.trust, base.wall_shift_ms = then, 0 if then is Trust.NTP else -DAY_MS
    world.run(hours=hours)
    world.restart("base")
    world.run(seconds=1)


def test_an_invitation_ends_while_the_power_is_off_where_a_trusted_clock_says_how_long(world: World) -> None:
    """Behaviour: 16.3."""
    invite(world, expires_ms=2 * HOUR_MS)
    world.run(hours=1)
    be_off(world, 2, Trust.NTP)
    with pytest.raises(UsageError, match="has ended"):
        admit(world, NEW)


def test_an_invitation_ends_when_a_clock_says_late_how_long_the_power_was_off_and_a_younger_one_stays(
    world: World,
) -> None:
    """Behaviour: 16.3: until the time server is reached an hour off counts for nothing; then it counts at once."""
    invite(world, expires_ms=2 * HOUR_MS)
    world.run(hours=1)
    be_off(world, 3, Trust.NONE)
    assert admit(world, NEW)
    younger = post(world, world.device("base"), e.Inviting(-7, c.Enroll(), spell_secret(bytes(9)), b"y" * 32))
    world.set_clock("base", trust=Trust.NTP)
    world.run(seconds=1)
    with pytest.raises(UsageError, match="has ended"):
        admit(world, NEW)
    assert admit(world, OTHER, younger["number"], b"y" * 32)
    (row,) = world.device("base").ask(c.Invitations())
    assert row["number"] == younger["number"]


def test_a_used_up_invitation_does_not_come_back_with_an_older_card(world: World) -> None:
    """Behaviour: 12.5: in quarantine nobody is let in nor invited, and what the older card held open is ended."""
    base = world.device("base")
    invite(world)
    world.run(seconds=1)
    card = world.copy_card("base")
    admit(world, NEW)
    world.insert_card("base", card)
    with pytest.raises(UsageError, match="older card") as refusal:
        admit(world, OTHER)
    assert refusal.value.exit is Exit.REFUSED
    with pytest.raises(UsageError, match="in quarantine"):
        invite(world)
    world.link("base", "camera", up=True)
    world.run(minutes=1)
    assert base.ask(c.Status())["quarantine"] is None
    with pytest.raises(UsageError, match="has ended"):
        admit(world, OTHER)
    assert base.node.membership().invitations == () and invite(world)["number"] == 0

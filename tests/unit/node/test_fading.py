"""In contact, fading, not in contact: a peer is never called dead, and never blamed for having nothing to say."""

from __future__ import annotations

from edge_runtime.judge.accrual import GAPS_MIN
from edge_runtime.node import commands as c
from edge_runtime.node.fading import Presence, Pulse
from edge_runtime.testing import Device, World
from tests.support.world_app import Doings, make_app


def beating(gap_ms: int = 1_000) -> Pulse:
    """Return the pulse of a peer that took what it was sent at regular times."""
    pulse = Pulse()
    for number in range(2 * GAPS_MIN):
        pulse.owe(number * gap_ms)
        pulse.sign((number + 1) * gap_ms, is_more_owed=False)
    return pulse


def test_a_silence_while_something_is_owed_is_fading_by_the_contacts_own_gaps() -> None:
    """Golden vector G11, in use."""
    pulse = beating()
    pulse.owe(100_000)
    assert pulse.presence(101_300) is Presence.IN_CONTACT
    assert pulse.presence(101_310) is Presence.FADING
    pulse.sign(105_000, is_more_owed=True)
    assert pulse.presence(105_000) is Presence.IN_CONTACT


def test_a_peer_that_owes_nothing_may_be_silent_for_ever() -> None:
    pulse = beating()
    assert pulse.presence(10**12) is Presence.IN_CONTACT
    assert Pulse().presence(10**12) is Presence.IN_CONTACT


def test_the_first_thing_sent_counts_not_the_newest() -> None:
    pulse = beating()
    pulse.owe(100_000)
    pulse.owe(101_300)
    assert pulse.presence(101_400) is Presence.FADING


def state_of(device: Device) -> str:
    (row,) = device.ask(c.Peers())
    state: str = row["state"]
    return state


def test_people_see_how_a_peer_stands_and_custody_goes_to_steady_ones_first() -> None:
    """Mind of 7: a peer is in contact, fading or not in contact."""
    world = World("base", "drone", apps=[make_app(Doings())])
    base = world.device("base")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    assert state_of(base) == "in contact"
    assert base.node.contacts.steady() == (world.device("drone").key.public,)
    (contact,) = base.node.contacts.by_number.values()
    contact.pulse = beating()
    contact.pulse.owe(base.node.parts.timeline.life_ms)
    world.run(minutes=1)
    assert state_of(base) == "fading"
    assert base.node.contacts.steady() == () and len(base.node.contacts.devices()) == 1
    world.link("base", "drone", up=False)
    world.run(seconds=1)
    assert state_of(base) == "not in contact"

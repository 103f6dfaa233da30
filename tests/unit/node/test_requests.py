"""Requests that change the device."""

from __future__ import annotations

from edge_runtime.node import commands as c
from edge_runtime.node.effects import MembershipChanged
from edge_runtime.node.events import Asked
from edge_runtime.node.turns import run_turn
from edge_runtime.testing import World


def test_saying_radio_on_again_ends_no_contact() -> None:
    """Only a change makes the host begin its links anew; the switch survives a restart."""
    world = World("one")
    device = world.device("one")
    for on, changes in ((True, 0), (False, 1), (False, 0), (True, 1)):
        turn, _ = run_turn(device.node, [Asked(1, c.Radio(on))], lambda: device.node.parts.timeline.moment)
        assert sum(isinstance(effect, MembershipChanged) for effect in turn.effects) == changes
        assert device.node.membership().is_radio_on is on

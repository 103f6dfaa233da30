"""Requests that change the device."""

from __future__ import annotations

import pytest

from edge_runtime import UsageError
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


@pytest.mark.parametrize("arguments", ["ff", "1801"])
def test_arguments_in_cbor_that_are_no_value_are_refused(arguments: str) -> None:
    """Every other device would hold the object for void."""
    device = World("one").device("one")
    command = c.Submit("thing", None, anyway=True, arguments_cbor=arguments)
    with pytest.raises(UsageError, match="canonical CBOR"):
        device.ask(command)

"""Random worlds in which every device but the first has little room: all that must hold anywhere holds there, too."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from edge_runtime.base.units import KIB
from edge_runtime.node import events as e
from edge_runtime.node.effects import Note, Turn
from edge_runtime.testing import Device
from tests.support.small_spools import room_for
from tests.support.world_random import RandomWorld

SEEDS_DEFAULT = 6
TERMS = room_for(60 * KIB, ended_percent=2, carried_percent=2)


@pytest.mark.parametrize("seed", range(int(os.environ.get("EDGE_SEEDS", SEEDS_DEFAULT))))
def test_whatever_happens_a_small_spool_keeps_custody_and_all_objects_end(seed: int) -> None:
    """Behaviour: 14.7, and the rules of all random worlds."""
    random = RandomWorld(seed)
    for device in list(random.world.devices.values())[1:]:
        device.plan = replace(device.plan, store=TERMS)
        device.node.parts.eviction.replace(TERMS)
    went: list[str] = []

    def watch(device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        notes = [effect for effect in turn.effects if isinstance(effect, Note)]
        went.extend(note.fields["evicted"] for note in notes if "evicted" in note.fields)

    random.world.watchers.append(watch)
    random.play()
    random.finish()
    assert went or seed >= SEEDS_DEFAULT

"""Objects that delegate under random links, crashes, claims and cancellations. `EDGE_SEEDS` says how many seeds."""

from __future__ import annotations

import os

import pytest

from edge_runtime.node.delegating import family
from edge_runtime.objects.kinds import Kind
from edge_runtime.testing import Device
from tests.support.world_random import RandomWorld

SEEDS_DEFAULT = 8


def check_families(device: Device) -> None:
    """Check every family that a device holds."""
    parts = device.node.parts
    for (row,) in parts.store.run("SELECT row FROM objects").fetchall():
        live = parts.spool.find_row(row)
        assert live is not None
        content, shown = live.state.content, device.show(live.object.hex())
        for child in shown["children"]:
            assert child["is_held"], "healed: whoever holds a parent holds its children"
            assert device.show(child["object"])["parent"] is not None
        assert all(child["end"] for child in shown["children"]), "a month has passed: every child has ended"
        if content.origin is None:
            continue
        unnamed = parts.spool.find(content.origin.parent)
        parents = family(parts, content.origin.parent) or ([] if unnamed is None else [unnamed])
        assert parents, "no child is stored without its parent"
        claims = [
            record.kind for parent in parents for placed in parent.state.history.placed.values()
            for record in placed.entry.records if record.kind == Kind.CLAIMED
        ]  # fmt: skip
        assert len(family(parts, content.lineage)) == 1 or claims or len(parents) > 1, "a second set"
        if shown["parent"]["broken"]:
            assert claims and shown["parent"]["broken"] == "its parent does not name it", shown["parent"]


@pytest.mark.parametrize("seed", range(int(os.environ.get("EDGE_SEEDS", SEEDS_DEFAULT))))
def test_whatever_happens_a_parent_has_one_set_of_children_and_every_one_ends(seed: int) -> None:
    """Behaviour: 10.1, 10.6, 10.10, and the rules of all random worlds."""
    random = RandomWorld(seed, has_families=True)
    random.play()
    random.finish()
    for device in random.world.devices.values():
        check_families(device)
    made = random.world.device("base").store.run("SELECT count(*) FROM families").fetchone()[0]
    assert made >= 4 or seed >= SEEDS_DEFAULT, "one family at least in each of the first worlds"

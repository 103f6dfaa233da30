"""Snapshots for tests of the judge: everything has a plain value unless a test names another."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from edge_runtime.base.moment import Trust
from edge_runtime.judge.facts import Fact
from edge_runtime.judge.snapshot import Snapshot
from edge_runtime.objects.conditions import Scalar

PLAIN = Snapshot(
    facts={},
    life_ms=1_000_000,
    age_ms=60_000,
    wall_ms=0,
    trust=Trust.NONE,
    capabilities=(),
    met=frozenset(),
    known=frozenset(),
    signals=frozenset(),
    outcomes={},
    policy=bytes(16),
    ended={},
)


def snapshot(facts: dict[str, Scalar] | None = None, **changes: Any) -> Snapshot:
    """Return a snapshot with facts that were set just now and hold for a minute, and other changes."""
    life_ms = changes.get("life_ms", PLAIN.life_ms)
    found = {name: Fact(name, value, life_ms, "user", 60_000) for name, value in (facts or {}).items()}
    return replace(PLAIN, **{"facts": found, **changes})

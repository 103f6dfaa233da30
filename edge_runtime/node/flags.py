"""Flags on entries that a device wrote under a grant that had been withdrawn, which it or we did not know yet.

Such entries stay and count as data: whoever looks at them is told. Source: ours, behaviour 11.4.
"""

from __future__ import annotations

from typing import Any

from ..base.limits import FLAGS_SHOWN_MAX
from ..base.moment import Trust
from ..objects import bodies as b
from ..objects.entries import Entry
from ..objects.kinds import Kind
from ..objects.records import read_sealed
from .parts import Parts
from .spool import Live


def flag_of(parts: Parts, live: Live, entry: Entry) -> dict[str, Any] | None:
    """Return by what an entry is flagged: its author's grants were withdrawn before it was written, or maybe were.

    Returns:
        None for most; else ages of the object in ms: when the author acted, when the revocation was issued (None where
        clocks cannot tell: then the flag is no certain one), and when it became known here.
    """
    roots = live.state.history.created.roots
    found = parts.members.revocations.against(entry.author, roots, _work_in(live, entry))
    if found is None:
        return None
    body, known_age_ms = found[0].body, found[1] + live.age_offset_ms
    is_certain = body.trust > Trust.RESTORED and entry.trust > Trust.RESTORED
    if is_certain and entry.wall_ms <= body.issued_ms:
        return None
    if entry.author == parts.device and entry.age_ms >= known_age_ms:
        return None  # written in full knowledge: what it was refused
    return {
        "acted_age_ms": entry.age_ms, "known_age_ms": known_age_ms,
        "issued_age_ms": entry.age_ms - (entry.wall_ms - body.issued_ms) if is_certain else None,
        "is_certain": is_certain,
    }  # fmt: skip


def _work_in(live: Live, entry: Entry) -> tuple[str, ...]:
    """Return the steps that an entry says were done or begun, and the object's intent if there are any."""
    bodies = [read_sealed(record) for record in entry.records if record.kind in (Kind.EXECUTED, Kind.ATTEMPTED)]
    steps = {
        body.path.rpartition("/")[2].rpartition(":")[0]: None
        for body in bodies if isinstance(body, b.ExecutedSealed | b.AttemptedSealed)
    }  # fmt: skip
    return (*steps, live.state.content.intent) if steps else ()


def flags_of(parts: Parts, live: Live) -> list[dict[str, Any]]:
    """Return the flagged entries of an object in causal order, the first FLAGS_SHOWN_MAX."""
    if not parts.members.revocations.by_id:
        return []
    found: list[dict[str, Any]] = []
    for placed in live.state.history.placed.values():
        flag = flag_of(parts, live, placed.entry)
        if flag is not None and len(found) < FLAGS_SHOWN_MAX:
            found.append({"entry": placed.entry.id.hex(), "device": placed.entry.author.hex(), **flag})
    return found

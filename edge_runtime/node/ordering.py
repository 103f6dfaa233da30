"""What is sent first inside a contact that may end at any moment.

1. At once: hello with the time, revocations, denials, adverts; what went from here, and ends of it; refusals.
2. Receipts of custody: the entries of an object up to the newest acceptance or claim that the peer lacks, where they
   fit one message.
3. All other entries, of objects by (priority, deadline, size), of one object in causal order: a cut leaves a prefix.

Source: ours; custody signals go ahead of bundles as in RFC 5050 section 5.10.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..base.units import KIB
from ..objects.entries import Entry
from .spool import Live

# One message of entries: large enough to fill frames, small enough that a cut loses little.
BATCH_BYTES = 48 * KIB
BATCH_ENTRIES = 128
RECEIPT, REST = 0, 1

Rank = tuple[int, int, int, int]


def rank_of(live: Live, heads: Sequence[bytes], deadline_ms: int) -> Rank:
    """Return how soon an object is sent to a peer that has these heads of it: the least rank first.

    Args:
        deadline_ms: when the object is past its lifetime, on the life clock.

    Cost: for an object that was never handed over nothing, else the graph above the newest act of custody.
    """
    history = live.state.history
    act = history.view.act
    is_receipt = act != live.object and not history.is_behind(act, heads)
    return (RECEIPT if is_receipt else REST, history.created.priority, deadline_ms, history.bytes_size)


def batch_of(live: Live, rank: Rank, heads: Sequence[bytes]) -> tuple[list[Entry], Rank | None]:
    """Return the entries of the next message about an object, and the rank of what is left (None: nothing).

    The list is empty where a receipt does not fit one message: it waits for its turn with the rest.
    """
    rest = live.state.history.after(heads)
    if rank[0] == RECEIPT:
        act = live.state.history.view.act
        ids = [entry.id for entry in rest]
        part = _cut(rest[: ids.index(act) + 1 if act in ids else 0])
        if not part or part[-1].id != act:
            return [], (REST, *rank[1:])
        return part, (REST, *rank[1:]) if len(part) < len(rest) else None
    part = _cut(rest)
    return part, rank if len(part) < len(rest) else None


def _cut(entries: Sequence[Entry]) -> list[Entry]:
    """Return the first entries that fit one message; one at least."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (size + len(entry.raw) > BATCH_BYTES or len(batch) >= BATCH_ENTRIES):
            break
        batch.append(entry)
        size += len(entry.raw)
    return batch

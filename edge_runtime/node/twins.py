"""Two devices with one key, found by what they sign: an honest device writes on top of all that it wrote before.

Two entries of one author in one object of which neither is in the other's past are proof that the key has two writers.
Both are kept, and travel as any entry does; the author is *suspect*, nothing more: only an operator revokes. Source:
ours; a fork as proof of equivocation, after Kleppmann and Howard, "Byzantine Eventual Consistency" (2020).
"""

from __future__ import annotations

from ..base.limits import ENTRY_PARENTS_MAX, SUSPECTS_MAX
from ..objects.entries import Entry
from ..objects.history import History
from .contacts import NO_OBJECT
from .effects import Note, Stage
from .parts import Parts
from .spool import Live


def find_twin(history: History, entry: Entry) -> bytes | None:
    """Return an entry of the same author that is neither in an entry's past nor has it in its own; None if none is.

    One author's entries stand in a row if each has the one before it, by height, in its past: so each new entry is held
    against its two neighbours in that order, and none of several that came at once is missed.

    Cost: only where there are branches; one step per entry, and one per entry between the neighbours' heights. An
    author with more heads before it than an entry may name cannot name all of its own: nothing is said then.
    """
    if len(history.heads) < 2 or len(history.heads) > ENTRY_PARENTS_MAX:
        return None
    place = (history.placed[entry.id].height, entry.id)  # as it is here: what an entry says of its height may be a lie
    before: tuple[int, bytes] | None = None
    after: tuple[int, bytes] | None = None
    for other_id, placed in history.placed.items():
        if placed.entry.author != entry.author:
            continue
        other = (placed.height, other_id)
        if other < place:
            before = max(before or other, other)
        elif other > place:
            after = min(after or other, other)
    if before is not None and not _is_in_past(history, before[1], entry.id):
        return before[1]
    return after[1] if after is not None and not _is_in_past(history, entry.id, after[1]) else None


def _is_in_past(history: History, old: bytes, entry_id: bytes) -> bool:
    """Say whether an entry has another one in its past; what is not higher than that cannot lead to it."""
    placed, least = history.placed, history.placed[old].height
    seen, left = dict[bytes, None](), list(placed[entry_id].entry.parents)
    while left:
        item = left.pop()
        if item == old:
            return True
        if item not in seen and placed[item].height > least:
            seen[item] = None
            left.extend(placed[item].entry.parents)
    return False


class Twins:
    """Notes who is suspect, in the store."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def judge(self, live: Live, entry: Entry) -> None:
        """An entry was placed: if it and an earlier one prove two writers, note their key once."""
        other = find_twin(live.state.history, entry)
        if other is None:
            return
        store, author = self.parts.store, entry.author
        if store.run("SELECT count(*) FROM suspects").fetchone()[0] >= SUSPECTS_MAX:
            return
        found = store.run(
            "INSERT OR IGNORE INTO suspects VALUES (?, ?, ?, ?, ?)",
            (author, live.object, min(other, entry.id), max(other, entry.id), self.parts.timeline.life_ms),
        )
        if found.rowcount > 0:
            name = self.parts.adverts.name_of(author)
            fields = {"suspect": name, "two_writers": author.hex()[:16]}
            self.parts.effects.append(Note(Stage.VERIFIED, NO_OBJECT, fields, is_info=True))


def suspects(parts: Parts) -> dict[bytes, tuple[bytes, bytes, bytes]]:
    """Return device -> (object, entry, other entry) of the first proof against each."""
    rows = parts.store.run("SELECT device, object, one, other FROM suspects").fetchall()
    return {bytes(device): (bytes(live), bytes(one), bytes(other)) for device, live, one, other in rows}

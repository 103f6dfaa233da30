"""Finding out what two devices lack of each other: a digest of all heads, then heads per object.

This is the seam where range-based reconciliation takes over: `digest`, `heads_from` and `compare` are all that
contacts know of it. Cost now: one message if stores are equal, else one head (64 bytes) per object each way.

Source: ours; the additive digest is that of negentropy's fingerprint (sum modulo 2^256), over (object, heads).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..base.limits import HEADS_PER_MESSAGE_MAX, HEADS_TOLD_MAX
from ..objects.history import History
from ..objects.intents import hash256
from .messages import Head, Message
from .parts import Parts
from .room import offers_to
from .spool import DIGEST_MODULUS, Live

# Newest entries in which the authors are looked for: of an object with more, spacing alone finds what is common.
HAVES_LOOKED_AT = 1_000


class Reconciler:
    """Compares this spool with what a peer says of its own."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def digest(self, roots: Sequence[bytes]) -> tuple[bytes, int]:
        """Return a hash of the open objects' heads in these fleets, and how many they are. Cost: one row a fleet."""
        total, objects = 0, 0
        for root in roots:
            found = self.parts.store.run("SELECT sum, objects FROM digests WHERE root = ?", (root,)).fetchone()
            if found is not None:
                total = (total + int.from_bytes(found[0], "big")) % DIGEST_MODULUS
                objects += found[1]
        return hash256(b"digest" + total.to_bytes(32, "big")), objects

    def heads_from(
        self, cursor: tuple[int, int], roots: Sequence[bytes], device: bytes
    ) -> tuple[list[Head], tuple[int, int] | None]:
        """Return the next objects that a peer may hear of, most urgent class first, and where to go on.

        Args:
            cursor: (class, row) after which to begin; (-1, 0) at first.

        Returns:
            at most HEADS_PER_MESSAGE_MAX items; None as cursor after the last.
        """
        found = self.parts.store.run(
            "SELECT s.class, s.object, o.id, s.heads, s.root, s.is_open "
            "FROM shelf s JOIN objects o ON o.row = s.object WHERE (s.class, s.object) > (?, ?) "
            "ORDER BY s.class, s.object LIMIT ?",
            (*cursor, HEADS_PER_MESSAGE_MAX),
        ).fetchall()
        items = [
            Head(bytes(object_id), split_heads(bytes(heads)))
            for _, row, object_id, heads, root, is_open in found
            if bytes(root) in roots and (is_open or self.may_hold(row, device))
        ]
        end = (found[-1][0], found[-1][1]) if len(found) == HEADS_PER_MESSAGE_MAX else None
        return items, end

    def may_hold(self, row: int, device: bytes) -> bool:
        """Say whether an object with named holders may go to a device."""
        live = self.parts.spool.find_row(row)
        return live is not None and device in live.state.history.created.holders

    def compare(self, items: Sequence[Head]) -> tuple[list[Head], list[Message]]:
        """Return what to ask for, objects of which the peer has heads that are not here with the heads here, and the
        ends of objects that went from here and live on there."""
        wants: list[Head] = []
        ends: list[Message] = []
        tombstones = self.parts.eviction.tombstones
        for item in items:
            had = tombstones.find(item.object)
            if had is not None and had.is_gone:
                end = tombstones.ended(item.object)
                if end is not None and hash256(had.terminated) not in item.heads:
                    ends.append(end)
                tombstones.adopt(had, item.heads, is_gone_there=False)
                continue
            found = self.parts.store.run(
                "SELECT s.heads FROM objects o JOIN shelf s ON s.object = o.row WHERE o.id = ?", (item.object,)
            ).fetchone()
            if found is None:
                wants.append(Head(item.object, ()))
                continue
            own = split_heads(bytes(found[0]))
            if had is None and all(head in own for head in item.heads):
                continue
            live = self.parts.spool.find(item.object)
            if live is not None and any(head not in live.state.history for head in item.heads):
                wants.append(Head(item.object, haves(live.state.history, self.parts.device)))
        return wants, ends

    def note_gone(self, items: Sequence[Head], device: bytes) -> list[Live]:
        """Take note of what a peer let go; return what it gets all the same, for custody of it is offered to it.

        Of what went from here, too, both name the same heads from now on.
        """
        tombstones, offered = self.parts.eviction.tombstones, list[Live]()
        for item in items:
            had = tombstones.find(item.object)
            live = self.parts.spool.find(item.object) if had is None else None
            if had is not None and had.is_gone:
                tombstones.adopt(had, item.heads, is_gone_there=True)
            if live is not None and live.state.history.view.is_frozen:
                history = live.state.history
                if offers_to(device, (history.placed[history.view.tip].entry,)):
                    offered.append(live)
        return offered


def haves(history: History, device: bytes) -> tuple[bytes, ...]:
    """Return entries by which a peer finds out what is here: the heads, and where it may not know those, older ones.

    A peer sends what is not behind entries that it knows. Of two devices that both wrote since they met neither knows
    the other's heads: so the newest entry of each author is named, and entries 1, 2, 4, 8 … before the last one.

    Returns:
        at most HEADS_TOLD_MAX ids; the heads alone where one other device wrote the only head.

    Source: ours; the spacing is that of git's negotiation ("skipping" algorithm).
    """
    heads = history.heads[:HEADS_TOLD_MAX]
    if len(heads) == 1 and history.placed[heads[0]].entry.author != device:
        return tuple(heads)
    found = dict.fromkeys(heads)
    order = list(history.placed)
    newest: dict[bytes, bytes] = {}
    for entry_id in reversed(order[-HAVES_LOOKED_AT:]):
        newest.setdefault(history.placed[entry_id].entry.author, entry_id)
    found.update(dict.fromkeys(newest.values()))
    back = 1
    while back < len(order):
        found[order[-1 - back]] = None
        back *= 2
    return tuple(found)[:HEADS_TOLD_MAX]


def split_heads(data: bytes) -> tuple[bytes, ...]:
    """Return the heads that a shelf row holds, ascending; the first ones where there are very many."""
    return tuple(data[at : at + 32] for at in range(0, min(len(data), HEADS_TOLD_MAX * 32), 32))

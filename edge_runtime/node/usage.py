"""How many bytes of entries are kept for whom: sums that are brought up to date with each row, never counted anew.

What this device made or turns costs no sum: it is all bytes less those of the others, so a step of an own object writes
no row here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from .store import Store


class Kind(IntEnum):
    """What bytes are kept for. An object that others made and that has ended counts under two of them."""

    CARRIED = 1  # made elsewhere and not turned here; `origin` is who made it
    ENDED = 2  # has ended, whoever made it
    TOMBSTONE = 3  # what is left of objects that went


Bucket = tuple[Kind, bytes]


class Usage:
    """The derived table `usage`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def move(self, had: Sequence[Bucket], had_bytes: int, has: Sequence[Bucket], has_bytes: int) -> None:
        """Count one object under other buckets, or with other bytes, than before; empty: not here."""
        if (tuple(had), had_bytes) == (tuple(has), has_bytes):
            return
        for kind, origin in had:
            self._add(kind, origin, -1, -had_bytes)
        for kind, origin in has:
            self._add(kind, origin, 1, has_bytes)

    def _add(self, kind: Kind, origin: bytes, objects: int, size: int) -> None:
        self.store.run(
            "INSERT INTO usage VALUES (?, ?, ?, ?) ON CONFLICT (kind, origin) DO UPDATE SET "
            "objects = objects + excluded.objects, bytes = bytes + excluded.bytes",
            (int(kind), origin, objects, size),
        )
        if objects < 0:
            self.store.run("DELETE FROM usage WHERE kind = ? AND origin = ? AND objects = 0", (int(kind), origin))

    def bytes_of(self, kind: Kind) -> int:
        """Return the bytes kept under a kind, for all origins."""
        found = self.store.run("SELECT coalesce(sum(bytes), 0) FROM usage WHERE kind = ?", (int(kind),)).fetchone()
        return int(found[0])

    def origins(self, most: int) -> list[tuple[bytes, int, int]]:
        """Return (device, objects, bytes) of those for whom something is carried, the most bytes first."""
        found = self.store.run(
            "SELECT origin, objects, bytes FROM usage WHERE kind = ? ORDER BY bytes DESC, origin LIMIT ?",
            (int(Kind.CARRIED), most),
        ).fetchall()
        return [(bytes(origin), objects, size) for origin, objects, size in found]

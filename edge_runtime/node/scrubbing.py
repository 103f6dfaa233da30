"""Reading stored entries again while nothing else is to be done, so that damage is found while peers still hold a copy.

A card loses bytes of what nobody reads for months. Once in `SCRUB_EVERY_MS` of the device's life all entries of all
objects are read, object by object, and hashed: a slice of `SCRUB_SLICE_BYTES` at a turn that a timer began, in which
nothing was due and nothing was written. What is damaged is set aside as if it had been asked for (`quarantine`).

    at rest --an event, SCRUB_EVERY_MS after the last pass--> waiting --SCRUB_IDLE_MS--> a slice every SCRUB_PERIOD_MS
    a slice --the last object was read--> at rest

No timer stands at rest, so a device to which nothing happens does nothing. A pass that a power-off interrupts goes on
where it was written down last, which is once in `SCRUB_SAVE_SLICES`: reading is free, writing is not.

Source: the scrub of ZFS (zpool-scrub(8)), of what is ours to check: entries carry their hash. Rejected: SQLite's
`quick_check`, which has no slices, sees no flipped bit in a blob, and names pages, not objects.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from ..base.limits import SCRUB_EVERY_MS, SCRUB_IDLE_MS, SCRUB_PERIOD_MS, SCRUB_SAVE_SLICES, SCRUB_SLICE_BYTES
from ..objects.intents import hash256
from .effects import Note, Stage
from .parts import Parts
from .schema import ENTRY_BITS
from .store import Quarantined, is_damage

# In `meta`: when on the life clock the last pass ended, and the row of `entries` up to which an unfinished one came.
ENDED, REACHED = "scrub_ended_ms", "scrub_reached"


class Scrub:
    """The look at what is stored: `look` once an event, at its end."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.problem = ""  # what kept the last pass from its end, for people
        self._slice_ms: int | None = None  # when on the life clock the next slice is due; None at rest
        self._not_before_ms = 0  # a pass that met with a problem is not begun again at once
        self._at: int = parts.store.get_meta(REACHED, 0)
        self._unsaved = 0  # slices since that was written down

    def next_ms(self) -> int | None:
        """Return when on the life clock a slice is due; None at rest."""
        return self._slice_ms

    def look(self, is_quiet: bool) -> list[Note]:
        """Read a slice if one is due; return notes.

        Args:
            is_quiet: a timer began this event, nothing more is due and nothing was written.

        Raises:
            Quarantined: an object is damaged; the turn is run again without it.
            sqlite3.DatabaseError: pages that are not one object's are; the pass is over, and `problem` says so.
        """
        life_ms = self.parts.timeline.life_ms
        if self._slice_ms is None:
            if life_ms >= max(self._ended_ms() + SCRUB_EVERY_MS, self._not_before_ms):
                self._slice_ms = life_ms + SCRUB_IDLE_MS
            return []
        if life_ms < self._slice_ms or not is_quiet:
            return []
        try:
            is_over = self._read_slice()
        except sqlite3.DatabaseError as error:
            if is_damage(error):  # told once: the turn fails and is run again, and then nothing reads there
                self.problem = f"pages that several objects need cannot be read: {error}"
                self._not_before_ms = life_ms + SCRUB_EVERY_MS
                self._rest()
            raise
        return self._end(life_ms) if is_over else self._pause(life_ms)

    def postpone(self) -> None:
        """Something was written: the next slice is at least a period away."""
        if self._slice_ms is not None:
            self._slice_ms = max(self._slice_ms, self.parts.timeline.life_ms + SCRUB_PERIOD_MS)

    def report(self) -> dict[str, Any]:
        """Return what `status` says of it: how long ago the last pass ended (ms; None: never), whether one is due."""
        ended_ms = self._ended_ms()
        return {
            "checked_ms_ago": self.parts.timeline.life_ms - ended_ms if ended_ms else None,
            "is_under_way": self._slice_ms is not None, "problem": self.problem or None,
        }  # fmt: skip

    def _ended_ms(self) -> int:
        return int(self.parts.store.get_meta(ENDED, 0))

    def _rest(self) -> None:
        self._slice_ms, self._at, self._unsaved = None, 0, 0

    def _end(self, life_ms: int) -> list[Note]:
        self._rest()
        self.problem = ""
        self.parts.store.set_meta(REACHED, 0)
        self.parts.store.set_meta(ENDED, life_ms)
        return [Note(Stage.VERIFIED, b"", {"checked": "all that is stored"})]

    def _pause(self, life_ms: int) -> list[Note]:
        self._slice_ms = life_ms + SCRUB_PERIOD_MS
        self._unsaved += 1
        if self._unsaved >= SCRUB_SAVE_SLICES:
            self._unsaved = 0
            self.parts.store.set_meta(REACHED, self._at)
        return []

    def _read_slice(self) -> bool:
        """Read and hash what comes next, so many bytes at most; return whether there is nothing more."""
        left, run = SCRUB_SLICE_BYTES, self.parts.store.run
        while True:
            row = run("SELECT min(row) FROM objects WHERE row >= ?", (self._at >> ENTRY_BITS,)).fetchone()[0]
            if row is None:
                return True
            self._at = max(self._at, row << ENTRY_BITS)
            for at, entry_id, raw in self._rest_of(row):
                if hash256(raw) != entry_id:
                    raise Quarantined(row, f"entry {at & ((1 << ENTRY_BITS) - 1)} does not have its hash")
                self._at = at + 1
                left -= len(raw)
                if left <= 0:
                    return False
            self._at = (row + 1) << ENTRY_BITS
            left -= SCRUB_SLICE_BYTES >> 10  # finding an object is not free either

    def _rest_of(self, row: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield (row in `entries`, id, bytes) of an object from where the pass is.

        Raises:
            Quarantined: a page of them cannot be read.
        """
        sql = "SELECT at, id, raw FROM entries WHERE at >= ? AND at < ? ORDER BY at"
        try:
            for at, entry_id, raw in self.parts.store.run(sql, (self._at, (row + 1) << ENTRY_BITS)):
                yield at, bytes(entry_id), bytes(raw)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            raise Quarantined(row, f"entries cannot be read: {error}") from None

"""Objects whose stored bytes are damaged: set aside one by one, brought again by peers, mended with what is left.

An object in quarantine is not in `objects`, so everything takes it for unknown, and the next peer that holds it is
asked for all of it. What could still be read here is kept apart and taken in with what comes: entries of this device
that no peer had. If this device was custodian it goes on under a new epoch, since nobody knows what the damaged page
held: what is irreversible and not in the history is `unknown`, and asked about.

After SQLite has met a damaged page it writes nothing more in that transaction. So a turn that meets one is rolled back
as a whole, what can be read is read outside of any transaction, the object is set aside in one of its own, and the turn
is run again (`turns.run_turn`).

Source: ours, behaviour 18.3. Rejected: mending in place, for rows on a damaged page can be neither deleted nor changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from ..base.errors import Exit, PeerError, UsageError
from ..base.foreign import contained
from ..base.limits import QUARANTINED_AT_START_MAX, QUARANTINED_SHOWN_MAX
from ..objects import bodies as b
from ..objects.entries import Entry, reopen, verify
from ..objects.intents import hash256
from ..objects.kinds import Kind
from ..objects.records import make
from .effects import Note, Stage
from .ordering import BATCH_ENTRIES
from .parts import Parts
from .schema import OF_ROW
from .spool import HEADS, NEXT_ROW, Live
from .store import Quarantined, Store, StoreFailed, is_damage

Made = TypeVar("Made")

WAITING = "quarantined: it is being fetched again"


class Quarantine:
    """The table `quarantined`."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def set_aside(self, row: int, reason: str, salvaged: Sequence[bytes]) -> Note:
        """Take an object out of all that is looked at, in a transaction in which nothing of it was read."""
        parts, run = self.parts, self.parts.store.run
        object_id = bytes(run("SELECT id FROM objects WHERE row = ?", (row,)).fetchone()[0])
        shelf = run("SELECT * FROM shelf WHERE object = ?", (row,)).fetchone()
        heads, name = b"", ""
        if shelf is not None:
            heads, name = bytes(shelf[HEADS]), shelf[3]
            if shelf[12]:  # is_open
                parts.spool.move_digest(bytes(shelf[11]), object_id, heads, None)
            parts.spool.usage.move(parts.spool.buckets(shelf), shelf[16], (), 0)
        put_aside(parts.store, Damaged(row, reason, tuple(salvaged)), object_id, name, heads, parts.timeline.life_ms)
        parts.spool.forget(object_id)
        parts.agenda.drop(row)
        return Note(Stage.VERIFIED, object_id, {"quarantined": reason[:200]}, is_info=True)

    def rows(self) -> list[dict[str, Any]]:
        """Return the objects in quarantine, for `status`; the first ones where there are many."""
        found = self.parts.store.run(
            "SELECT id, name, reason, since_ms FROM quarantined WHERE is_over = 0 ORDER BY row LIMIT ?",
            (QUARANTINED_SHOWN_MAX,),
        ).fetchall()
        life_ms = self.parts.timeline.life_ms
        return [
            {"object": bytes(row[0]).hex(), "name": row[1] or None, "reason": row[2], "since_ms_ago": life_ms - row[3]}
            for row in found
        ]

    def salvaged(self, object_id: bytes) -> list[Entry]:
        """Return what could be read of an object when it was set aside, in the order in which it came."""
        row = self._row_of(object_id)
        return [] if row is None else [reopen(raw) for _, _, raw in self.parts.store.entries_of(row)]

    def finish(self, live: Live, delivered: int) -> None:
        """After a delivery: if nothing more of it is to come, the object leaves quarantine and may go on.

        Args:
            delivered: entries that came at once; a full batch is followed by another.
        """
        row = self._row_of(live.object)
        if row is None:
            return
        history = live.state.history
        heads = self.parts.store.run("SELECT heads FROM quarantined WHERE row = ?", (row,)).fetchone()[0]
        known = [bytes(heads[at : at + 32]) for at in range(0, len(heads), 32)]
        is_whole = bool(known) and all(head in history for head in known)
        if not is_whole and delivered >= BATCH_ENTRIES:
            self.parts.spool.park(live, WAITING)
            return
        if live.parked == WAITING:
            self.parts.spool.park(live, "")
        self._clear(row)
        view = history.view
        if view.holder == self.parts.device and not view.is_frozen and not view.has_ended:
            live.made = [make(Kind.CLAIMED, b.ClaimedClear(view.number + 1, "stored bytes were damaged"))]
            self.parts.pen.write_turn(live, self.parts.spool.age_ms(live))
        fields = {"mended": "whole" if is_whole else "as far as peers held it"}
        self.parts.effects.append(Note(Stage.STORED, live.object, fields, is_info=True))

    def _clear(self, row: int) -> None:
        """Forget what was kept; the row stays, so that the damaged page's numbers are given to no other object."""
        self.parts.store.run(f"DELETE FROM entries WHERE {OF_ROW}", (row,))
        self.parts.store.run("UPDATE quarantined SET is_over = 1 WHERE row = ?", (row,))

    def _row_of(self, object_id: bytes) -> int | None:
        found = self.parts.store.run(
            "SELECT row FROM quarantined WHERE id = ? AND is_over = 0", (object_id,)
        ).fetchone()
        return None if found is None else int(found[0])


class Damaged(Struct, frozen=True):
    """An object's row, why it is set aside, and the entries of it that can be read."""

    row: int
    reason: str
    entries: tuple[bytes, ...]


def salvage(store: Store, row: int) -> tuple[bytes, ...]:
    """Return the entries of a damaged object that can be read and are what was signed; outside of any transaction."""
    found: dict[int, bytes] = {}
    for order in ("ASC", "DESC"):  # from both ends, each up to the damage
        with contained() as caught:
            for at, in store.run(f"SELECT at FROM entries WHERE {OF_ROW} ORDER BY at {order}", (row,)):
                found.setdefault(at, b"")
        if caught.error is not None and not is_damage(caught.error):
            raise caught.error
    for at in found:
        with contained() as caught:
            found[at] = verify(bytes(store.run("SELECT raw FROM entries WHERE at = ?", (at,)).fetchone()[0])).raw
        if caught.error is not None and not is_damage(caught.error) and not isinstance(caught.error, PeerError):
            raise caught.error
    return tuple(found[at] for at in sorted(found) if found[at])


def put_aside(store: Store, damaged: Damaged, object_id: bytes, name: str, heads: bytes, life_ms: int) -> None:
    """Write down that an object is in quarantine, with what can be read of it, and take it out of all other tables."""
    fresh = int(store.run(NEXT_ROW).fetchone()[0])
    store.run(
        "INSERT INTO quarantined VALUES (?, ?, ?, ?, ?, ?, 0)",
        (fresh, object_id, name, damaged.reason[:200], life_ms, heads),
    )
    for n, raw in enumerate(damaged.entries):
        store.put_entry(fresh, n, hash256(raw), raw)
    for table in ("releases", "happened", "polls", "shelf", "wakes", "families"):
        store.run(f"DELETE FROM {table} WHERE object = ?", (damaged.row,))
    store.run("DELETE FROM objects WHERE row = ?", (damaged.row,))


def open_mending(store: Store, make: Callable[[], Made]) -> Made:
    """Make a node over a store; objects found damaged while its derived tables are made anew are set aside.

    Raises:
        StoreFailed: the disk takes nothing, or pages that all objects need are damaged.
        UsageError: what is stored of this device's fleet is damaged.
    """
    for _ in range(QUARANTINED_AT_START_MAX):
        try:
            with store.transaction():
                return make()
        except PeerError as error:  # a grant or an advert, read at each start
            text = f"Stored bytes that all objects need are damaged ({error}). Move spool.db aside and start again."
            raise UsageError(text, Exit.FAILED) from None
        except Quarantined as error:
            damaged = Damaged(error.object_row, error.reason, salvage(store, error.object_row))
        with store.transaction():
            object_id = bytes(store.run("SELECT id FROM objects WHERE row = ?", (damaged.row,)).fetchone()[0])
            put_aside(store, damaged, object_id, "", b"", 0)
            store.clear_derived()
    raise StoreFailed(f"more than {QUARANTINED_AT_START_MAX} objects are damaged", sqlite3.SQLITE_CORRUPT)


def check_quarantine(parts: Parts, text: str) -> None:
    """Say of an object in quarantine that it is, by its name or an id of at least 4 hex digits.

    Raises:
        UsageError: it is (exit 1).
    """
    found = parts.store.run(
        "SELECT id, reason FROM quarantined WHERE is_over = 0 AND (name = ?1 OR "
        "(length(?1) >= 4 AND substr(lower(hex(id)), 1, length(?1)) = lower(?1))) LIMIT 1", (text,)
    ).fetchone() if text else None  # fmt: skip
    if found is not None:
        object_id = bytes(found[0]).hex()
        raise UsageError(
            f"The stored bytes of the object {object_id[:12]} are damaged ({found[1]}): it is in quarantine, and is "
            "fetched again from the next device that holds it.",
            Exit.FAILED, object=object_id,
        )  # fmt: skip

"""What is left of objects that went: the heads that were here, and the signed end of those that ended.

A tombstone stays in what devices compare, so what went is not fetched again. The signed `terminated` in it stops live
copies: whoever still holds one is told of it, and lets it be. Without that entry a tombstone says nothing to others but
that the object is not wanted here. It is kept until the object is past its lifetime by a wall clock that was set where
it was made and is set here; from then on whoever brings the object is refused by that. Where it was made without such a
clock, it is kept for good.

Source: ours; death certificates after Demers et al. 1987, "Epidemic algorithms for replicated database maintenance".
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ..base.errors import PeerError
from ..base.limits import EVICTIONS_PER_EVENT_MAX, INTEGER_MAX, TOMBSTONE_BYTES, TOMBSTONE_MARGIN_MS
from ..base.moment import Trust
from ..objects.bodies import CreatedClear, TerminatedClear, TerminatedSealed
from ..objects.entries import Entry, reopen
from ..objects.grants import may_append
from ..objects.kinds import Kind
from ..objects.records import read_clear, read_sealed
from .messages import Ended, Gone, Head
from .schema import ENTRY_BITS, OF_ROW
from .spool import Live, Spool
from .store import Store
from .usage import Kind as Use

GONE_PER_MESSAGE = 250
# Tables with rows of one object, besides `objects` and what its tombstone replaces.
OF_OBJECT = ("releases", "happened", "wakes", "families", "polls", "shelf")


class Tombstone(Struct, frozen=True):
    """One of them. `ended` is the number of the end, None where it went without one that is known here."""

    row: int
    object: bytes
    heads: bytes
    ended: int | None
    terminated: bytes
    why: str
    is_gone: bool


class Tombstones:
    """The table of them."""

    def __init__(self, store: Store, spool: Spool) -> None:
        self.store = store
        self.spool = spool

    def find(self, object_id: bytes) -> Tombstone | None:
        """Return what is left of an object; None if it never went, and no word of its end came ahead of it."""
        found = self.store.run(
            "SELECT row, id, heads, ended, terminated, why, is_gone FROM tombstones WHERE id = ?", (object_id,)
        ).fetchone()
        if found is None:
            return None
        row, known_id, heads, ended, terminated, why, is_gone = found
        return Tombstone(row, bytes(known_id), bytes(heads), ended, bytes(terminated), why, bool(is_gone))

    def staged_end(self, live: Live) -> TerminatedSealed | None:
        """Return the result with which an object ended elsewhere; None where no word of it is here, or readable."""
        found = self.find(live.object) if live.staged else None
        sealed = None if found is None else read_sealed(reopen(found.terminated).records[-1])
        return sealed if isinstance(sealed, TerminatedSealed) else None

    def find_name(self, name: str) -> Tombstone | None:
        """Return what is left of an object that this device made under a name."""
        found = self.store.run("SELECT id FROM tombstones WHERE name = ? AND is_gone = 1", (name,)).fetchone()
        return None if found is None or not name else self.find(bytes(found[0]))

    # --- Making -----------------------------------------------------------------------------------------------

    def bury(self, row: int, why: str) -> bytes:
        """Take an object out of the store and leave its tombstone; return its id. What it was told stays counted."""
        spool = self.spool
        object_id = bytes(self.store.run("SELECT id FROM objects WHERE row = ?", (row,)).fetchone()[0])
        shelf = self.store.run("SELECT * FROM shelf WHERE object = ?", (row,)).fetchone()
        name, ended, heads, origin = shelf[3], shelf[7], bytes(shelf[14]), bytes(shelf[17])
        created = self._created_of(row)
        terminated, staged = b"", self.find(object_id)
        if staged is not None:
            terminated = staged.terminated
        elif ended is not None:
            live = spool.find(object_id)
            assert live is not None
            terminated = live.state.history.placed[live.state.history.view.tip].entry.raw
        kept_name = name if origin == spool.members.device else ""
        until_wall_ms = created.wall_ms + created.lifetime_ms + TOMBSTONE_MARGIN_MS
        until_wall_ms = min(until_wall_ms, INTEGER_MAX)  # its maker may have said any time
        spool.usage.move(spool.buckets(shelf), shelf[16], (), 0)
        spool.forget(object_id)
        for table in OF_OBJECT:
            self.store.run(f"DELETE FROM {table} WHERE {'row' if table == 'objects' else 'object'} = ?", (row,))
        self.store.run(f"DELETE FROM entries WHERE {OF_ROW}", (row,))
        self.store.run("DELETE FROM objects WHERE row = ?", (row,))
        self.store.run(
            "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
            (
                row, object_id, created.roots[0], b"".join(created.holders), heads, kept_name, ended, terminated, why,
                spool.timeline.life_ms, until_wall_ms if created.trust >= Trust.NTP else 0,
            ),
        )  # fmt: skip
        spool.usage.move((), 0, ((Use.TOMBSTONE, b""),), _size(heads, terminated))
        return object_id

    def _created_of(self, row: int) -> CreatedClear:
        raw = self.store.run("SELECT raw FROM entries WHERE at = ?", (row << ENTRY_BITS,)).fetchone()
        clear = read_clear(reopen(bytes(raw[0])).records[0])
        assert isinstance(clear, CreatedClear)
        return clear

    def lift(self, object_id: bytes) -> None:
        """Forget that an object went without an end: it may come again."""
        self.store.run("UPDATE tombstones SET name = '' WHERE id = ?", (object_id,))
        self._drop("id = ? AND is_gone = 1 AND terminated = x''", (object_id,))

    def prune(self) -> int:
        """Drop tombstones of objects that are refused by the wall time from now on, some at a time; return how many."""
        moment = self.spool.timeline.moment
        if moment.trust < Trust.NTP:
            return 0
        return self._drop(
            "row IN (SELECT row FROM tombstones WHERE until_wall_ms > 0 AND until_wall_ms < ? AND is_gone = 1 "
            f"ORDER BY until_wall_ms LIMIT {EVICTIONS_PER_EVENT_MAX})",
            (moment.wall_ms,),
        )

    def _drop(self, where: str, values: Sequence[object]) -> int:
        found = self.store.run(f"SELECT id, root, holders, heads, terminated FROM tombstones WHERE {where}", values)
        rows = [tuple(bytes(part) for part in row) for row in found.fetchall()]
        for object_id, root, holders, heads, terminated in rows:
            if not holders:
                self.spool.move_digest(root, object_id, heads, None)
            self.spool.usage.move(((Use.TOMBSTONE, b""),), _size(heads, terminated), (), 0)
            self.store.run("DELETE FROM tombstones WHERE id = ?", (object_id,))
        return len(rows)

    def rebuild(self) -> None:
        """Count all of them in the derived tables, which were emptied."""
        columns = "id, root, holders, heads, terminated"
        for row in self.store.run(f"SELECT {columns} FROM tombstones WHERE is_gone = 1 ORDER BY row").fetchall():
            object_id, root, holders, heads, terminated = (bytes(part) for part in row)
            if not holders:
                self.spool.move_digest(root, object_id, None, heads)
            self.spool.usage.move((), 0, ((Use.TOMBSTONE, b""),), _size(heads, terminated))

    # --- What peers say and are told ----------------------------------------------------------------------------

    def stage(self, live: Live, entry: Entry) -> bool:
        """Keep the signed end of an object whose history up to there is not here; say whether it counts.

        It does not where it could not rule: another device than the custodian signed it under the custodian's epoch,
        or the epoch is over.

        Raises:
            PeerError: it is no end of this object by a device that may write one.
        """
        history, members = live.state.history, self.spool.members
        if entry.object != live.object or entry.records[-1].kind != Kind.TERMINATED or entry.is_first:
            raise PeerError("tombstone", "no end of this object")
        roles = members.roles_of(entry.grant, entry.author, history.created.roots)
        if roles is None or not may_append(roles, Kind.TERMINATED):
            raise PeerError("tombstone", "its author may not end objects")
        void_from = members.revocations.void_from(history.created.roots)
        if entry.author in void_from and entry.sequence >= void_from[entry.author]:
            raise PeerError("tombstone", "its author is declared compromised")
        view = history.view
        may_rule = entry.epoch > view.epoch or (entry.epoch == view.epoch and entry.author == view.holder)
        if entry.id in history or live.staged or view.has_ended or not may_rule:
            return False
        clear = read_clear(entry.records[-1])
        assert isinstance(clear, TerminatedClear)
        self.store.run(
            "INSERT INTO tombstones VALUES (?, ?, ?, x'', x'', '', ?, ?, 'told ahead', 0, ?, 0)",
            (live.row, live.object, history.created.roots[0], clear.end, entry.raw, self.spool.timeline.life_ms),
        )
        live.staged = entry.id
        return True

    def adopt(self, had: Tombstone, heads: Sequence[bytes], is_gone_there: bool) -> None:
        """Take over the heads that a peer says it has, or had, of an object that went from here.

        So two devices that agree that nothing of it is to be sent compare as equal. Where it is gone on both sides
        the greater heads stand, on both.
        """
        told = b"".join(heads)
        if told == had.heads or (is_gone_there and told < had.heads):
            return
        found = self.store.run("SELECT root, holders FROM tombstones WHERE id = ?", (had.object,)).fetchone()
        if not found[1]:
            self.spool.move_digest(bytes(found[0]), had.object, had.heads, told)
        self.spool.usage.move(
            ((Use.TOMBSTONE, b""),), _size(had.heads, had.terminated),
            ((Use.TOMBSTONE, b""),), _size(told, had.terminated),
        )  # fmt: skip
        self.store.run("UPDATE tombstones SET heads = ? WHERE id = ?", (told, had.object))

    def gone_from(self, cursor: int, roots: Sequence[bytes], device: bytes) -> tuple[Gone | None, int | None]:
        """Return the next message of what went that a peer may know of, and where to go on (None: no more)."""
        found = self.store.run(
            "SELECT row, id, root, holders, heads FROM tombstones WHERE row > ? AND is_gone = 1 ORDER BY row LIMIT ?",
            (cursor, GONE_PER_MESSAGE),
        ).fetchall()
        items = [
            Head(bytes(object_id), split(bytes(heads)))
            for _, object_id, root, holders, heads in found
            if bytes(root) in roots and (not holders or device in split(bytes(holders)))
        ]
        return Gone(tuple(items)) if items else None, found[-1][0] if len(found) == GONE_PER_MESSAGE else None

    def ended(self, object_id: bytes) -> Ended | None:
        """Return the signed end of an object, to stop a live copy with; None if it is not known ahead of the rest."""
        found = self.find(object_id)
        if found is None or not found.terminated:
            return None
        grant = self.spool.members.grant_bytes(reopen(found.terminated).grant)
        return Ended(object_id, (grant,) if grant else (), found.terminated)


def split(data: bytes) -> tuple[bytes, ...]:
    """Return the 32-byte ids that stand one after the other."""
    return tuple(data[at : at + 32] for at in range(0, len(data), 32))


def _size(heads: bytes, terminated: bytes) -> int:
    return TOMBSTONE_BYTES + len(heads) + len(terminated)

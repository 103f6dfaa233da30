"""How much the spool may take, and what goes first when that is too much.

| the spool is | what goes | what is refused |
|---|---|---|
| within its limit less the reserve | what is past its retention, once an hour at most | nothing |
| beyond it | 1. past its lifetime, 2. ended and past its retention, 3. carried and least urgent | nothing |
| beyond it, and nothing more may go | nothing | what is new (`room`); what runs here goes on |

What ended, and what is carried, have shares of their own, too: beyond those the oldest and the least urgent go.

Never goes: what this device made or turns until it has ended; custody that was handed over and of which the new
custodian has not been heard since; a child that has ended while a parent here has not; a result that is still to be
told. Bytes are those of the store's pages in use, so that a decision depends on nothing but the store; what is refused
then is the rule of `room`, which a full disk comes under, too.

Source: ours; the order is that of RFC 9171's bundle deletion by lifetime, then by what is worth least to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from ..base.errors import Exit, UsageError
from ..base.limits import (
    CARRIED_PERCENT_DEFAULT, ENDED_KEPT_MS_DEFAULT, ENDED_PERCENT_DEFAULT, EVICTIONS_PER_EVENT_MAX, STORE_BYTES_DEFAULT,
    STORE_RESERVE_BYTES_MAX, STORE_RESERVE_PERCENT, SWEEP_MS, VACUUM_IDLE_MS, VACUUM_PAGES_KEPT,
    VACUUM_PAGES_MAX, VACUUM_PERIOD_MS,
)  # fmt: skip
from .agenda import Agenda
from .effects import Note, Stage, Teller
from .polls import Polls
from .spool import Spool
from .store import Store
from .tombstones import Tombstones
from .usage import Kind

class StoreTerms(Struct, frozen=True):
    """What the owner lets the spool take. `max_bytes` 0: nothing is bounded.

    Attributes:
        ended_kept_ms: how long an object is kept after its end. ended_percent: of the limit, for such objects.
        carried_percent: of the limit, for objects that others made and turn.
    """

    max_bytes: int = STORE_BYTES_DEFAULT
    ended_kept_ms: int = ENDED_KEPT_MS_DEFAULT
    ended_percent: int = ENDED_PERCENT_DEFAULT
    carried_percent: int = CARRIED_PERCENT_DEFAULT

    @property
    def reserve_bytes(self) -> int:
        """Held back for what runs here."""
        return min(self.max_bytes * STORE_RESERVE_PERCENT // 100, STORE_RESERVE_BYTES_MAX)


class Eviction:
    """Keeps the spool within its limit: `tend` once an event, and then tell `Room` what `why_full` says."""

    def __init__(self, store: Store, spool: Spool, agenda: Agenda, polls: Polls, terms: StoreTerms) -> None:
        self.store = store
        self.spool = spool
        self.agenda = agenda
        self.polls = polls
        self.terms = terms
        self.tombstones = Tombstones(store, spool)
        self._is_full = False
        self._has_more = False  # to let go than one event may
        self._is_pressed = True  # terms changed, or the process began: look without being asked
        self._next_sweep_ms = spool.timeline.life_ms
        self._next_vacuum_ms: int | None = None
        self.is_vacuumed = False  # since the last commit: the file gets smaller when the log is written back

    # --- Sizes ------------------------------------------------------------------------------------------------

    def _pages(self) -> tuple[int, int, int]:
        """Return (pages of the file, pages of it that are free, bytes of a page)."""
        return tuple(self.store.run(f"PRAGMA {name}").fetchone()[0]
                     for name in ("page_count", "freelist_count", "page_size"))  # fmt: skip

    def used_bytes(self) -> int:
        """Return the bytes of the pages in use. Cost: two numbers of the file's header."""
        pages, free, size = self._pages()
        return (pages - free) * size

    def _is_over(self) -> bool:
        # Nothing is let go beyond that: emptied further, a device would part with what is dearer than what comes next.
        limit = self.terms.max_bytes
        return bool(limit) and self.used_bytes() > limit - self.terms.reserve_bytes

    def _is_share_over(self, kind: Kind) -> bool:
        percent = {Kind.CARRIED: self.terms.carried_percent, Kind.ENDED: self.terms.ended_percent}[kind]
        return bool(self.terms.max_bytes) and self.spool.usage.bytes_of(kind) > self.terms.max_bytes * percent // 100

    def why_full(self) -> str:
        """Return why nothing new can be taken in, for people; empty while there is room, or something to let go."""
        if not self._is_full:
            return ""
        return (
            f"the spool takes {self.used_bytes()} of the {self.terms.max_bytes} bytes that [store] max_bytes lets it, "
            "and nothing in it may go (see `status`): wait for objects to end, `cancel` some, or let it take more"
        )

    def replace(self, terms: StoreTerms) -> None:
        """Keep to other terms from now on."""
        self.terms, self._is_pressed = terms, True

    def forget(self) -> None:
        """After a rollback: look anew what is to be done."""
        self._is_pressed = True

    def report(self) -> dict[str, int | None]:
        """Return what `status` says of the spool as a whole, in bytes."""
        limit, used = self.terms.max_bytes, self.used_bytes()
        pages, _, size = self._pages()
        return {
            "tombstones": self.spool.usage.bytes_of(Kind.TOMBSTONE), "blobs": 0,
            "ended": self.spool.usage.bytes_of(Kind.ENDED), "used": used, "limit": limit or None,
            "free": max(0, limit - used) if limit else None, "reserve": self.terms.reserve_bytes, "file": pages * size,
        }  # fmt: skip

    # --- Tending ----------------------------------------------------------------------------------------------

    def tend(self, has_grown: bool) -> list[Note]:
        """Let go what is to go now, at most EVICTIONS_PER_EVENT_MAX objects, and one slice of free pages; return notes.

        Args:
            has_grown: something was stored in this event.
        """
        life_ms, notes = self.spool.timeline.life_ms, list[Note]()
        is_sweep = life_ms >= self._next_sweep_ms
        if has_grown or self._is_pressed or self._has_more or is_sweep or self._is_full:
            is_more = self._let_go(is_sweep, notes)
            if self._is_pressed and self._pages()[1] > VACUUM_PAGES_KEPT:
                self._next_vacuum_ms = life_ms + VACUUM_IDLE_MS
            self._is_pressed = False
            if is_sweep and not is_more:
                is_more = self.tombstones.prune() == EVICTIONS_PER_EVENT_MAX
            if is_sweep and not is_more:
                self._next_sweep_ms = life_ms + SWEEP_MS
            self._has_more = is_more
            self._is_full = not is_more and self._is_over()
        self._vacuum(life_ms, bool(notes))
        return notes

    def _let_go(self, is_sweep: bool, notes: list[Note]) -> bool:
        """Bury what is to go; return whether there may be more of it than one event takes."""
        for why, rows, is_needed in (
            ("past its lifetime", self._expired, self._is_over),
            ("ended, past its retention", self._past_retention, lambda: is_sweep or self._is_over()),
            ("ended, beyond its share", self._ended, lambda: self._is_share_over(Kind.ENDED)),
            ("carried, beyond its share", self._carried, lambda: self._is_share_over(Kind.CARRIED)),
            ("carried, for room", self._carried, self._is_over),
        ):
            if not self._bury_while(is_needed, rows, why, notes):
                return True
        return False

    def _bury_while(
        self, is_needed: Callable[[], bool], rows: Callable[[], Iterator[int]], why: str, notes: list[Note]
    ) -> bool:
        """Bury some rows while it is needed; return False if this event has buried enough."""
        if not is_needed():
            return True
        chosen: list[int] = []
        for row in rows():
            if self._may_go(row):
                chosen.append(row)
            if len(chosen) == EVICTIONS_PER_EVENT_MAX:
                break
        for row in chosen:
            if len(notes) >= EVICTIONS_PER_EVENT_MAX:
                return False
            if not is_needed():
                return True
            self.agenda.drop(row)
            self.agenda.happenings.forget(row)
            object_id = self.tombstones.bury(row, why)
            self.polls.forget(object_id)
            notes.append(Note(Stage.STORED, object_id, {"evicted": why}, is_info=True))
        return len(chosen) < EVICTIONS_PER_EVENT_MAX or not is_needed()

    # --- What goes first --------------------------------------------------------------------------------------

    def _rows(self, where: str, order: str, **values: Any) -> Iterator[int]:
        fixed = {"now": self.spool.timeline.life_ms, "me": self.spool.members.device, "kept": self.terms.ended_kept_ms}
        found = self.store.run(
            f"SELECT object FROM shelf WHERE {where} AND pin_ms <= :now ORDER BY {order}", {**fixed, **values}
        )
        for (row,) in found:
            yield int(row)

    def _expired(self) -> Iterator[int]:
        return self._rows("over_ms <= :now AND ended IS NULL AND origin != :me", "over_ms, object")

    def _past_retention(self) -> Iterator[int]:
        return self._rows("over_ms <= :now - :kept", "over_ms, object")

    def _ended(self) -> Iterator[int]:
        return self._rows("over_ms <= :now AND ended IS NOT NULL", "over_ms, object")

    def _carried(self) -> Iterator[int]:
        """What would be sent last goes first: the reverse of (priority, deadline, size)."""
        return self._rows(
            "is_mine = 0 AND origin != :me", "class DESC, deadline_ms DESC, bytes DESC, object DESC"
        )

    def _may_go(self, row: int) -> bool:
        """Say whether nobody here still needs an object that is to go."""
        live = self.spool.find_row(row)
        if live is None or live.flights or live.made or row in self.agenda or self._is_to_be_told(row):
            return False
        origin = live.state.content.origin
        if origin is None:
            return True
        awaiting = self.store.run(
            "SELECT 1 FROM shelf WHERE ended IS NULL AND is_mine = 1 AND "
            "(object = (SELECT row FROM objects WHERE id = ?1) OR "
            "object IN (SELECT object FROM families WHERE lineage = ?1)) LIMIT 1", (origin.parent,)
        ).fetchone()  # fmt: skip
        return awaiting is None

    def _is_to_be_told(self, row: int) -> bool:
        """Say whether a bridge or the outbox has still to tell the result of an object; no table, nobody to tell it."""
        return any(
            self.store.run("SELECT 1 FROM sqlite_master WHERE name = ?", (to.value,)).fetchone()
            and self.store.run(f"SELECT 1 FROM {to.value} WHERE object = ? AND is_told = 0", (row,)).fetchone()
            for to in Teller
        )

    # --- Alarm and pages --------------------------------------------------------------------------------------

    def next_ms(self) -> int | None:
        """Return when on the life clock there is something to do; None for never.

        Not for the end of a retention: on a device to which nothing happens nothing needs the room, and nothing ticks.
        """
        return self.spool.timeline.life_ms if self._has_more or self._is_pressed else self._next_vacuum_ms

    def write_back(self) -> None:
        """After a commit: write the log back into the file if it got smaller, for only then it does on the disk."""
        if self.is_vacuumed and self._next_vacuum_ms is None:
            self.is_vacuumed = False
            self.store.run("PRAGMA wal_checkpoint(PASSIVE)")  # waits for no reader; the next one takes the rest along

    def _vacuum(self, life_ms: int, has_let_go: bool) -> None:
        """Give free pages back to the disk, a slice at a time, once nothing was buried for a while."""
        if has_let_go:
            self._next_vacuum_ms = life_ms + VACUUM_IDLE_MS
        if self._next_vacuum_ms is None or life_ms < self._next_vacuum_ms:
            return
        free = self._pages()[1] - VACUUM_PAGES_KEPT
        for _ in range(min(free, VACUUM_PAGES_MAX)):
            self.store.run("PRAGMA incremental_vacuum(1)")  # `sqlite3` steps once: one page, whatever is asked for
        self.is_vacuumed = self.is_vacuumed or free > 0
        self._next_vacuum_ms = life_ms + VACUUM_PERIOD_MS if free > VACUUM_PAGES_MAX else None


def check_name(eviction: Eviction, name: str) -> None:
    """Refuse a submission under a name whose object has ended and is not kept any more: nothing is done twice.

    Raises:
        UsageError: says what to do.
    """
    had = eviction.tombstones.find_name(name)
    if had is not None:
        raise UsageError(
            f"An object of the name {name!r} was made here before, has ended, and is not kept any more "
            f"({had.object.hex()[:12]}, {had.why}). Choose another name, so that nothing is done twice.",
            Exit.REFUSED, object=had.object.hex(),
        )  # fmt: skip

"""Appending: the one place where this device signs entries.

One turn, one entry, one signature; a turn beyond 64 records or 64 KiB makes several entries in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import ENTRY_BYTES_MAX, ENTRY_PARENTS_MAX, ENTRY_RECORDS_MAX, OBJECT_BYTES_MAX, OBJECT_ENTRIES_MAX
from ..base.units import KIB
from ..objects import bodies as b
from ..objects.entries import Draft, Entry, seal
from ..objects.grants import Role, may_append
from ..objects.kinds import Kind
from ..objects.records import Record, make, read_clear
from .membership import Members
from .spool import Live, Spool
from .timeline import Timeline

# Envelope of an entry with 16 parents: what the records of one entry may not use.
ENVELOPE_BYTES = 2 * KIB


class Pen:
    """Signs and stores what a turn made. `on_append` hears of every entry stored (gossip, followers, waits)."""

    def __init__(
        self, spool: Spool, members: Members, timeline: Timeline, boot: bytes, on_append: Callable[[Live, Entry], None]
    ) -> None:
        self.spool = spool
        self.members = members
        self.timeline = timeline
        self.boot = boot
        self.on_append = on_append

    def begin(self, clear: b.CreatedClear, sealed: b.CreatedSealed) -> Live:
        """Make and store an object's first entry; see `seal_first`."""
        return self.keep_first(*self.seal_first(clear, sealed))

    def seal_first(self, clear: b.CreatedClear, sealed: b.CreatedSealed) -> tuple[Entry, Sequence[Role]]:
        """Return an object's first entry, not stored yet, and the roles under which it was made.

        Raises:
            UsageError: this device's role in the fleet does not permit making objects.
        """
        found = self.members.grant_under(clear.roots)
        if found is None:
            raise UsageError("This device is declared compromised: it may not make objects.", Exit.REFUSED)
        grant, roles = found
        if not may_append(roles, Kind.CREATED):
            names = ", ".join(role.value for role in roles)
            raise UsageError(
                f"This device may not make objects: its role in the fleet is {names}. Submit on an executor or "
                "operator, or join with another role.",
                Exit.REFUSED,
            )
        record = make(Kind.CREATED, clear, sealed)
        return self._seal(None, (), grant, 0, 0, 0, True, (record,)), roles

    def keep_first(self, entry: Entry, roles: Sequence[Role]) -> Live:
        """Store a first entry of this device."""
        live = self.spool.create(entry, roles, 0, True)
        self.on_append(live, entry)
        return live

    def write_turn(self, live: Live, age_ms: int) -> int:
        """Append what this turn made as turns of the custodian; return how many entries."""
        records, live.made = live.made, []
        return sum(self._write(live, part, age_ms) for part in _split(records))

    def write_input(self, live: Live, record: Record) -> Entry:
        """Append one input.

        Raises:
            UsageError: this device's role in the object's fleet does not permit the kind.
        """
        age_ms = self.spool.age_ms(live)
        entry = self._draft(live, (record,), age_ms)
        placed = self.spool.append(live, entry, self._roles(live))
        if placed.void:
            # The caller's transaction is rolled back with this error: nothing was changed.
            raise UsageError(
                f"This device has no role in the object's fleet that lets it do that ({placed.void}). Do it on an "
                "operator's device: where `fleet create` was run, or one with `grant --roles operator`.",
                Exit.REFUSED,
            )
        self.on_append(live, entry)
        return entry

    def _write(self, live: Live, records: tuple[Record, ...], age_ms: int) -> int:
        entry = self._draft(live, records, age_ms)
        placed = self.spool.append(live, entry, self._roles(live))
        assert not placed.void, f"a turn of ours is void: {placed.void}"
        self.on_append(live, entry)
        return 1

    def _draft(self, live: Live, records: tuple[Record, ...], age_ms: int) -> Entry:
        history = live.state.history
        is_full = len(history) >= OBJECT_ENTRIES_MAX or history.bytes_size >= OBJECT_BYTES_MAX
        if is_full and records[-1].kind != Kind.TERMINATED:  # its lifetime ends it all the same
            raise PeerError("object", "the object is at its hard limit of entries or bytes")
        found = self.members.grant_under(history.created.roots)
        if found is None:
            raise UsageError("This device is in none of the object's fleets.", Exit.REFUSED)
        parents = _choose_parents(history.heads, history.view.tip)
        height = history.height_over(parents)
        epoch = history.view.epoch
        clear = read_clear(records[0]) if records[0].kind in (Kind.ACCEPTED, Kind.CLAIMED) else None
        if isinstance(clear, (b.AcceptedClear, b.ClaimedClear)):
            epoch = clear.epoch
        return self._seal(live.object, parents, found[0], height, epoch, age_ms, live.age_is_exact, records)

    def _seal(
        self, object_id: bytes | None, parents: tuple[bytes, ...], grant: bytes, height: int, epoch: int,
        age_ms: int, age_is_exact: bool, records: tuple[Record, ...],
    ) -> Entry:  # fmt: skip
        moment = self.timeline.moment
        draft = Draft(
            object_id, parents, grant, self.boot, self.members.take_sequence(), height, epoch, moment.wall_ms,
            moment.trust, age_ms, age_is_exact, records,
        )  # fmt: skip
        return seal(self.members.key, draft)

    def _roles(self, live: Live) -> Sequence[Role]:
        found = self.members.grant_under(live.state.history.created.roots)
        return () if found is None else found[1]


def _choose_parents(heads: Sequence[bytes], tip: bytes) -> tuple[bytes, ...]:
    """Return all heads, or as many as an entry may name; the ruling tip is in the past of one of them.

    With more heads than fit, the tip itself is named first: whatever else is left out is joined by a later entry.
    """
    if len(heads) <= ENTRY_PARENTS_MAX:
        return tuple(heads)
    others = [head for head in heads if head != tip][: ENTRY_PARENTS_MAX - 1]
    return (tip, *others)


def _split(records: Sequence[Record]) -> list[tuple[Record, ...]]:
    """Cut a turn's records into entries that are within their bounds, order kept."""
    parts: list[tuple[Record, ...]] = []
    part: list[Record] = []
    size = 0
    for record in records:
        cost = len(record.clear) + len(record.sealed or b"") + 16
        if part and (len(part) == ENTRY_RECORDS_MAX or size + cost > ENTRY_BYTES_MAX - ENVELOPE_BYTES):
            parts.append(tuple(part))
            part, size = [], 0
        part.append(record)
        size += cost
    if part:
        parts.append(tuple(part))
    return parts

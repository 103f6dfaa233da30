"""The objects of this device: loaded from the store when they are needed, kept in a cache bounded in bytes.

A `Live` object is history and state plus what only this process knows (the body, the steps in flight). Dropping one
loses nothing but time. The derived row of each object (`shelf`) is brought up to date by `put_away`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct, field

from ..base.errors import PeerError
from ..base.limits import INTEGER_MAX, STATE_CACHE_BYTES_MAX
from ..objects.bodies import ExecutedSealed
from ..objects.entries import Entry, reopen
from ..objects.fold import ObjectState
from ..objects.grants import Role
from ..objects.history import Placed, roots_of_first
from ..objects.intents import hash256
from ..objects.kinds import Kind
from ..objects.records import Record
from ..objects.triggers import Trigger
from ..program.driver import Body
from .keeping import kept_until_ms
from .membership import Members
from .store import Quarantined, Store
from .timeline import Timeline
from .usage import Bucket, Usage
from .usage import Kind as Use

# What a cached object costs: so much for each byte of its entries, and so much besides (measured on 1,000 sleepers).
MEMORY_PER_BYTE = 6
MEMORY_PER_OBJECT = 3_072
DIGEST_MODULUS = 1 << 256

# `objects.age_is_exact`: a lower bound, exact, or a lower bound until a gap is closed (`node/absence.py`).
BOUND, EXACT, OPEN = 0, 1, 2

# Columns of `shelf`. A row of which no indexed column changed is updated in place: no page of an index is written.
INDEXED = (3, 9, 10, 19)  # name, due_ms, class, over_ms
HEADS = 14
UPDATE_SHELF = (
    "UPDATE shelf SET status = ?, intent = ?, reason = ?, holder = ?, is_mine = ?, ended = ?, ended_ms = ?, root = ?, "
    "is_open = ?, deadline_ms = ?, heads = ?, entries = ?, bytes = ?, origin = ?, pin_ms = ? WHERE object = ?"
)
KEEPS_ROW = ("objects", "tombstones", "quarantined")
# No tombstone's and none in quarantine, so that what lies by row cannot pass to another object.
NEXT_ROW = f"SELECT 1 + max({', '.join(f'coalesce((SELECT max(row) FROM {table}), 0)' for table in KEEPS_ROW)})"


class Flight(Struct):
    """One try of a step that the host of this process is running; kept in the store until its outcome comes.

    `verdict` and `attempts_max` (0: none) are what policy said of it, `peer` is whom it was sent to, empty where the
    step names nobody. The size of its arguments and the kind of link die with the process, as the try does.
    """

    attempt: bytes
    try_number: int
    fingerprint: bytes
    effect: int
    released_ms: int
    verdict: str = ""
    attempts_max: int = 0
    peer: str = ""
    is_abandoned: bool = False
    bytes_size: int = 0
    link: str = ""


class Shelved(Struct, frozen=True):
    """What the store holds of an object's derived rows: its row in `shelf` (empty: none yet) and its topics."""

    row: tuple[Any, ...]
    topics: tuple[str, ...]


class Hints(Struct, frozen=True):
    """What wakes an object whose body is loaded: a trigger for its due time, and keys of the wake index."""

    trigger: Trigger | None
    keys: tuple[str, ...]


class Live(Struct):
    """One object in memory.

    Attributes:
        row: its row in the store. age_offset_ms: its age is the device's life time plus this.
        body: the running program, or None; flights: path -> step in flight.
        made: records of this turn, not yet appended. is_new: its first entry came in this turn.
        parked: why an operator must look at it, or empty.
        shelved: what stands in the derived tables; None where they must be asked.
        staged: id of its signed end, told ahead of the history up to there; it lets nothing new begin.
    """

    row: int
    state: ObjectState
    age_offset_ms: int
    age_is_exact: bool
    parked: str = ""
    body: Body | None = None
    flights: dict[str, Flight] = field(default_factory=dict)
    made: list[Record] = field(default_factory=list)
    born: list[tuple[Entry, Sequence[Role]]] = field(default_factory=list)  # first entries of children made with it
    reason: str = ""
    due_ms: int | None = None
    shelved: Shelved | None = None
    staged: bytes = b""
    marks: tuple[str, ...] = ()  # what happened to it, seen by the look that goes on
    has_more: bool = False  # the last look ended at its bound: it is looked at again
    hints: Hints | None = None  # what its body waits for, as the look left it; None: as the dormancy says

    @property
    def loops(self) -> int:
        """Turns in a row that changed nothing, an operator's `resume` not counted."""
        return 0 if self.state.is_resumed else self.state.content.loops

    @property
    def object(self) -> bytes:
        """The object's id."""
        return self.state.object

    def outcomes(self) -> dict[int, int]:
        """Return how many attempts ended in which way, those of this turn included: what waits for a count sees it."""
        found = self.state.content.outcomes
        made = [record.body for record in self.made if record.kind == Kind.EXECUTED]
        if made:
            found = dict(found)
            for body in made:
                if isinstance(body, ExecutedSealed):
                    found[body.outcome] = found.get(body.outcome, 0) + 1
        return found


class ShelfRow(Struct, frozen=True):
    """The derived row of one object."""

    status: str
    reason: str
    due_ms: int | None
    topics: tuple[str, ...]


class Spool:
    """Loads, keeps and appends to objects."""

    def __init__(self, store: Store, members: Members, timeline: Timeline) -> None:
        self.store = store
        self.members = members
        self.timeline = timeline
        self._cache: OrderedDict[bytes, Live] = OrderedDict()
        self._cache_bytes = 0
        self._digests: dict[bytes, tuple[int, int]] = {}
        self.usage = Usage(store)
        self.changed: dict[bytes, None] = {}  # objects written to in the event being handled: a rollback forgets them

    def age_ms(self, live: Live) -> int:
        """Return an object's age now, never below that of its newest ruling turn, and within what an entry can say."""
        return min(max(0, self.timeline.life_ms + live.age_offset_ms), INTEGER_MAX)

    def life_ms_of(self, live: Live, age_ms: int) -> int:
        """Return when on this device's clock an object reaches an age."""
        return age_ms - live.age_offset_ms

    def find(self, object_id: bytes) -> Live | None:
        """Return an object, from the cache or the store; None if it is not here.

        Raises:
            Quarantined: its bytes are not what was stored.
        """
        live = self._cache.get(object_id)
        if live is not None:
            self._cache.move_to_end(object_id)
            return live
        found = self.store.run(
            "SELECT row, age_offset_ms, age_is_exact, parked FROM objects WHERE id = ?", (object_id,)
        ).fetchone()
        if found is None:
            return None
        live = Live(found[0], self._load_state(found[0], object_id), found[1], found[2] == EXACT, found[3])
        staged = self.store.run("SELECT terminated FROM tombstones WHERE row = ?", (live.row,)).fetchone()
        live.staged = b"" if staged is None else hash256(bytes(staged[0]))
        for path, *fields in self.store.run(
            "SELECT path, attempt, try_number, fingerprint, effect, released_ms, verdict, attempts_max, peer "
            "FROM releases WHERE object = ?",
            (live.row,),
        ).fetchall():
            live.flights[path] = Flight(*fields)
        self._remember(live)
        return live

    def find_row(self, row: int) -> Live | None:
        """Return an object by its row."""
        found = self.store.run("SELECT id FROM objects WHERE row = ?", (row,)).fetchone()
        return None if found is None else self.find(bytes(found[0]))

    def _load_state(self, row: int, object_id: bytes) -> ObjectState:
        state: ObjectState | None = None
        for n, entry_id, raw in self.store.entries_of(row):
            if hash256(raw) != entry_id:
                raise Quarantined(row, f"entry {n} ({entry_id.hex()[:16]}) does not have its hash")
            try:
                entry = reopen(raw)
                roots = state.history.created.roots if state is not None else roots_of_first(entry)
                roles = self.members.roles_of(entry.grant, entry.author, roots) or ()
                if state is None:
                    state = ObjectState(entry, roles, self.members.revocations.void_from(roots))
                else:
                    state.add(entry, roles)
            except PeerError as error:
                raise Quarantined(row, f"entry {n} ({entry_id.hex()[:16]}): {error}") from None
        if state is None or state.object != object_id:
            raise Quarantined(row, "no first entry")
        return state

    def create(self, first: Entry, roles: Sequence[Role], age_ms: int, age_is_exact: bool) -> Live:
        """Store an object's first entry."""
        offset_ms = age_ms - self.timeline.life_ms
        row = int(self.store.run(NEXT_ROW).fetchone()[0])
        self.store.run(
            "INSERT INTO objects (row, id, age_offset_ms, age_is_exact, came_ms) VALUES (?, ?, ?, ?, ?)",
            (row, first.id, offset_ms, int(age_is_exact), self.timeline.life_ms),
        )
        self.store.put_entry(row, 0, first.id, first.raw)
        state = ObjectState(first, roles, self.members.revocations.void_from(roots_of_first(first)))
        live = Live(row, state, offset_ms, age_is_exact, shelved=Shelved((), ()))
        self.changed[live.object] = None
        self._remember(live)
        return live

    def append(self, live: Live, entry: Entry, roles: Sequence[Role]) -> Placed:
        """Store one more entry whose parents are here, and bring the state up to date."""
        n = len(live.state.history)
        self.changed[live.object] = None
        self.store.put_entry(live.row, n, entry.id, entry.raw)
        placed = live.state.add(entry, roles)
        if entry.id == live.staged:  # all up to it is here now
            self.store.run("DELETE FROM tombstones WHERE row = ?", (live.row,))
            live.staged = b""
        self._cache_bytes += len(entry.raw) * MEMORY_PER_BYTE
        # Only the custodian's turns say how old the object is: a void entry, or anybody's signal, that claims an age
        # beyond the lifetime would end the object.
        if not placed.void and not entry.is_input and entry.age_ms > self.age_ms(live):
            live.age_offset_ms = entry.age_ms - self.timeline.life_ms
            self.store.run("UPDATE objects SET age_offset_ms = ? WHERE row = ?", (live.age_offset_ms, live.row))
        return placed

    def park(self, live: Live, reason: str) -> None:
        """Set an object aside for the operator (empty reason: take it back)."""
        live.parked = reason
        self.store.run("UPDATE objects SET parked = ? WHERE row = ?", (reason, live.row))

    def put_away(self, live: Live, row: ShelfRow) -> None:
        """Bring the object's derived rows up to date."""
        state, history = live.state, live.state.history
        content, created, view = state.content, history.created, history.view
        end, ended_ms = self.end_of(live)
        is_over = ended_ms is not None or view.holder != self.members.device
        over_ms = None if not is_over else ended_ms or self.life_ms_of(live, created.lifetime_ms)
        heads = b"".join(sorted([*history.heads, live.staged] if live.staged else history.heads))
        live.reason, live.due_ms = row.reason, row.due_ms
        values: tuple[Any, ...] = (
            live.row, row.status, content.intent, content.name, row.reason, view.holder,
            int(view.holder == self.members.device), end, ended_ms, row.due_ms, created.priority,
            created.roots[0], int(not created.holders), self.life_ms_of(live, created.lifetime_ms),
            heads, len(history), history.bytes_size, history.placed[history.object].entry.author,
            kept_until_ms(self, live), over_ms,
        )  # fmt: skip
        had = live.shelved or self._read_shelved(live.row)
        if values != had.row:
            if not created.holders:
                self.move_digest(created.roots[0], live.object, had.row[HEADS] if had.row else None, heads)
            self.usage.move(self.buckets(had.row), had.row[16] if had.row else 0, self.buckets(values), values[16])
            if had.row and [had.row[at] for at in INDEXED] == [values[at] for at in INDEXED]:
                self.store.run(UPDATE_SHELF, (*values[1:3], *values[4:9], *values[11:19], live.row))
            else:
                self.store.run(f"INSERT OR REPLACE INTO shelf VALUES ({', '.join('?' * len(values))})", values)
        self._put_topics(live.row, had.topics, row.topics)
        live.shelved = Shelved(values, row.topics)

    def _read_shelved(self, row: int) -> Shelved:
        found = self.store.run("SELECT * FROM shelf WHERE object = ?", (row,)).fetchone()
        topics = self.store.run("SELECT topic FROM wakes WHERE object = ?", (row,)).fetchall()
        return Shelved(found or (), tuple(topic for (topic,) in topics))

    def _put_topics(self, row: int, had: tuple[str, ...], topics: tuple[str, ...]) -> None:
        for topic in had:
            if topic not in topics:
                self.store.run("DELETE FROM wakes WHERE topic = ? AND object = ?", (topic, row))
        for topic in topics:
            if topic not in had:
                self.store.run("INSERT INTO wakes VALUES (?, ?)", (topic, row))

    def end_of(self, live: Live) -> tuple[int | None, int | None]:
        """Return how an object ended and when, on the life clock; also where only word of its end is here."""
        finish = live.state.content.finish
        if finish is not None:
            return int(finish.end), self.life_ms_of(live, finish.age_ms)
        if not live.staged:
            return None, None
        end, went_ms = self.store.run("SELECT ended, went_ms FROM tombstones WHERE row = ?", (live.row,)).fetchone()
        return end, went_ms

    def buckets(self, row: tuple[Any, ...]) -> tuple[Bucket, ...]:
        """Return under what the bytes of a row of `shelf` are counted."""
        if not row:
            return ()
        is_carried = not row[6] and bytes(row[17]) != self.members.device
        found = [(Use.CARRIED, bytes(row[17]))] if is_carried else []
        return (*found, (Use.ENDED, b"")) if row[7] is not None else tuple(found)

    def move_digest(self, root: bytes, object_id: bytes, had: bytes | None, heads: bytes | None) -> None:
        """Keep the sum over hashes of (object, heads) per fleet: two devices compare it in one message.

        None: the object was not there, or is dropped from the set. Objects with named holders are not in it.
        """
        if had == heads:
            return
        total, objects = self._digests.get(root) or self._read_digest(root)
        objects += (heads is not None) - (had is not None)
        total -= 0 if had is None else _digest_item(object_id, had)
        total = (total + (0 if heads is None else _digest_item(object_id, heads))) % DIGEST_MODULUS
        self._digests[root] = total, objects
        self.store.run("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", (root, total.to_bytes(32, "big"), objects))

    def _read_digest(self, root: bytes) -> tuple[int, int]:
        found = self.store.run("SELECT sum, objects FROM digests WHERE root = ?", (root,)).fetchone()
        return (int.from_bytes(found[0], "big"), found[1]) if found is not None else (0, 0)

    def forget_derived(self) -> None:
        """Ask the derived tables anew from now on: after a rollback, or when they were emptied."""
        self._digests.clear()
        for live in self._cache.values():
            live.shelved = None

    # --- The cache ------------------------------------------------------------------------------------------------

    def _remember(self, live: Live) -> None:
        self._cache[live.object] = live
        self._cache_bytes += _cost_of(live)

    def loaded(self) -> Iterator[Live]:
        """Yield the objects in memory."""
        yield from self._cache.values()

    def forget(self, object_id: bytes) -> None:
        """Drop an object from memory (after a rollback): the store is what counts."""
        live = self._cache.pop(object_id, None)
        if live is not None:
            self._cache_bytes -= _cost_of(live)
            if live.body is not None:
                live.body.free()

    def forget_all(self) -> None:
        """Drop everything from memory (after a failed commit)."""
        for object_id in list(self._cache):
            self.forget(object_id)
        self._cache_bytes = 0

    def shrink(self) -> None:
        """Drop the objects used longest ago until the cache is within its bound; those that run here stay."""
        if self._cache_bytes <= STATE_CACHE_BYTES_MAX:
            return
        room, idle = self._cache_bytes - STATE_CACHE_BYTES_MAX, []
        for object_id, live in self._cache.items():
            if not live.flights and live.body is None:
                idle.append(object_id)
                room -= _cost_of(live)
                if room <= 0:
                    break
        for object_id in idle:
            self.forget(object_id)


def _cost_of(live: Live) -> int:
    return live.state.history.bytes_size * MEMORY_PER_BYTE + MEMORY_PER_OBJECT


def _digest_item(object_id: bytes, heads: bytes) -> int:
    return int.from_bytes(hash256(object_id + heads), "big")

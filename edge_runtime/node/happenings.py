"""What happened to those who waited for it: edges, and since when a condition is steady.

An edge counts for the waits that stood when it happened, until the wait is over; a wait that begins later does not see
it. It is written in the transaction in which it happened, so a crash before the look loses nothing. It stays with the
device, as events do: where custody moves, the wait begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from ..objects.codec import encode
from ..objects.conditions import Condition, Truth
from ..objects.intents import hash128
from ..objects.triggers import After, All, Any, Changed, Done, Not, OnEntry, OnEvent, Steady, Trigger, When, to_tree
from ..objects.watching import watches
from ..program.driver import ConditionWait
from .store import Store


class Oracle(Protocol):
    """What the device knows beside facts, of one object and now."""

    def judge(self, condition: Condition) -> Truth:
        """Return whether a condition holds."""
        ...

    def has_ended(self, object_id: bytes) -> bool | None:
        """Say whether another object has ended; None if it is not here."""
        ...

    def has_record(self, name: str) -> bool:
        """Say whether the object has a record of that kind or name."""
        ...


NOT_SEEN = ""  # the path of what no look has given to a wait yet
ALWAYS = After(0)
NEVER = Not(ALWAYS)


class Settled(Struct):
    """A wait's trigger with what the node knows put in: it holds by facts and time alone.

    `keys`: what else makes it hold or breaks it: see `objects.watching`.
    """

    trigger: Trigger
    keys: tuple[str, ...] = ()


class Happenings:
    """The table `happened`. Objects without a row in it cost no statement."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._rows: dict[int, None] = {}
        self.reload()

    def reload(self) -> None:
        """Read which objects have something, after a start or a rollback."""
        self._rows = dict.fromkeys(row for (row,) in self.store.run("SELECT DISTINCT object FROM happened"))

    def mark(self, key: str, life_ms: int) -> None:
        """Note a happening for every object that stands under its key in the wake index."""
        for (row,) in self.store.run("SELECT object FROM wakes WHERE topic = ?", (key,)).fetchall():
            self._put(row, NOT_SEEN, key, life_ms)

    def unseen(self) -> list[int]:
        """Return the objects with something that no look has seen: to be looked at after a start."""
        found = self.store.run("SELECT DISTINCT object FROM happened WHERE path = ? ORDER BY life_ms", (NOT_SEEN,))
        return [row for (row,) in found.fetchall()]

    def see(self, row: int, waits: Sequence[ConditionWait]) -> tuple[str, ...]:
        """Give what happened since the last look to the waits that stand; return the keys. Forget what is over."""
        if row not in self._rows:
            return ()
        found = self.store.run("SELECT path, what, life_ms FROM happened WHERE object = ? ORDER BY life_ms", (row,))
        keys: list[str] = []
        for path, key, life_ms in found.fetchall():
            if path == NOT_SEEN:
                keys.append(key)
                self._drop(row, path, key)
                for wait in waits:
                    if key in _edge_keys(wait.trigger):
                        self._put(row, wait.path, key, life_ms)
            elif all(wait.path != path for wait in waits):
                self._drop(row, path, key)
        if not self.store.run("SELECT 1 FROM happened WHERE object = ? LIMIT 1", (row,)).fetchone():
            del self._rows[row]
        return tuple(keys)

    def settle(self, row: int, wait: ConditionWait, oracle: Oracle, age_ms: int, life_ms: int) -> Settled:
        """Return the wait's trigger as it stands now; since when something is steady is noted on the way."""
        if not _has_memory(wait.trigger):
            return Settled(wait.trigger)
        found = self.store.run("SELECT what, life_ms FROM happened WHERE object = ? AND path = ?", (row, wait.path))
        had = dict(found.fetchall())
        keys: dict[str, None] = {}

        def put_in(trigger: Trigger) -> Trigger:
            match trigger:
                case OnEvent() | Changed():
                    return ALWAYS if _key_of(trigger) in had else trigger
                case Steady(condition, for_ms):
                    since_ms = self._since(row, wait.path, trigger, oracle.judge(condition), had, life_ms)
                    if since_ms is None:
                        return trigger
                    if life_ms >= since_ms + for_ms:
                        return When(condition)
                    keys.update(dict.fromkeys(watches(Not(When(condition)))))
                    return All((After(age_ms + since_ms + for_ms - life_ms), When(condition)))
                case OnEntry(name):
                    return ALWAYS if oracle.has_record(name) else NEVER
                case Done(object_id):
                    keys[f"object:{object_id.hex()}"] = None
                    has_ended = oracle.has_ended(object_id)
                    return trigger if has_ended is None else ALWAYS if has_ended else NEVER
                case All(items):
                    return All(tuple(put_in(item) for item in items))
                case Any(items):
                    return Any(tuple(put_in(item) for item in items))
                case Not(item):
                    return Not(put_in(item))
                case _:
                    return trigger

        return Settled(put_in(wait.trigger), tuple(keys))

    def forget(self, row: int) -> None:
        """Forget all of an object: it ended, or is turned elsewhere."""
        if self._rows.pop(row, 1) is None:
            self.store.run("DELETE FROM happened WHERE object = ?", (row,))

    def _since(
        self, row: int, path: str, steady: Steady, truth: Truth, had: dict[str, int], life_ms: int
    ) -> int | None:
        """Return since when a condition holds; None if it does not."""
        what = f"steady:{hash128(encode(to_tree(steady))).hex()}"
        if truth is not Truth.TRUE:
            if what in had:
                self._drop(row, path, what)
            return None
        if what not in had:
            self._put(row, path, what, life_ms)
        return had.get(what, life_ms)

    def _put(self, row: int, path: str, what: str, life_ms: int) -> None:
        self.store.run("INSERT OR IGNORE INTO happened VALUES (?, ?, ?, ?)", (row, path, what, life_ms))
        self._rows[row] = None

    def _drop(self, row: int, path: str, what: str) -> None:
        self.store.run("DELETE FROM happened WHERE object = ? AND path = ? AND what = ?", (row, path, what))


def describe_key(key: str) -> str:
    """Return a happening for people: `event landed`, `battery.percent changes`."""
    kind, _, name = key.partition(":")
    return f"event {name}" if kind == "event" else f"{name} changes"


def _key_of(edge: OnEvent | Changed) -> str:
    return f"event:{edge.name}" if isinstance(edge, OnEvent) else f"fact:{edge.name}"


def _edge_keys(trigger: Trigger) -> list[str]:
    match trigger:
        case OnEvent() | Changed():
            return [_key_of(trigger)]
        case All(items) | Any(items):
            return [key for item in items for key in _edge_keys(item)]
        case Not(item):
            return _edge_keys(item)
        case _:
            return []


def _has_memory(trigger: Trigger) -> bool:
    match trigger:
        case OnEvent() | Changed() | Steady() | OnEntry() | Done():
            return True
        case All(items) | Any(items):
            return any(_has_memory(item) for item in items)
        case Not(item):
            return _has_memory(item)
        case _:
            return False

"""Which records of an object a trigger may mean: by kind, by name, by outcome; and their entries' ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import bodies as b
from .history import History
from .kinds import Kind
from .records import Record, read_sealed


def names_of(record: Record) -> tuple[str, ...]:
    """Return the name of a record's kind and, where it has one, its own: a step's, a signal's, a published one."""
    kind = Kind(record.kind).name.lower() if record.kind in tuple(Kind) else str(record.kind)
    match read_sealed(record):
        case b.ExecutedSealed(path=path):
            return kind, path.rpartition("/")[2].rpartition(":")[0]
        case b.SignalledSealed(name=name) | b.PublishedSealed(name=name):
            return kind, name
        case _:
            return (kind,)


def entries_named(history: History, name: str) -> list[bytes]:
    """Return the ids of entries with effect that hold a record of a kind or name, in causal order."""
    return list(_entries_with(history, lambda record: name in names_of(record)))


def entries_with_outcome(history: History, outcome: int) -> list[bytes]:
    """Return the ids of the entries on the ruling chain in which an attempt ended with an outcome, in order."""
    return list(_entries_with(history, lambda record: has_outcome(record, outcome)))


def has_outcome(record: Record, outcome: int) -> bool:
    """Say whether a record is that of an attempt that ended so."""
    body = read_sealed(record)
    return isinstance(body, b.ExecutedSealed) and body.outcome == outcome


def _entries_with(history: History, has_it: Callable[[Record], bool]) -> Iterator[bytes]:
    on_chain = {entry.id: None for entry in history.chain()}
    for entry_id, placed in history.placed.items():
        if placed.void or not (placed.entry.is_input or entry_id in on_chain):
            continue
        if any(has_it(record) for record in placed.entry.records):
            yield entry_id

"""Wake triggers: what may end a sleep. A trigger that holds permits a new evaluation, never an execution by itself.

Levels (`When`, `OnSignal`, `After`) are true for as long as they are; edges (`OnEvent`) count only while somebody
waits. Triggers travel as trees, bounded like conditions. Source: ours, `docs/architecture.md` (Wake triggers).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any as AnyValue
from typing import Protocol, TypeAlias, assert_never

from ..base.errors import PeerError
from ..base.limits import CONDITION_DEPTH_MAX, CONDITION_NODES_MAX, INTEGER_MAX, NAME_BYTES_MAX
from ..base.moment import Trust
from ..base.units import format_duration
from . import condition_text
from .conditions import Condition, FactView, Truth, evaluate, names
from .conditions import from_tree as condition_from_tree
from .conditions import to_tree as condition_to_tree


class TriggerView(FactView, Protocol):
    """What a trigger may look at besides facts."""

    def wall_clock(self) -> tuple[int, Trust]:
        """Return the wall clock in ms and its trust."""
        ...

    def has_signal(self, name: str) -> bool:
        """Say whether a signal of that name lies in the object and was not taken."""
        ...

    def knows_peer(self, name: str) -> bool:
        """Say whether a device is known that has the name as capability, intent or id."""
        ...

    def has_ended(self, object_id: bytes) -> bool | None:
        """Say whether an object has ended; None if it is not here."""
        ...


@dataclass(frozen=True, slots=True)
class After:
    """The object is at least this old."""

    due_age_ms: int


@dataclass(frozen=True, slots=True)
class At:
    """The wall clock, trusted at least so far, has reached a time."""

    wall_ms: int
    trust: Trust


@dataclass(frozen=True, slots=True)
class When:
    """A condition over facts holds (level)."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class OnEvent:
    """A named event happens on this device (edge)."""

    name: str


@dataclass(frozen=True, slots=True)
class OnSignal:
    """A signal of that name lies in the object (level)."""

    name: str


@dataclass(frozen=True, slots=True)
class OnPeer:
    """A device with that capability, intent or id is known or met."""

    name: str


@dataclass(frozen=True, slots=True)
class Done:
    """Another object has ended."""

    object: bytes


@dataclass(frozen=True, slots=True)
class Changed:
    """A fact changes (edge)."""

    name: str


@dataclass(frozen=True, slots=True)
class All:
    """All of them."""

    items: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """One of them."""

    items: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not this one; unknown stays unknown."""

    item: Trigger


Trigger: TypeAlias = After | At | When | OnEvent | OnSignal | OnPeer | Done | Changed | All | Any | Not


class TopicKind(Enum):
    """What kind of happening may make a trigger true; the words are those of the wake index."""

    FACT = "fact"
    EVENT = "event"
    SIGNAL = "signal"
    PEER = "peer"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Topic:
    """One happening by kind and key."""

    kind: TopicKind
    key: str


def topics(trigger: Trigger) -> tuple[Topic, ...]:
    """Return the happenings after which a trigger must be looked at again, each once."""
    found: dict[Topic, None] = {}
    match trigger:
        case All(items) | Any(items):
            for item in items:
                found.update(dict.fromkeys(topics(item)))
        case Not(item):
            found.update(dict.fromkeys(topics(item)))
        case When(condition):
            found.update(dict.fromkeys(Topic(TopicKind.FACT, name) for name in names(condition)))
        case Changed(name):
            found[Topic(TopicKind.FACT, name)] = None
        case OnEvent(name):
            found[Topic(TopicKind.EVENT, name)] = None
        case OnSignal(name):
            found[Topic(TopicKind.SIGNAL, name)] = None
        case OnPeer(name):
            found[Topic(TopicKind.PEER, name)] = None
        case Done(object_id):
            found[Topic(TopicKind.OBJECT, object_id.hex())] = None
        case After() | At():
            pass
        case _:
            assert_never(trigger)
    return tuple(found)


def next_due_age_ms(trigger: Trigger, age_ms: int) -> int | None:
    """Return the age at which time makes the trigger worth a look; None for never.

    A due time that has passed is still due (a level): the answer may lie before now. Inside `All` and `Not` a passed
    time alone changes nothing any more, and what else they wait for wakes by its topic.
    """
    match trigger:
        case After(due_age_ms):
            return due_age_ms
        case Any(items):
            return min(_dues(items, age_ms), default=None)
        case All(items):
            return max((due for due in _dues(items, age_ms) if due > age_ms), default=None)
        case Not(item):
            return max((due for due in _dues((item,), age_ms) if due > age_ms), default=None)
        case _:
            return None


def _dues(items: tuple[Trigger, ...], age_ms: int) -> list[int]:
    return [due for item in items if (due := next_due_age_ms(item, age_ms)) is not None]


def holds(trigger: Trigger, view: TriggerView) -> Truth:
    """Return whether a trigger holds now. Edges are unknown: only the happening itself makes them true."""
    match trigger:
        case After(due_age_ms):
            return _truth(view.object_age_ms() >= due_age_ms)
        case At(wall_ms, trust):
            now_ms, now_trust = view.wall_clock()
            return Truth.UNKNOWN if now_trust < trust else _truth(now_ms >= wall_ms)
        case When(condition):
            return evaluate(condition, view)
        case OnSignal(name):
            return _truth(view.has_signal(name))
        case OnPeer(name):
            return _truth(view.knows_peer(name))
        case Done(object_id):
            ended = view.has_ended(object_id)
            return Truth.UNKNOWN if ended is None else _truth(ended)
        case OnEvent() | Changed():
            return Truth.UNKNOWN
        case All(items):
            return _fold([holds(item, view) for item in items], Truth.FALSE, Truth.TRUE)
        case Any(items):
            return _fold([holds(item, view) for item in items], Truth.TRUE, Truth.FALSE)
        case Not(item):
            inner = holds(item, view)
            return inner if inner is Truth.UNKNOWN else _truth(inner is Truth.FALSE)
        case _:
            assert_never(trigger)


def _truth(value: bool) -> Truth:
    return Truth.TRUE if value else Truth.FALSE


def _fold(truths: list[Truth], decides: Truth, otherwise: Truth) -> Truth:
    if decides in truths:
        return decides
    return Truth.UNKNOWN if Truth.UNKNOWN in truths else otherwise


def describe(trigger: Trigger) -> str:
    """Return a text for people."""
    match trigger:
        case After(due_age_ms):
            return f"age reaches {format_duration(due_age_ms)}"
        case At(wall_ms, trust):
            return f"the clock (trusted {trust.name.lower()}) reaches {wall_ms // 1000}"
        case When(condition):
            return condition_text.format(condition)
        case OnEvent(name):
            return f"event {name}"
        case OnSignal(name):
            return f"signal {name}"
        case OnPeer(name):
            return f"a device with {name}"
        case Done(object_id):
            return f"object {object_id.hex()[:12]} ends"
        case Changed(name):
            return f"{name} changes"
        case All(items):
            return " and ".join(describe(item) for item in items)
        case Any(items):
            return " or ".join(describe(item) for item in items)
        case Not(item):
            return f"not ({describe(item)})"
        case _:
            assert_never(trigger)


_AFTER, _AT, _WHEN, _EVENT, _SIGNAL, _PEER, _DONE, _CHANGED, _ALL, _ANY, _NOT = range(1, 12)


def to_tree(trigger: Trigger) -> list[AnyValue]:
    """Return the trigger as nested arrays."""
    match trigger:
        case After(due_age_ms):
            return [_AFTER, due_age_ms]
        case At(wall_ms, trust):
            return [_AT, wall_ms, int(trust)]
        case When(condition):
            return [_WHEN, condition_to_tree(condition)]
        case OnEvent(name):
            return [_EVENT, name]
        case OnSignal(name):
            return [_SIGNAL, name]
        case OnPeer(name):
            return [_PEER, name]
        case Done(object_id):
            return [_DONE, object_id]
        case Changed(name):
            return [_CHANGED, name]
        case All(items):
            return [_ALL, [to_tree(item) for item in items]]
        case Any(items):
            return [_ANY, [to_tree(item) for item in items]]
        case Not(item):
            return [_NOT, to_tree(item)]
        case _:
            assert_never(trigger)


def from_tree(tree: AnyValue) -> Trigger:
    """Return the trigger of a tree.

    Raises:
        PeerError: `trigger` or `condition`: malformed or out of bounds; the record is void.
    """
    return _parse(tree, 1)


def _parse(tree: AnyValue, depth: int) -> Trigger:
    if depth > CONDITION_DEPTH_MAX:
        raise PeerError("trigger", f"deeper than {CONDITION_DEPTH_MAX}")
    match tree:
        case [1, int() as due_age_ms] if 0 <= due_age_ms <= INTEGER_MAX:
            return After(due_age_ms)
        case [2, int() as wall_ms, int() as trust] if trust <= Trust.GPS:
            return At(wall_ms, Trust(trust))
        case [3, condition]:
            return When(condition_from_tree(condition))
        case [4 | 5 | 6 | 8 as kind, str() as name] if 0 < len(name.encode()) <= NAME_BYTES_MAX:
            return _NAMED[kind](name)
        case [7, bytes() as object_id] if len(object_id) == 32:
            return Done(object_id)
        case [9 | 10 as kind, [_, *_] as items] if len(items) <= CONDITION_NODES_MAX:
            parts = tuple(_parse(item, depth + 1) for item in items)
            return All(parts) if kind == _ALL else Any(parts)
        case [11, item]:
            return Not(_parse(item, depth + 1))
    raise PeerError("trigger", "not a trigger of this version")


_NAMED: dict[int, type[OnEvent] | type[OnSignal] | type[OnPeer] | type[Changed]] = {
    _EVENT: OnEvent,
    _SIGNAL: OnSignal,
    _PEER: OnPeer,
    _CHANGED: Changed,
}

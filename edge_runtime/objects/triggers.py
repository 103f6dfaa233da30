"""Wake triggers: what may end a sleep. A trigger that holds permits a new evaluation, never an execution by itself.

Levels (`When`, `OnSignal`, `After`) are true for as long as they are; edges (`OnEvent`) count only while somebody
waits. Triggers travel as trees, bounded like conditions. Source: ours, `docs/architecture.md` (Wake triggers).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any as AnyValue
from typing import Protocol, TypeAlias, assert_never

from msgspec import Struct

from ..base.errors import PeerError
from ..base.limits import CONDITION_DEPTH_MAX, INTEGER_MAX, NAME_BYTES_MAX, TRIGGER_NODES_MAX
from ..base.moment import Moment, Trust
from ..base.units import format_duration
from . import condition_text
from .advice import OnAdvice
from .conditions import Both, Condition, Either, FactView, Truth, count_nodes, evaluate
from .conditions import from_tree as condition_from_tree
from .conditions import to_tree as condition_to_tree
from .due import ByTime, first_due_age_ms, turns_of


class TriggerView(FactView, Protocol):
    """What a trigger may look at besides facts."""

    def wall_clock(self) -> tuple[int, Trust]:
        """Return the wall clock in ms and its trust."""
        ...

    def has_signal(self, name: str) -> bool | None:
        """Say whether a signal of that name lies in the object and was not taken; None for unknown."""
        ...

    def has_advice(self, topic: str) -> bool | None:
        """Say whether fresh advice on a topic lies in the object; None for unknown."""
        ...

    def knows_peer(self, name: str) -> bool | None:
        """Say whether a device is known that has the name as capability, intent or id; None for unknown."""
        ...

    def has_ended(self, object_id: bytes) -> bool | None:
        """Say whether an object has ended; None if it is not here."""
        ...


class After(Struct, frozen=True):
    """The object is at least this old."""

    due_age_ms: int


class At(Struct, frozen=True):
    """The wall clock, trusted at least so far, has reached a time."""

    wall_ms: int
    trust: Trust


class When(Struct, frozen=True):
    """A condition over facts holds (level)."""

    condition: Condition


class OnEvent(Struct, frozen=True):
    """A named event happens on this device (edge)."""

    name: str


class OnSignal(Struct, frozen=True):
    """A signal of that name lies in the object (level)."""

    name: str


class OnPeer(Struct, frozen=True):
    """A device with that capability, intent or id is known or met."""

    name: str


class Done(Struct, frozen=True):
    """Another object has ended."""

    object: bytes


class Changed(Struct, frozen=True):
    """A fact changes (edge)."""

    name: str


class OnEntry(Struct, frozen=True):
    """The object has a record of that kind, or of that name: a call's, a signal's or a published one (level)."""

    name: str


class Steady(Struct, frozen=True):
    """A condition has held for so long without a break, on this device (level; since when, only the node knows)."""

    condition: Condition
    for_ms: int


class All(Struct, frozen=True):
    """All of them."""

    items: tuple[Trigger, ...]


class Any(Struct, frozen=True):
    """One of them."""

    items: tuple[Trigger, ...]


class Not(Struct, frozen=True):
    """Not this one; unknown stays unknown."""

    item: Trigger


Trigger: TypeAlias = (
    After | At | When | OnEvent | OnSignal | OnPeer | OnAdvice | Done | Changed | OnEntry | Steady | All | Any | Not
)


def next_due_age_ms(trigger: Trigger, age_ms: int, clock: Moment | None = None) -> int | None:
    """Return the age at which time makes the trigger worth a look; None for never.

    A due time that has passed is still due (a level) where the trigger holds by time alone: the answer may lie before
    now. Beside something else that must hold too, a passed time changes nothing any more: the rest wakes by its topic.

    Args:
        clock: the wall clock at that age, for `At` and times of day; without it, or below the trust that they ask
            for, they arm nothing, and the topic `time.trust` wakes.
    """
    view = ByTime(age_ms, clock)
    if isinstance(trigger, Any):  # true as soon as one is: cheaper than the general rule, for wide bodies
        dues = [next_due_age_ms(item, age_ms, clock) for item in trigger.items]
        return min((due_ms for due_ms in dues if due_ms is not None), default=None)
    return first_due_age_ms(_turns_of(trigger, view), lambda at: holds(trigger, at), view)


def _turns_of(trigger: Trigger, view: ByTime) -> list[int]:
    match trigger:
        case After(due_age_ms):
            return [due_age_ms]
        case At(wall_ms, trust):
            now_ms, now_trust = view.wall_clock()
            return [] if now_trust < trust else [view.age_ms + wall_ms - now_ms]
        case When(condition):
            return turns_of(condition, view)
        case All(items) | Any(items):
            return [turn_ms for item in items for turn_ms in _turns_of(item, view)]
        case Not(item):
            return _turns_of(item, view)
        case _:
            return []


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
        case OnAdvice(name):
            return _truth(view.has_advice(name))
        case Done(object_id):
            return _truth(view.has_ended(object_id))
        case OnEvent() | Changed() | OnEntry():
            return Truth.UNKNOWN  # what happened, and the history, are no part of the view: the node puts them in
        case Steady(condition):
            return Truth.FALSE if evaluate(condition, view) is Truth.FALSE else Truth.UNKNOWN
        case All(items):
            return _fold([holds(item, view) for item in items], Truth.FALSE, Truth.TRUE)
        case Any(items):
            return _fold([holds(item, view) for item in items], Truth.TRUE, Truth.FALSE)
        case Not(item):
            inner = holds(item, view)
            return inner if inner is Truth.UNKNOWN else _truth(inner is Truth.FALSE)
        case _:
            assert_never(trigger)


def _truth(value: bool | None) -> Truth:
    if value is None:
        return Truth.UNKNOWN
    return Truth.TRUE if value else Truth.FALSE


def _fold(truths: list[Truth], decides: Truth, otherwise: Truth) -> Truth:
    if decides in truths:
        return decides
    return Truth.UNKNOWN if Truth.UNKNOWN in truths else otherwise


def describe(trigger: Trigger) -> str:
    """Return a text for people, such as `link.ground == 'up' or age reaches 2 h`."""
    match trigger:
        case After(due_age_ms):
            return f"age reaches {format_duration(due_age_ms)}"
        case At(wall_ms, trust):
            return f"the clock (trusted as {trust.name.lower()} or better) reaches {_date(wall_ms)}"
        case When(condition):
            return condition_text.format(condition)
        case OnEvent(name):
            return f"event {name}"
        case OnSignal(name):
            return f"signal {name}"
        case OnPeer(name):
            return f"a device with {name}"
        case OnAdvice(name):
            return f"advice on {name}"
        case Done(object_id):
            return f"object {object_id.hex()[:12]} ends"
        case Changed(name):
            return f"{name} changes"
        case OnEntry(name):
            return f"an entry {name}"
        case Steady(condition, for_ms):
            return f"({condition_text.format(condition)}) for {format_duration(for_ms)}"
        case All(items):
            return " and ".join(_describe_inner(item) for item in items)
        case Any(items):
            return " or ".join(_describe_inner(item) for item in items)
        case Not(item):
            return f"not ({describe(item)})"
        case _:
            assert_never(trigger)


def _describe_inner(trigger: Trigger) -> str:
    text = describe(trigger)
    is_compound = isinstance(trigger, (All, Any)) or (
        isinstance(trigger, When) and isinstance(trigger.condition, (Both, Either))
    )
    return f"({text})" if is_compound else text


def _date(wall_ms: int) -> str:
    try:
        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=wall_ms // 1_000)
    except OverflowError:
        return "a time beyond the year 9999"
    return date.strftime("%Y-%m-%d %H:%M:%S UTC")


def any_of(leaves: Iterable[Trigger]) -> Trigger | None:
    """Return one trigger that holds when any of some does, each named once, of times only the first; None for none."""
    found = dict.fromkeys(leaves)
    first_ms = min((leaf.due_age_ms for leaf in found if isinstance(leaf, After)), default=None)
    items = tuple(leaf for leaf in found if not isinstance(leaf, After) or leaf.due_age_ms == first_ms)
    return items[0] if len(items) == 1 else Any(items) if items else None


_AFTER, _AT, _WHEN, _EVENT, _SIGNAL, _PEER, _DONE, _CHANGED, _ALL, _ANY, _NOT, _ADVICE, _ENTRY, _STEADY = range(1, 15)
KIND_LAST = _STEADY  # the highest number of a leaf that this version knows


def to_tree(trigger: Trigger) -> list[AnyValue]:
    """Return the trigger as nested arrays."""
    match trigger:
        case After(due_age_ms):
            return [_AFTER, due_age_ms]
        case At(wall_ms, trust):
            return [_AT, wall_ms, int(trust)]
        case When(condition):
            return [_WHEN, condition_to_tree(condition)]
        case OnEvent(name) | OnSignal(name) | OnPeer(name) | Changed(name) | OnAdvice(name) | OnEntry(name):
            return [_NUMBERS[type(trigger)], name]
        case Done(object_id):
            return [_DONE, object_id]
        case Steady(condition, for_ms):
            return [_STEADY, condition_to_tree(condition), for_ms]
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
        PeerError: `trigger` or `condition`: malformed, deeper than 8, or more than TRIGGER_NODES_MAX nodes, those of
            conditions included; the record is void.
    """
    trigger = _parse(tree, 1)
    if _count_nodes(trigger) > TRIGGER_NODES_MAX:
        raise PeerError("trigger", f"more than {TRIGGER_NODES_MAX} nodes")
    return trigger


def _count_nodes(trigger: Trigger) -> int:
    match trigger:
        case All(items) | Any(items):
            return 1 + sum(_count_nodes(item) for item in items)
        case Not(item):
            return 1 + _count_nodes(item)
        case When(condition) | Steady(condition):
            return 1 + count_nodes(condition)
        case _:
            return 1


def _parse(tree: AnyValue, depth: int) -> Trigger:
    if depth > CONDITION_DEPTH_MAX:
        raise PeerError("trigger", f"deeper than {CONDITION_DEPTH_MAX}")
    match tree:
        case [kind, *_] if type(kind) is not int:  # to Python, true equals 1
            pass
        case [1, due_age_ms] if _is_number(due_age_ms, INTEGER_MAX):
            return After(due_age_ms)
        case [2, wall_ms, trust] if _is_number(wall_ms, INTEGER_MAX) and _is_number(trust, max(Trust)):
            return At(wall_ms, Trust(trust))
        case [3, condition]:
            return When(condition_from_tree(condition))
        case [4 | 5 | 6 | 8 | 12 | 13 as kind, str() as name] if _is_word(name):
            return _NAMED[kind](name)
        case [7, bytes() as object_id] if len(object_id) == 32:
            return Done(object_id)
        case [9 | 10 as kind, [_, _, *_] as items] if len(items) <= TRIGGER_NODES_MAX:
            parts = tuple(_parse(item, depth + 1) for item in items)
            return All(parts) if kind == _ALL else Any(parts)
        case [11, item]:
            return Not(_parse(item, depth + 1))
        case [14, condition, for_ms] if _is_number(for_ms, INTEGER_MAX):
            return Steady(condition_from_tree(condition), for_ms)
    raise PeerError("trigger", "not a trigger of this version")


def _is_word(name: str) -> bool:
    return 0 < len(name.encode("utf-8", "replace")) <= NAME_BYTES_MAX


def _is_number(value: AnyValue, highest: int) -> bool:
    return type(value) is int and 0 <= value <= highest


_NAMED: dict[int, type[OnEvent | OnSignal | OnPeer | Changed | OnAdvice | OnEntry]] = {
    _EVENT: OnEvent,
    _SIGNAL: OnSignal,
    _PEER: OnPeer,
    _CHANGED: Changed,
    _ADVICE: OnAdvice,
    _ENTRY: OnEntry,
}
_NUMBERS: dict[type, int] = {leaf: number for number, leaf in _NAMED.items()}

"""Conditions: the one small language of triggers and policy, as a tree of bounded size without loops.

A condition over facts is true, false or unknown (Kleene's strong logic): a missing or stale fact is unknown, `not`
over unknown is unknown, and unknown neither wakes nor permits. What travels in entries is the tree; text is parsed
from local input only (`condition_text`). Cost of an evaluation is bounded by the number of nodes.

Source: ours; three-valued logic after Kleene, "Introduction to Metamathematics" (1952), section 64.
"""

from __future__ import annotations

import operator as by
import re
from collections.abc import Callable, Iterator
from enum import Enum, IntEnum
from typing import Any, Protocol, TypeAlias, assert_never

from msgspec import Struct

from ..base.errors import PeerError
from ..base.limits import (
    CONDITION_DEPTH_MAX,
    CONDITION_NODES_MAX,
    FACT_NAME_BYTES_MAX,
    FACT_VALUE_BYTES_MAX,
    INTEGER_MAX,
    LIST_ITEMS_MAX,
)
from .codec import decode_value, encode_value

Scalar: TypeAlias = bool | int | float | str

NAME = re.compile(r"\w+(?:\.\w+)*")


class Truth(Enum):
    """The three values."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


class Operator(IntEnum):
    """Comparisons; the numbers are part of the format."""

    EQUAL = 0
    UNEQUAL = 1
    LESS = 2
    LESS_EQUAL = 3
    GREATER = 4
    GREATER_EQUAL = 5


SIGNS = {
    Operator.EQUAL: "==",
    Operator.UNEQUAL: "!=",
    Operator.LESS: "<",
    Operator.LESS_EQUAL: "<=",
    Operator.GREATER: ">",
    Operator.GREATER_EQUAL: ">=",
}


_COMPARE_BY: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: by.eq,
    Operator.UNEQUAL: by.ne,
    Operator.LESS: by.lt,
    Operator.LESS_EQUAL: by.le,
    Operator.GREATER: by.gt,
    Operator.GREATER_EQUAL: by.ge,
}


class FactView(Protocol):
    """What a condition may look at: a snapshot, never the machine."""

    def fact_value(self, name: str, max_age_ms: int | None) -> Scalar | None:
        """Return a fact's value; None while it is unknown, or older than its own or the given age."""
        ...

    def has_capability(self, name: str) -> bool | None:
        """Say whether a peer in contact has a capability; None for unknown."""
        ...

    def outcome_count(self, outcome: int) -> int | None:
        """Return how many attempts of this object ended with an outcome; None for unknown."""
        ...

    def object_age_ms(self) -> int:
        """Return the object's age."""
        ...

    def minute_of_day(self) -> int | None:
        """Return the minute of the day, 0 .. 1439 UTC; None while the wall clock is not trusted."""
        ...


class Compare(Struct, frozen=True):
    """A fact compared with a literal; `fresh_ms` > 0 asks for a fact no older than that."""

    name: str
    operator: Operator
    value: Scalar
    fresh_ms: int = 0


class Member(Struct, frozen=True):
    """A fact is one of some literals."""

    name: str
    values: tuple[Scalar, ...]
    fresh_ms: int = 0


class IsTrue(Struct, frozen=True):
    """A fact is `true`."""

    name: str
    fresh_ms: int = 0


class Has(Struct, frozen=True):
    """A peer in contact has a capability."""

    capability: str


class Count(Struct, frozen=True):
    """At least so many attempts of this object ended with an outcome (its number)."""

    outcome: int
    at_least: int


class Age(Struct, frozen=True):
    """The object's age compared with a duration."""

    operator: Operator
    age_ms: int


class Within(Struct, frozen=True):
    """The time of day (UTC) lies in [begin, end); past midnight where end <= begin."""

    begin_minute: int
    end_minute: int


class Both(Struct, frozen=True):
    """All of them (`and`)."""

    items: tuple[Condition, ...]


class Either(Struct, frozen=True):
    """At least one of them (`or`)."""

    items: tuple[Condition, ...]


class Negated(Struct, frozen=True):
    """Not this one; unknown stays unknown."""

    item: Condition


Leaf: TypeAlias = Compare | Member | IsTrue | Has | Count | Age | Within
Condition: TypeAlias = Leaf | Both | Either | Negated


def evaluate(condition: Condition, view: FactView) -> Truth:
    """Return the truth of a condition under a view. Cost: one visit per node at most."""
    match condition:
        case Both(items):
            return _fold((evaluate(item, view) for item in items), Truth.FALSE, Truth.TRUE)
        case Either(items):
            return _fold((evaluate(item, view) for item in items), Truth.TRUE, Truth.FALSE)
        case Negated(item):
            return _NOT[evaluate(item, view)]
        case Compare(name, operator, value, fresh_ms):
            return compare(view.fact_value(name, fresh_ms or None), operator, value)
        case Member(name, values, fresh_ms):
            found = view.fact_value(name, fresh_ms or None)
            return _fold((compare(found, Operator.EQUAL, item) for item in values), Truth.TRUE, Truth.FALSE)
        case IsTrue(name, fresh_ms):
            return compare(view.fact_value(name, fresh_ms or None), Operator.EQUAL, True)
        case Has(capability):
            return compare(view.has_capability(capability), Operator.EQUAL, True)
        case Count(outcome, at_least):
            return compare(view.outcome_count(outcome), Operator.GREATER_EQUAL, at_least)
        case Age(operator, age_ms):
            return compare(view.object_age_ms(), operator, age_ms)
        case Within(begin, end):
            return _is_within(view.minute_of_day(), begin, end)
        case _:
            assert_never(condition)


_NOT = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE, Truth.UNKNOWN: Truth.UNKNOWN}


def _fold(truths: Iterator[Truth], decides: Truth, otherwise: Truth) -> Truth:
    result = otherwise
    for truth in truths:
        if truth is decides:
            return decides
        if truth is Truth.UNKNOWN:
            result = Truth.UNKNOWN
    return result


def _truth(value: bool) -> Truth:
    return Truth.TRUE if value else Truth.FALSE


def _is_within(minute: int | None, begin: int, end: int) -> Truth:
    if minute is None:
        return Truth.UNKNOWN
    return _truth(begin <= minute < end if begin < end else minute >= begin or minute < end)


def compare(found: Scalar | None, operator: Operator, value: Scalar) -> Truth:
    """Compare a fact with a literal; values of different kinds are unequal, and their order is unknown."""
    if found is None:
        return Truth.UNKNOWN
    if _kind(found) != _kind(value):
        equal = {Operator.EQUAL: Truth.FALSE, Operator.UNEQUAL: Truth.TRUE}
        return equal.get(operator, Truth.UNKNOWN)
    return _truth(_COMPARE_BY[operator](found, value))


def _kind(value: Scalar) -> str:
    if isinstance(value, bool):
        return "bool"
    return "text" if isinstance(value, str) else "number"


def leaves(condition: Condition) -> tuple[Leaf, ...]:
    """Return the leaves in their order."""
    match condition:
        case Both(items) | Either(items):
            return tuple(leaf for item in items for leaf in leaves(item))
        case Negated(item):
            return leaves(item)
        case _:
            return (condition,)


def names(condition: Condition) -> tuple[str, ...]:
    """Return the names of the facts that a condition reads, ascending: what the wake index is built from.

    A time of day reads `time.trust`: it is unknown until the clock is trusted.
    """
    found: dict[str, None] = {}
    for leaf in leaves(condition):
        match leaf:
            case Compare(name=name) | Member(name=name) | IsTrue(name=name):
                found[name] = None
            case Has(capability):
                found[f"peer.{capability}"] = None
            case Within():
                found["time.trust"] = None
            case Count() | Age():
                pass
            case _:
                assert_never(leaf)
    return tuple(sorted(found))


# --- The tree that travels ----------------------------------------------------------------------------------------

_BOTH, _EITHER, _NEGATED, _COMPARE, _MEMBER, _IS_TRUE, _HAS, _COUNT, _AGE, _WITHIN = range(1, 11)


def to_tree(condition: Condition) -> list[Any]:
    """Return the condition as nested arrays of unsigned integers, text and bytes (literals as canonical CBOR)."""
    match condition:
        case Both(items):
            return [_BOTH, [to_tree(item) for item in items]]
        case Either(items):
            return [_EITHER, [to_tree(item) for item in items]]
        case Negated(item):
            return [_NEGATED, to_tree(item)]
        case Compare(name, operator, value, fresh_ms):
            return [_COMPARE, name, int(operator), encode_value(value), fresh_ms]
        case Member(name, values, fresh_ms):
            return [_MEMBER, name, [encode_value(value) for value in values], fresh_ms]
        case IsTrue(name, fresh_ms):
            return [_IS_TRUE, name, fresh_ms]
        case Has(capability):
            return [_HAS, capability]
        case Count(outcome, at_least):
            return [_COUNT, outcome, at_least]
        case Age(operator, age_ms):
            return [_AGE, int(operator), age_ms]
        case Within(begin, end):
            return [_WITHIN, begin, end]
        case _:
            assert_never(condition)


def from_tree(tree: Any) -> Condition:
    """Return the condition of a tree.

    Raises:
        PeerError: `condition`: malformed, deeper than 8, or more than 64 nodes; it is never evaluated. One condition
            has one tree: `true` for 1, or a conjunction of one item, are refused.
    """
    condition = _parse(tree, 1)
    if count_nodes(condition) > CONDITION_NODES_MAX:
        raise PeerError("condition", f"more than {CONDITION_NODES_MAX} nodes")
    return condition


def count_nodes(condition: Condition) -> int:
    """Return the number of nodes, literals of a membership included."""
    match condition:
        case Both(items) | Either(items):
            return 1 + sum(count_nodes(item) for item in items)
        case Negated(item):
            return 1 + count_nodes(item)
        case Member(values=values):
            return 1 + len(values)
        case _:
            return 1


def _parse(tree: Any, depth: int) -> Condition:
    if depth > CONDITION_DEPTH_MAX:
        raise PeerError("condition", f"deeper than {CONDITION_DEPTH_MAX}")
    match tree:
        case [kind, *_] if type(kind) is not int:  # to Python, true equals 1
            pass
        case [1 | 2 as kind, [_, _, *_] as items] if len(items) <= CONDITION_NODES_MAX:
            parts = tuple(_parse(item, depth + 1) for item in items)
            return Both(parts) if kind == _BOTH else Either(parts)
        case [3, item]:
            return Negated(_parse(item, depth + 1))
        case [4, name, operator, value, fresh_ms]:
            return Compare(_name(name), _operator(operator), _literal(value), _number(fresh_ms))
        case [5, name, [_, *_] as values, fresh_ms] if len(values) <= LIST_ITEMS_MAX:
            return Member(_name(name), tuple(_literal(value) for value in values), _number(fresh_ms))
        case [6, name, fresh_ms]:
            return IsTrue(_name(name), _number(fresh_ms))
        case [7, name]:
            return Has(_name(name))
        case [8, outcome, at_least]:
            return Count(_number(outcome), _number(at_least))
        case [9, operator, age_ms]:
            return Age(_operator(operator), _number(age_ms))
        case [10, begin, end] if _number(begin) < 1440 and _number(end) < 1440:
            return Within(begin, end)
    raise PeerError("condition", "not a tree of this version")


def is_name(text: str) -> bool:
    """Say whether a text can name a fact or capability: words of letters, digits and `_`, joined by dots."""
    return NAME.fullmatch(text) is not None and len(text.encode("utf-8", "replace")) <= FACT_NAME_BYTES_MAX


def _name(value: Any) -> str:
    if isinstance(value, str) and is_name(value):
        return value
    raise PeerError("condition", "not a name")


def _number(value: Any) -> int:
    if type(value) is int and 0 <= value <= INTEGER_MAX:
        return value
    raise PeerError("condition", "not a number")


def _operator(value: Any) -> Operator:
    if type(value) is int and value in tuple(Operator):
        return Operator(value)
    raise PeerError("condition", "not an operator")


def _literal(data: Any) -> Scalar:
    if isinstance(data, bytes) and len(data) <= FACT_VALUE_BYTES_MAX:
        try:
            value = decode_value(data)
        except PeerError:
            raise PeerError("condition", "a literal is not the canonical spelling of a value") from None
        if isinstance(value, (bool, int, float, str)):
            return value
    raise PeerError("condition", "not a literal")

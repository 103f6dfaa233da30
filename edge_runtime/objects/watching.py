"""Under which keys an object stands in the wake index: those of the leaves that are not true yet, and no others.

A key is text: `event:x`, `peer:x`, `object:x` and `fact:x` for the happening itself, and for a fact that is compared
`fact:x >=` with the literal in a spelling whose order is that of the values. So one reading asks for a few short
ranges of keys, and what it finds are the leaves that it makes true: ten thousand objects that wait for at least 40
cost nothing when 50 becomes 51, or 30 becomes 31. A fact that becomes unknown makes nothing true (Kleene's logic).

Of a conjunction one part that is not true is enough: as long as it is not, the whole is not. When it becomes true the
object is looked at, and another part is watched. That is the counting algorithm without the counters, which would be
a write for each leaf of each object at each change.

Source: predicate indexes and counting after Aguilera et al., "Matching events in a content-based subscription system"
(PODC 1999); watched parts after Moskewicz et al., "Chaff" (DAC 2001), there for clauses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

from .advice import OnAdvice
from .conditions import (
    SIGNS,
    Age,
    Both,
    Compare,
    Condition,
    Count,
    Either,
    Has,
    IsTrue,
    Member,
    Negated,
    Operator,
    Scalar,
    Truth,
    Within,
)
from .triggers import After, All, Any, At, Changed, Done, Not, OnEntry, OnEvent, OnPeer, OnSignal, Steady, Trigger, When

Judge: TypeAlias = Callable[[Trigger], Truth]

# What is not true and has this sign becomes true under its negation by the other one; unknown stays unknown in both.
OPPOSITES = {
    Operator.EQUAL: Operator.UNEQUAL,
    Operator.UNEQUAL: Operator.EQUAL,
    Operator.LESS: Operator.GREATER_EQUAL,
    Operator.GREATER_EQUAL: Operator.LESS,
    Operator.GREATER: Operator.LESS_EQUAL,
    Operator.LESS_EQUAL: Operator.GREATER,
}


def watches(trigger: Trigger, judge: Judge | None = None) -> tuple[str, ...]:
    """Return the keys under which an object that sleeps with this trigger is to be found, ascending.

    Args:
        judge: says whether a part holds now. Without it every leaf is watched, which finds more and misses nothing.

    Whatever is decided by time alone, or by an entry of the object itself, needs no key.
    """
    return tuple(sorted({**_edges(trigger), **_watch(trigger, False, judge)}))


def _edges(trigger: Trigger) -> dict[str, None]:
    """Return the keys of happenings that count also while the rest does not hold."""
    match trigger:
        case OnEvent(name):
            return {f"event:{name}": None}
        case Changed(name):
            return {f"fact:{name}": None}
        case All(items) | Any(items):
            return {key: None for item in items for key in _edges(item)}
        case _:
            return {}  # the negation of an edge is never true


def _watch(trigger: Trigger, is_negated: bool, judge: Judge | None) -> dict[str, None]:
    match trigger:
        case Not(item):
            return _watch(item, not is_negated, judge)
        case All(items) | Any(items):
            is_conjunction = isinstance(trigger, All) != is_negated
            return _watch_parts(items, is_conjunction, is_negated, judge)
        case When(condition):
            return _watch_condition(condition, is_negated, judge)
        case Steady(condition):
            return _watch_condition(condition, is_negated, None)
        case At():
            return {"fact:time.trust": None}
        case OnPeer(name):
            return {f"peer:{name}": None}
        case Done(object_id):
            return {f"object:{object_id.hex()}": None}
        case After() | OnSignal() | OnAdvice() | OnEntry() | OnEvent() | Changed():
            return {}
        case _:
            assert_never(trigger)


def _watch_parts(
    items: Sequence[Trigger], is_conjunction: bool, is_negated: bool, judge: Judge | None
) -> dict[str, None]:
    if not is_conjunction or judge is None:
        return {key: None for item in items for key in _watch(item, is_negated, judge)}
    wanted = Truth.FALSE if is_negated else Truth.TRUE
    missing = [_watch(item, is_negated, judge) for item in items if judge(item) is not wanted]
    return min(missing, key=len, default={})


def _watch_condition(condition: Condition, is_negated: bool, judge: Judge | None) -> dict[str, None]:
    match condition:
        case Negated(item):
            return _watch_condition(item, not is_negated, judge)
        case Both(items) | Either(items):
            is_conjunction = isinstance(condition, Both) != is_negated
            return _watch_parts([When(item) for item in items], is_conjunction, is_negated, judge)
        case Compare(name, operator, value, fresh_ms):
            return {_leaf_key(name, OPPOSITES[operator] if is_negated else operator, value, fresh_ms): None}
        case IsTrue(name, fresh_ms):
            return {_leaf_key(name, Operator.UNEQUAL if is_negated else Operator.EQUAL, True, fresh_ms): None}
        case Member(name, values, fresh_ms) if is_negated:
            # Whatever makes it true differs from the first of them too.
            return {_leaf_key(name, Operator.UNEQUAL, values[0], fresh_ms): None}
        case Member(name, values, fresh_ms):
            return {_leaf_key(name, Operator.EQUAL, value, fresh_ms): None for value in values}
        case Has(capability):
            return {f"fact:peer.{capability}": None}
        case Within():
            return {"fact:time.trust": None}
        case Count() | Age():
            return {}
        case _:
            assert_never(condition)


def _leaf_key(name: str, operator: Operator, value: Scalar, fresh_ms: int) -> str:
    return f"{'fresh' if fresh_ms else 'fact'}:{name} {SIGNS[operator]}{spell_value(value)}"


def spans_of(name: str, value: Scalar | None, is_change: bool) -> list[tuple[str, str]]:
    """Return the spans of keys, low <= key < high, of what a reading of a fact makes true or happens to.

    Args:
        value: None: unknown from now on. is_change: it was not known to be this before; a reading that says the same
            again only matters to those who ask for a fresh one.
    """
    found = [_only(f"fact:{name}")] if is_change else []
    if value is not None:
        spelled = spell_value(value)
        for topic in (f"fact:{name}", f"fresh:{name}") if is_change else (f"fresh:{name}",):
            found.extend(_spans_made_true(topic, spelled))
    return found


def _spans_made_true(topic: str, spelled: str) -> list[tuple[str, str]]:
    kind, beyond = spelled[0], chr(ord(spelled[0]) + 1)
    return [
        _only(f"{topic} =={spelled}"),
        (f"{topic} !=", f"{topic} !={spelled}"),
        (f"{topic} !={spelled}\0", f"{topic} !>"),
        (f"{topic} >={kind}", f"{topic} >={spelled}\0"),
        (f"{topic} >{kind}", f"{topic} >{spelled}"),
        (f"{topic} <={spelled}", f"{topic} <={beyond}"),
        (f"{topic} <{spelled}\0", f"{topic} <{beyond}"),
    ]


def _only(key: str) -> tuple[str, str]:
    return key, f"{key}\0"


def spell_value(value: Scalar) -> str:
    """Return a text whose order, as code points, is that of the values of one kind; equal values have equal texts.

    A number is sign, exponent and 64 bits of its fraction in hex: exact for every integer and float of the format.
    """
    if isinstance(value, bool):
        return f"b{int(value)}"
    if isinstance(value, str):
        return f"t{value}"
    if value == 0:
        return "n1"
    numerator, denominator = abs(value).as_integer_ratio()
    exponent = numerator.bit_length() - denominator.bit_length()
    fraction = numerator << 64
    fraction = fraction >> exponent if exponent >= 0 else fraction << -exponent
    fraction //= denominator
    if fraction < 1 << 64:
        exponent, fraction = exponent - 1, fraction << 1
    spelled = (exponent + (1 << 12)) << 65 | fraction
    # Zeros at the end say nothing and keys are kept for every sleeper; below zero it would be another letter.
    return f"n2{spelled:020x}".rstrip("0") if value > 0 else f"n0{(1 << 80) - 1 - spelled:020x}"

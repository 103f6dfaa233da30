"""Refining an intent: when new arguments ask for less than the old ones, and what was dropped.

An intent may declare *degradations*: which fields of its arguments may be asked less of, and how. Narrowing inside
them needs nobody's leave; anything else widens, and wants the word of the object's maker or of an operator.

| way | the new value |
|---|---|
| subset | a list that lost items, the rest in its order |
| lower | a smaller number, not below 0 |
| higher | a larger number, as for a least distance |

Fields are dotted paths of map keys (`area.cells`); the empty path is the whole value. Without a declaration every list
may lose items and every number may be lowered: so a device that does not have the app can still judge a record.

Source: ours; "partial goal satisfaction" of planning (Smith 2004, "Choosing objectives in over-subscription
planning") with the choice left to the handler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, TypeAlias

from .intents import hash128


class Way(IntEnum):
    """How a field may be asked less of; the numbers are part of the format."""

    SUBSET = 0
    LOWER = 1
    HIGHER = 2


Degradations: TypeAlias = Mapping[str, Way]


def fingerprint_of_intent(intent: str, arguments: bytes) -> bytes:
    """Return 16 bytes that name an intent with its arguments' canonical bytes."""
    return hash128(b"intent\x00" + intent.encode() + b"\x00" + arguments)


def why_wider(old: Any, new: Any, declared: Degradations, path: str = "") -> str:
    """Return why a value is no narrowing of another, naming the field; empty if it is one (equal counts).

    Args:
        old, new: plain values (of `codec.decode_value`).
        declared: by path; empty: the general rule.
        path: of these values, for the recursion.

    Cost: the number of items in `old`, bounded by the bytes of one record.
    """
    if _same(old, new):
        return ""
    shown = path or "the whole value"
    way = declared.get(path)
    if isinstance(old, dict) and isinstance(new, dict) and way is None:
        return _why_wider_map(old, new, declared, path)
    if isinstance(old, list) and isinstance(new, list):
        if declared and way is not Way.SUBSET:
            return f"{shown}: not among the declared degradations"
        return "" if _is_subsequence(new, old) else f"{shown}: not a part of the list before, in its order"
    if _is_number(old) and _is_number(new):
        if declared and way is None:
            return f"{shown}: not among the declared degradations"
        if way is Way.HIGHER:
            return "" if new > old else f"{shown}: may only become higher"
        return "" if 0 <= new < old else f"{shown}: may only become lower, and not below 0"
    return f"{shown}: changed to something else"


def _why_wider_map(old: dict[Any, Any], new: dict[Any, Any], declared: Degradations, path: str) -> str:
    if list(old) != list(new) and sorted(map(str, old)) != sorted(map(str, new)):
        return f"{path or 'the whole value'}: other keys"
    for key, value in old.items():
        inner = f"{path}.{key}" if path else str(key)
        if key not in new:
            return f"{inner}: left out"
        why = why_wider(value, new[key], declared, inner)
        if why:
            return why
    return ""


def dropped_items(old: Any, new: Any) -> list[Any]:
    """Return the items that lists in the old value hold and the new one does not, in order."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [item for key, value in old.items() if key in new for item in dropped_items(value, new[key])]
    if not (isinstance(old, list) and isinstance(new, list)):
        return []
    gone, at = [], 0
    for item in old:
        if at < len(new) and _same(item, new[at]):
            at += 1
        else:
            gone.append(item)
    return gone


def _is_subsequence(part: Sequence[Any], whole: Sequence[Any]) -> bool:
    at = 0
    for item in whole:
        if at < len(part) and _same(item, part[at]):
            at += 1
    return at == len(part)


def _same(one: Any, other: Any) -> bool:
    """Say whether two plain values are equal; to Python true equals 1 and 1 equals 1.0, to a record they differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(key in other and _same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)

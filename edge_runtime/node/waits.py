"""What an object waits for, leaf by leaf, for people."""

from __future__ import annotations

from typing import Any

from ..objects.triggers import All, Not, Trigger, describe
from ..objects.triggers import Any as AnyOf


def leaves_of(trigger: Trigger) -> list[Trigger]:
    """Return the leaves of a trigger in their order."""
    match trigger:
        case AnyOf(items) | All(items):
            return [leaf for item in items for leaf in leaves_of(item)]
        case Not(item):
            return leaves_of(item)
        case _:
            return [trigger]


def describe_waits(trigger: Trigger) -> list[dict[str, Any]]:
    """Return one row a leaf: its text, and what kind of thing it waits for."""
    return [{"leaf": describe(leaf), "kind": type(leaf).__name__.lower()} for leaf in leaves_of(trigger)]

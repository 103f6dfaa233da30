"""Why a verdict is what it is: each rule in order, what it read, and whether it decided; for people."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from msgspec import Struct

from ..objects.conditions import FactView, Scalar, Truth, evaluate, names
from .call import Call, CallView
from .policy import Policy, Rule


class Look(Enum):
    """What came of looking at one rule."""

    DECIDED = "decided"
    FALSE = "its condition is false"
    UNKNOWN = "its condition is unknown, so it defers"
    OTHER_INTENT = "it speaks of other intents"
    NOT_REACHED = "an earlier rule decided"


class RuleLook(Struct, frozen=True):
    """One rule as it was looked at. `reads`: (name, value) of what its condition reads, None for unknown."""

    rule: str
    effect: str
    look: Look
    when: str
    reads: tuple[tuple[str, Scalar | None], ...]


def look_at_rules(policy: Policy, call: Call, view: FactView) -> tuple[RuleLook, ...]:
    """Return every rule in order, as `Policy.decide` meets it; at most one has decided or deferred."""
    seen, found, is_over = CallView(call, view), list[RuleLook](), bool(call.refusal)
    for rule in policy.rules:
        look = Look.NOT_REACHED if is_over else _look_at(rule, call, seen)
        is_over = is_over or look in (Look.DECIDED, Look.UNKNOWN)
        read = names(rule.condition) if rule.condition is not None else ()
        values = tuple((name, _value_of(name, seen)) for name in read)
        found.append(RuleLook(rule.name, rule.effect.value, look, rule.text, values))
    return tuple(found)


def look_rows(looks: Sequence[RuleLook]) -> list[dict[str, Any]]:
    """Return the looks as JSON-able rows."""
    return [
        {"rule": look.rule, "effect": look.effect, "when": look.when, "look": look.look.value,
         "reads": dict(look.reads)}
        for look in looks
    ]  # fmt: skip


def _look_at(rule: Rule, call: Call, view: CallView) -> Look:
    if not rule.is_about(call.intent):
        return Look.OTHER_INTENT
    truth = Truth.TRUE if rule.condition is None else evaluate(rule.condition, view)
    return {Truth.TRUE: Look.DECIDED, Truth.FALSE: Look.FALSE, Truth.UNKNOWN: Look.UNKNOWN}[truth]


def _value_of(name: str, view: CallView) -> Scalar | None:
    if name.startswith("peer.") and view.fact_value(name, None) is None:
        return view.has_capability(name.removeprefix("peer."))
    return view.fact_value(name, None)

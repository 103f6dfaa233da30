"""`policy.toml` as people write it, turned into rules; what is wrong is named with file, rule and key."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ..base.errors import UsageError
from ..base.limits import (
    ATTEMPTS_MAX,
    DORMANCY_MS_MAX,
    INTEGER_MAX,
    LIST_ITEMS_MAX,
    NAME_BYTES_MAX,
    POLICY_BYTES_MAX,
    POLICY_RULES_MAX,
)
from ..objects.condition_text import parse
from ..objects.conditions import Age, Condition, Within, is_name, leaves, names
from .call import KNOWN, is_known, is_reserved
from .policy import Constraint, Effect, Rule

# The rule's name stands in records.
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_BYTES_MAX)]
Words = Annotated[list[Word], msgspec.Meta(max_length=LIST_ITEMS_MAX)]
_Bound = Annotated[int, msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]


class _RuleText(msgspec.Struct, forbid_unknown_fields=True):
    name: Word
    effect: str
    when: str = ""
    intents: Words = []
    wait_for: Words = []
    set: Annotated[dict[Word, _Bound], msgspec.Meta(max_length=LIST_ITEMS_MAX)] = {}
    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=DORMANCY_MS_MAX)] | None = None
    attempts: Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_MAX)] | None = None


class _PolicyText(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[_RuleText] = []


EXAMPLE = 'A rule looks like:\n[[rule]]\nname = "low battery"\nwhen = "battery.percent < 20"\neffect = "reject"'


def parse_rules(text: str, file: str) -> tuple[Rule, ...]:
    """Return the rules that a file spells, in order.

    Raises:
        UsageError: names the file, the rule and the key, and shows what is right.
    """
    if len(text.encode("utf-8", "replace")) > POLICY_BYTES_MAX:
        raise UsageError(f"{file}: larger than {POLICY_BYTES_MAX} bytes.")
    try:
        parsed = msgspec.toml.decode(text, type=_PolicyText)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{file}: {error}. {EXAMPLE}") from None
    if len(parsed.rule) > POLICY_RULES_MAX:
        raise UsageError(f"{file}: more than {POLICY_RULES_MAX} rules.")
    return tuple(_rule_of(item, f"{file}: rule {n} ({item.name!r})") for n, item in enumerate(parsed.rule, start=1))


def _rule_of(item: _RuleText, place: str) -> Rule:
    words = tuple(effect.value for effect in Effect)
    if item.effect not in words:
        raise UsageError(f"{place}: effect = {item.effect!r} is not one of {', '.join(words)}. {EXAMPLE}")
    effect = Effect(item.effect)
    try:
        condition = parse(item.when) if item.when else None
    except UsageError as error:
        raise UsageError(f"{place}: when: {error.message}") from None
    for name in names(condition) if condition is not None else ():
        if is_reserved(name) and not is_known(name):
            raise UsageError(f"{place}: when: {name} is no name of a call; there are {', '.join(KNOWN)}.")
    wait_for = _wait_for(item, effect, condition, place)
    constraint = _constraint(item, effect, place)
    return Rule(item.name, condition, effect, tuple(item.intents), wait_for, constraint, item.when)


def _wait_for(item: _RuleText, effect: Effect, condition: Condition | None, place: str) -> tuple[str, ...]:
    """Return the facts that a deferral waits for; one that nothing but a new policy ends is no deferral."""
    for name in item.wait_for:
        if is_reserved(name) or not is_name(name):
            raise UsageError(f'{place}: wait_for: {name!r} is no fact. Write it like wait_for = ["battery.percent"].')
    if effect is not Effect.DEFER:
        if item.wait_for:
            raise UsageError(f"{place}: wait_for belongs to effect = \"defer\".")
        return ()
    read = names(condition) if condition is not None else ()
    is_timed = condition is not None and any(isinstance(leaf, (Age, Within)) for leaf in leaves(condition))
    if not item.wait_for and not is_timed and all(is_reserved(name) for name in read):
        raise UsageError(
            f'{place}: say what a deferral waits for: a condition over facts or time, or wait_for = ["approved"]. '
            'What shall never run is effect = "reject".'
        )
    return tuple(item.wait_for)


def _constraint(item: _RuleText, effect: Effect, place: str) -> Constraint | None:
    has_bounds = bool(item.set) or item.timeout_ms is not None or item.attempts is not None
    if effect is not Effect.CONSTRAIN:
        if has_bounds:
            raise UsageError(f'{place}: set, timeout_ms and attempts belong to effect = "constrain".')
        return None
    if not has_bounds:
        raise UsageError(
            f"{place}: say how it narrows the call: set = {{max_bytes = 1000}}, timeout_ms = 5000 or attempts = 2."
        )
    for name in item.set:
        if not name.isidentifier():
            raise UsageError(f"{place}: set: {name!r} is no name of a parameter.")
    return Constraint(tuple(sorted(item.set.items())), item.timeout_ms, item.attempts)

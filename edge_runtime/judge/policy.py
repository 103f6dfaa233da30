"""Policy: the authority on what may run here. Ordered rules, the first that matches decides; unknown never permits.

`policy.toml`:

    [[rule]]
    name = "not at night"
    when = 'within("22:00", "06:00")'
    intents = ["survey.*"]        # optional; all intents without it
    effect = "reject"             # or "permit"

Without a file: permit intents declared by apps here whose creator is executor or operator. With one: what no rule
permits is rejected. A rule whose condition is unknown defers: nothing runs, and the facts that it reads wake the
object. So does the time, where rules read the object's age or the time of day.
"""

from __future__ import annotations

from enum import Enum
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec
from msgspec import Struct

from ..base.digests import blake2b
from ..base.errors import UsageError
from ..base.limits import LIST_ITEMS_MAX, NAME_BYTES_MAX, POLICY_BYTES_MAX, POLICY_RULES_MAX
from ..objects.condition_text import parse
from ..objects.conditions import Condition, FactView, Truth, evaluate, names
from ..objects.due import ByTime, next_turn_age_ms


class Effect(Enum):
    """What a rule, or the whole policy, says."""

    PERMIT = "permit"
    REJECT = "reject"
    DEFER = "defer"


class Rule(Struct, frozen=True):
    """One rule; `condition` None matches always. `intents` are shell patterns."""

    name: str
    condition: Condition | None
    effect: Effect
    intents: tuple[str, ...]


class Verdict(Struct, frozen=True):
    """What policy says of one call.

    Attributes:
        rule: name of the rule that decided. policy: 16-byte hash of the policy. waits_for: facts whose change may
            alter a deferral or rejection.
    """

    effect: Effect
    rule: str
    policy: bytes
    waits_for: tuple[str, ...] = ()


# The rule's name stands in records.
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_BYTES_MAX)]


class _RuleText(msgspec.Struct, forbid_unknown_fields=True):
    name: _Word
    effect: str
    when: str = ""
    intents: Annotated[list[_Word], msgspec.Meta(max_length=LIST_ITEMS_MAX)] = []


class _PolicyText(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[_RuleText] = []


class Policy(Struct, frozen=True):
    """Rules in order, and the hash that verdicts carry. `is_default`: there is no file."""

    rules: tuple[Rule, ...]
    hash: bytes
    is_default: bool = False

    @classmethod
    def default(cls) -> Policy:
        """Return what holds without a file."""
        return cls((), blake2b(b"edge-runtime default policy 1", digest_size=16).digest(), True)

    @classmethod
    def parse(cls, text: str, file: str = "policy.toml") -> Policy:
        """Return the policy that a file spells.

        Raises:
            UsageError: names the file, the rule and the key, and shows what is right.
        """
        data = text.encode("utf-8", "replace")
        if len(data) > POLICY_BYTES_MAX:
            raise UsageError(f"{file}: larger than {POLICY_BYTES_MAX} bytes.")
        try:
            parsed = msgspec.toml.decode(text, type=_PolicyText)
        except msgspec.MsgspecError as error:
            raise UsageError(f"{file}: {error}. {_EXAMPLE}") from None
        if len(parsed.rule) > POLICY_RULES_MAX:
            raise UsageError(f"{file}: more than {POLICY_RULES_MAX} rules.")
        rules = tuple(_rule_of(item, number, file) for number, item in enumerate(parsed.rule, start=1))
        return cls(rules, blake2b(data, digest_size=16).digest())

    def decide(self, intent: str, is_member: bool, view: FactView) -> Verdict:
        """Return the verdict on one call of an intent.

        Args:
            is_member: the object's creator is executor or operator of a fleet of this device.
        """
        if not is_member:
            return Verdict(Effect.REJECT, "creator is neither executor nor operator", self.hash)
        if self.is_default:
            return Verdict(Effect.PERMIT, "default", self.hash)
        for rule in self.rules:
            if rule.intents and not any(fnmatchcase(intent, pattern) for pattern in rule.intents):
                continue
            truth = Truth.TRUE if rule.condition is None else evaluate(rule.condition, view)
            if truth is Truth.UNKNOWN:
                return Verdict(Effect.DEFER, rule.name, self.hash, self.reads())
            if truth is Truth.TRUE:
                return Verdict(rule.effect, rule.name, self.hash, self.reads())
        return Verdict(Effect.REJECT, "no rule permits it", self.hash, self.reads())

    def reads(self) -> tuple[str, ...]:
        """Return the facts that any rule reads, ascending."""
        return tuple(sorted({name for condition in self._conditions() for name in names(condition)}))

    def next_look_age_ms(self, view: ByTime) -> int | None:
        """Return the age at which time alone may alter the verdict; None for never."""
        return next_turn_age_ms(self._conditions(), view)

    def _conditions(self) -> tuple[Condition, ...]:
        return tuple(rule.condition for rule in self.rules if rule.condition is not None)


_EXAMPLE = 'A rule looks like:\n[[rule]]\nname = "low battery"\nwhen = "battery.percent < 20"\neffect = "reject"'


def _rule_of(item: _RuleText, number: int, file: str) -> Rule:
    allowed = (Effect.PERMIT.value, Effect.REJECT.value)
    if item.effect not in allowed:
        raise UsageError(
            f"{file}: rule {number} ({item.name!r}): effect = {item.effect!r} is not one of {', '.join(allowed)}. "
            f"{_EXAMPLE}"
        )
    try:
        condition = parse(item.when) if item.when else None
    except UsageError as error:
        raise UsageError(f"{file}: rule {number} ({item.name!r}): when: {error.message}") from None
    return Rule(item.name, condition, Effect(item.effect), tuple(item.intents))

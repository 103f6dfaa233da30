"""Policy: the authority on what may run here. Ordered rules, the first that matches decides; unknown never permits.

`policy.toml` (`docs/policy.md` has worked examples):

    [[rule]]
    name = "not at night"
    when = 'within("22:00", "06:00")'
    intents = ["survey.*"]        # optional; all intents without it
    effect = "reject"             # or "permit", "defer", "constrain"

Conditions read facts and, under the names of `judge.call`, the call itself. Without a file: permit intents declared
by apps here whose creator is executor or operator. With one: what no rule permits is rejected. A rule whose condition
is unknown defers: nothing runs, and what it reads wakes the object. So does the time, where rules read the object's
age or the time of day.
"""

from __future__ import annotations

from enum import Enum
from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

from ..base.digests import blake2b
from ..objects.conditions import Condition, FactView, Truth, evaluate, leaves, names
from ..objects.due import ByTime, next_turn_age_ms
from .call import Call, CallView, is_reserved


class Effect(Enum):
    """What a rule, or the whole policy, says."""

    PERMIT = "permit"
    REJECT = "reject"
    DEFER = "defer"
    CONSTRAIN = "constrain"


class Constraint(Struct, frozen=True):
    """How a permitted call is narrowed: nothing in it can make a call wider.

    Attributes:
        arguments: (parameter's name, the most it may be), by name. timeout_ms, attempts: of the call; None: as it is.
    """

    arguments: tuple[tuple[str, int], ...] = ()
    timeout_ms: int | None = None
    attempts: int | None = None

    def describe(self) -> str:
        """Return the bounds for people."""
        bounds = [f"{name} <= {most}" for name, most in self.arguments]
        if self.timeout_ms is not None:
            bounds.append(f"timeout <= {self.timeout_ms} ms")
        if self.attempts is not None:
            bounds.append(f"attempts <= {self.attempts}")
        return ", ".join(bounds)


class Rule(Struct, frozen=True):
    """One rule; `condition` None matches always. `intents` are shell patterns. `text`: the condition as written.

    `wait_for`: facts that may end a deferral, beside those that its condition reads. `constraint`: of `constrain`.
    """

    name: str
    condition: Condition | None
    effect: Effect
    intents: tuple[str, ...] = ()
    wait_for: tuple[str, ...] = ()
    constraint: Constraint | None = None
    text: str = ""

    def is_about(self, intent: str) -> bool:
        """Say whether the rule speaks of an intent at all."""
        return not self.intents or any(fnmatchcase(intent, pattern) for pattern in self.intents)

    def facts(self) -> tuple[str, ...]:
        """Return the facts that it reads or waits for."""
        read = names(self.condition) if self.condition is not None else ()
        return (*(name for name in read if not is_reserved(name)), *self.wait_for)


class Verdict(Struct, frozen=True):
    """What policy says of one call.

    Attributes:
        rule: name of the rule that decided. policy: 16-byte hash of the policy.
        waits_for: facts whose change may alter a deferral or rejection, ascending.
        until_age_ms: age of the object at which time alone may alter it; None for never.
        constraint: how a call is narrowed that `constrain` permits. why: what more there is to say, for people.
        expires_wall_ms: wall time from which the grants behind it hold no more; 0 for never.
        is_by_grants: grants alone permit nothing, whatever the rules say.
    """

    effect: Effect
    rule: str
    policy: bytes
    waits_for: tuple[str, ...] = ()
    until_age_ms: int | None = None
    constraint: Constraint | None = None
    why: str = ""
    expires_wall_ms: int = 0
    is_by_grants: bool = False

    @property
    def is_allowed(self) -> bool:
        """Whether the call may run, as it is or narrowed."""
        return self.effect in (Effect.PERMIT, Effect.CONSTRAIN)

    def describe(self) -> str:
        """Return what records say of it: effect, rule, constraint and the policy's hash in hex."""
        why = f" [{self.why}]" if self.why else ""
        return f"{self.effect.value}: {self.rule}{why} (policy {self.policy.hex()})"


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
        from .policy_text import parse_rules

        rules = parse_rules(text, file)
        return cls(rules, blake2b(text.encode("utf-8", "replace"), digest_size=16).digest())

    def decide(self, call: Call, view: FactView, clock: ByTime | None = None) -> Verdict:
        """Return the verdict on one call. Cost: one visit per node of the conditions at most.

        Args:
            view: the facts. clock: the same moment as a view of time alone; without it a verdict names no next look.
        """
        if call.refusal:
            return Verdict(Effect.REJECT, call.refusal, self.hash, is_by_grants=True)
        if self.is_default:
            return Verdict(Effect.PERMIT, "default", self.hash)
        seen = CallView(call, view)
        for rule in self.rules:
            if not rule.is_about(call.intent):
                continue
            truth = Truth.TRUE if rule.condition is None else evaluate(rule.condition, seen)
            if truth is not Truth.FALSE:
                is_known = truth is Truth.TRUE
                effect = rule.effect if is_known else Effect.DEFER
                found = Verdict(effect, rule.name, self.hash, constraint=rule.constraint if is_known else None)
                if not is_known:
                    found = replace(found, why=_unknown_in(rule, seen))
                return found if found.is_allowed else self._waiting(found, call.intent, clock)
        return self._waiting(Verdict(Effect.REJECT, "no rule permits it", self.hash), call.intent, clock)

    def _waiting(self, verdict: Verdict, intent: str, clock: ByTime | None) -> Verdict:
        """Add what may alter a verdict that lets nothing run.

        What any rule about the intent reads, also one that was not reached: so whichever rule refuses, the sleep is the
        same, and facts that go to and fro between two rules make no new one.
        """
        read = [rule for rule in self.rules if rule.is_about(intent)]
        facts = tuple(sorted({name for rule in read for name in rule.facts()}))
        conditions = tuple(rule.condition for rule in read if rule.condition is not None)
        until_ms = None if clock is None else next_turn_age_ms(conditions, clock)
        return replace(verdict, waits_for=facts, until_age_ms=until_ms)

    def reads(self) -> tuple[str, ...]:
        """Return all names that any rule reads or waits for, reserved ones too, ascending."""
        read = {name for rule in self.rules if rule.condition is not None for name in names(rule.condition)}
        return tuple(sorted(read.union(name for rule in self.rules for name in rule.wait_for)))

    @property
    def needs_arguments(self) -> bool:
        """Whether any rule looks at a call's arguments or narrows them."""
        return any(name.startswith("arg.") for name in self.reads()) or any(rule.constraint for rule in self.rules)


def _unknown_in(rule: Rule, view: CallView) -> str:
    assert rule.condition is not None
    unknown = [leaf for leaf in leaves(rule.condition) if evaluate(leaf, view) is Truth.UNKNOWN]
    return "unknown: " + ", ".join(dict.fromkeys(name for leaf in unknown for name in names(leaf)))[:200]

"""Table tests of a policy, kept beside it: what is asked, what is known, and what must come of it.

    policy = "policy.toml"        # beside this file; the default

    [[case]]
    name = "no pictures on a low battery"
    intent = "survey.area"
    step = "shoot"
    facts = { battery.percent = 15 }
    expect = "reject"             # permit, defer, constrain
    rule = "low battery"          # optional: which rule must decide

A fact that is not named is unknown, and so is the time of day without `time`. Source: ours.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..base.errors import UsageError
from ..base.limits import INTEGER_MAX, POLICY_BYTES_MAX, POLICY_CASES_MAX
from ..base.moment import Trust
from ..base.units import MINUTE_MS, SECOND_MS
from ..objects.bodies import EffectClass
from ..objects.condition_text import OUTCOMES
from ..objects.conditions import Scalar
from .call import RANKS, Call
from .facts import Fact
from .policy import Effect, Policy, Verdict
from .policy_text import Word, Words
from .rule_looks import RuleLook, look_at_rules
from .snapshot import Snapshot

_Seconds = Annotated[int, Meta(ge=0, le=INTEGER_MAX // SECOND_MS)]
EFFECTS = tuple(effect.value for effect in Effect)
STEP_EFFECTS = tuple(effect.name.lower() for effect in EffectClass)
EXAMPLE = (
    'A case looks like:\n[[case]]\nname = "low battery"\nintent = "survey.area"\n'
    'facts = { battery.percent = 15 }\nexpect = "reject"\nrule = "low battery"'
)


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    """One case as written.

    Attributes:
        step, effect, resource, needs, args: of the call; without `step` the object as a whole is asked about.
        object_args, object_name, priority, labels, creator: of the object; `creator` is a role.
        facts: name -> value; `ages_s`: how old those are, 0 without. age_s: of the object. time: of day, UTC; empty:
            the clock is not trusted.
        met: capabilities of peers in contact. outcomes: word -> how many tries of the object ended so.
        expect: the effect. rule: which must decide. narrowed: arguments as the step must receive them.
    """

    name: Word
    intent: Word
    expect: str
    rule: str = ""
    step: str = ""
    effect: str = "idempotent"
    resource: str = ""
    needs: Words = []
    args: dict[str, Any] = {}
    object_args: dict[str, Any] = {}
    object_name: str = ""
    priority: Annotated[int, Meta(ge=0, le=15)] = 8
    labels: Words = []
    creator: str = "executor"
    facts: dict[str, Any] = {}
    ages_s: dict[str, Any] = {}
    age_s: _Seconds = 0
    time: Annotated[str, Meta(pattern=r"^$|^([01][0-9]|2[0-3]):[0-5][0-9]$")] = ""
    met: Words = []
    outcomes: dict[str, _Seconds] = {}
    narrowed: dict[str, Any] = {}


class Cases(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of cases, and the policy beside it that they try."""

    case: Annotated[list[Case], Meta(max_length=POLICY_CASES_MAX)] = []
    policy: Word = "policy.toml"


class CaseResult(Struct, frozen=True):
    """What came of one case: `differences` is empty if it is as expected; `looks` says why it came so."""

    case: Case
    verdict: Verdict
    narrowed: dict[str, Any]
    differences: tuple[str, ...]
    looks: tuple[RuleLook, ...]


def parse_cases(text: str, file: str) -> Cases:
    """Return the cases that a file spells.

    Raises:
        UsageError: names the file, the case and the key, and shows what is right.
    """
    if len(text.encode("utf-8", "replace")) > POLICY_BYTES_MAX:
        raise UsageError(f"{file}: larger than {POLICY_BYTES_MAX} bytes.")
    try:
        found = msgspec.toml.decode(text, type=Cases)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{file}: {error}. {EXAMPLE}") from None
    if not found.case:
        raise UsageError(f"{file}: no cases. {EXAMPLE}")
    for number, case in enumerate(found.case, start=1):
        place = f"{file}: case {number} ({case.name!r})"
        _one_of(case.expect, EFFECTS, f"{place}: expect")
        _one_of(case.effect, STEP_EFFECTS, f"{place}: effect")
        _one_of(case.creator, RANKS, f"{place}: creator")
        for word in case.outcomes:
            _one_of(word, OUTCOMES, f"{place}: outcomes")
        for name, value in (*_flat(case.facts).items(), *_flat(case.ages_s).items()):
            if not isinstance(value, (bool, int, float, str)):
                raise UsageError(f"{place}: {name} = {value!r} is no number, text, true or false.")
    return found


def _one_of(word: str, words: tuple[str, ...], place: str) -> None:
    if word not in words:
        raise UsageError(f"{place} = {word!r} is not one of {', '.join(words)}. {EXAMPLE}")


def _flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Return `{battery = {percent = 15}}`, which is what TOML makes of a dotted key, by dotted names."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{above}{key}."))
        else:
            found[f"{above}{key}"] = value
    return found


def try_case(policy: Policy, case: Case) -> CaseResult:
    """Return what a policy says of a case, and how that differs from what is expected."""
    may = case.creator in ("executor", "operator")
    call = Call(
        case.intent, "" if may else "creator is neither executor nor operator", (case.creator,), bytes(32),
        case.priority, case.object_name, tuple(case.labels), case.object_args, case.step,
        case.effect if case.step else "", case.resource, tuple(case.needs), case.args,
    )  # fmt: skip
    view = _view_of(case, policy)
    verdict, narrowed = _narrowed(policy.decide(call, view, view.by_time()), case.args)
    differences = []
    if verdict.effect.value != case.expect:
        differences.append(f"expected {case.expect}, came to {verdict.effect.value}")
    if case.rule and verdict.rule != case.rule:
        differences.append(f"expected rule {case.rule!r} to decide, it was {verdict.rule!r}")
    for name, value in case.narrowed.items():
        if name not in narrowed or narrowed[name] != value:
            differences.append(f"expected {name} = {value!r}, the step would receive {narrowed.get(name)!r}")
    return CaseResult(case, verdict, narrowed, tuple(differences), look_at_rules(policy, call, view))


def _view_of(case: Case, policy: Policy) -> Snapshot:
    life_ms, ages = INTEGER_MAX // 2, _flat(case.ages_s)
    facts = {}
    for name, value in _flat(case.facts).items():
        age_ms = int(float(ages.get(name, 0)) * SECOND_MS)
        facts[name] = Fact(name, value, life_ms - age_ms, "user", INTEGER_MAX)
    hours, minutes = (case.time or "00:00").split(":")
    return Snapshot(
        facts=facts, life_ms=life_ms, age_ms=case.age_s * SECOND_MS,
        wall_ms=(int(hours) * 60 + int(minutes)) * MINUTE_MS, trust=Trust.NTP if case.time else Trust.NONE,
        capabilities=(), met=frozenset(case.met), known=frozenset(case.met), signals=frozenset(),
        outcomes={OUTCOMES.index(word): count for word, count in case.outcomes.items()}, policy=policy.hash, ended={},
    )  # fmt: skip


def _narrowed(verdict: Verdict, arguments: dict[str, Scalar]) -> tuple[Verdict, dict[str, Any]]:
    """Return the verdict as the gate would have it: a bound on what is no number of the call defers."""
    found: dict[str, Any] = dict(arguments)
    for name, most in verdict.constraint.arguments if verdict.constraint is not None else ():
        value = found.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            why = f"{name} is no number in this call"
            return msgspec.structs.replace(verdict, effect=Effect.DEFER, constraint=None, why=why), dict(arguments)
        found[name] = min(value, most)
    return verdict, found

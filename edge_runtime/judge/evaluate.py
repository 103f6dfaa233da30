"""One evaluation of one step: advice apart, authority from policy, capability from the device, pacing from history.

Of the six actions this decides between execution, delegation and dormancy for a call that waits; reentry, mutation
and termination follow from triggers, handlers and lifetimes (`node.turning`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..base.limits import DEATHS_ELSEWHERE, DEATHS_MAX
from .backoff import Failure, Where, semantic_backoff
from .outcomes import Outcome
from .policy import Effect, Policy
from .prober import Destination
from .rto import Rto
from .snapshot import Snapshot


class Action(Enum):
    """The six actions of an evaluation."""

    EXECUTION = "execution"
    MUTATION = "mutation"
    DELEGATION = "delegation"
    DORMANCY = "dormancy"
    REENTRY = "reentry"
    TERMINATION = "termination"


@dataclass(frozen=True, slots=True)
class StepCase:
    """What one waiting step asks.

    Attributes:
        needs: capabilities it needs, ascending. is_member: see `Policy.decide`.
        failure: of its last attempt, None before the first. seed: of its next wait.
        attempts_left: of the object's envelope, None without one.
        retry_first_ms, retry_max_ms: the call's own bounds of a wait, None for none.
    """

    intent: str
    needs: tuple[str, ...]
    is_member: bool
    failure: Failure | None
    seed: int
    attempts_left: int | None
    is_full: bool
    retry_first_ms: int | None = None
    retry_max_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One action and why; for a sleep also what ends it.

    Attributes:
        until_age_ms: the step is looked at again at that age, None for no timer.
        facts: a change of one of these wakes it. missing: capabilities that a device must have.
        rule: what policy said.
    """

    action: Action
    reason: str
    until_age_ms: int | None = None
    facts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    rule: str = ""
    is_on_slot: bool = False


def evaluate_step(case: StepCase, policy: Policy, snapshot: Snapshot, destination: Destination, rto: Rto) -> Decision:
    """Return what to do with one waiting step. Deterministic in its arguments."""
    verdict = policy.decide(case.intent, case.is_member, snapshot)
    if verdict.effect is not Effect.PERMIT:
        facts = (*verdict.waits_for, "policy.version")
        word = "refused" if verdict.effect is Effect.REJECT else "deferred"
        return Decision(Action.DORMANCY, f"{word} by policy: {verdict.rule}", None, facts, (), verdict.rule)
    missing = tuple(need for need in case.needs if need not in snapshot.capabilities)
    if missing:
        return Decision(Action.DELEGATION, f"no device with {', '.join(missing)}", None, (), case.needs, verdict.rule)
    if case.failure is not None:
        paced = _pace(case, case.failure, snapshot, rto, verdict.rule)
        if paced is not None:
            return paced
    if case.attempts_left is not None and case.attempts_left <= 0:
        return Decision(Action.DORMANCY, "exhausted: attempts", rule=verdict.rule)
    if case.is_full:
        return Decision(Action.DORMANCY, "waiting for a free place", rule=verdict.rule, is_on_slot=True)
    if not destination.may_start(snapshot.life_ms):
        wait_ms = max(1, destination.next_ms - snapshot.life_ms) if destination.failures else 1_000
        reason = "unreachable: another object probes" if destination.failures else "waiting for a free place"
        until_ms = snapshot.age_ms + wait_ms
        return Decision(Action.DORMANCY, reason, until_ms, (), (), verdict.rule, is_on_slot=True)
    return Decision(Action.EXECUTION, "permitted, capable, due", rule=verdict.rule)


def _pace(case: StepCase, failure: Failure, snapshot: Snapshot, rto: Rto, rule: str) -> Decision | None:
    """Return the sleep that the last failure asks for, or None if its time has come."""
    if failure.outcome is Outcome.CRASHED and failure.deaths >= DEATHS_MAX:
        return Decision(Action.DORMANCY, f"quarantined: {failure.deaths} process deaths", rule=rule)
    wait = semantic_backoff(failure, rto, case.seed)
    if failure.outcome is Outcome.CRASHED and failure.deaths >= DEATHS_ELSEWHERE and case.needs:
        return Decision(Action.DELEGATION, "the process died here twice", None, (), case.needs, rule)
    if wait.where is Where.ELSEWHERE:
        return Decision(Action.DELEGATION, wait.reason, None, (), case.needs, rule)
    until_ms = wait.until_age_ms
    if until_ms is not None and wait.burns_budget:
        until_ms = _bounded(case, failure, until_ms)
    if until_ms is None or until_ms > snapshot.age_ms:
        facts = ("link",) if wait.is_on_signal else ()
        return Decision(Action.DORMANCY, f"after {wait.reason}", until_ms, facts, (), rule)
    return None


def _bounded(case: StepCase, failure: Failure, until_ms: int) -> int:
    """Keep a wait within the call's own `Retry` bounds; a hint from the other side is not overridden."""
    if failure.outcome is Outcome.BUSY and failure.hint_ms is not None:
        return until_ms
    wait_ms = until_ms - failure.age_ms
    if case.retry_first_ms is not None:
        wait_ms = case.retry_first_ms << min(failure.in_a_row - 1, 32)
    if case.retry_max_ms is not None:
        wait_ms = min(wait_ms, case.retry_max_ms)
    return failure.age_ms + wait_ms

"""One evaluation of one step: advice apart, authority from policy, capability from the device, pacing from history.

Of the six actions this decides between execution, delegation and dormancy for a call that waits; reentry, mutation
and termination follow from triggers, handlers and lifetimes (`node.turning`).
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ..base.limits import BACKOFF_MS_MAX, DEATHS_ELSEWHERE, DEATHS_MAX, PLACE_LOOK_MS, SILENCES_ELSEWHERE
from ..base.units import SECOND_MS
from ..objects.conditions import Truth
from .backoff import Failure, Where, semantic_backoff
from .outcomes import Outcome
from .outranking import OUTRANKED, REASON, is_outranked
from .policy import Effect, Verdict
from .prober import Destination
from .rto import Rto
from .snapshot import Snapshot

# Topics of the wake index, not facts with a value: this device got another grant, or offers something else.
GRANT_FACT, CAPABILITIES_FACT = "own.grant", "own.capabilities"


class Action(Enum):
    """The six actions of an evaluation."""

    EXECUTION = "execution"
    MUTATION = "mutation"
    DELEGATION = "delegation"
    DORMANCY = "dormancy"
    REENTRY = "reentry"
    TERMINATION = "termination"


class StepCase(Struct, frozen=True):
    """What one waiting step asks.

    Attributes:
        intent: of the object, empty where no other device may be asked. needs: capabilities it needs, ascending.
        failure: of its last attempt, None before the first. seed: of its next wait.
        exhausted: the dimension of the object's envelope that is used up, None while there is something left.
        retry_first_ms, retry_max_ms: the call's own bounds of a wait, None for none.
        ends_age_ms: age at which the object ends; a wait that only time ends and that would pass it is not begun.
            None: not known, and not asked.
        who: names the call on this device, as the prober knows it.
        link: the fact that says `up` or `down` of the way to the destination, empty where no fact does.
        is_renewed: what the last failure waited for (a policy, a grant, a fact, a capability) has changed since.
        fault: the device's name for the fault that closed the destination, empty while there is none.
    """

    intent: str
    needs: tuple[str, ...]
    failure: Failure | None
    seed: int
    exhausted: str | None
    is_full: bool
    retry_first_ms: int | None = None
    retry_max_ms: int | None = None
    ends_age_ms: int | None = None
    who: bytes = b""
    link: str = ""
    is_renewed: bool = False
    fault: str = ""


class Decision(Struct, frozen=True):
    """One action and why; for a sleep also what ends it.

    Attributes:
        until_age_ms: the step is looked at again at that age, None for no timer.
        facts: a change of one of these wakes it. missing: capabilities that a device must have.
        rule: what policy said. is_denied: policy is why it does not run here.
        is_prober: it waits for the time of the destination's next attempt, for all.
        is_parked: nothing wakes it but an operator's `resume`.
    """

    action: Action
    reason: str
    until_age_ms: int | None = None
    facts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    rule: str = ""
    is_on_slot: bool = False
    is_denied: bool = False
    is_prober: bool = False
    is_parked: bool = False


def evaluate_step(
    case: StepCase, verdict: Verdict, snapshot: Snapshot, destination: Destination, rto: Rto
) -> Decision:
    """Return what to do with one waiting step that policy has spoken about. Deterministic in its arguments."""
    if not verdict.is_allowed:
        return _denied(case, verdict)
    missing = tuple(need for need in case.needs if need not in snapshot.capabilities)
    if missing:
        return Decision(Action.DELEGATION, f"no device with {', '.join(missing)}", None, (), case.needs, verdict.rule)
    match is_outranked(case.needs, snapshot):
        case Truth.TRUE:
            return Decision(Action.DORMANCY, REASON, rule=verdict.rule, is_parked=True)
        case Truth.UNKNOWN:
            return Decision(Action.DORMANCY, "who flies is not known", facts=(OUTRANKED,), rule=verdict.rule)
    if case.exhausted is not None:
        return Decision(Action.DORMANCY, f"exhausted: {case.exhausted}", rule=verdict.rule)
    if case.failure is not None and not case.is_renewed:
        paced = _pace(case, case.failure, snapshot, destination, rto, verdict.rule)
        if paced is not None:
            return paced
    if case.is_full:
        return _wait_for_place("waiting for a free place", snapshot.age_ms, verdict.rule)
    if case.link and snapshot.fact_value(case.link) == "down":
        return _wait_for_place(f"waiting for {case.link}", snapshot.age_ms, verdict.rule, (case.link,))
    if not destination.may_start(snapshot.life_ms):
        return _wait_for_turn(case, snapshot, destination, verdict.rule)
    return Decision(Action.EXECUTION, "permitted, capable, due", rule=verdict.rule)


def _denied(case: StepCase, verdict: Verdict) -> Decision:
    """Sleep until what policy waits for changes, or policy itself: no timer but where rules read the time.

    What is rejected here another device may permit: one that appears and offers the intent wakes it, too.
    """
    facts: tuple[str, ...] = (*verdict.waits_for, "policy.version")
    word = "deferred"
    if verdict.effect is Effect.REJECT:
        word = "refused"
        facts = (*facts, f"peer.{case.intent}") if case.intent and not verdict.is_by_grants else facts
    until_ms = verdict.until_age_ms
    if until_ms is not None:  # in whole seconds: a clock that is slewed must not make a new sleep of the same one
        until_ms = -(-until_ms // SECOND_MS) * SECOND_MS
    reason = f"{word} by policy: {verdict.rule}"
    return Decision(Action.DORMANCY, reason, until_ms, facts, (), verdict.rule, is_denied=True)


def _wait_for_turn(case: StepCase, snapshot: Snapshot, destination: Destination, rule: str) -> Decision:
    """Sleep until the time of the next attempt, or until the one who waits for that time is answered."""
    look_in_ms = max(1, destination.next_look_ms(snapshot.life_ms) - snapshot.life_ms)
    is_early = destination.has_place(snapshot.life_ms)
    facts = (case.link,) if case.link else ()
    if is_early and destination.is_next(case.who, snapshot.life_ms):
        reason = "after unreachable" if destination.failures else "waiting for the pass"
        until_ms = snapshot.age_ms + look_in_ms
        return Decision(Action.DORMANCY, reason, until_ms, ("link", *facts), (), rule, is_prober=True)
    if destination.failures:
        reason = "unreachable: another object probes" + (f" ({case.fault})" if case.fault else "")
    elif is_early:
        reason = "waiting for the pass: another object goes first"
    else:
        reason = f"waiting for {case.link}" if case.link else "waiting for a free place"
    return _wait_for_place(reason, snapshot.age_ms + look_in_ms, rule, facts)


def _wait_for_place(reason: str, age_ms: int, rule: str, facts: tuple[str, ...] = ()) -> Decision:
    """Sleep until a place gets free, or for one to two hours from an age on, should the one who probes be gone.

    The age is a multiple of the period: whoever looks again and finds no place sleeps the same sleep, and a thousand
    who wait for one destination append nothing for each that is served.
    """
    until_ms = (age_ms // PLACE_LOOK_MS + 2) * PLACE_LOOK_MS
    return Decision(Action.DORMANCY, reason, until_ms, facts, rule=rule, is_on_slot=True)


def _pace(
    case: StepCase, failure: Failure, snapshot: Snapshot, destination: Destination, rto: Rto, rule: str
) -> Decision | None:
    """Return the sleep that the last failure asks for, or None if its time has come."""
    if failure.outcome is Outcome.CRASHED and failure.deaths >= DEATHS_MAX:
        return Decision(Action.DORMANCY, f"quarantined: {failure.deaths} process deaths", rule=rule)
    wait = semantic_backoff(failure, rto, case.seed)
    if failure.outcome is Outcome.CRASHED and failure.deaths >= DEATHS_ELSEWHERE and case.needs:
        return Decision(Action.DELEGATION, "the process died here twice", None, (), case.needs, rule)
    if wait.where is Where.ELSEWHERE:
        return Decision(Action.DELEGATION, wait.reason, None, _renewals(failure), case.needs, rule)
    until_ms = wait.until_age_ms
    if until_ms is not None and wait.burns_budget:
        until_ms = _bounded(case, failure, until_ms)
    if failure.outcome is Outcome.UNREACHABLE and (destination.failures or destination.is_signalled):
        return None  # the prober paces; the own wait is for a destination of which nothing is known, as after a restart
    is_late = until_ms is not None and case.ends_age_ms is not None and until_ms >= case.ends_age_ms
    if is_late and not wait.is_on_signal:
        reason = f"after {wait.reason} the next try comes too late: the deadline cannot be met"
        return Decision(Action.TERMINATION, reason, None, (), case.needs, rule)
    if until_ms is None or until_ms > snapshot.age_ms:
        facts = ("link",) if wait.is_on_signal else ()
        if failure.silences >= SILENCES_ELSEWHERE and case.needs:  # another device may have another way there
            return Decision(Action.DELEGATION, f"after {wait.reason}", until_ms, facts, case.needs, rule)
        return Decision(Action.DORMANCY, f"after {wait.reason}", until_ms, facts, (), rule)
    return None


def _renewals(failure: Failure) -> tuple[str, ...]:
    """Return the facts whose next word may change what the last try met."""
    match failure.outcome:
        case Outcome.REFUSED:
            return ("policy.version", GRANT_FACT, *((failure.fact,) if failure.fact else ()))
        case Outcome.INCAPABLE:
            return (CAPABILITIES_FACT,)
        case _:
            return ()


def _bounded(case: StepCase, failure: Failure, until_ms: int) -> int:
    """Keep a wait within the call's own `Retry` bounds; a hint from the other side is not overridden."""
    if failure.outcome is Outcome.BUSY and failure.hint_ms is not None:
        return until_ms
    wait_ms = until_ms - failure.age_ms
    if case.retry_first_ms is not None:
        ceiling_ms = max(case.retry_first_ms, BACKOFF_MS_MAX)
        wait_ms = min(case.retry_first_ms << min(failure.in_a_row - 1, 32), ceiling_ms)
    if case.retry_max_ms is not None:
        wait_ms = min(wait_ms, case.retry_max_ms)
    return failure.age_ms + wait_ms

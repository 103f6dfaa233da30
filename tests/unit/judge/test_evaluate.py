"""One evaluation of a waiting step: policy before capability before envelope before pacing before place."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge_runtime.base.limits import BACKOFF_MS_MAX, PLACE_LOOK_MS
from edge_runtime.base.moment import Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from edge_runtime.judge.backoff import Failure
from edge_runtime.judge.call import Call
from edge_runtime.judge.evaluate import Action, Decision, StepCase, evaluate_step
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.judge.policy import Policy
from edge_runtime.judge.prober import Destination
from edge_runtime.judge.rto import Rto
from edge_runtime.judge.snapshot import Snapshot
from edge_runtime.objects.attempts import Dimension
from edge_runtime.objects.bodies import HINT_NEVER
from tests.support.snapshots import PLAIN, snapshot

CASE = StepCase("deliver", (), None, 0, None, False)
CALL = Call("deliver", roles=("executor",))
AGE_MS = PLAIN.age_ms
PERMIT = Policy.parse('[[rule]]\nname = "all"\neffect = "permit"\n')
REJECT = Policy.parse("")


def judge(
    case: StepCase = CASE,
    policy: Policy | None = None,
    view: Snapshot = PLAIN,
    destination: Destination | None = None,
) -> Decision:
    verdict = (policy or Policy.default()).decide(CALL, view, view.by_time())
    return evaluate_step(case, verdict, view, destination or Destination(), Rto().after(600))


def failed(
    outcome: Outcome, ago_ms: int = 0, in_a_row: int = 1, hint_ms: int | None = None, deaths: int = 0
) -> StepCase:
    return replace(CASE, failure=Failure(outcome, in_a_row, AGE_MS - ago_ms, hint_ms, deaths))


def test_what_is_permitted_capable_and_due_is_executed() -> None:
    assert judge() == Decision(Action.EXECUTION, "permitted, capable, due", rule="default")
    assert judge(policy=PERMIT).rule == "all"


def test_two_policies_differ_over_one_state() -> None:
    """Behaviour: 1.4 (the decision)."""
    assert judge(policy=PERMIT).action is Action.EXECUTION
    refused = judge(policy=REJECT)
    assert (refused.action, refused.reason) == (Action.DORMANCY, "refused by policy: no rule permits it")
    assert (refused.until_age_ms, refused.facts) == (None, ("policy.version", "peer.deliver"))


def test_policy_comes_before_everything_else() -> None:
    """Behaviour: 4.6, 6.4."""
    case = replace(failed(Outcome.TIMEOUT), needs=("gpu",), exhausted="attempts", is_full=True)
    assert judge(case, REJECT).reason == "refused by policy: no rule permits it"


def test_a_rule_over_an_unknown_fact_defers_until_that_fact_or_the_policy_changes() -> None:
    """Behaviour: 2.3."""
    policy = Policy.parse('[[rule]]\nname = "charged"\nwhen = "battery.percent > 40"\neffect = "permit"\n')
    found = judge(policy=policy)
    assert (found.action, found.reason, found.rule) == (Action.DORMANCY, "deferred by policy: charged", "charged")
    assert found.facts == ("battery.percent", "policy.version")
    assert judge(policy=policy, view=snapshot({"battery.percent": 80})).action is Action.EXECUTION
    assert judge(policy=policy, view=snapshot({"battery.percent": 30})).reason.startswith("refused")


def test_a_refusal_by_the_time_of_day_is_looked_at_again_when_the_window_turns() -> None:
    policy = Policy.parse(
        '[[rule]]\nname = "by day"\nwhen = \'within("06:00", "20:00")\'\neffect = "permit"\n'
    )
    night = snapshot(wall_ms=20_000 * DAY_MS + 2 * HOUR_MS + 500, trust=Trust.NTP)
    found = judge(policy=policy, view=night)
    due_ms = AGE_MS + 4 * HOUR_MS
    assert found.until_age_ms == due_ms
    assert judge(policy=policy, view=replace(night, wall_ms=night.wall_ms + 3)) == found, "a slewed clock: one sleep"
    later = replace(night, age_ms=due_ms, wall_ms=night.wall_ms + 4 * HOUR_MS)
    assert judge(policy=policy, view=later).action is Action.EXECUTION
    blind = judge(policy=policy)
    assert (blind.until_age_ms, blind.facts) == (None, ("time.trust", "policy.version"))


def test_what_needs_a_capability_that_is_not_here_goes_elsewhere() -> None:
    """Behaviour: 3.1, 6.6, 8.1."""
    case = replace(CASE, needs=("camera", "gpu"))
    found = judge(case, view=snapshot(capabilities=("camera",)))
    assert (found.action, found.reason) == (Action.DELEGATION, "no device with gpu")
    assert found.missing == ("camera", "gpu"), "whoever takes it must have them all"
    assert judge(case, view=snapshot(capabilities=("camera", "gpu", "x"))).action is Action.EXECUTION


def test_an_exhausted_envelope_is_not_overridden_by_a_hint() -> None:
    """Behaviour: 6.8."""
    assert judge(replace(CASE, exhausted=None)).action is Action.EXECUTION
    for case in (CASE, failed(Outcome.BUSY, hint_ms=10_000), failed(Outcome.UNREACHABLE)):
        for dimension in Dimension:
            found = judge(replace(case, exhausted=dimension.value))
            assert (found.action, found.reason) == (Action.DORMANCY, f"exhausted: {dimension.value}")
        assert (found.until_age_ms, found.facts, found.is_on_slot) == (None, (), False)


@pytest.mark.parametrize(
    ("case", "until_ms"),
    [
        (failed(Outcome.TIMEOUT), 3_600),
        (failed(Outcome.TIMEOUT, in_a_row=2), 7_200),
        (failed(Outcome.BUSY), 500),
        (failed(Outcome.BUSY, in_a_row=3, hint_ms=10_000), 10_000),
        (failed(Outcome.CRASHED), 500),
    ],
)
def test_a_failure_is_waited_for_and_then_tried_again(case: StepCase, until_ms: int) -> None:
    """Behaviour: 6.2."""
    assert case.failure is not None
    found = judge(case)
    assert (found.action, found.until_age_ms, found.facts) == (Action.DORMANCY, AGE_MS + until_ms, ())
    for age_ms, action in ((AGE_MS + until_ms - 1, Action.DORMANCY), (AGE_MS + until_ms, Action.EXECUTION)):
        assert judge(case, view=snapshot(age_ms=age_ms)).action is action


def test_the_first_death_of_a_process_is_gone_on_with_at_once() -> None:
    assert judge(failed(Outcome.CRASHED, deaths=1)).action is Action.EXECUTION


def test_a_step_that_kills_its_process_goes_elsewhere_after_two_and_is_set_aside_after_three() -> None:
    """Behaviour: 6.15."""
    needy = replace(failed(Outcome.CRASHED, in_a_row=2, deaths=2), needs=("gpu",))
    found = judge(needy, view=snapshot(capabilities=("gpu",)))
    assert (found.action, found.missing) == (Action.DELEGATION, ("gpu",))
    found = judge(failed(Outcome.CRASHED, ago_ms=DAY_MS, in_a_row=3, deaths=3))
    assert (found.action, found.reason) == (Action.DORMANCY, "quarantined: 3 process deaths")
    assert found.until_age_ms is None


@pytest.mark.parametrize(
    "case", [failed(Outcome.INCAPABLE), failed(Outcome.REFUSED), failed(Outcome.BUSY, hint_ms=HINT_NEVER)]
)
def test_what_will_not_work_here_is_delegated_without_waiting(case: StepCase) -> None:
    """Behaviour: 6.4, 6.6."""
    assert judge(case).action is Action.DELEGATION


@pytest.mark.parametrize("outcome", [Outcome.INVALID, Outcome.EXPIRED, Outcome.FENCED, Outcome.UNKNOWN])
def test_what_is_over_is_not_tried_again_however_long_ago_it_was(outcome: Outcome) -> None:
    """Behaviour: 6.5."""
    found = judge(failed(outcome, ago_ms=AGE_MS))
    assert (found.action, found.until_age_ms, found.facts) == (Action.DORMANCY, None, ())


def closed(next_in_ms: int) -> Destination:
    return Destination(failures=3, next_ms=PLAIN.life_ms + next_in_ms)


def test_who_met_an_unreachable_destination_waits_for_its_time_or_a_link() -> None:
    """Behaviour: 6.1."""
    found = judge(failed(Outcome.UNREACHABLE, in_a_row=9), destination=closed(5_000))
    assert (found.action, found.until_age_ms, found.facts) == (Action.DORMANCY, AGE_MS + 5_000, ("link",))
    # Its own time has come, that of the prober has not: it is the next to probe, and stays so.
    found = judge(failed(Outcome.UNREACHABLE, ago_ms=5_000), destination=closed(20_000))
    assert (found.until_age_ms, found.facts) == (AGE_MS + 20_000, ("link",))
    assert judge(failed(Outcome.UNREACHABLE, ago_ms=5_000), destination=closed(0)).action is Action.EXECUTION


def test_after_a_restart_the_object_itself_remembers_how_long_to_wait() -> None:
    """Behaviour: 6.13."""
    found = judge(failed(Outcome.UNREACHABLE, in_a_row=3))
    assert (found.action, found.until_age_ms, found.facts) == (Action.DORMANCY, AGE_MS + 20_000, ("link",))


def test_a_link_that_appears_ends_the_wait_of_who_met_the_failure() -> None:
    """Behaviour: 6.1."""
    destination = closed(600_000)
    case = failed(Outcome.UNREACHABLE, in_a_row=9)
    assert judge(case, destination=destination).action is Action.DORMANCY
    destination.signal()
    assert judge(case, destination=destination).action is Action.EXECUTION
    destination.start(b"another", PLAIN.life_ms)
    found = judge(case, destination=destination)
    assert (found.action, found.reason) == (Action.DORMANCY, "unreachable: another object probes")
    assert judge(failed(Outcome.TIMEOUT), destination=destination).reason == "after timeout", "a link is no answer"


def test_others_wait_for_the_prober_in_one_unchanging_sleep() -> None:
    """Behaviour: 6.10."""
    destination = closed(0)
    destination.start(b"prober", PLAIN.life_ms)
    found = judge(destination=destination)
    assert (found.action, found.reason, found.is_on_slot) == (
        Action.DORMANCY,
        "unreachable: another object probes",
        True,
    )
    assert found.until_age_ms is not None
    assert PLACE_LOOK_MS <= found.until_age_ms - AGE_MS <= 2 * PLACE_LOOK_MS
    later = judge(view=snapshot(age_ms=AGE_MS + MINUTE_MS, life_ms=PLAIN.life_ms + MINUTE_MS), destination=destination)
    assert later == found, "who looks again and finds no place appends nothing"


def test_a_full_destination_or_device_is_waited_for_in_one_unchanging_sleep() -> None:
    """Behaviour: 4.8."""
    full = Destination(in_flight=2, ramp=2)
    for found in (judge(destination=full), judge(replace(CASE, is_full=True))):
        assert (found.action, found.reason, found.is_on_slot) == (Action.DORMANCY, "waiting for a free place", True)
        assert found.until_age_ms == 2 * PLACE_LOOK_MS
    full.end(b"x", Outcome.OK, PLAIN.life_ms)
    assert judge(destination=full).action is Action.EXECUTION


def test_a_wait_that_would_pass_the_end_of_the_object_is_not_begun() -> None:
    """Behaviour: 6.7."""
    hinted = failed(Outcome.BUSY, hint_ms=60_000)
    found = judge(replace(hinted, ends_age_ms=AGE_MS + 20_000))
    assert found.action is Action.TERMINATION
    assert found.reason == "after busy: as asked the next try comes too late: the deadline cannot be met"
    assert judge(replace(hinted, ends_age_ms=AGE_MS + 60_001)).action is Action.DORMANCY
    assert judge(hinted).action is Action.DORMANCY
    lost = replace(failed(Outcome.UNREACHABLE), ends_age_ms=AGE_MS + 1)
    assert judge(lost, destination=closed(5_000)).action is Action.DORMANCY, "a link may come in time"


def test_a_calls_own_bounds_replace_the_wait_but_not_what_the_other_side_asked_for() -> None:
    own = replace(failed(Outcome.TIMEOUT, in_a_row=3), retry_first_ms=100, retry_max_ms=350)
    assert judge(own).until_age_ms == AGE_MS + 350
    assert judge(replace(own, retry_max_ms=None)).until_age_ms == AGE_MS + 400
    only_max = replace(failed(Outcome.TIMEOUT), retry_first_ms=None, retry_max_ms=50)
    assert judge(only_max).until_age_ms == AGE_MS + 50
    asked = replace(failed(Outcome.BUSY, hint_ms=10_000), retry_first_ms=1, retry_max_ms=1)
    assert judge(asked).until_age_ms == AGE_MS + 10_000
    many = replace(failed(Outcome.TIMEOUT, in_a_row=500), retry_first_ms=100)
    assert judge(many).until_age_ms == AGE_MS + BACKOFF_MS_MAX
    slow = replace(many, retry_first_ms=DAY_MS)
    assert judge(slow).until_age_ms == AGE_MS + DAY_MS
    lost = replace(failed(Outcome.UNREACHABLE), retry_first_ms=1)
    assert judge(lost, destination=closed(5_000)).until_age_ms == AGE_MS + 5_000, "the prober's time is not the call's"

"""Laws of authority: unknown never permits, a member's word is not enough, decisions are functions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_runtime.base.moment import Trust
from edge_runtime.judge.backoff import Failure
from edge_runtime.judge.call import Call, CallView
from edge_runtime.judge.evaluate import Action, StepCase, evaluate_step
from edge_runtime.judge.facts import Fact
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.judge.policy import Effect, Policy, Rule
from edge_runtime.judge.prober import Destination
from edge_runtime.judge.rto import Rto
from edge_runtime.judge.snapshot import Snapshot
from edge_runtime.objects.bodies import HINT_NEVER
from edge_runtime.objects.conditions import Truth, evaluate
from tests.support import condition_values as values
from tests.support.snapshots import PLAIN

rules = st.builds(
    Rule,
    st.sampled_from(["r1", "r2", "r3"]),
    st.none() | values.conditions,
    st.sampled_from(Effect),
    st.sampled_from([(), ("survey.*",), ("deliver", "s*")]),
)
policies = st.lists(rules, max_size=5).map(lambda found: Policy(tuple(found), bytes(16))) | st.just(Policy.default())
intents = st.sampled_from(["survey.area", "deliver", "other"])
facts = st.dictionaries(
    values.names,
    st.builds(Fact, st.just("x"), values.scalars, st.sampled_from([0, 999_000, 1_000_000]), st.just("user"),
              st.sampled_from([1, 5_000, 10**9])),
    max_size=5,
)  # fmt: skip
snapshots = st.builds(
    lambda facts, age_ms, wall_ms, trust, met, outcomes: replace(
        PLAIN, facts=facts, age_ms=age_ms, wall_ms=wall_ms, trust=trust, met=frozenset(met), outcomes=outcomes
    ),
    facts,
    st.integers(0, 10**9),
    st.integers(0, 2**45),
    st.sampled_from(Trust),
    st.lists(values.names, max_size=2),
    st.dictionaries(st.integers(0, 12), st.integers(0, 4), max_size=3),
)
cases = st.builds(
    StepCase,
    intents,
    st.sampled_from([(), ("gpu",)]),
    st.none()
    | st.builds(
        Failure,
        st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.OK]),
        st.integers(1, 100),
        st.integers(0, 10**9),
        st.sampled_from([None, None, 0, 10_000, HINT_NEVER]),
        st.integers(0, 4),
    ),
    st.integers(0, 2**64 - 1),
    st.sampled_from([None, 0, 1, 5]),
    st.booleans(),
    st.sampled_from([None, 1, 60_000]),
    st.sampled_from([None, 60_000]),
    st.none() | st.integers(0, 10**9),
)
# What a peer may write into arguments: words of authority, and the names that rules read.
LOUD = ("you are authorised: execute", "permit", "operator", "intent", "step.name", "creator.role", "battery.percent")
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(LOUD) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from((*LOUD, "a", "b", "max_bytes")), inner, max_size=3),
    max_leaves=8,
)
arguments = st.dictionaries(st.sampled_from((*LOUD, "a", "b", "max_bytes")), plain, max_size=3)
calls = st.builds(
    Call,
    intents,
    st.sampled_from(["", "", "", "no member"]),
    st.sampled_from([("executor",), ("operator", "executor"), ("relay",), ()]),
    st.just(bytes(32)),
    st.integers(0, 15),
    st.sampled_from(["", "trip"]),
    st.sampled_from([(), ("urgent",)]),
    plain,
    st.sampled_from(["", "shoot", "send"]),
    st.sampled_from(["observe", "exclusive"]),
    st.sampled_from(["", "arm"]),
    st.sampled_from([(), ("gpu",)]),
    arguments,
)
destinations = st.builds(
    lambda failures, next_ms, probe, in_flight: (failures, next_ms, probe, 4, in_flight),
    st.integers(0, 3),
    st.sampled_from([0, 1_000_000, 1_000_001, 2_000_000]),
    st.sampled_from([None, b"p"]),
    st.integers(0, 5),
)


@given(policies, calls, snapshots)
def test_policy_never_permits_on_unknown(policy: Policy, call: Call, view: Snapshot) -> None:
    """Behaviour: 2.3. A permission has a rule whose condition is true, and no unknown rule before it."""
    verdict = policy.decide(call, view)
    if not verdict.is_allowed:
        return
    assert not call.refusal
    if policy.is_default:
        return
    for rule in policy.rules:
        truth = Truth.TRUE if rule.condition is None else evaluate(rule.condition, CallView(call, view))
        if not rule.is_about(call.intent):
            continue
        if truth is Truth.TRUE:
            assert (rule.effect, rule.name) == (verdict.effect, verdict.rule)
            return
        assert truth is Truth.FALSE
    raise AssertionError("permitted by no rule")


@given(policies, calls, snapshots, arguments, plain)
def test_what_stands_in_arguments_alters_no_verdict_of_rules_that_do_not_read_them(
    policy: Policy, call: Call, view: Snapshot, loud: dict[str, object], of_object: object
) -> None:
    """Behaviour: 2.7. Instructions, names of rules, of facts and of roles among them: authority does not listen."""
    assert not any(name.startswith(("arg.", "object.arg.")) for name in policy.reads())
    other = replace(call, arguments=loud, object_arguments=of_object)
    assert policy.decide(other, view, view.by_time()) == policy.decide(call, view, view.by_time())


@given(calls, snapshots, arguments, st.sampled_from(["a", "b", "max_bytes"]))
def test_a_rule_that_reads_an_argument_compares_that_one_and_never_believes_it(
    call: Call, view: Snapshot, loud: dict[str, object], name: str
) -> None:
    """Behaviour: 2.7. Without the argument, or with one of another kind, the rule is unknown and defers."""
    policy = Policy.parse(f'[[rule]]\nname = "small"\nwhen = "arg.{name} <= 1"\neffect = "permit"\n')
    call = replace(call, refusal="", step="shoot", arguments=loud)
    value = loud.get(name)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    expected = Effect.DEFER if not is_number else Effect.PERMIT if value <= 1 else Effect.REJECT  # type: ignore[operator]
    assert policy.decide(call, view).effect is expected


@given(policies, intents, snapshots, values.names)
def test_a_fact_that_gets_lost_never_gains_a_permission(
    policy: Policy, intent: str, view: Snapshot, name: str
) -> None:
    poorer = replace(view, facts={key: fact for key, fact in view.facts.items() if key != name})
    before, after = policy.decide(Call(intent), view), policy.decide(Call(intent), poorer)
    assert after == before or after.effect is Effect.DEFER


@given(policies, intents, snapshots)
def test_a_fact_that_the_policy_does_not_wait_for_cannot_alter_a_refusal(
    policy: Policy, intent: str, view: Snapshot
) -> None:
    """What a refused object sleeps for is all that could change the answer, time apart. Behaviour: 4.6."""
    verdict = policy.decide(Call(intent), view)
    if verdict.is_allowed:
        return
    only = replace(view, facts={name: fact for name, fact in view.facts.items() if name in verdict.waits_for})
    assert policy.decide(Call(intent), only) == verdict


@given(policies, intents, snapshots, st.integers(1, 10**8))
def test_until_the_next_look_time_alone_alters_no_verdict(
    policy: Policy, intent: str, view: Snapshot, later_ms: int
) -> None:
    verdict = policy.decide(Call(intent), view, view.by_time())
    if verdict.is_allowed:
        return  # it runs now: nobody sleeps until a look
    due_ms = verdict.until_age_ms
    if due_ms is not None:
        later_ms = min(later_ms, due_ms - 1 - view.age_ms)
    # Facts keep their ages: only the object's age and the wall clock move.
    later = replace(view, age_ms=view.age_ms + later_ms, wall_ms=view.wall_ms + later_ms)
    assert policy.decide(Call(intent), later) == policy.decide(Call(intent), view)


@given(policies, calls, cases, snapshots, destinations)
def test_a_decision_is_a_function_of_its_arguments(
    policy: Policy, call: Call, case: StepCase, view: Snapshot, spelled: tuple[int, int, bytes | None, int, int]
) -> None:
    """Behaviour: 1.2."""
    destination, rto = Destination(*spelled), Rto().after(120)
    before = repr(destination)
    copy = Snapshot(**{name: getattr(view, name) for name in view.__slots__})
    first = evaluate_step(case, policy.decide(call, view, view.by_time()), view, destination, rto)
    again = policy.decide(call, copy, copy.by_time())
    assert evaluate_step(case, again, copy, Destination(*spelled), Rto().after(120)) == first
    assert repr(destination) == before, "judging starts nothing"
    assert copy.digest() == view.digest()


@given(policies, calls, cases, snapshots, destinations)
def test_nothing_runs_without_permission_capability_envelope_and_place(
    policy: Policy, call: Call, case: StepCase, view: Snapshot, spelled: tuple[int, int, bytes | None, int, int]
) -> None:
    """Behaviour: 6.5, 6.8, 6.15."""
    destination = Destination(*spelled)
    found = evaluate_step(case, policy.decide(call, view, view.by_time()), view, destination, Rto())
    if found.action is not Action.EXECUTION:
        # Whoever sleeps has something that wakes it, or it is over, exhausted or set aside.
        has_way_out = found.until_age_ms is not None or found.facts or found.is_on_slot
        is_for_people = found.reason.startswith(("exhausted", "quarantined", "after "))
        assert found.action is not Action.DORMANCY or has_way_out or is_for_people
        assert found.until_age_ms is None or found.until_age_ms > view.age_ms, "no sleep that is over at once"
        return
    assert policy.decide(call, view).is_allowed
    assert case.needs == ()
    assert case.exhausted is None
    assert not case.is_full
    assert destination.may_start(view.life_ms)
    if case.failure is not None:
        assert case.failure.outcome not in (Outcome.INVALID, Outcome.FENCED, Outcome.EXPIRED, Outcome.UNKNOWN)
        # Who met what cannot be reached is paced by its prober, not by its own age.
        assert case.failure.age_ms <= view.age_ms or case.failure.outcome is Outcome.UNREACHABLE
        assert case.failure.hint_ms != HINT_NEVER or case.failure.outcome is not Outcome.BUSY
        assert case.failure.outcome is not Outcome.CRASHED or case.failure.deaths < 3

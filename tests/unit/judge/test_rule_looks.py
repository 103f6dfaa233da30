"""Looking at rules for people agrees with deciding by them."""

from __future__ import annotations

from hypothesis import given

from edge_runtime.judge.call import Call
from edge_runtime.judge.policy import Effect, Policy
from edge_runtime.judge.rule_looks import Look, look_at_rules
from edge_runtime.judge.snapshot import Snapshot
from tests.property.test_policy import calls, policies, snapshots


@given(policies, calls, snapshots)
def test_the_rule_that_a_look_says_decided_is_that_of_the_verdict(policy: Policy, call: Call, view: Snapshot) -> None:
    verdict, looks = policy.decide(call, view), look_at_rules(policy, call, view)
    assert [look.rule for look in looks] == [rule.name for rule in policy.rules]
    met = [look for look in looks if look.look in (Look.DECIDED, Look.UNKNOWN)]
    if call.refusal:
        assert {look.look for look in looks} <= {Look.NOT_REACHED}
    elif met:
        assert len(met) == 1 and met[0].rule == verdict.rule
        assert (met[0].look is Look.UNKNOWN) <= (verdict.effect is Effect.DEFER)
    else:
        assert verdict.rule in ("default", "no rule permits it")


def test_a_look_shows_what_was_read_and_unknown_as_none() -> None:
    policy = Policy.parse('[[rule]]\nname = "r"\nwhen = "a > 1 and intent == \'x\' and has(peer.b)"\neffect = "permit"\n')
    from tests.support.snapshots import snapshot

    look = look_at_rules(policy, Call("x"), snapshot())[0]
    assert look.reads == (("a", None), ("intent", "x"), ("peer.b", False))
    assert look.look is Look.FALSE, "nobody with b is met, and that is known"

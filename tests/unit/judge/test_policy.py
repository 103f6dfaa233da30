"""Policy: ordered rules, the first that matches decides, unknown never permits, errors say what to change."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import NAME_BYTES_MAX, POLICY_BYTES_MAX, POLICY_RULES_MAX
from edge_runtime.base.moment import Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS
from edge_runtime.judge.call import Call
from edge_runtime.judge.policy import Effect, Policy
from edge_runtime.judge.snapshot import Snapshot
from tests.support.snapshots import snapshot

FIELD = """
[[rule]]
name = "battery low"
when = "battery.percent < 20"
effect = "reject"

[[rule]]
name = "surveys by day"
when = 'within("06:00", "20:00") and not radio.silent'
intents = ["survey.*", "shoot"]
effect = "permit"

[[rule]]
name = "reports always"
intents = ["report"]
effect = "permit"
"""


def member(intent: str, **fields: Any) -> Call:
    return Call(intent, roles=("executor",), **fields)


def at_hour(hour: int, **facts: bool | int) -> Snapshot:
    day = {"wall_ms": 20_000 * DAY_MS + hour * HOUR_MS, "trust": Trust.NTP}
    return snapshot({name.replace("_", "."): value for name, value in facts.items()}, **day)


def test_without_a_file_members_intents_are_permitted_and_others_are_not() -> None:
    policy = Policy.default()
    verdict = policy.decide(member("anything"), snapshot())
    assert (verdict.effect, verdict.rule, verdict.policy) == (Effect.PERMIT, "default", policy.hash)
    verdict = policy.decide(Call("anything", "creator is neither executor nor operator"), snapshot())
    assert verdict.effect is Effect.REJECT
    assert "neither executor nor operator" in verdict.rule


@pytest.mark.parametrize(
    ("intent", "hour", "facts", "effect", "rule"),
    [
        ("survey.area", 12, {"battery_percent": 80, "radio_silent": False}, Effect.PERMIT, "surveys by day"),
        ("shoot", 12, {"battery_percent": 80, "radio_silent": False}, Effect.PERMIT, "surveys by day"),
        ("survey.area", 12, {"battery_percent": 19, "radio_silent": False}, Effect.REJECT, "battery low"),
        ("report", 12, {"battery_percent": 19}, Effect.REJECT, "battery low"),
        ("report", 3, {"battery_percent": 20}, Effect.PERMIT, "reports always"),
        ("survey.area", 3, {"battery_percent": 80}, Effect.REJECT, "no rule permits it"),
        ("survey.area", 12, {"battery_percent": 80, "radio_silent": True}, Effect.REJECT, "no rule permits it"),
        ("surveyor", 12, {"battery_percent": 80, "radio_silent": False}, Effect.REJECT, "no rule permits it"),
        ("Shoot", 12, {"battery_percent": 80, "radio_silent": False}, Effect.REJECT, "no rule permits it"),
    ],
)
def test_the_first_rule_that_matches_decides(
    intent: str, hour: int, facts: dict[str, bool | int], effect: Effect, rule: str
) -> None:
    verdict = Policy.parse(FIELD).decide(member(intent), at_hour(hour, **facts))
    assert (verdict.effect, verdict.rule) == (effect, rule)


def test_a_rule_that_cannot_be_evaluated_defers_and_names_what_it_waits_for() -> None:
    """Behaviour: 2.3, 4.13."""
    policy = Policy.parse(FIELD)
    for view in (snapshot(), snapshot({"battery.percent": 80})):
        verdict = policy.decide(member("survey.area"), view)
        assert verdict.effect is Effect.DEFER
        assert "battery.percent" in verdict.waits_for
    assert verdict.waits_for == ("battery.percent", "radio.silent", "time.trust")
    assert policy.decide(member("survey.area"), snapshot()).rule == "battery low"
    assert policy.decide(member("survey.area"), snapshot({"battery.percent": 80})).rule == "surveys by day"
    assert policy.decide(member("report"), snapshot()).effect is Effect.DEFER, "an unknown reject does not let pass"


def test_no_file_permits_who_is_no_member() -> None:
    policy = Policy.parse('[[rule]]\nname = "all"\neffect = "permit"\n')
    assert policy.decide(member("x"), snapshot()).effect is Effect.PERMIT
    assert policy.decide(Call("x", "no member"), snapshot()).effect is Effect.REJECT


def test_a_file_without_rules_permits_nothing() -> None:
    assert Policy.parse("").decide(member("x"), snapshot()).effect is Effect.REJECT


def test_the_hash_names_the_text_and_stands_in_each_verdict() -> None:
    policy = Policy.parse(FIELD)
    assert policy.decide(member("x"), snapshot()).policy == policy.hash == Policy.parse(FIELD).hash
    hashes = {policy.hash, Policy.parse(FIELD + "\n").hash, Policy.parse("").hash, Policy.default().hash}
    assert len(hashes) == 4
    assert all(len(value) == 16 for value in hashes)


def test_time_alone_may_alter_the_verdict_and_the_policy_says_when() -> None:
    noon = at_hour(12, battery_percent=80, radio_silent=False)
    policy = Policy.parse(FIELD)
    call = member("other")
    assert policy.decide(call, noon, noon.by_time()).until_age_ms is None, "no rule that it met reads the time"
    call = member("shoot")
    silent = at_hour(12, battery_percent=80, radio_silent=True)
    assert policy.decide(call, silent, silent.by_time()).until_age_ms == noon.age_ms + 8 * HOUR_MS
    unset = snapshot({"battery.percent": 80})
    assert policy.decide(call, unset, unset.by_time()).until_age_ms is None, "while the clock is not trusted"
    assert policy.decide(call, noon, noon.by_time()).until_age_ms is None, "what is permitted waits for nothing"


RULE = '[[rule]]\nname = "x"\n'
BAD = {
    "[[rule]": "policy.toml: ",
    "[rule]\n": "Expected `array`",
    '[[rule]]\neffect = "permit"\n': "missing required field `name`",
    RULE: "missing required field `effect`",
    '[[rule]]\nname = ""\neffect = "permit"\n': "$.rule[0].name",
    f'[[rule]]\nname = "{"n" * (NAME_BYTES_MAX + 1)}"\neffect = "permit"\n': "$.rule[0].name",
    RULE + "effect = 1\n": "$.rule[0].effect",
    RULE + 'effect = "permit"\nwhom = "all"\n': "unknown field `whom`",
    RULE + 'effect = "permit"\nwhen = 3\n': "$.rule[0].when",
    RULE + 'effect = "permit"\nintents = "survey"\n': "$.rule[0].intents",
    'version = 1\n[[rule]]\nname = "x"\neffect = "permit"\n': "unknown field `version`",
    RULE + 'effect = "Permit"\n': "rule 1 ('x'): effect = 'Permit' is not one of permit, reject, defer, constrain",
}


@pytest.mark.parametrize(("text", "part"), BAD.items())
def test_a_bad_file_is_refused_with_file_key_and_an_example(text: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        Policy.parse(text, "policy.toml")
    assert caught.value.message.startswith("policy.toml: ")
    assert part in caught.value.message
    assert 'effect = "reject"' in caught.value.message


def test_a_bad_condition_is_refused_at_its_rule_and_part() -> None:
    text = RULE + 'effect = "permit"\n' + '[[rule]]\nname = "y"\neffect = "permit"\nwhen = "battery + 1 > 2"\n'
    with pytest.raises(UsageError, match=r"p\.toml: rule 2 \('y'\): when: .*`battery \+ 1`.*Write it like") as caught:
        Policy.parse(text, "p.toml")
    assert caught.value.message.count("p.toml") == 1


def test_a_file_beyond_the_bounds_is_refused() -> None:
    with pytest.raises(UsageError, match="larger than 65536 bytes"):
        Policy.parse("#" * (POLICY_BYTES_MAX + 1))
    rule = '[[rule]]\nname = "x"\neffect = "permit"\n'
    assert len(Policy.parse(rule * POLICY_RULES_MAX).rules) == POLICY_RULES_MAX
    with pytest.raises(UsageError, match="more than 100 rules"):
        Policy.parse(rule * (POLICY_RULES_MAX + 1))


def test_the_example_in_the_errors_is_itself_a_policy() -> None:
    with pytest.raises(UsageError) as caught:
        Policy.parse("rule = 1")
    example = caught.value.message.partition("looks like:")[2]
    assert [rule.name for rule in Policy.parse(example).rules] == ["low battery"]

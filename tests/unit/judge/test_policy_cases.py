"""Cases beside a policy: read strictly, tried as the gate would, and what differs is said."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import POLICY_BYTES_MAX, POLICY_CASES_MAX
from edge_runtime.judge.policy import Effect, Policy
from edge_runtime.judge.policy_cases import EXAMPLE, parse_cases, try_case
from edge_runtime.judge.rule_looks import Look

POLICY = Policy.parse(
    """
[[rule]]
name = "tired"
when = "count(timeout, 3) or age > hours(2)"
effect = "reject"

[[rule]]
name = "small"
when = 'step.name == "upload" and object.arg.area == 7 and has(peer.uplink)'
effect = "constrain"
set = { max_bytes = 10 }

[[rule]]
name = "others"
intents = ["other"]
effect = "permit"

[[rule]]
name = "urgent"
when = "object.label.urgent or object.priority < 3 or step.needs.camera"
effect = "permit"
"""
)
CASE = '[[case]]\nname = "c"\nintent = "x"\nexpect = "reject"\n'


def tried(more: str, expect: str = "reject") -> tuple[Effect, str]:
    result = try_case(POLICY, parse_cases(CASE.replace("reject", expect) + more, "t.toml").case[0])
    return result.verdict.effect, result.verdict.rule


@pytest.mark.parametrize(
    ("more", "effect", "rule"),
    [
        ("", Effect.DEFER, "urgent"),
        ('step = "other"', Effect.REJECT, "no rule permits it"),
        ("outcomes = { timeout = 3 }", Effect.REJECT, "tired"),
        ("age_s = 7201", Effect.REJECT, "tired"),
        ('step = "upload"\nobject_args = { area = 7 }\nmet = ["uplink"]\nargs = { max_bytes = 3 }', Effect.CONSTRAIN,
         "small"),
        ('step = "upload"\nobject_args = { area = 7 }\nmet = ["uplink"]', Effect.DEFER, "small"),
        ('step = "other"\nlabels = ["urgent"]', Effect.PERMIT, "urgent"),
        ('step = "other"\npriority = 1', Effect.PERMIT, "urgent"),
        ('step = "other"\nneeds = ["camera"]', Effect.PERMIT, "urgent"),
        ('creator = "relay"', Effect.REJECT, "creator is neither executor nor operator"),
    ],
)  # fmt: skip
def test_a_case_is_asked_as_the_gate_would_ask(more: str, effect: Effect, rule: str) -> None:
    """Behaviour: 2.3, 2.4."""
    assert tried(more) == (effect, rule)


def test_every_difference_is_said() -> None:
    more = 'rule = "urgent"\nstep = "upload"\nobject_args = { area = 7 }\nmet = ["uplink"]\nargs = { max_bytes = 30 }\n'
    case = parse_cases(CASE + more + "narrowed = { max_bytes = 20, gone = 1 }\n", "t.toml").case[0]
    result = try_case(POLICY, case)
    assert result.differences == (
        "expected reject, came to constrain",
        "expected rule 'urgent' to decide, it was 'small'",
        "expected max_bytes = 20, the step would receive 10",
        "expected gone = 1, the step would receive None",
    )
    assert [look.look for look in result.looks] == [Look.FALSE, Look.DECIDED, Look.NOT_REACHED, Look.NOT_REACHED]
    assert result.looks[1].reads == (("object.arg.area", 7), ("peer.uplink", True), ("step.name", "upload"))


BAD = {
    "": "no cases",
    "[[case]]\n": "missing required field `name`",
    CASE + "when = 3\n": "unknown field `when`",
    CASE.replace("reject", "refuse"): "case 1 ('c'): expect = 'refuse' is not one of permit, reject, defer, constrain",
    CASE + 'effect = "gated"\n': "effect = 'gated' is not one of observe",
    CASE + 'creator = "king"\n': "creator = 'king'",
    CASE + "outcomes = { sad = 1 }\n": "outcomes = 'sad'",
    CASE + "facts = { a = [1] }\n": "a = [1] is no number",
    CASE + 'time = "25:00"\n': "$.case[0].time",
    CASE * (POLICY_CASES_MAX + 1): "$.case",
}


@pytest.mark.parametrize(("text", "part"), BAD.items())
def test_a_bad_file_is_refused_with_its_place(text: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_cases(text, "t.toml")
    assert caught.value.message.startswith("t.toml: ") and part in caught.value.message


def test_a_file_beyond_its_bound_is_refused_and_the_example_is_right() -> None:
    with pytest.raises(UsageError, match="larger than"):
        parse_cases("#" * (POLICY_BYTES_MAX + 1), "t.toml")
    assert parse_cases(EXAMPLE.partition("looks like:")[2], "t.toml").case[0].rule == "low battery"

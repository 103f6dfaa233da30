"""The page about policy: its examples are tried, its names are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_runtime.base.limits import ARGUMENT_DEPTH_MAX
from edge_runtime.judge.call import KNOWN
from edge_runtime.judge.policy import Policy
from edge_runtime.judge.policy_cases import Case, parse_cases, try_case

PAGE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text()
BLOCKS = re.findall(r"```toml (policy|cases)\n(.*?)```", PAGE, re.DOTALL)
PAIRS = [(BLOCKS[at][1], BLOCKS[at + 1][1]) for at in range(0, len(BLOCKS), 2)]
CASES = [(policy, case) for policy, cases in PAIRS for case in parse_cases(cases, "docs/policy.md").case]


def test_each_policy_on_the_page_has_its_cases() -> None:
    assert [kind for kind, _ in BLOCKS] == ["policy", "cases"] * len(PAIRS) and len(PAIRS) >= 2


@pytest.mark.parametrize(("policy", "case"), CASES, ids=lambda item: item.name if isinstance(item, Case) else "")
def test_an_example_comes_out_as_the_page_says(policy: str, case: Case) -> None:
    """Behaviour: 2.3, 2.4, 2.7, 4.13."""
    assert try_case(Policy.parse(policy), case).differences == ()


def test_every_name_of_a_call_and_every_key_of_a_case_is_on_the_page() -> None:
    for name in KNOWN:
        assert f"`{name.replace('…', '<')}" in PAGE or name in PAGE, name
    for field in Case.__struct_fields__:
        assert field in PAGE, field
    assert f"at most {ARGUMENT_DEPTH_MAX} words deep" in PAGE

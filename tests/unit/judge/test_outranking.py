"""Who outranks this device at a vehicle."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge_runtime.judge.fact_names import find_registered
from edge_runtime.judge.facts import Fact
from edge_runtime.judge.outranking import OUTRANKED, is_outranked
from edge_runtime.objects.conditions import Truth
from tests.support.snapshots import PLAIN


@pytest.mark.parametrize(
    ("needs", "value", "age_ms", "truth"),
    [
        (("mavlink",), True, 0, Truth.TRUE),
        (("camera", "mavlink"), False, 0, Truth.FALSE),
        (("mavlink",), False, 15_001, Truth.UNKNOWN),
        (("mavlink",), None, 0, Truth.UNKNOWN),
        (("camera",), True, 0, Truth.FALSE),
        ((), None, 0, Truth.FALSE),
    ],
)
def test_only_a_known_false_lets_a_step_act_on_the_vehicle(
    needs: tuple[str, ...], value: bool | None, age_ms: int, truth: Truth
) -> None:
    facts = {} if value is None else {OUTRANKED: Fact(OUTRANKED, value, 1_000, "mavlink", 15_000)}
    assert is_outranked(needs, replace(PLAIN, facts=facts, life_ms=1_000 + age_ms)) is truth


def test_the_fact_is_registered() -> None:
    assert find_registered(OUTRANKED) is not None

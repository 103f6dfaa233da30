"""A fact is known as long as it is young enough."""

from __future__ import annotations

import pytest

from edge_runtime.judge.facts import Fact

FACT = Fact("battery.percent", 80, 1_000, "sensor", 500)


@pytest.mark.parametrize(
    ("life_ms", "max_age_ms", "is_known"),
    [
        (1_000, None, True),
        (1_500, None, True),
        (1_501, None, False),
        (1_100, 100, True),
        (1_101, 100, False),
        (1_501, 9_000, False),  # a laxer wish does not make it younger
    ],
)
def test_a_fact_older_than_its_own_or_the_asked_age_is_unknown(
    life_ms: int, max_age_ms: int | None, is_known: bool
) -> None:
    """Behaviour: 4.13."""
    assert FACT.is_known_at(life_ms, max_age_ms) is is_known

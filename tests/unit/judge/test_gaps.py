"""The spacing of attempts at what gives no sign: Keller's rule, a prior, and what corrects it."""

from __future__ import annotations

import pytest

from edge_runtime.base.limits import (
    GAP_CLASSES_MAX,
    GAP_MS_MEAN_MAX,
    PROBE_COST_MS,
    PROBE_COST_MS_MAX,
    PROBE_MS_FIRST,
    PROBE_MS_MAX,
)
from edge_runtime.base.units import DAY_MS, HOUR_MS
from edge_runtime.judge.gaps import Gaps, class_of, keller_ms


@pytest.mark.parametrize("mean_ms", [10_000, 100_000, 1_000_000])
def test_no_other_spacing_costs_less_than_kellers(mean_ms: int) -> None:
    """For a return at any time alike: attempts per gap times their cost, and half a spacing of delay."""

    def cost_ms(spacing_ms: int) -> float:
        return mean_ms / spacing_ms * PROBE_COST_MS + spacing_ms / 2

    best_ms = keller_ms(mean_ms, PROBE_COST_MS)
    for percent in (50, 80, 95, 105, 125, 200):
        assert cost_ms(best_ms) <= cost_ms(best_ms * percent // 100)


@pytest.mark.parametrize(
    ("age_ms", "number"),
    [(-5, 0), (0, 0), (7_999, 0), (8_000, 1), (15_999, 1), (16_000, 2), (HOUR_MS, 9), (10_000 * DAY_MS, 19)],
)
def test_classes_of_age_double(age_ms: int, number: int) -> None:
    assert class_of(age_ms) == number
    assert number < GAP_CLASSES_MAX


def test_the_prior_is_that_it_comes_back_within_half_as_long_again_and_never_more_rarely_than_a_bound() -> None:
    gaps = Gaps()
    assert [gaps.mean_ms(age_ms) for age_ms in (0, 8_000, 100_000)] == [2_000, 4_000, 32_000]
    assert gaps.mean_ms(HOUR_MS) == gaps.mean_ms(30 * DAY_MS) == GAP_MS_MEAN_MAX
    assert gaps.spacing_ms(30 * DAY_MS, PROBE_COST_MS) == 42_426


def test_the_spacing_is_bounded_whatever_an_attempt_costs() -> None:
    assert Gaps().spacing_ms(0, 0) == PROBE_MS_FIRST
    assert Gaps().spacing_ms(DAY_MS, 2 * PROBE_COST_MS_MAX) == PROBE_MS_MAX


def test_gaps_of_one_length_draw_attempts_to_their_end_and_away_from_before() -> None:
    gaps, prior = Gaps(), Gaps()
    for _ in range(20):
        gaps.learn(100_000, has_ended=True)
    assert gaps.mean_ms(20_000) > 2 * prior.mean_ms(20_000), "none ended so early"
    assert gaps.mean_ms(100_000) < gaps.mean_ms(40_000) / 3, "all ended here"
    assert gaps.mean_ms(DAY_MS) == prior.mean_ms(DAY_MS), "nothing was seen of that"


def test_one_gap_hardly_moves_what_is_expected() -> None:
    gaps, prior = Gaps(), Gaps()
    gaps.learn(100_000, has_ended=True)
    for age_ms in (0, 20_000, 100_000, HOUR_MS):
        assert 0.75 < gaps.mean_ms(age_ms) / prior.mean_ms(age_ms) <= 2


def test_a_gap_that_nobody_watched_to_its_end_counts_as_waiting_only() -> None:
    gaps = Gaps()
    gaps.learn(40_000, has_ended=False)
    assert sum(gaps.waited_ms) == 40_000
    assert not any(gaps.ended)
    gaps.learn(-1, has_ended=True)
    assert gaps.ended[0] == 1
    assert sum(gaps.waited_ms) == 40_000

"""Golden vectors G1 to G11 of pacing: exact values by rational arithmetic; ours within what each vector allows.

Sources: RFC 6298, gRPC A6, RFC 6693, Hayashibara et al. 2004.
"""

from __future__ import annotations

from fractions import Fraction
from math import erfc, log10, sqrt

import pytest

from edge_runtime.judge.accrual import FADING_LEVEL, GAPS_MIN, Z_PPM, Gaps, is_beyond
from edge_runtime.judge.encounters import (
    AGING_MS,
    FIRST_BELOW_PPB,
    FIRST_PPB,
    TYPICAL_INTERVAL_MS,
    Encounters,
    aged,
    met,
    through,
)
from edge_runtime.judge.rto import Rto
from edge_runtime.judge.throttle import Tokens

SEVERAL = 976_770_000  # ppb after three full encounters from 0.5


def timeouts_us(samples: list[int]) -> list[int]:
    rto, found = Rto(), []
    for sample in samples:
        rto = rto.after(sample)
        found.append(rto.base_us())
    return found


def test_g1_the_timeout_follows_the_round_trips_within_20_us() -> None:
    golden_us = [600_000, 500_000, 1_212_500, Fraction(1_670_312_500, 1_000), Fraction(1_946_679_687_500, 1_000_000)]
    found = timeouts_us([200, 200, 900, 900, 900])
    assert all(abs(ours - exact) <= 20 for ours, exact in zip(found, golden_us, strict=True))


def test_g2_one_late_sample_lifts_the_timeout_and_it_stays_high_for_many_after() -> None:
    """Behaviour: 6.11."""
    found = timeouts_us([50] * 10 + [5_000] * 5 + [50] * 10)
    golden_us = {10: 57_508, 11: 5_624_381, 12: 9_258_130, 15: 13_376_811, 20: 9_193_101, 25: 5_287_197}
    for number, exact in golden_us.items():
        assert abs(found[number - 1] - exact) <= 20 + 1  # the vector itself is rounded to a us
    assert found[24] > 90 * found[9]


def test_g3_each_timeout_doubles_it_up_to_a_minute() -> None:
    rto = Rto()
    for sample in (200, 200, 900):
        rto = rto.after(sample)
    assert [rto.timeout_ms(times) for times in range(1, 7)] == [2_425, 4_850, 9_700, 19_400, 38_800, 60_000]
    assert [Rto().timeout_ms(times) for times in (1, 2)] == [2_000, 4_000]


def test_g4_retries_stop_at_half_the_tokens_and_go_on_above() -> None:
    tokens, seen = Tokens(), []
    for what in "FFFFF" + "S" + "F" + "S" * 9 + "S":
        tokens = tokens.after_failure() if what == "F" else tokens.after_answer()
        seen.append((tokens.milli, tokens.may_retry))
    assert seen[:5] == [(9_000, True), (8_000, True), (7_000, True), (6_000, True), (5_000, False)]
    assert (seen[5], seen[6], seen[15], seen[16]) == ((5_100, True), (4_100, False), (5_000, False), (5_100, True))


def test_g4_tokens_stay_between_none_and_all() -> None:
    full = Tokens()
    assert full.after_answer() == full
    spent = full
    for _ in range(100):
        spent = spent.after_failure()
    assert spent.milli == 0


def test_g5_three_full_encounters() -> None:
    ppb, seen = FIRST_PPB, []
    for _ in range(3):
        ppb = met(ppb, TYPICAL_INTERVAL_MS)
        seen.append(ppb)
    assert seen == [843_000_000, 945_900_000, SEVERAL]


def test_g6_a_thousand_units_of_aging_at_once_or_one_by_one() -> None:
    assert abs(aged(SEVERAL, 1_000) - 359_153_860) <= 5
    stepwise = SEVERAL
    for _ in range(1_000):
        stepwise = aged(stepwise, 1)
    assert 0 <= aged(SEVERAL, 1_000) - stepwise <= 1_000, "less than a millionth"
    assert aged(SEVERAL, 10**9) == 0


def test_g7_short_re_encounters_count_less() -> None:
    assert met(843_000_000, TYPICAL_INTERVAL_MS // 4) == 868_725_000
    assert met(843_000_000, TYPICAL_INTERVAL_MS // 10) == 853_290_000
    assert met(843_000_000, 0) == 843_000_000, "a link that flaps gains nothing"


def test_g8_who_is_met_through_a_peer() -> None:
    assert through(0, SEVERAL, 843_000_000) == 741_075_399
    assert through(800_000_000, SEVERAL, 843_000_000) == 800_000_000, "never less than was known"


def test_g9_a_peer_that_was_forgotten_is_met_as_for_the_first_time() -> None:
    assert aged(SEVERAL, 2_277) >= FIRST_BELOW_PPB > aged(SEVERAL, 2_278)
    assert abs(aged(SEVERAL, 2_278) - 99_994_100) <= 50
    assert met(aged(SEVERAL, 2_278), TYPICAL_INTERVAL_MS) == FIRST_PPB
    fresh = Encounters().after_meeting(5_000)
    assert (fresh.ppb, fresh.met_ms) == (FIRST_PPB, 5_000)


def phi(elapsed: float, mean: float, sd: float) -> float:
    """Return the definition itself, with floats, for this test alone."""
    return -log10(0.5 * erfc((elapsed - mean) / (sd * sqrt(2))))


@pytest.mark.parametrize(("elapsed_us", "golden"), [(1_000_000, 0.3010), (1_500_000, 1.6430), (2_000_000, 4.4993),
                                                    (3_000_000, 15.2061)])  # fmt: skip
def test_g10_levels_are_reached_exactly_where_phi_reaches_them(elapsed_us: int, golden: float) -> None:
    assert abs(phi(elapsed_us / 1e6, 1.0, 0.25) - golden) < 0.0001
    for level in Z_PPM:
        assert is_beyond(elapsed_us, 1_000_000, 250_000, level) is (golden >= level)


def test_g11_the_quantiles() -> None:
    assert Z_PPM == {1: 1_281_552, 2: 2_326_348, 3: 3_090_232, 5: 4_264_891, 8: 5_612_001}
    for level, z_ppm in Z_PPM.items():
        assert abs(phi(1 + 0.25 * z_ppm / 1e6, 1.0, 0.25) - level) < 0.00001
        edge_us = 1_000_000 + z_ppm * 250_000 // 1_000_000
        assert not is_beyond(edge_us - 2, 1_000_000, 250_000, level)
        assert is_beyond(edge_us + 1, 1_000_000, 250_000, level)


def test_predictability_ages_by_whole_units_however_often_it_is_asked() -> None:
    known = Encounters().after_meeting(0)
    often = known
    for now_ms in range(0, 10 * AGING_MS + 1, AGING_MS // 7):
        often = often.at(now_ms)
    often = often.at(10 * AGING_MS)
    assert (often.aged_ms, known.at(10 * AGING_MS).aged_ms) == (10 * AGING_MS, 10 * AGING_MS)
    assert 0 <= known.at(10 * AGING_MS).ppb - often.ppb <= 10
    again = known.after_meeting(TYPICAL_INTERVAL_MS)
    assert known.ppb < again.ppb < met(FIRST_PPB, TYPICAL_INTERVAL_MS)


def test_a_silence_is_fading_only_against_the_gaps_of_its_own_contact() -> None:
    """Golden vector G11 in use: regular signs each second, then none."""
    gaps = Gaps()
    for _ in range(GAPS_MIN - 1):
        gaps = gaps.after(1_000_000)
    assert not gaps.is_fading(10**12), "too few signs say nothing"
    for _ in range(100):
        gaps = gaps.after(1_000_000)
    assert not gaps.is_fading(1_300_000)
    assert gaps.is_fading(1_310_000) and gaps.level(1_310_000) == FADING_LEVEL
    for gap_us in (500_000, 3_000_000) * 16:
        gaps = gaps.after(gap_us)
    assert not gaps.is_fading(4_000_000), "an irregular peer is given longer"

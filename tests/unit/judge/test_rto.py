"""Golden vectors of the retransmission timeout: exact values by rational arithmetic, ours within 20 us.

Source: RFC 6298 section 2, worked out with fractions here as well.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from edge_runtime.base.limits import RTO_MS_INITIAL, RTO_MS_MAX, RTO_MS_MIN
from edge_runtime.judge.rto import Rto

G1 = [200, 200, 900, 900, 900]
G2 = [50] * 10 + [5_000] * 5 + [50] * 10


def exact_ms(samples: list[int]) -> list[Fraction]:
    """Return the timeouts after each sample, in ms, without rounding."""
    found = []
    srtt = rttvar = Fraction(0)
    for number, sample in enumerate(samples):
        if number == 0:
            srtt, rttvar = Fraction(sample), Fraction(sample, 2)
        else:
            rttvar = Fraction(3, 4) * rttvar + Fraction(1, 4) * abs(srtt - sample)
            srtt = Fraction(7, 8) * srtt + Fraction(1, 8) * sample
        found.append(srtt + 4 * rttvar)
    return found


def ours_us(samples: list[int]) -> list[int]:
    rto, found = Rto(), []
    for sample in samples:
        rto = rto.after(sample)
        found.append(rto.base_us())
    return found


def test_the_exact_values_are_the_golden_ones() -> None:
    assert [float(value) for value in exact_ms(G1)] == [600, 500, 1212.5, 1670.3125, 1946.6796875]
    exact = exact_ms(G2)
    golden = {10: 57.508, 11: 5624.381, 12: 9258.130, 15: 13376.811, 20: 9193.101, 25: 5287.197}
    for number, value in golden.items():
        assert abs(float(exact[number - 1]) - value) < 0.001


@pytest.mark.parametrize("samples", [G1, G2], ids=["G1", "G2"])
def test_the_timeout_is_within_20_us_of_exact(samples: list[int]) -> None:
    """Behaviour: 6.11 (one late sample is enough to lift it, and it stays high for many after)."""
    for ours, exact in zip(ours_us(samples), exact_ms(samples), strict=True):
        assert abs(ours - exact * 1_000) <= 20


def test_each_timeout_in_a_row_doubles_it_up_to_a_minute() -> None:
    """G3."""
    rto = Rto()
    for sample in G1[:3]:
        rto = rto.after(sample)
    assert rto.base_us() == 1_212_500
    assert [rto.timeout_ms(times) for times in range(1, 8)] == [2_425, 4_850, 9_700, 19_400, 38_800, 60_000, 60_000]
    assert rto.timeout_ms(0) == 1_213  # rounded up: never early
    assert [Rto().timeout_ms(times) for times in range(3)] == [RTO_MS_INITIAL, 2_000, 4_000]
    assert Rto().timeout_ms(10**9) == RTO_MS_MAX


def test_a_destination_that_answers_at_once_is_still_given_a_moment() -> None:
    rto = Rto()
    for _ in range(50):
        rto = rto.after(0)
    assert rto.base_us() == 0
    assert [rto.timeout_ms(times) for times in range(3)] == [RTO_MS_MIN, 2 * RTO_MS_MIN, 4 * RTO_MS_MIN]

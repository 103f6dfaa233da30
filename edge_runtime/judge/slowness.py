"""Slow: a correct answer that took far longer than answers of this destination take. The result counts all the same.

Source: ours (`docs/architecture.md`, Outcomes): three times the smoothed round trip, once a few are known.
"""

from __future__ import annotations

from .rto import US_PER_MS, Rto

SLOW_TIMES = 3
SAMPLES_MIN = 3  # fewer say nothing of what is usual
# What takes less is slow for nobody: scheduling alone makes a call of 10 ms take 100.
SLOW_MS_MIN = 1_000


def is_slow(rto: Rto, latency_ms: int) -> bool:
    """Say whether an answer took at least SLOW_TIMES the expected time; never before enough is known."""
    if rto.samples < SAMPLES_MIN or latency_ms < SLOW_MS_MIN:
        return False
    return latency_ms * US_PER_MS >= SLOW_TIMES * rto.srtt_us

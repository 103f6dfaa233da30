"""Inside one contact: how unusual is this silence? A suspicion level instead of a timeout, without floats.

phi >= k says: a silence this long had a chance below 10^-k, if the next sign of life came as the last ones did. With
normally distributed gaps that is the same as `elapsed >= mean + z(k) * sd`, which integers can say. Gaps between
contacts never enter: a peer is in contact, fading, or not in contact, and never "dead".

Source: Hayashibara et al. 2004, "The phi accrual failure detector"; z are quantiles of the normal distribution. The
logistic approximation in wide use is far off in the tail (golden vector G10) and is not ours.
"""

from __future__ import annotations

from math import isqrt

from msgspec import Struct

from ..base.limits import GAPS_MAX

# level k -> z with (1 - normal cdf)(z) = 10^-k, in millionths.
Z_PPM = {1: 1_281_552, 2: 2_326_348, 3: 3_090_232, 5: 4_264_891, 8: 5_612_001}
FADING_LEVEL = 3  # one false word in a thousand gaps; the contact is not ended for it
PPM = 1_000_000
GAPS_MIN = 4  # fewer say nothing about the variation
# A spread of nothing would make any jitter of the scheduler a sign of fading.
SD_US_MIN = 100_000


def is_beyond(elapsed_us: int, mean_us: int, sd_us: int, level: int) -> bool:
    """Say whether phi of a silence has reached a level of `Z_PPM`."""
    return elapsed_us * PPM >= mean_us * PPM + Z_PPM[level] * sd_us


class Gaps(Struct, frozen=True):
    """The last gaps between signs of life inside one contact, in us, oldest first, at most GAPS_MAX."""

    last_us: tuple[int, ...] = ()

    def after(self, gap_us: int) -> Gaps:
        """Return them with one more."""
        return Gaps((*self.last_us, max(0, gap_us))[-GAPS_MAX:])

    def level(self, silence_us: int) -> int:
        """Return the highest level of `Z_PPM` that a silence reaches, 0 for none or while too little is known."""
        count = len(self.last_us)
        if count < GAPS_MIN:
            return 0
        mean_us = sum(self.last_us) // count
        sd_us = max(SD_US_MIN, isqrt(sum((gap - mean_us) ** 2 for gap in self.last_us) // count))
        return max((level for level in Z_PPM if is_beyond(silence_us, mean_us, sd_us, level)), default=0)

    def is_fading(self, silence_us: int) -> bool:
        """Say whether a silence is longer than chance explains."""
        return self.level(silence_us) >= FADING_LEVEL

"""How long to wait for an answer: the retransmission timeout of TCP, kept per destination.

Integers in microseconds with floor division: within 20 us of the exact values of the golden vectors (in whole
milliseconds it would be 5 ms off). Source: RFC 6298 section 2; Karn's algorithm: no sample from a repeated request.
"""

from __future__ import annotations

from msgspec import Struct

from ..base.limits import RTO_MS_INITIAL, RTO_MS_MAX, RTO_MS_MIN

US_PER_MS = 1_000


class Rto(Struct, frozen=True):
    """Smoothed round-trip time and its variation, in us; `samples` 0 before the first answer."""

    srtt_us: int = 0
    rttvar_us: int = 0
    samples: int = 0

    def after(self, rtt_ms: int) -> Rto:
        """Return the estimate after one more answer."""
        r_us = rtt_ms * US_PER_MS
        if not self.samples:
            return Rto(r_us, r_us // 2, 1)
        rttvar_us = (3 * self.rttvar_us + abs(self.srtt_us - r_us)) // 4
        return Rto((7 * self.srtt_us + r_us) // 8, rttvar_us, self.samples + 1)

    def base_us(self) -> int:
        """Return the timeout in us without any back-off and without a floor (ours: radio links are judged as met)."""
        return self.srtt_us + 4 * self.rttvar_us if self.samples else RTO_MS_INITIAL * US_PER_MS

    def timeout_ms(self, timeouts: int) -> int:
        """Return the wait after so many timeouts in a row: doubled each time, RTO_MS_MIN .. RTO_MS_MAX, rounded up."""
        backed_off_us = max(self.base_us(), RTO_MS_MIN * US_PER_MS) << min(timeouts, 32)
        return int(min(-(-backed_off_us // US_PER_MS), RTO_MS_MAX))

"""How long to wait for an answer: the retransmission timeout of TCP, kept per destination.

Integers in microseconds with floor division: within 20 us of the exact values of the golden vectors (in whole
milliseconds it would be 5 ms off). Source: RFC 6298 section 2; Karn's algorithm: no sample from a repeated request.
"""

from __future__ import annotations

from msgspec import Struct

from ..base.limits import RTO_MS_INITIAL, RTO_MS_MAX, RTO_MS_MIN

US_PER_MS = 1_000


# What no answer can come back in, whatever was measured of shorter messages. Sources: sound in water travels 1.5 km/s
# and acoustic modems carry tens of bytes a second; a geostationary hop and back is 480 ms (ITU-R S.1711).
LINK_FLOORS_MS = {"acoustic": 10_000, "satellite": 600}


class Rto(Struct, frozen=True):
    """Smoothed round-trip time and its variation, in us; `samples` 0 before the first answer.

    `floor_ms`: no timeout is shorter; that of the kind of link.
    """

    srtt_us: int = 0
    rttvar_us: int = 0
    samples: int = 0
    floor_ms: int = RTO_MS_MIN

    def after(self, rtt_ms: int) -> Rto:
        """Return the estimate after one more answer."""
        r_us = rtt_ms * US_PER_MS
        if not self.samples:
            return Rto(r_us, r_us // 2, 1, self.floor_ms)
        rttvar_us = (3 * self.rttvar_us + abs(self.srtt_us - r_us)) // 4
        return Rto((7 * self.srtt_us + r_us) // 8, rttvar_us, self.samples + 1, self.floor_ms)

    def base_us(self) -> int:
        """Return the timeout in us without any back-off and without a floor (ours: radio links are judged as met)."""
        return self.srtt_us + 4 * self.rttvar_us if self.samples else RTO_MS_INITIAL * US_PER_MS

    def timeout_ms(self, timeouts: int) -> int:
        """Return the wait after so many timeouts in a row: doubled each time, `floor_ms` .. RTO_MS_MAX, rounded up."""
        backed_off_us = max(self.base_us(), self.floor_ms * US_PER_MS) << min(timeouts, 32)
        return int(min(-(-backed_off_us // US_PER_MS), RTO_MS_MAX))


def floor_ms_of(link: str) -> int:
    """Return the shortest timeout on a kind of link."""
    return max(RTO_MS_MIN, LINK_FLOORS_MS.get(link, 0))

"""How likely a peer is met again: PRoPHET's delivery predictability, in parts per billion.

Each contact that opens raises it, time lowers it. A re-encounter soon after the last counts less, in proportion, which
defeats links that flap. In ppb with one floor per call: single steps in floored ppm end visibly low (golden vector G6).

Source: RFC 6693 section 2.1 and the defaults of its section 3.3; the unit of aging and the typical interval are ours.
The constants 0.75, 0.25 and 0.98 of the older draft are another protocol's and are not mixed in.
"""

from __future__ import annotations

from msgspec import Struct

from ..base.units import MINUTE_MS

PPB = 1_000_000_000
FIRST_PPB = 500_000_000  # P_encounter_first
FIRST_BELOW_PPB = 100_000_000  # P_first_threshold: a peer that was all but forgotten is met as for the first time
ENCOUNTER_PPB = 700_000_000  # P_encounter_max
DELTA_PPB = 10_000_000  # keeps predictability below 1
BETA_PPB = 900_000_000
GAMMA_PER_MILLE = 999
# A minute forgets in a day and a half who was met often: what a device's day looks like, and what PRoPHET's own
# evaluation used (30 minutes between typical encounters) in units of the same order.
AGING_MS = MINUTE_MS
TYPICAL_INTERVAL_MS = 30 * MINUTE_MS
UNITS_OF_A_TRACE = 32_000  # 0.999^21,000 of all is below 1 ppb; beyond it nothing is left


class Encounters(Struct, frozen=True):
    """What is known of meeting one peer.

    Attributes:
        ppb: predictability as of `aged_ms`, 0 .. PPB.
        met_ms: when the newest contact opened, -1 for never. aged_ms: both on the device's clock.
    """

    ppb: int = 0
    met_ms: int = -1
    aged_ms: int = 0

    def at(self, now_ms: int) -> Encounters:
        """Return the same as of a later time; whole units count, the rest is kept for the next call."""
        units = max(0, now_ms - self.aged_ms) // AGING_MS
        return Encounters(aged(self.ppb, units), self.met_ms, self.aged_ms + units * AGING_MS) if units else self

    def after_meeting(self, now_ms: int) -> Encounters:
        """Return what is known when a contact opens now."""
        now = self.at(now_ms)
        if self.met_ms < 0:
            return Encounters(FIRST_PPB, now_ms, now_ms)
        return Encounters(met(now.ppb, now_ms - self.met_ms), now_ms, max(now.aged_ms, self.aged_ms))


def met(ppb: int, interval_ms: int) -> int:
    """Return the predictability after one more encounter, `interval_ms` after the last one."""
    if ppb < FIRST_BELOW_PPB:
        return FIRST_PPB
    share_ms = min(max(0, interval_ms), TYPICAL_INTERVAL_MS)
    return ppb + (PPB - DELTA_PPB - ppb) * ENCOUNTER_PPB * share_ms // (PPB * TYPICAL_INTERVAL_MS)


def aged(ppb: int, units: int) -> int:
    """Return a predictability after so many units without an encounter."""
    if units > UNITS_OF_A_TRACE:
        return 0
    return int(ppb * GAMMA_PER_MILLE**units // 1_000**units)


def through(old_ppb: int, to_peer_ppb: int, from_peer_ppb: int) -> int:
    """Return the predictability of a third device that a peer meets: transitivity."""
    return max(old_ppb, to_peer_ppb * from_peer_ppb * BETA_PPB // PPB**2)

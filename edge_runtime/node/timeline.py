"""Time on this device: one clock for its whole life, and every object's age on it.

Due times, fact times and contacts are kept in *life* milliseconds: boot time summed over boots. Across a power-off
the gap is added only where the wall clock is trusted at both ends; otherwise ages become lower bounds.

Source: ours (`docs/architecture.md`, Time); ages after the bundle age block of RFC 9171 section 4.4.2.
"""

from __future__ import annotations

from ..base.moment import Moment, Trust
from ..base.units import MINUTE_MS, SECOND_MS
from .store import Store

SAVE_EVERY_MS = 10 * MINUTE_MS  # of turns that write nothing else
STEP_MS = 1 * SECOND_MS  # the wall clock is this far from where it was: due times of it are computed anew


class Timeline:
    """The device-lifetime clock. `advance` once per event; it is persisted with every commit."""

    def __init__(self, store: Store, moment: Moment, boot_id: str) -> None:
        """Continue the clock where the store left it.

        Args:
            boot_id: names the machine's boot: the same one means that boot time went on without a gap.
        """
        self.store = store
        self.boot_id = boot_id
        saved = str(store.get_meta("clock", "0 0 0 0 -")).split()
        saved_life_ms, saved_boot_ms, saved_wall_ms, saved_trust = (int(word) for word in saved[:4])
        self.saved_trust = Trust(saved_trust)  # when the last process ended
        self.gap_is_unknown = False
        if not saved_life_ms:
            gap_ms = 0
        elif saved[4] == boot_id and moment.boot_ms >= saved_boot_ms:
            gap_ms = moment.boot_ms - saved_boot_ms
        elif moment.trust >= Trust.NTP and saved_trust >= Trust.NTP:
            gap_ms = max(0, moment.wall_ms - saved_wall_ms)
        else:
            gap_ms, self.gap_is_unknown = 0, True
        # The clock starts at 1 so that 0 can mean "never" in the store.
        self._offset_ms = max(1, saved_life_ms) + gap_ms - moment.boot_ms
        self.moment = moment
        self.life_ms = moment.boot_ms + self._offset_ms
        self._saved_life_ms = 0
        self._wall_offset_ms = saved_wall_ms - saved_life_ms if saved_life_ms else moment.wall_ms - self.life_ms

    def advance(self, moment: Moment) -> None:
        """Take in a reading of the clocks; boot time that seems to go back counts as no time."""
        self.moment = moment
        self.life_ms = max(self.life_ms, moment.boot_ms + self._offset_ms)

    def notice_step(self) -> bool:
        """Say whether the wall clock was set since this was asked last, a process before this one included."""
        offset_ms = self.moment.wall_ms - self.life_ms
        if abs(offset_ms - self._wall_offset_ms) < STEP_MS:
            return False
        self._wall_offset_ms = offset_ms
        return True

    def boot_ms_of(self, life_ms: int) -> int:
        """Return when on the boot clock a life time is reached."""
        return life_ms - self._offset_ms

    @property
    def is_far_ahead(self) -> bool:
        """Whether so much time passed since the last save that a power cut should not take it all."""
        return self.life_ms - self._saved_life_ms >= SAVE_EVERY_MS

    def save(self) -> None:
        """Write the clock into the open transaction."""
        moment = self.moment
        self._saved_life_ms = self.life_ms
        # One row, one text: it is written with every commit.
        self.store.set_meta(
            "clock", f"{self.life_ms} {moment.boot_ms} {moment.wall_ms} {int(moment.trust)} {self.boot_id or '-'}"
        )

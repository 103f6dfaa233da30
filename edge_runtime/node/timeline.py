"""Time on this device: one clock for its whole life, and what is believed of the wall clock.

Due times, fact times, contacts and the ages of objects are kept in *life* milliseconds: boot time summed over boots,
written with every commit and every CLOCK_SAVE_MS while something is due. Nothing that the wall clock does moves it;
what a power-off adds is settled in `node/absence.py`.

The wall clock is a mark: the life clock and an offset. The table says who may move the mark:

| the system's clock is | wall time | trust |
|---|---|---|
| trusted (kernel in step, GPS) | as read, forward or back; the mark follows | as read |
| not trusted, but was in this boot, or a peer told | the mark, which runs on; the reading is ignored | peer |
| not trusted in this boot | the later one of reading and mark, never back | restored; none without a mark worth it |

Source: ours (`docs/time.md`); ages after the bundle age block of RFC 9171 section 4.4.2.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..base.limits import ABSENCE_MS_MAX, CLOCK_SAVE_MS, PEER_STEP_EVERY_MS, PEER_STEP_MS_MAX, WALL_MS_MAX
from ..base.moment import Moment, Trust
from ..base.units import MINUTE_MS, SECOND_MS
from .store import Store

STEP_MS = 1 * SECOND_MS  # the wall clock is this far from where it was: due times of it are computed anew
# Two trusted readings around a power-off may disagree by so much: clocks are set while the device is off.
SLACK_MS = 1 * MINUTE_MS
IN_STEP = Trust.NTP  # from here on a wall clock says how long the power was off


class Anchor(Struct, frozen=True):
    """A moment at which the wall clock was trusted: life and wall time of the same instant."""

    life_ms: int
    wall_ms: int

    def gap_ms(self, life_ms: int, wall_ms: int) -> int | None:
        """Return what the life clock lacks at a second trusted instant; None if the two cannot both be true.

        A wall clock that went back, or forward by more than ABSENCE_MS_MAX, was wrong at one end.
        """
        gap_ms = (wall_ms - self.wall_ms) - (life_ms - self.life_ms)
        return max(0, gap_ms) if -SLACK_MS <= gap_ms <= ABSENCE_MS_MAX else None


class Saved(Struct, frozen=True):
    """The clock as it stands in the store. `basis`: the best that ever vouched for the mark; `trust`: at the save."""

    life_ms: int = 0
    boot_ms: int = 0
    wall_ms: int = 0
    trust: Trust = Trust.NONE
    boot_id: str = "-"
    basis: Trust = Trust.NONE
    anchor: Anchor | None = None

    @classmethod
    def read(cls, store: Store) -> Saved:
        """Return what is saved; all 0 before the first start."""
        words = str(store.get_meta("clock", "0 0 0 0 -")).split()
        life_ms, boot_ms, wall_ms, trust = (int(word) for word in words[:4])
        if len(words) < 8:  # written before the basis and the anchor were
            anchor = Anchor(life_ms, wall_ms) if trust >= IN_STEP else None
            return cls(life_ms, boot_ms, wall_ms, Trust(trust), words[4], Trust(trust), anchor)
        anchor = None if words[6] == "-" else Anchor(int(words[6]), int(words[7]))
        return cls(life_ms, boot_ms, wall_ms, Trust(trust), words[4], Trust(int(words[5])), anchor)

    def write(self, store: Store) -> None:
        """Write it into the open transaction: one row, one text, with every commit."""
        anchor = "- -" if self.anchor is None else f"{self.anchor.life_ms} {self.anchor.wall_ms}"
        numbers = f"{self.life_ms} {self.boot_ms} {self.wall_ms} {int(self.trust)}"
        store.set_meta("clock", f"{numbers} {self.boot_id} {int(self.basis)} {anchor}")


class Timeline:
    """The device-lifetime clock. `advance` once per event; it is persisted with every commit."""

    def __init__(self, store: Store, moment: Moment, boot_id: str) -> None:
        """Continue the clock where the store left it.

        Args:
            boot_id: names the machine's boot: the same one means that boot time went on without a gap.
        """
        self.store = store
        self.boot_id = boot_id or "-"
        self.saved = saved = Saved.read(store)  # when the last process ended
        self.gap_is_unknown = False
        self.is_new_boot = not (saved.boot_id == self.boot_id and moment.boot_ms >= saved.boot_ms)
        gap_ms = 0 if self.is_new_boot else moment.boot_ms - saved.boot_ms
        if self.is_new_boot and saved.life_ms:
            trusted = min(moment.trust, saved.trust) >= IN_STEP
            passed_ms = Anchor(saved.life_ms, saved.wall_ms).gap_ms(saved.life_ms, moment.wall_ms) if trusted else None
            self.gap_is_unknown = passed_ms is None
            gap_ms = passed_ms or 1  # nothing of this boot has the same time as what was before
        elif not saved.life_ms:
            gap_ms = 0
        # The clock starts at 1 so that 0 can mean "never" in the store.
        self._offset_ms = max(1, saved.life_ms) + gap_ms - moment.boot_ms
        self.life_ms = moment.boot_ms + self._offset_ms
        self._anchor = saved.anchor
        self._basis = saved.basis
        is_kept = bool(saved.life_ms) and not self.is_new_boot
        self._held = Trust.PEER if is_kept and saved.trust >= Trust.PEER else Trust.NONE  # while readings are ignored
        self._peer_step_ms: int | None = None
        self._mark_ms = (saved.wall_ms - saved.life_ms) if saved.life_ms else moment.wall_ms - self.life_ms
        self._noticed_ms = self._mark_ms
        self.moment = self._judge(moment)

    # --- Going on -------------------------------------------------------------------------------------------------

    def advance(self, reading: Moment) -> None:
        """Take in a reading of the clocks; boot time that seems to go back counts as no time."""
        self.life_ms = max(self.life_ms, reading.boot_ms + self._offset_ms)
        self.moment = self._judge(reading)

    def _judge(self, reading: Moment) -> Moment:
        """Return what is believed of a reading, and move the mark as far as it may."""
        if reading.trust > Trust.RESTORED:
            self._mark_ms = reading.wall_ms - self.life_ms
            self._basis = max(self._basis, reading.trust)
            self._held = Trust.PEER
            if reading.trust >= IN_STEP:
                self._anchor = Anchor(self.life_ms, reading.wall_ms)
            return reading
        marked_ms = max(0, self.life_ms + self._mark_ms)
        if self._held:
            return Moment(reading.boot_ms, marked_ms, self._held)
        is_restored = self._basis > Trust.NONE or reading.wall_ms < marked_ms - STEP_MS
        wall_ms = max(reading.wall_ms, marked_ms)
        self._mark_ms = wall_ms - self.life_ms
        return Moment(reading.boot_ms, wall_ms, Trust.RESTORED if is_restored else reading.trust)

    def hear_peer(self, wall_ms: int, trust: Trust) -> bool:
        """Take the time that a peer offers, if it knows better: as trust `peer` only, in a bounded step.

        A device in step with a clock of its own hears nobody; one that has a peer's word hears only who is in step.
        Where this device never had a time that anybody vouched for, the first word is taken whole. A time beyond
        WALL_MS_MAX is none: a device that took it could write no entry any more.

        Returns:
            whether the wall clock or its trust changed.
        """
        if self.moment.trust > Trust.PEER or trust < Trust.PEER or trust <= self.moment.trust:
            return False
        if wall_ms > WALL_MS_MAX:
            return False
        step_ms = wall_ms - self.moment.wall_ms
        if self._basis > Trust.NONE and abs(step_ms) > PEER_STEP_MS_MAX:
            last_ms = self._peer_step_ms
            if last_ms is not None and self.life_ms - last_ms < PEER_STEP_EVERY_MS:
                return False
            self._peer_step_ms = self.life_ms
            self._mark_ms += PEER_STEP_MS_MAX if step_ms > 0 else -PEER_STEP_MS_MAX
            self._held = trust = max(self._held, Trust.RESTORED)  # on the way there
        else:
            self._mark_ms += step_ms
            self._held = trust = Trust.PEER
            self._basis = max(self._basis, Trust.PEER)
        self.moment = Moment(self.moment.boot_ms, max(0, self.life_ms + self._mark_ms), trust)
        return True

    def notice_step(self) -> bool:
        """Say whether the wall clock was set since this was asked last, a process before this one included."""
        offset_ms = self.moment.wall_ms - self.life_ms
        if abs(offset_ms - self._noticed_ms) < STEP_MS:
            return False
        self._noticed_ms = offset_ms
        return True

    def boot_ms_of(self, life_ms: int) -> int:
        """Return when on the boot clock a life time is reached."""
        return life_ms - self._offset_ms

    def report(self) -> dict[str, Any]:
        """Return what `status` says of the clocks; times in ms."""
        moment = self.moment
        return {"wall_ms": moment.wall_ms, "trust": moment.trust.name.lower(), "life_ms": self.life_ms,
                "trusted_ms_ago": None if self._anchor is None else self.life_ms - self._anchor.life_ms,
                "gap_is_open": bool(self.store.get_meta("gap"))}  # fmt: skip

    # --- Saving ---------------------------------------------------------------------------------------------------

    @property
    def is_far_ahead(self) -> bool:
        """Whether so much time passed since the last save that a power cut should not take it all."""
        return self.life_ms >= Saved.read(self.store).life_ms + CLOCK_SAVE_MS

    def save(self) -> None:
        """Write the clock into the open transaction."""
        moment = self.moment
        Saved(
            self.life_ms, moment.boot_ms, moment.wall_ms, moment.trust, self.boot_id, self._basis, self._anchor
        ).write(self.store)  # fmt: skip

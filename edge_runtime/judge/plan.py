"""A contact plan: when a destination can be reached, known beforehand, with an error bar.

Before a pass a timer is useless, so nothing is tried; the next look is the next pass. How it is met depends on how
well it is known. The start lies anywhere within the error bar: if that is narrow, the attempts are spaced for just
that (few, ever closer towards the end of the bar). If it is wide, the plan says only when to look at all, and the
prober's own spacing says how often; closer, where a short pass would fall between two attempts and the next is far. A
well known pass that ought to be up and does not answer is probed ever more rarely until it is over. A plan whose last
pass is over is as none.

Times are milliseconds on the plan's own clock (`Destination.plan_offset_ms`).

Source: CCSDS 734.3-B-1 (contacts as start, end and one-way delay); the spacing inside the bar: Keller 1974 for a
uniform density, whose hazard is one over what is left of the bar.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from msgspec import Struct

from ..base.limits import PLAN_PASSES_MAX, PLAN_TOGETHER_MAX, PROBE_MS_FIRST
from ..base.units import DAY_MS, MINUTE_MS, SECOND_MS
from .gaps import keller_ms

# A bar wider than this (the prober's own spacing after ten minutes) tells less than the prober knows by itself.
PRECISE_MS = MINUTE_MS
SPACING_MS_MIN = SECOND_MS
ALONE_MS = DAY_MS  # to the next pass, where the plan knows of none


class Pass(Struct, frozen=True):
    """One pass, from `start_ms` (what is sent earlier meets nobody) to `end_ms`, each give or take `error_ms`."""

    start_ms: int
    end_ms: int
    error_ms: int = 0

    def is_precise(self) -> bool:
        """Say whether the plan knows the start better than the prober would find it."""
        return self.error_ms <= PRECISE_MS

    def last_ms(self) -> int:
        """Return when the pass is over at the latest."""
        return self.end_ms + self.error_ms

    def first_look_ms(self, cost_ms: int) -> int:
        """Return when the first attempt is worth it, for one who waited for the pass."""
        first_ms = self.start_ms - self.error_ms
        if not self.is_precise():
            return first_ms
        return first_ms + min(keller_ms(2 * self.error_ms, cost_ms), 2 * self.error_ms)

    def after_failure_ms(
        self, tried_ms: int, now_ms: int, spacing_ms: int, cost_ms: int, alone_ms: int = ALONE_MS
    ) -> int | None:
        """Return when to try again after an attempt in vain, None for not in this pass.

        Args:
            tried_ms: when it began: it says nothing of the time after. spacing_ms: what the prober would wait without
                a plan. alone_ms: from the end of this pass to the start of the next one.
        """
        first_ms, sure_ms = self.first_look_ms(cost_ms), self.start_ms + self.error_ms
        attempt_ms = now_ms - tried_ms
        step_ms = spacing_ms if self.is_precise() else self._spacing_ms(spacing_ms, attempt_ms, cost_ms, alone_ms)
        if now_ms < first_ms and (self.is_precise() or step_ms < spacing_ms):
            return first_ms
        if now_ms < first_ms:
            # In step with the attempts before: on a link that is up ever so often, steps of one length miss fewer
            # passes than steps that begin anew at each pass.
            whole_ms = spacing_ms + attempt_ms
            return now_ms + spacing_ms + max(0, -(-(first_ms - now_ms - spacing_ms) // whole_ms)) * whole_ms
        if self.is_precise() and tried_ms < sure_ms:
            next_ms = tried_ms + max(keller_ms(sure_ms - tried_ms, cost_ms), SPACING_MS_MIN)
            return max(min(next_ms, sure_ms), now_ms + 1)
        if self.is_precise() and now_ms >= self.end_ms - self.error_ms:
            return None  # most likely over
        # It ought to be up: the longer it is not, the likelier it is skipped.
        next_ms = now_ms + (max(spacing_ms, now_ms - sure_ms) if self.is_precise() else step_ms)
        return next_ms if next_ms < self.last_ms() else None

    def _spacing_ms(self, spacing_ms: int, attempt_ms: int, cost_ms: int, alone_ms: int) -> int:
        """Return the spacing inside a wide bar: so close that the pass cannot be missed, where that is worth it.

        Who misses a pass that is shorter than a step waits for the next one. That wait times its chance is weighed
        against the attempts that closer steps take all over the bar. Of passes whose bars overlap the plan knows too
        little.
        """
        length_ms = self.end_ms - self.start_ms
        close_ms = max(PROBE_MS_FIRST, length_ms * 3 // 4 - attempt_ms)
        step_ms, close_step_ms = spacing_ms + attempt_ms, close_ms + attempt_ms
        if step_ms <= length_ms or close_step_ms >= step_ms or alone_ms <= 2 * self.error_ms:
            return spacing_ms
        missed_ms = alone_ms * (step_ms - length_ms) // step_ms
        attempts = (2 * self.error_ms + length_ms) * (step_ms - close_step_ms) // (step_ms * close_step_ms)
        return close_ms if missed_ms > attempts * cost_ms else spacing_ms


class Plan(Struct, frozen=True):
    """The passes of one destination, by when they are over. Made by `plan_of`."""

    passes: tuple[Pass, ...] = ()

    def opens_ms(self, now_ms: int, cost_ms: int) -> int:
        """Return when an attempt is worth it for one who has not tried: now, inside a pass; else the next pass."""
        found = [max(now_ms, item.first_look_ms(cost_ms)) for item in self._coming(now_ms)]
        return min(found, default=now_ms)

    def after_failure_ms(self, tried_ms: int, now_ms: int, spacing_ms: int, cost_ms: int) -> int:
        """Return when to try again after an attempt in vain."""
        coming = self._coming(now_ms)
        found = [
            item.after_failure_ms(tried_ms, now_ms, spacing_ms, cost_ms, _alone_ms(item, coming)) for item in coming
        ]
        times = [time_ms for time_ms in found if time_ms is not None]
        if not times and len(coming) == PLAN_TOGETHER_MAX:
            return self.opens_ms(max(item.last_ms() for item in coming), cost_ms)
        return min(times, default=now_ms + spacing_ms)

    def _coming(self, now_ms: int) -> tuple[Pass, ...]:
        at = bisect_right(self.passes, now_ms, key=Pass.last_ms)
        return self.passes[at : at + PLAN_TOGETHER_MAX]


def _alone_ms(item: Pass, passes: tuple[Pass, ...]) -> int:
    """Return the time from the end of a pass to the start of the next one of these; ALONE_MS if there is none."""
    starts = [other.start_ms for other in passes if other.start_ms > item.start_ms]
    return min(starts) - item.end_ms if starts else ALONE_MS


def plan_of(passes: Iterable[Pass]) -> Plan:
    """Return the plan of these passes, in any order; beyond PLAN_PASSES_MAX the latest are left out."""
    return Plan(tuple(sorted(passes, key=lambda item: (item.last_ms(), item.start_ms))[:PLAN_PASSES_MAX]))

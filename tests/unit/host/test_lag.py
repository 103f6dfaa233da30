"""Lateness of the own loop: noticed once a second, only while steps run."""

from __future__ import annotations

import asyncio

from edge_runtime.base.limits import OBSERVER_LATE_MS_MAX
from edge_runtime.host.lag import LOOK_EVERY_MS, LoopLag


class Watch:
    """A lag watch on a clock that the test sets; the loop's own timers never come due in it."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.is_needed = True
        self.lag = LoopLag(asyncio.get_running_loop(), lambda: self.is_needed, lambda: self.now_ms)

    def look_at(self, now_ms: int) -> None:
        """Let a look come at a time."""
        self.now_ms = now_ms
        self.lag.look()


async def test_a_loop_that_is_late_is_seen_at_once_and_remembered_for_what_ran_meanwhile() -> None:
    """Behaviour: 7.4."""
    watch = Watch()
    watch.lag.watch()
    watch.now_ms = LOOK_EVERY_MS + OBSERVER_LATE_MS_MAX
    assert not watch.lag.was_late_since(0), "at its bound, not beyond it"
    watch.now_ms += 1
    assert watch.lag.was_late_since(0), "the look that is overdue says so before it comes"
    late_ms = watch.now_ms
    watch.look_at(late_ms)
    assert watch.lag.was_late_since(0) and watch.lag.was_late_since(late_ms)
    watch.look_at(late_ms + LOOK_EVERY_MS)
    assert not watch.lag.was_late_since(late_ms + 1), "what began later was seen in good health"


async def test_nothing_ticks_while_no_step_runs() -> None:
    """Behaviour: 3.2."""
    watch = Watch()
    watch.lag.watch()
    watch.is_needed = False
    watch.look_at(LOOK_EVERY_MS)
    watch.now_ms = 10**9
    assert not watch.lag.was_late_since(0), "nobody looks: nothing is overdue"

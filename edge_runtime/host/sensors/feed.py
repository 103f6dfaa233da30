"""From readings to the node: only changes, and refreshes before what is known grows too old.

A node that sleeps must not be woken to hear the same again. A value that changes faster than FACT_GAP_MS is told once
in that time, the newest one; what was between is nobody's business but the source's.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from ...base.limits import FACT_GAP_MS, FACTS_MAX
from ...node.events import FactRead
from .readers import Value


class _Told(Struct):
    """What the node heard last of one fact (None: it took nothing), and what is to be told when the gap is over."""

    value: Value | None
    at_ms: int
    waiting: FactRead | None = None


class Feed:
    """Hands readings on.

    Args:
        post: takes an event to the node; false: the node has too much to do, it is offered again. clock_ms: the boot
            clock.

    Attributes:
        told: events handed over, since the process began.
    """

    def __init__(
        self, post: Callable[[FactRead], bool], clock_ms: Callable[[], int], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._post = post
        self._clock_ms = clock_ms
        self._loop = loop
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self.told = 0

    def take(self, name: str, value: Value, origin: str, interval_ms: int, max_age_ms: int) -> None:
        """Take one reading; the next of the same is expected after `interval_ms`."""
        now_ms = self._clock_ms()
        event = FactRead(name, value, origin, max_age_ms)
        had = self._told.get(name)
        if had is None:
            while len(self._told) >= FACTS_MAX:
                self._told.popitem(last=False)
            self._hand_over(event, now_ms)
        elif type(had.value) is type(value) and had.value == value:
            had.waiting = None  # it went to and fro within the gap
            # Half an interval before the last chance: the next reading may come a little late.
            if now_ms - had.at_ms >= max_age_ms - interval_ms - interval_ms // 2:
                self._hand_over(event, now_ms)
        elif now_ms - had.at_ms >= FACT_GAP_MS:
            self._hand_over(event, now_ms)
        else:
            had.waiting = event
            self._arm(had.at_ms + FACT_GAP_MS - now_ms)

    def forget(self) -> None:
        """Tell everything anew: another configuration is in force."""
        self._told.clear()

    def close(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self, event: FactRead, now_ms: int) -> None:
        if self._post(event):
            self._told[event.name] = _Told(event.value, now_ms)
            self.told += 1
        else:
            self._told[event.name] = _Told(None, now_ms, event)
            self._arm(FACT_GAP_MS)
        self._told.move_to_end(event.name)

    def _arm(self, wait_ms: int) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(wait_ms / 1_000, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now_ms = self._clock_ms()
        waiting = [told for told in self._told.values() if told.waiting is not None]
        for told in waiting:
            event = told.waiting
            if event is not None and now_ms - told.at_ms >= FACT_GAP_MS:
                self._hand_over(event, now_ms)
        left = [told.at_ms for told in self._told.values() if told.waiting is not None]
        if left:
            self._arm(max(1, min(left) + FACT_GAP_MS - now_ms))

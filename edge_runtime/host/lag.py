"""Is this device itself late? Looked at once a second, while steps run, for they are what might be blamed on others.

Source: Dadgar et al. 2018, "Lifeguard: local health awareness": an observer that is late blames nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..base.limits import OBSERVER_LATE_MS_MAX
from .clock import boot_ms

LOOK_EVERY_MS = 1_000


class LoopLag:
    """Notices when the loop runs what is due later than OBSERVER_LATE_MS_MAX. `is_needed`: something runs now."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, is_needed: Callable[[], bool], clock: Callable[[], int] = boot_ms
    ) -> None:
        self._loop = loop
        self._is_needed = is_needed
        self._clock = clock
        self._due_ms: int | None = None  # when the next look is due; None while nobody looks
        self._late_ms = -1  # when it was last noticed

    def watch(self) -> None:
        """Look from now on for as long as it is needed; from any thread."""
        if self._due_ms is None:
            self._due_ms = self._clock() + LOOK_EVERY_MS
            self._loop.call_soon_threadsafe(self._arm)

    def look(self) -> None:
        """Note whether this look comes late, and look again later if it is needed."""
        now_ms = self._clock()
        if self._due_ms is not None and now_ms - self._due_ms > OBSERVER_LATE_MS_MAX:
            self._late_ms = now_ms
        self._due_ms = None
        if self._is_needed():
            self._due_ms = now_ms + LOOK_EVERY_MS
            self._arm()

    def was_late_since(self, began_ms: int) -> bool:
        """Say whether the loop was late at any time since; from any thread."""
        due_ms = self._due_ms
        is_late_now = due_ms is not None and self._clock() - due_ms > OBSERVER_LATE_MS_MAX
        return is_late_now or self._late_ms >= began_ms

    def _arm(self) -> None:
        self._loop.call_later(LOOK_EVERY_MS / 1000, self.look)

"""Virtual time: what is to happen when, in order, and numbers that never repeat."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class Timetable:
    """The time of a world, and what will happen in it; things of one moment happen in the order of their planning."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._last_number = 0

    def number(self) -> int:
        """Return the next number: tickets, contacts, the order of plans."""
        self._last_number += 1
        return self._last_number

    def at(self, at_ms: int, action: Callable[[], None]) -> None:
        """Plan something for a time, not before now."""
        heappush(self._queue, (at_ms, self.number(), action))

    def next_ms(self) -> int | None:
        """Return when the next thing is planned, or None."""
        return self._queue[0][0] if self._queue else None

    def do_due(self) -> None:
        """Do everything that is planned for now or earlier."""
        while self._queue and self._queue[0][0] <= self.now_ms:
            heappop(self._queue)[2]()

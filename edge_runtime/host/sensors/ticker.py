"""When sources are read: one timer for all, due times on a shared grid, each reading in a thread.

Sources of one group are read one after another; a group whose reading did not come back (a dead network file system)
is not read again until it does, and holds up no other group. Nothing ticks without sources.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from msgspec import Struct

from .readers import Reader, Value, read_all


class Source(Struct, frozen=True):
    """Something to be read again and again.

    Attributes:
        group: what may hold up one another. origin, interval_ms, max_age_ms: of its facts.
    """

    group: str
    readers: tuple[Reader, ...]
    origin: str
    interval_ms: int
    max_age_ms: int


Take = Callable[[str, Value, str, int, int], None]


class Ticker:
    """Reads sources.

    Args:
        take: called on the loop with (name, value, origin, interval_ms, max_age_ms).
        clock_ms: the boot clock.

    Attributes:
        ticks: how often anything was read, since the process began.
    """

    def __init__(self, take: Take, clock_ms: Callable[[], int], loop: asyncio.AbstractEventLoop) -> None:
        self._take = take
        self._clock_ms = clock_ms
        self._loop = loop
        self._due_ms: dict[Source, int] = {}
        self._busy: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.ticks = 0

    @property
    def stuck(self) -> list[str]:
        """Groups that are being read now; those that stay here hang."""
        return list(self._busy)

    def replace(self, sources: Sequence[Source]) -> None:
        """Read these from now on, each once at once."""
        now_ms = self._clock_ms()
        self._due_ms = dict.fromkeys(sources, now_ms)
        self._tick()

    def close(self) -> None:
        """Read no more."""
        self._due_ms.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ms = self._clock_ms()
        due: dict[str, list[Source]] = {}
        for source, due_ms in self._due_ms.items():
            if due_ms <= now_ms:
                # On a grid of its own length: sources of one cadence share their ticks, however they began.
                self._due_ms[source] = (now_ms // source.interval_ms + 1) * source.interval_ms
                due.setdefault(source.group, []).append(source)
        for group, sources in due.items():
            if group not in self._busy:
                self._busy[group] = None
                self.ticks += 1
                threading.Thread(target=self._read, args=(group, sources), name=f"facts-{group}", daemon=True).start()
        if self._due_ms:
            wait_ms = min(self._due_ms.values()) - now_ms
            self._timer = self._loop.call_later(max(wait_ms, 1) / 1_000, self._tick)

    def _read(self, group: str, sources: Sequence[Source]) -> None:
        """On a thread of its own: it lives for milliseconds once a minute, so none is kept."""
        found = [(source, read_all(source.readers)) for source in sources]
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._give, group, found)

    def _give(self, group: str, found: Sequence[tuple[Source, dict[str, Value]]]) -> None:
        self._busy.pop(group, None)
        for source, values in found:
            if source not in self._due_ms:
                continue  # another configuration came meanwhile
            for name, value in values.items():
                self._take(name, value, source.origin, source.interval_ms, source.max_age_ms)

"""What is to be looked at: the wake index and the due times, both in the store, and a short queue in memory.

Index, not scan: a fact that changes costs only what subscribes to it. The queue bounds a turn: what does not fit
goes on in the next one, in the order in which it came. Nothing in memory is needed after a crash: a due time that
passed is still due, and a condition that holds is found when the daemon starts (`wake_all_waiting`).

Source: ours; timers as levels ("due <= now") against the lost ticks of Orleans reminders.
"""

from __future__ import annotations

from .store import Store

# Objects looked at in one event: each may run a body for a while, and other events wait behind it.
LOOKS_PER_EVENT = 32


class Agenda:
    """Rows of objects to go on with, first come first served, each at most once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._queue: dict[int, None] = {}
        self.looks = 0  # counted for tests and status: evaluations since the process began

    def __len__(self) -> int:
        """Return how many objects wait in the queue."""
        return len(self._queue)

    def add(self, row: int) -> None:
        """Put one object on the queue."""
        self._queue.setdefault(row, None)

    def drop(self, row: int) -> None:
        """Take one object off the queue: it was just looked at."""
        self._queue.pop(row, None)

    def wake_topic(self, topic: str) -> int:
        """Put all objects that wait for a topic on the queue; return how many."""
        rows = self.store.run("SELECT object FROM wakes WHERE topic = ? ORDER BY object", (topic,)).fetchall()
        for (row,) in rows:
            self.add(row)
        return len(rows)

    def wake_due(self, life_ms: int) -> None:
        """Put objects whose time has come on the queue, most overdue first, at most a bounded number."""
        found = self.store.run(
            "SELECT object FROM shelf WHERE due_ms <= ? ORDER BY due_ms LIMIT ?", (life_ms, LOOKS_PER_EVENT)
        )
        for (row,) in found.fetchall():
            self.add(row)

    def take(self) -> list[int]:
        """Return the next rows to look at, at most LOOKS_PER_EVENT."""
        rows = list(self._queue)[:LOOKS_PER_EVENT]
        for row in rows:
            del self._queue[row]
        self.looks += len(rows)
        return rows

    def next_due_ms(self) -> int | None:
        """Return the life time at which something is due; the one alarm is armed for it."""
        found = self.store.run("SELECT min(due_ms) FROM shelf WHERE due_ms IS NOT NULL").fetchone()[0]
        return None if found is None else int(found)

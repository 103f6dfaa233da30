"""What is to be looked at: the wake index and the due times, both in the store, and a short queue in memory.

Index, not scan: a fact that changes costs what it makes true (`objects.watching`). The queue bounds a turn, and what
only the time wakes is bounded in a second, for a clock that is set makes thousands due at once: what does not fit goes
on in the next one, in the order in which it came or was due. Nothing in memory is needed after a
crash: what waits in the queue when an event is over is due in the store, and a due time that passed is still due.

Source: ours; timers as levels ("due <= now") against the lost ticks of Orleans reminders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.limits import FLAP_MS, WAKES_PER_SECOND_MAX
from ..base.units import SECOND_MS
from .happenings import Happenings
from .store import Store

# Objects looked at in one event: each may run a body for a while, and other events wait behind it.
LOOKS_PER_EVENT = 32
# Reentries remembered for a while, so that a fact that flaps wakes by each once in FLAP_MS; the oldest are forgotten.
REMEMBERED = 1_000


class Agenda:
    """Rows of objects to go on with, first come first served, each at most once.

    Attributes:
        looks: objects looked at since the process began. evaluations: leaves of triggers judged for them.
        remarked: rows of `shelf` whose due time was written here; whoever remembers such a row reads it again.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.happenings = Happenings(store)
        self.looks = 0
        self.evaluations = 0
        self._queue: dict[int, bool] = {}  # row -> is it there because of the time alone
        self.remarked: dict[int, None] = {}
        self._unsaved: dict[int, None] = {}
        self._rests: dict[tuple[int, str], int] = {}
        self._second = 0
        self._taken = 0

    def __len__(self) -> int:
        """Return how many objects wait in the queue."""
        return len(self._queue)

    def __contains__(self, row: int) -> bool:
        """Say whether an object waits in the queue."""
        return row in self._queue

    def add(self, row: int, is_timed: bool = False) -> None:
        """Put one object on the queue; `is_timed`: because of the time alone."""
        if row not in self._queue:
            self._unsaved[row] = None
            self._queue[row] = is_timed
        elif not is_timed:
            self._queue[row] = False

    def drop(self, row: int) -> None:
        """Take one object off the queue: it was just looked at."""
        self._queue.pop(row, None)
        self._unsaved.pop(row, None)

    # --- What wakes -----------------------------------------------------------------------------------------------

    def wake_topic(self, topic: str, is_timed: bool = False) -> int:
        """Put all objects that stand under a key on the queue, by priority, deadline, size; return how many."""
        rows = self.store.run(
            "SELECT w.object FROM wakes w JOIN shelf s ON s.object = w.object WHERE w.topic = ? "
            "ORDER BY s.class, s.deadline_ms, s.bytes, w.object", (topic,)
        ).fetchall()  # fmt: skip
        for (row,) in rows:
            self.add(row, is_timed)
        return len(rows)

    def happen(self, key: str, life_ms: int) -> int:
        """Wake all that wait for an edge, and note that it happened to them; return how many."""
        self.happenings.mark(key, life_ms)
        return self.wake_topic(key)

    def wake_fact(self, name: str, spans: Sequence[tuple[str, str]], life_ms: int) -> None:
        """Wake what a reading of a fact makes true: all keys in some spans, low <= key < high.

        What was woken by the fact less than FLAP_MS ago is looked at when that time is over, as the fact is then.
        """
        for low, high in spans:
            found = self.store.run(
                "SELECT w.object FROM wakes w JOIN shelf s ON s.object = w.object WHERE w.topic >= ? AND w.topic < ? "
                "ORDER BY s.class, s.deadline_ms, s.bytes, w.object", (low, high)
            ).fetchall()  # fmt: skip
            for (row,) in found:
                until_ms = self._rests.get((row, name), -FLAP_MS) + FLAP_MS
                if until_ms > life_ms:
                    self._make_due(row, until_ms)
                else:
                    self.add(row, is_timed=name == "time.trust")

    def rest(self, row: int, keys: Iterable[str], life_ms: int) -> None:
        """Note that an object reentered by a trigger with these keys."""
        for key in keys:
            topic, _, name = key.partition(":")
            if topic in ("fact", "fresh"):
                place = (row, name.partition(" ")[0])
                self._rests.pop(place, None)
                self._rests[place] = life_ms
        while len(self._rests) > REMEMBERED:
            del self._rests[next(iter(self._rests))]

    def wake_due(self, life_ms: int) -> None:
        """Put objects whose time has come on the queue, most overdue first, at most a bounded number."""
        found = self.store.run(
            "SELECT object FROM shelf WHERE due_ms <= ? ORDER BY due_ms LIMIT ?", (life_ms, LOOKS_PER_EVENT)
        )
        for (row,) in found.fetchall():
            self._queue.setdefault(row, True)

    # --- The queue ------------------------------------------------------------------------------------------------

    def take(self, life_ms: int) -> list[int]:
        """Return the next rows to look at, at most LOOKS_PER_EVENT; of timed ones WAKES_PER_SECOND_MAX in a second."""
        second = life_ms // SECOND_MS
        if second != self._second:
            self._second, self._taken = second, 0
        rows: list[int] = []
        for row, is_timed in self._queue.items():
            if is_timed and self._taken >= WAKES_PER_SECOND_MAX:
                continue
            rows.append(row)
            self._taken += is_timed
            if len(rows) == LOOKS_PER_EVENT:
                break
        for row in rows:
            self.drop(row)
        self.looks += len(rows)
        return rows

    def save_rest(self, life_ms: int) -> None:
        """Write down what is still to be looked at when an event is over: due now, should the process end here."""
        for row in self._unsaved:
            self._make_due(row, life_ms)
        self._unsaved.clear()

    def _make_due(self, row: int, life_ms: int) -> None:
        self.store.run(
            "UPDATE shelf SET due_ms = ? WHERE object = ? AND (due_ms IS NULL OR due_ms > ?)", (life_ms, row, life_ms)
        )
        self.remarked[row] = None

    def next_look_ms(self, life_ms: int) -> int | None:
        """Return the life time at which something is to be looked at; the one alarm is armed for it."""
        if not all(self._queue.values()):
            return life_ms
        due_ms = life_ms if self._queue else self.next_due_ms()
        is_spent = self._taken >= WAKES_PER_SECOND_MAX
        return max(due_ms, (self._second + 1) * SECOND_MS) if is_spent and due_ms is not None else due_ms

    def next_due_ms(self) -> int | None:
        """Return the life time at which something is due in the store."""
        found = self.store.run("SELECT min(due_ms) FROM shelf WHERE due_ms IS NOT NULL").fetchone()[0]
        return None if found is None else int(found)

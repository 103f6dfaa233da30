"""Polls between two records: what runs, what was counted since, and when the next one is due on this device.

The due ages follow from the entries (`judge.polling`); this module puts them on the device's clock, on shared ticks.
What is counted here is *pacing*: losing it makes the next record's counts a lower bound, and says so there.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..base.limits import PROBE_ANSWER_MS_MAX
from ..judge.polling import Cadence, cadence_of, count_dues, next_due_age_ms, on_tick
from ..objects.bodies import Empty, PolledSealed, PollResult
from ..objects.kinds import Kind
from ..objects.polled import PollMemory
from ..objects.records import Record, make
from ..program.calls import PollWait
from .spool import Live, Spool
from .store import Store
from .timeline import Timeline


POLLING = "polling"  # the first word of the reason of a sleep in which polls are due


class Count(Struct, frozen=True):
    """Polls since a probe's newest record, none of which said anything new.

    `age_ms` is the object's age at the newest poll; not `is_exact`: earlier counts were lost, or the age is a bound.
    """

    polls: int
    missed: int
    age_ms: int
    is_exact: bool


class ProbeFlight(Struct, frozen=True):
    """A probe that the host runs for an object; its answer names the number."""

    number: int
    path: str
    until_life_ms: int


class Polls:
    """The polls of this device's objects.

    Attributes:
        flights: (object, probe) -> the one that runs; in memory only, for a process that died runs none.
    """

    def __init__(self, store: Store, spool: Spool, timeline: Timeline) -> None:
        self.store = store
        self.spool = spool
        self.timeline = timeline
        self.flights: dict[tuple[bytes, str], ProbeFlight] = {}
        self._started_ms = timeline.life_ms
        self._numbers = 0

    # --- Due times ------------------------------------------------------------------------------------------------

    def due_life_ms(self, live: Live, wait: PollWait) -> int:
        """Return when, on this device's clock, the next poll of a wait is due; a past time is due now."""
        memory = live.state.content.polls.get(wait.probe)
        if memory is not None and memory.is_open and memory.path == wait.path:
            return self._next_life_ms(live, wait.probe, memory)
        return self.spool.life_ms_of(live, wait.since_age_ms)

    def next_life_ms(self, live: Live) -> int | None:
        """Return when the first poll of an object is due that its records ask for; None if they ask for none."""
        dues = [
            self._next_life_ms(live, probe, memory)
            for probe, memory in live.state.content.polls.items()
            if memory.is_open
        ]
        return min(dues, default=None)

    def _next_life_ms(self, live: Live, probe: str, memory: PollMemory) -> int:
        flight = self.flights.get((live.object, probe))
        if flight is not None:
            return flight.until_life_ms
        cadence = cadence_in(live, probe, memory)
        count = self.count_of(live, probe)
        last_age_ms = memory.age_ms if count is None else max(count.age_ms, memory.age_ms)
        due_age_ms = next_due_age_ms(cadence, last_age_ms)
        due_ms = on_tick(self.spool.life_ms_of(live, due_age_ms), cadence.least_ms)
        if due_ms > self._started_ms:
            return due_ms
        # It passed while no process ran: the next one on the grid stands for all that were missed. A due age may lie
        # before the start and its tick after it, by less than the least interval.
        started_age_ms = self._started_ms + live.age_offset_ms
        while due_ms <= self._started_ms:
            due_age_ms = next_due_age_ms(cadence, max(due_age_ms, started_age_ms - cadence.least_ms))
            due_ms = on_tick(self.spool.life_ms_of(live, due_age_ms), cadence.least_ms)
        return due_ms

    # --- Probes that run ------------------------------------------------------------------------------------------

    def begin(self, live: Live, wait: PollWait) -> int:
        """Note that a probe runs; return the number that its answer will name."""
        self._numbers += 1
        until_ms = self.timeline.life_ms + PROBE_ANSWER_MS_MAX
        self.flights[(live.object, wait.probe)] = ProbeFlight(self._numbers, wait.path, until_ms)
        return self._numbers

    def is_running(self, live: Live, probe: str) -> bool:
        """Say whether a probe runs for an object; one that was never answered is given up."""
        flight = self.flights.get((live.object, probe))
        return flight is not None and flight.until_life_ms > self.timeline.life_ms

    def is_asking(self, live: Live) -> bool:
        """Say whether any probe runs for an object."""
        return any(object_id == live.object for object_id, _ in self.flights)

    def end(self, object_id: bytes, probe: str, number: int) -> ProbeFlight | None:
        """Return the flight that an answer belongs to, and forget it; None for one that nobody waits for."""
        flight = self.flights.get((object_id, probe))
        if flight is None or flight.number != number:
            return None
        return self.flights.pop((object_id, probe))

    def forget(self, object_id: bytes | None = None) -> None:
        """After a rollback: what was to be asked may never have been (of all objects for None)."""
        for key in [key for key in self.flights if object_id in (None, key[0])]:
            del self.flights[key]

    # --- Counting -------------------------------------------------------------------------------------------------

    def count_of(self, live: Live, probe: str) -> Count | None:
        """Return what was counted since the newest record; None if nothing was or it was lost."""
        found = self.store.run(
            "SELECT polls, missed, age_ms, is_exact FROM polls WHERE object = ? AND probe = ?", (live.row, probe)
        ).fetchone()
        return None if found is None else Count(found[0], found[1], found[2], bool(found[3]))

    def keep(self, live: Live, probe: str, count: Count) -> None:
        """Write a count into this turn's transaction."""
        self.store.run(
            "INSERT OR REPLACE INTO polls VALUES (?, ?, ?, ?, ?, ?)",
            (live.row, probe, count.polls, count.missed, count.age_ms, int(count.is_exact)),
        )

    def drop(self, live: Live, probe: str) -> None:
        """Forget a count: nobody polls any more."""
        self.store.run("DELETE FROM polls WHERE object = ? AND probe = ?", (live.row, probe))

    def counted(self, live: Live, probe: str, memory: PollMemory | None, age_ms: int, made: int) -> Count:
        """Return the count up to now, with `made` polls (0 or 1) made now."""
        if memory is None or not memory.is_open:
            return Count(made, 0, age_ms, live.age_is_exact)
        count = self.count_of(live, probe)
        if count is not None and count.age_ms < memory.age_ms:
            count = None  # of an earlier stay here
        cadence = cadence_in(live, probe, memory)
        dues = count_dues(cadence, memory.age_ms if count is None else count.age_ms, age_ms)
        missed = max(0, dues - made)
        if count is None:
            return Count(made, missed, age_ms, live.age_is_exact and not missed)
        return Count(count.polls + made, count.missed + missed, age_ms, live.age_is_exact and count.is_exact)

    def flushed(self, live: Live, probe: str, age_ms: int, result: PollResult | None = None) -> PolledSealed:
        """Return the record of what was counted since the newest one, in the run of that one or ending it."""
        memory = live.state.content.polls[probe]
        count = self.counted(live, probe, memory, age_ms, 0)
        return PolledSealed(
            memory.path, probe, int(memory.result if result is None else result), b"", memory.cursor,
            memory.since_age_ms, memory.least_ms, memory.most_ms, memory.until, count.polls, count.missed,
            count.is_exact, memory.error,
        )  # fmt: skip

    def flush(self, live: Live, age_ms: int) -> list[Record]:
        """Return the records of polls that were only counted: custody moves or the object ends."""
        records: list[Record] = []
        for probe in [probe for probe, memory in live.state.content.polls.items() if memory.is_open]:
            body = self.flushed(live, probe, age_ms)
            if body.polls or body.missed:
                records.append(make(Kind.POLLED, Empty(), body))
                self.keep(live, probe, Count(0, 0, age_ms, True))
        return records

    def rows(self, live: Live, age_ms: int) -> list[dict[str, Any]]:
        """Return one row a probe that the object has polled, what was only counted included; as `show` prints it."""
        rows = []
        for probe, memory in sorted(live.state.content.polls.items()):
            count = self.count_of(live, probe) if memory.is_open else None
            if count is None or count.age_ms < memory.age_ms:
                count = Count(0, 0, memory.age_ms, True)
            rows.append(
                {"probe": probe, "result": memory.result.name.lower(), "polls": memory.polls + count.polls,
                 "missed": memory.missed + count.missed, "exact": memory.is_exact and count.is_exact,
                 "since_ms": max(0, age_ms - memory.since_age_ms), "error": memory.error or None}
            )  # fmt: skip
        return rows


def cadence_in(live: Live, probe: str, memory: PollMemory) -> Cadence:
    """Return the due ages of the run that a probe's newest record opened."""
    return cadence_of(
        live.object, probe, memory.result, memory.since_age_ms, memory.least_ms, memory.most_ms
    )

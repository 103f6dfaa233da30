"""Polling for bodies: starting probes that are due, and what their answers come to.

A poll that says nothing new is counted, not recorded; what opens a run, ends the wait or finds the source gone is one
`polled` record. A reading that ends the wait resumes the body by a `took` in the same entry.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from ..base.errors import PeerError
from ..base.limits import RESULT_BYTES_MAX
from ..judge.polling import ReadingView, judge_absence, judge_reading
from ..objects import bodies as b
from ..objects.bodies import PollResult
from ..objects.codec import decode, decode_value
from ..objects.conditions import from_tree
from ..objects.kinds import Kind
from ..objects.polled import PollMemory, after
from ..objects.records import make
from ..objects.script import Resumed, Resumption
from ..objects.triggers import After, Trigger
from ..program.driver import Body, PollWait
from .effects import Note, Stage, StartProbe
from .events import ProbeAnswered
from .parts import Parts
from .polls import POLLING, Count
from .shelving import trigger_of
from .sleeping import Sleeping
from .spool import Live


class _Finding(Struct, frozen=True):
    """What one answer came to."""

    result: PollResult
    value: bytes
    cursor: bytes
    error: str


class Polling:
    """Starts probes and takes their answers.

    Args:
        body_of: returns an object's body, replayed if need be; None if it may not be turned now.
        may_turn: says whether it may.
        go_on: goes on with an object in the same turn; `put_away`: only brings its derived rows up to date.
        refusal_of: says why policy does not let a probe be looked at for an object, or nothing.
    """

    def __init__(
        self, parts: Parts, sleeping: Sleeping, may_turn: Callable[[Live], bool],
        body_of: Callable[[Live], Body | None], go_on: Callable[[Live], None], put_away: Callable[[Live], None],
        refusal_of: Callable[[Live, str], str],
    ) -> None:  # fmt: skip
        self.parts = parts
        self.polls = parts.polls
        self.sleeping = sleeping
        self.may_turn = may_turn
        self.body_of = body_of
        self.go_on = go_on
        self.put_away = put_away
        self.refusal_of = refusal_of

    # --- Without the body -----------------------------------------------------------------------------------------

    def is_all_that_woke(self, live: Live, age_ms: int) -> bool:
        """Say whether nothing but a poll can be due: then the body need not be replayed to start it.

        Only for a sleep that no happening ends: of an edge there is no trace but that the object is looked at.
        """
        dormancy = live.state.content.dormancy
        if dormancy is None or not dormancy.reason.startswith(POLLING) or age_ms >= dormancy.expires_age_ms:
            return False
        if live.body is not None or live.flights:
            return False
        trigger = trigger_of(dormancy.trigger)
        if trigger is not None and not (isinstance(trigger, After) and trigger.due_age_ms > age_ms):
            return False
        if live.state.untaken() or live.state.cancel_untaken() is not None:
            return False
        return any(memory.is_open for memory in live.state.content.polls.values())

    def start_due(self, live: Live) -> None:
        """Start the probes that are due by the records alone."""
        for probe, memory in live.state.content.polls.items():
            if memory.is_open:
                self._start_if_due(live, _wait_of(probe, memory))

    def _take_repeated(self, live: Live, path: str, event: ProbeAnswered) -> bool:
        """Count an answer that only repeats its run; say whether it did."""
        memory = live.state.content.polls.get(event.probe)
        if memory is None or not memory.is_open or memory.path != path or not self.may_turn(live):
            return False
        age_ms = self.parts.spool.age_ms(live)
        count = self.polls.counted(live, event.probe, memory, age_ms, 1)
        found = self._find(_wait_of(event.probe, memory), event, memory, count.polls, age_ms)
        if found.result is not memory.result:
            return False
        self.polls.keep(live, event.probe, count)
        self.parts.touched[live.object] = None
        return True

    # --- In a turn ------------------------------------------------------------------------------------------------

    def attend(self, live: Live, body: Body, age_ms: int) -> None:
        """Close the runs that nobody waits for any more, and start the probes that are due."""
        waits = {wait.probe: wait for wait in body.poll_waits()}
        for probe, memory in list(live.state.content.polls.items()):
            wait = waits.get(probe)
            if memory.is_open and (wait is None or wait.path != memory.path):
                self._record(live, self.polls.flushed(live, probe, age_ms, PollResult.ENDED), age_ms)
                self.polls.drop(live, probe)
        for wait in waits.values():
            self._open(live, wait, age_ms)
            self._start_if_due(live, wait)

    def _open(self, live: Live, wait: PollWait, age_ms: int) -> None:
        """Open the run of a wait on a source that was looked at just before: its first poll is due in the cadence.

        Any other wait polls at once, and its first answer opens the run. So a body that waits again and again, whatever
        it waits for, polls no more often than it says.
        """
        memory = live.state.content.polls.get(wait.probe)
        if memory is None or wait.since_age_ms >= memory.age_ms + wait.least_ms:
            return
        if memory.path == wait.path or self._holds_already(wait, memory, age_ms):
            return
        body = b.PolledSealed(
            wait.path, wait.probe, int(PollResult.NOT_YET), b"", memory.cursor, age_ms, wait.least_ms, wait.most_ms,
            wait.until, 0, 0, True, "",
        )  # fmt: skip
        self._record(live, body, age_ms)

    def _start_if_due(self, live: Live, wait: PollWait) -> None:
        if self.polls.is_running(live, wait.probe):
            return
        if self.polls.due_life_ms(live, wait) > self.parts.timeline.life_ms:
            return
        memory = live.state.content.polls.get(wait.probe)
        number = self.polls.begin(live, wait)
        self.parts.touched[live.object] = None
        self.parts.effects.append(
            StartProbe(
                live.object, wait.probe, number, b"" if memory is None else memory.cursor,
                self.refusal_of(live, wait.probe),
            )
        )  # fmt: skip

    def resumption(
        self, live: Live, body: Body, age_ms: int, wall_ms: int
    ) -> tuple[b.TookSealed, Resumption] | None:
        """Return the reading that resumes the body next, as record and as resumption; it counts as taken then."""
        for wait in body.poll_waits():
            memory = live.state.content.polls.get(wait.probe)
            if memory is not None and self._holds_already(wait, memory, age_ms):
                live.state.content.polls[wait.probe] = memory.closed()
                return (
                    b.TookSealed(b.Took.POLL, wait.probe.encode(), wait.path),
                    Resumption(Resumed.POLL, wait.path, age_ms, wall_ms, value=memory.value),
                )
        return None

    def _holds_already(self, wait: PollWait, memory: PollMemory, age_ms: int) -> bool:
        """Say whether a reading ends this wait: it was found for it, or for one given up before it was taken."""
        if not memory.is_ready:
            return False
        return memory.path == wait.path or self._judge(wait, memory.value, True, age_ms) is PollResult.SATISFIED

    def leaves(self, live: Live, body: Body) -> tuple[list[Trigger], list[str]]:
        """Return what a sleep of this body waits for beside its records, and why it sleeps."""
        leaves: list[Trigger] = []
        reasons: list[str] = []
        for wait in body.poll_waits():
            memory = live.state.content.polls.get(wait.probe)
            reason = f"{POLLING} {wait.probe} until {wait.text}"
            if memory is None or not memory.is_open or memory.path != wait.path:
                leaves.append(After(wait.since_age_ms))
            elif memory.result is PollResult.ABORTED:
                reason = f"{reason}: its source is absent"
            elif memory.result is PollResult.ESCALATED:
                reason = f"{reason}: its source stays absent ({memory.error[:100]}); look at it"
            reasons.append(reason)
        return leaves, reasons

    # --- Answers --------------------------------------------------------------------------------------------------

    def take_answer(self, live: Live, event: ProbeAnswered) -> None:
        """Count or record what a probe found, then go on. A late or unwanted answer changes nothing."""
        flight = self.polls.end(event.object, event.probe, event.number)
        if flight is None:
            return
        if self._take_repeated(live, flight.path, event):
            self.put_away(live)
            return
        body = self.body_of(live)
        waits = () if body is None else body.poll_waits()
        wait = next((item for item in waits if item.path == flight.path), None)
        if wait is not None:
            self._take(live, wait, event)
        self.go_on(live)

    def _take(self, live: Live, wait: PollWait, event: ProbeAnswered) -> None:
        """Record what opens a run, or ends the wait."""
        age_ms = self.parts.spool.age_ms(live)
        memory = live.state.content.polls.get(wait.probe)
        if memory is not None and memory.path != wait.path:
            memory = memory.closed()
        count = self.polls.counted(live, wait.probe, memory, age_ms, 1)
        found = self._find(wait, event, memory, count.polls, age_ms)
        body = b.PolledSealed(
            wait.path, wait.probe, int(found.result), found.value, found.cursor, age_ms, wait.least_ms, wait.most_ms,
            wait.until, count.polls, count.missed, count.is_exact, found.error,
        )  # fmt: skip
        if found.result is PollResult.SATISFIED:
            self.sleeping.reenter(live, age_ms, why=f"probe {wait.probe}: {wait.text}"[:200])
        self._record(live, body, age_ms)
        if found.result is PollResult.ESCALATED:
            fields = {"escalated": f"probe {wait.probe}: {found.error}"}
            self.parts.effects.append(Note(Stage.JUDGED, live.object, fields, is_info=True))

    def _find(
        self, wait: PollWait, event: ProbeAnswered, memory: PollMemory | None, polls: int, age_ms: int
    ) -> _Finding:
        """Return what an answer comes to; the cursor moves on only with a reading that ends the wait."""
        value, cursor = (b"", b"") if memory is None else (memory.value, memory.cursor)
        if event.error or len(event.value) > RESULT_BYTES_MAX:
            was = memory.result if memory is not None and memory.is_open else None
            in_a_row = polls + (1 if was is PollResult.ABORTED else 0)
            error = event.error or f"a reading has {len(event.value)} bytes, at most {RESULT_BYTES_MAX} can be recorded"
            return _Finding(judge_absence(was, in_a_row), b"", cursor, error[:1_000])
        has_changed = event.cursor != cursor if event.has_cursor else value not in (b"", event.value)
        result = self._judge(wait, event.value, has_changed, age_ms)
        if result is PollResult.SATISFIED:
            return _Finding(result, event.value, event.cursor, "")
        # What later readings are compared with is the first one, or the one that the body has seen.
        return _Finding(result, b"" if value or event.has_cursor else event.value, cursor, "")

    @staticmethod
    def _judge(wait: PollWait, value: bytes, has_changed: bool, age_ms: int) -> PollResult:
        until = from_tree(decode(wait.until)) if wait.until else None
        try:
            fields = decode_value(value) if value else None
        except PeerError:
            fields = None
        return judge_reading(until, ReadingView(fields if isinstance(fields, dict) else {}, age_ms), has_changed)

    def _record(self, live: Live, body: b.PolledSealed, age_ms: int) -> None:
        live.made.append(make(Kind.POLLED, b.Empty(), body))
        # The rest of this turn sees it; the sums are added when the entry is folded.
        had = live.state.content.polls.get(body.probe)
        sums = (0, 0, True) if had is None else (had.polls, had.missed, had.is_exact)
        memory = replace(after(had, body, age_ms), polls=sums[0], missed=sums[1], is_exact=sums[2])
        live.state.content.polls[body.probe] = memory
        self.polls.keep(live, body.probe, Count(0, 0, age_ms, True))


def _wait_of(probe: str, memory: PollMemory) -> PollWait:
    """Return the wait that polls, as far as its record tells."""
    return PollWait(memory.path, probe, memory.least_ms, memory.most_ms, memory.since_age_ms, memory.until, "")

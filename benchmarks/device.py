"""Our device at the end of one link: what its judge decides, replayed against recorded contacts.

The decisions are the runtime's own: `evaluate_step` with its `Destination` (prober, gaps, plan), the functions that
`edge_runtime.node.judgement` calls, in the same order. What stands here is the world around them: tasks that come,
attempts that end, signs that are heard, and the node's rule of whom to look at again (`fact` and `slot` topics).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from edge_runtime.base.moment import Trust
from edge_runtime.judge.backoff import Failure, seed_of
from edge_runtime.judge.evaluate import Action, Decision, StepCase, evaluate_step
from edge_runtime.judge.facts import Fact
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.judge.plan import Pass, plan_of
from edge_runtime.judge.policy import Effect, Verdict
from edge_runtime.judge.prober import Destination
from edge_runtime.judge.rto import Rto
from edge_runtime.judge.snapshot import Snapshot

from .contacts import NEVER_MS, Link

LINK_FACT = "link.peer"
BEACON_MS = 5_000  # a link that is up says so again and again: a missed sign is followed by another
LOOKS, ENDS = 0, 1  # what can be due for a task
PERMIT = Verdict(Effect.PERMIT, "", bytes(16))


@dataclass(frozen=True)
class Signals:
    """What the device can read.

    Attributes:
        link: how surely each change of the link is heard, 0 .. 1; None: it cannot be read.
        classes: how surely the class of a failure is known; what is not known looks like a timeout.
        plan_error_ms: a contact plan is there, each start and end off by up to so much, evenly; None: no plan.
    """

    name: str
    link: float | None = None
    classes: float = 1.0
    plan_error_ms: int | None = None


SIGNALS = (
    Signals("link", link=1.0),
    Signals("plan 5 s", plan_error_ms=5_000),
    Signals("plan 300 s", plan_error_ms=300_000),
    Signals("classes 0.9", link=0.9, classes=0.9),
    Signals("none"),
)


@dataclass
class Task:
    """One step that waits, runs or is done."""

    who: bytes
    came_ms: int
    failure: Failure | None = None
    wasted: int = 0
    done_ms: int | None = None
    is_running: bool = False
    gets_through: bool = False
    version: int = 0
    facts: tuple[str, ...] = ()
    is_on_slot: bool = False


@dataclass
class Device:
    """One link, its destination, and the tasks that go there."""

    link: Link
    signals: Signals
    took_ms: int
    limit_ms: int
    chance: Random
    now_ms: int = 0
    destination: Destination = field(default_factory=Destination)
    facts: dict[str, Fact] = field(default_factory=dict)
    rto: Rto = field(default_factory=Rto)
    waiting: dict[bytes, Task] = field(default_factory=dict)
    evaluations: int = 0
    _queue: list[tuple[int, int, int, Task, int]] = field(default_factory=list)
    _number: int = 0

    def run(self, tasks: list[Task], until_ms: int) -> None:
        """Bring all tasks to their end, or as far as they come until then."""
        if self.signals.plan_error_ms is not None:
            self.destination.plan = plan_of(self._passes(self.signals.plan_error_ms, min(until_ms, 2 * self.link.period_ms)))
        signs = self._signs() if self.signals.link is not None else iter(())
        for task in tasks:
            self._at(task.came_ms, LOOKS, task)
        left = len(tasks)
        sign = next(signs, None)
        while self._queue and left:
            if sign is not None and sign[0] <= self._queue[0][0]:
                self.now_ms = max(self.now_ms, sign[0])
                self._hear(sign[1])
                sign = next(signs, None)
                continue
            self.now_ms, _, kind, what, version = heappop(self._queue)
            if self.now_ms > until_ms:
                return
            if kind == ENDS:
                self._end(what)
                left -= what.done_ms is not None
            elif version == what.version:
                self.waiting.setdefault(what.who, what)
                self._look(what)

    def _at(self, at_ms: int, kind: int, task: Task) -> None:
        self._number += 1
        heappush(self._queue, (at_ms, self._number, kind, task, task.version))

    # --- The judge ------------------------------------------------------------------------------------------------

    def _look(self, task: Task) -> None:
        """Judge one waiting task and do what was decided."""
        if task.is_running or task.done_ms is not None:
            return
        task.version += 1
        decision = self._decide(task)
        if decision.action is Action.EXECUTION:
            self.destination.start(task.who, self.now_ms)
            task.is_running = True
            task.gets_through = self.link.carries(self.now_ms, self.took_ms)
            self._at(self.now_ms + (self.took_ms if task.gets_through else self.limit_ms), ENDS, task)
            return
        assert decision.action is Action.DORMANCY, decision
        task.facts, task.is_on_slot = decision.facts, decision.is_on_slot
        if decision.until_age_ms is not None:
            self._at(max(self.now_ms + 1, task.came_ms + decision.until_age_ms), LOOKS, task)

    def _decide(self, task: Task) -> Decision:
        self.evaluations += 1
        fact = self.facts.get(LINK_FACT)
        self.destination.hear_way(None if fact is None else fact.value)
        view = Snapshot(
            self.facts, self.now_ms, self.now_ms - task.came_ms, self.now_ms, Trust.NTP, (), frozenset(), frozenset(),
            frozenset(), {}, PERMIT.policy, {},
        )  # fmt: skip
        case = StepCase(
            intent="send", needs=(), failure=task.failure, seed=seed_of(task.who, b"device", b"", task.wasted),
            exhausted=None, is_full=False, who=task.who, link="" if fact is None else LINK_FACT,
        )  # fmt: skip
        decision = evaluate_step(case, PERMIT, view, self.destination, self.rto)
        if decision.is_prober:
            self.destination.claim(task.who, self.now_ms)
        return decision

    def _end(self, task: Task) -> None:
        """An attempt ended: it got through if the link was up all the while."""
        task.is_running = False
        outcome = Outcome.OK if task.gets_through else self._classify()
        may_start = self.destination.end(task.who, outcome, self.now_ms)
        if task.gets_through:
            task.done_ms = self.now_ms
            del self.waiting[task.who]
            if task.failure is None:
                self.rto = self.rto.after(self.took_ms)
        else:
            task.wasted += 1
            before = task.failure
            in_a_row = 1 + before.in_a_row if before is not None and before.outcome is outcome else 1
            task.failure = Failure(outcome, in_a_row, self.now_ms - task.came_ms)
            self._look(task)
        if may_start:
            self._wake([item for item in self.waiting.values() if item.is_on_slot])

    def _wake(self, tasks: list[Task]) -> None:
        """Look at tasks; once one is told to wait for a place there is none for those behind it either."""
        is_full = False
        for task in tasks:
            if not task.is_running and not (task.is_on_slot and is_full):
                self._look(task)
                is_full = task.is_on_slot and not task.is_running

    def _classify(self) -> Outcome:
        known = self.signals.classes >= 1 or self.chance.random() < self.signals.classes
        return Outcome.UNREACHABLE if known else Outcome.TIMEOUT

    # --- Signs ----------------------------------------------------------------------------------------------------

    def _hear(self, state: str) -> None:
        """A contact opened or closed: the fact is set, each is a sign, and who waits for a link is looked at."""
        self.facts[LINK_FACT] = Fact(LINK_FACT, state, self.now_ms, "link", NEVER_MS)
        self.destination.signal()
        self._wake([item for item in self.waiting.values() if item.facts])

    def _signs(self) -> Iterator[tuple[int, str]]:
        """Yield what is heard of the link, in order: changes, and repeated beacons where the change was missed."""
        recall = self.signals.link or 0.0
        yield 0, "up" if self.link.contact_from(0)[0] <= 0 else "down"
        start_ms, end_ms = self.link.contact_from(0)
        while start_ms < NEVER_MS:
            heard_ms = start_ms
            while self.chance.random() >= recall:
                heard_ms += BEACON_MS
            if heard_ms < end_ms:
                yield heard_ms, "up"
            next_start_ms, next_end_ms = self.link.contact_from(end_ms)
            if self.chance.random() < recall:
                yield end_ms, "down"
            start_ms, end_ms = next_start_ms, next_end_ms

    def _passes(self, error_ms: int, until_ms: int) -> Iterator[Pass]:
        """Yield the passes as a plan tells them: each start and end off by up to the error."""
        start_ms, end_ms = self.link.contact_from(0)
        while start_ms < until_ms:
            planned_ms = start_ms + self.chance.randint(-error_ms, error_ms)
            over_ms = max(planned_ms, end_ms + self.chance.randint(-error_ms, error_ms))
            yield Pass(planned_ms, over_ms, error_ms)
            start_ms, end_ms = self.link.contact_from(end_ms)

"""The node thread with a real node over a real spool: order, bounds, alarm, interruption, a disk that is full."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_runtime import App, Context
from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import INBOX_BYTES_MAX
from edge_runtime.host import thread as under_test
from edge_runtime.host.clock import Clock
from edge_runtime.host.device import make_node
from edge_runtime.host.local import make_fleet
from edge_runtime.host.statedir import StateDir
from edge_runtime.host.thread import NodeThread
from edge_runtime.host.workers import Workers
from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.node.effects import Answer, Effect, Note, StartStep, Turn
from edge_runtime.node.events import Asked, Called, ContactEnded, Event, FactRead, Heard, Restored, StepEnded
from edge_runtime.node.messages import Want
from edge_runtime.node.node import Node
from edge_runtime.node.turns import run_turn

app = App("bench")


@app.intent
async def nap(ctx: Context, s: float = 0.01) -> str:
    """Sleep durably."""
    await asyncio.sleep(s)
    return "slept"


@app.intent
async def spin(ctx: Context) -> None:
    """Never give way."""
    while True:
        pass


async def one(x: int) -> int:
    """Return one more."""
    return x + 1


@app.intent
async def three(ctx: Context, x: int = 0) -> int:
    """Run three steps."""
    for name in "abc":
        x = await ctx.run(name, one, x)
    return x


@app.intent
async def plain_three(ctx: Context, x: int = 0) -> int:
    """Run three steps that are plain functions."""
    for name in "abc":
        x = await ctx.run(name, abs, x)
    return x


class Bench:
    """A node thread on the test's loop, with workers, and answers by ticket."""

    def __init__(self, folder: Path) -> None:
        self.state = StateDir.open(folder)
        self.clock = Clock()
        self.loop = asyncio.get_running_loop()
        self.turns: list[Turn] = []
        self.failures: list[str] = []
        self.answers: dict[int, asyncio.Future[Any]] = {}
        self.performs_here = False
        self.thread = NodeThread(
            self._make, self.clock, self.loop, self._perform, self.failures.append, self._perform_here
        )
        self.workers = Workers(self.loop, self.thread.post, lambda start: True)

    def _make(self) -> Node:
        node = make_node(self.state, [app], Policy.default(), self.clock, "bench")
        if not node.membership().fleets:
            run_turn(node, [make_fleet(self.state, 0, "one")], self.clock.read)
        return node

    def _perform_here(self, effect: Effect) -> bool:
        if not self.performs_here:
            return False
        return isinstance(effect, Note) or isinstance(effect, StartStep) and self.workers.start_in_thread(effect)

    def _perform(self, turn: Turn) -> None:
        self.turns.append(turn)
        for effect in turn.effects:
            match effect:
                case StartStep():
                    self.workers.start(effect)
                case Answer(ticket, value, error) if ticket in self.answers:
                    if error is not None:
                        self.answers[ticket].set_exception(error)
                    else:
                        self.answers[ticket].set_result(value)

    async def ask(self, command: c.Command) -> Any:
        """Ask the node and return its answer."""
        ticket = len(self.answers) + 1
        self.answers[ticket] = self.loop.create_future()
        self.thread.post(Asked(ticket, command))
        async with asyncio.timeout(20):
            return await self.answers[ticket]

    async def call(self, function: Callable[[], object]) -> None:
        """Run a function on the node thread and wait for the end of its turn."""
        done = asyncio.Event()

        def run() -> None:
            function()
            self.loop.call_soon_threadsafe(done.set)

        self.thread.post(Called(run))
        async with asyncio.timeout(20):
            await done.wait()

    async def close(self) -> None:
        """Stop all."""
        await self.workers.close()
        await self.thread.stop()
        self.state.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench that runs."""
    found = Bench(tmp_path / "state")
    await found.thread.start()
    yield found
    await found.close()


async def test_an_object_is_brought_to_its_end(bench: Bench) -> None:
    shown = await bench.ask(c.Submit("three", {"x": 4}, wait=True))
    assert (shown["end"], shown["result"]) == ("completed", 7)


async def test_a_turn_of_which_nothing_is_left_does_not_wake_the_loop(bench: Bench) -> None:
    bench.performs_here = True
    await bench.ask(c.Submit("plain_three", {"x": -4}, wait=True))
    turns, seen = bench.thread.turns, len(bench.turns)
    shown = await bench.ask(c.Submit("plain_three", {"x": -4}, wait=True))
    assert (shown["end"], shown["result"]) == ("completed", 4)
    assert bench.thread.turns - turns == 4
    assert len(bench.turns) - seen == 1  # the one with the answer


async def test_the_alarm_rings_for_a_durable_sleep_and_then_nothing_is_armed(bench: Bench) -> None:
    shown = await bench.ask(c.Submit("nap", {"s": 0.05}, wait=True))
    assert (shown["result"], shown["age_ms"] >= 50) == ("slept", True)
    await bench.call(lambda: None)
    await bench.ask(c.Status())
    assert bench.thread._timer is None


async def test_a_long_sleep_is_slept_in_slices_without_turns(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "TIMER_SLICE_MS_MAX", 5)
    before = bench.thread.turns
    await bench.ask(c.Submit("nap", {"s": 0.2}, wait=True))
    # The submission, the alarm, and the answer's turn: 40 slices have cost none.
    assert bench.thread.turns - before <= 4


async def test_own_completions_go_before_askers_and_askers_before_peers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = record_batches(monkeypatch)
    gate = threading.Event()
    bench.thread.post(Called(gate.wait))
    heard = Heard(1, Want(()))
    ended = StepEnded(b"o" * 32, "p", b"a" * 16, 1)
    for event in (heard, Asked(9, c.Status()), ContactEnded(1, "lost"), ended):
        bench.thread.post(event)
    gate.set()
    await bench.call(lambda: None)
    await bench.call(lambda: None)  # by now the turn of the first one is over, and recorded
    order = [event for batch in batches for event in batch if not isinstance(event, Called)]
    # What was heard in a contact is worth having when the contact is over: its end does not overtake it.
    assert order == [ended, Asked(9, c.Status()), heard, ContactEnded(1, "lost")]


async def test_peers_wait_while_the_inbox_is_full_and_completions_do_not(bench: Bench) -> None:
    gate = threading.Event()
    entered = asyncio.Event()

    def hold() -> None:
        bench.loop.call_soon_threadsafe(entered.set)
        gate.wait()

    bench.thread.post(Called(hold))
    await entered.wait()
    big = Heard(1, Want(()), bytes_size=INBOX_BYTES_MAX)
    await bench.thread.post_when_room(big)
    waiting = [asyncio.ensure_future(bench.thread.post_when_room(big)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    assert not bench.thread.offer(FactRead("load", 1, "sensor")), "a reading does not wait: it is offered again"
    bench.thread.post(StepEnded(b"o" * 32, "p", b"a" * 16, 1))
    gate.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
        while not bench.thread.offer(FactRead("load", 1, "sensor")):
            await asyncio.sleep(0)


async def test_room_made_while_a_reader_looks_is_never_missed(bench: Bench) -> None:
    big = Heard(1, Want(()), bytes_size=INBOX_BYTES_MAX)

    async def read() -> None:
        for _ in range(200):
            await bench.thread.post_when_room(big)

    async with asyncio.timeout(20):
        await asyncio.gather(*(read() for _ in range(4)))


async def test_a_body_that_does_not_come_back_is_interrupted_and_the_others_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "BODY_SLICE_MS_MAX", 40)
    monkeypatch.setattr(under_test, "WATCH_S", 0.02)
    stuck = bench.ask(c.Submit("spin"))
    fine = bench.ask(c.Submit("three", {"x": 1}, wait=True))
    shown, other = await asyncio.gather(stuck, fine)
    assert (other["result"], bench.thread.failure) == (4, None)
    assert "overran" in (await bench.ask(c.Show(shown["object"])))["reason"]


async def test_a_long_turn_outside_bodies_is_not_interrupted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "BODY_SLICE_MS_MAX", 10)
    monkeypatch.setattr(under_test, "WATCH_S", 0.005)
    looks = 0

    def watch_often() -> None:
        nonlocal looks
        while looks < 10:
            looks += 1
            threading.Event().wait(0.005)

    await bench.call(watch_often)
    assert (looks, bench.thread.failure) == (10, None)


async def test_a_store_that_cannot_be_written_refuses_serves_keeps_the_rest_and_goes_on_when_it_can(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behaviours: 18.2, 18.4. Persist, then speak: an answer means that the commit happened."""
    monkeypatch.setattr(under_test, "RETRY_S", 0.02)
    connection = _connection(bench)
    made = await bench.ask(c.Submit("nap", {"s": 3_600.0}, name="nap"))
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(UsageError, match="Nothing can be stored now.*full") as refused:
        for number in range(200):
            await bench.ask(c.Submit("three", {"x": number}, needs=["nobody"]))
    assert refused.value.exit is Exit.REFUSED and "full" in bench.failures[0]
    for number in range(3):
        bench.thread.post(FactRead("load", number, "sensor"))
    assert (await bench.ask(c.Show(made["object"])))["status"] == "dormant"
    assert (await bench.ask(c.Status()))["storage"]["takes_in"] is False
    with pytest.raises(UsageError, match="stored now"):
        await bench.ask(c.Cancel(made["object"]))
    progress = bench.thread.turns
    connection.execute("PRAGMA max_page_count = 1000000")
    async with asyncio.timeout(10):
        while bench.failures[-1]:
            await asyncio.to_thread(lambda: None)
    assert (await bench.ask(c.Submit("three", {"x": 1}, wait=True)))["result"] == 4
    assert (await bench.ask(c.Status()))["storage"] == {"takes_in": True, "reason": None}
    assert [fact["value"] for fact in await bench.ask(c.Facts()) if fact["name"] == "load"] == [2]
    assert bench.thread.turns > progress, "a thread that tries again is not a thread that hangs"
    assert bench.thread.failure is None


async def test_stopping_works_off_the_inbox_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "state")
    await bench.thread.start()
    names = [f"n{number}" for number in range(50)]
    asking = [asyncio.ensure_future(bench.ask(c.Submit("nap", {"s": 60.0}, name=name))) for name in names]
    await asyncio.sleep(0)
    await bench.close()
    assert [(await task)["name"] for task in asking] == names


async def test_what_a_step_left_at_the_end_is_written_down(tmp_path: Path) -> None:
    """A step that is released while the daemon stops is no process death at the next start."""
    bench = Bench(tmp_path / "state")
    await bench.thread.start()
    shown = await bench.ask(c.Submit("three", {"x": 4}))
    await bench.close()
    again = Bench(tmp_path / "state")
    await again.thread.start()
    again.thread.post(Restored())
    rows = await again.ask(c.Trace(shown["object"]))
    assert "ProcessDeath" not in str(rows)
    await again.close()


async def test_a_spool_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "spool.db").write_bytes(b"not a database" * 1000)
    bench = Bench(tmp_path / "state")
    with pytest.raises(UsageError, match="cannot be opened"):
        await bench.thread.start()
    await bench.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_bug_on_the_node_thread_ends_it_loudly(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(node: Node, events: Sequence[Event], read: Any) -> tuple[Turn, int]:
        raise AssertionError("a bug")

    monkeypatch.setattr(under_test, "run_turn", break_down)
    bench.thread.post(Asked(1, c.Status()))
    async with asyncio.timeout(10):
        while not bench.failures:
            await asyncio.to_thread(lambda: None)
    assert "AssertionError: a bug" in bench.failures[0]
    assert isinstance(bench.thread.failure, AssertionError)


def _connection(bench: Bench) -> sqlite3.Connection:
    assert bench.thread.node is not None
    return bench.thread.node.parts.store.connection


def record_batches(monkeypatch: pytest.MonkeyPatch) -> list[list[Event]]:
    """Keep what each turn was given."""
    batches: list[list[Event]] = []

    def run(node: Node, events: Sequence[Event], read: Any) -> tuple[Turn, int]:
        turn, handled = run_turn(node, events, read)
        batches.append(list(events[:handled]))
        return turn, handled

    monkeypatch.setattr(under_test, "run_turn", run)
    return batches

"""Steps on the loop and in threads: exactly one outcome each, whatever the user's code does."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec import structs

from edge_runtime import PartialError, TerminalError, current_attempt
from edge_runtime.base.limits import OBSERVER_LATE_MS_MAX, WORKER_THREADS
from edge_runtime.host.clock import boot_ms
from edge_runtime.host.lag import LOOK_EVERY_MS, LoopLag
from edge_runtime.host.workers import Workers
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.node.effects import StartStep
from edge_runtime.node.events import StepEnded, StepWithheld
from edge_runtime.objects.attempts import write_partial
from edge_runtime.objects.codec import decode_value, encode_value

LONG_MS = 60_000


class Bench:
    """Workers on the test's loop, and the outcomes as they come."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Queue[StepEnded] = asyncio.Queue()
        self.policy = b""
        self.workers = Workers(self.loop, self._tell, lambda start: start.policy == self.policy)
        self.gates: list[threading.Event] = []

    def _tell(self, event: Any) -> None:
        self.loop.call_soon_threadsafe(self.ended.put_nowait, event)

    def start(self, function: Callable[..., Any], *arguments: Any, path: str = "p", timeout_ms: int = LONG_MS) -> None:
        """Release a step."""
        self.workers.start(self.step(function, *arguments, path=path, timeout_ms=timeout_ms))

    def step(self, function: Callable[..., Any], *arguments: Any, path: str = "p", timeout_ms: int = LONG_MS) -> StartStep:
        """Return what releases a step."""
        return StartStep(b"o" * 32, path, b"a" * 16, 1, path, function, arguments, Any, timeout_ms)

    async def outcome(self) -> StepEnded:
        """Return the next outcome."""
        async with asyncio.timeout(10):
            return await self.ended.get()

    async def result(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Run a step that must succeed; return its value."""
        self.start(function, *arguments, **options)
        ended = await self.outcome()
        assert ended.outcome == Outcome.OK, ended
        return decode_value(ended.value)

    def gate(self) -> threading.Event:
        """Return an event that opens at the end of the test at the latest, so that no thread outlives it."""
        self.gates.append(threading.Event())
        return self.gates[-1]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Workers that are closed in the end."""
    found = Bench()
    yield found
    for gate in found.gates:
        gate.set()
    await found.workers.close()


async def double(x: int) -> int:
    """Return twice as much."""
    return 2 * x


def add(x: int, y: int = 0) -> int:
    """Return the sum."""
    return x + y


class Adder:
    """An object that can be called and is async."""

    async def __call__(self, x: int) -> int:
        """Return one more."""
        return x + 1


async def test_coroutine_functions_run_on_the_loop_and_plain_ones_in_a_thread(bench: Bench) -> None:
    async def here() -> bool:
        return asyncio.get_running_loop() is bench.loop

    def there() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await bench.result(here) is True
    assert await bench.result(there) is False


@pytest.mark.parametrize(
    ("function", "arguments", "value"),
    [
        (double, (4,), 8),
        (add, (4,), 4),
        (functools.partial(double, 5), (), 10),
        (functools.partial(functools.partial(add, 1), y=2), (), 3),
        (Adder(), (1,), 2),
        (lambda: double(3), (), 6),  # a coroutine made by a plain function is awaited on the loop
        (functools.partial(map, str), ((),), None),
    ],
)
async def test_whatever_can_be_called_can_be_a_step(
    bench: Bench, function: Callable[..., Any], arguments: tuple[Any, ...], value: object
) -> None:
    bench.start(function, *arguments)
    ended = await bench.outcome()
    if value is None:  # an iterator cannot be recorded
        assert ended.outcome == Outcome.INVALID and "cannot be recorded" in ended.error
    else:
        assert (ended.outcome, decode_value(ended.value)) == (Outcome.OK, value)


async def test_the_outcome_names_step_attempt_and_latency(bench: Bench) -> None:
    bench.start(double, 1, path="0/1/double:1")
    ended = await bench.outcome()
    assert (ended.object, ended.path, ended.attempt, ended.try_number) == (b"o" * 32, "0/1/double:1", b"a" * 16, 1)
    assert 0 <= ended.latency_ms < 5_000


@pytest.mark.parametrize("kind", ["async", "plain", "lambda"])
async def test_a_step_knows_its_attempt_and_nothing_outside_does(bench: Bench, kind: str) -> None:
    def plain() -> str:
        return current_attempt().id

    async def asynchronous() -> str:
        await asyncio.sleep(0)
        return current_attempt().id

    function = {"async": asynchronous, "plain": plain, "lambda": lambda: asynchronous()}[kind]
    assert await bench.result(function) == (b"a" * 16).hex()
    with pytest.raises(Exception, match="only inside a step"):
        current_attempt()


RAISED = [
    (ValueError("no"), Outcome.CRASHED),
    (TerminalError("never"), Outcome.INVALID),
    (TimeoutError("slow"), Outcome.TIMEOUT),
    (ConnectionRefusedError("down"), Outcome.UNREACHABLE),
    (SystemExit(3), Outcome.CRASHED),
    (KeyboardInterrupt(), Outcome.CRASHED),
    (asyncio.CancelledError(), Outcome.CRASHED),
]


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(("error", "outcome"), RAISED, ids=lambda value: type(value).__name__)
async def test_what_a_step_raises_is_an_outcome_and_the_daemon_lives(
    bench: Bench, error: BaseException, outcome: Outcome, is_async: bool
) -> None:
    """Behaviour: evidence that decides the outcome, section 6."""

    async def asynchronous() -> None:
        raise error

    def plain() -> None:
        raise error

    bench.start(asynchronous if is_async else plain)
    ended = await bench.outcome()
    assert Outcome(ended.outcome) is outcome
    assert ended.error_type == type(error).__name__
    assert bench.workers.running == 0


async def test_an_async_step_over_its_time_is_cancelled(bench: Bench) -> None:
    """Behaviour: 1.7."""
    seen: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    bench.start(slow, timeout_ms=5)
    ended = await bench.outcome()
    assert (Outcome(ended.outcome), seen) == (Outcome.TIMEOUT, ["cancelled"])
    assert "5 ms" in ended.error


async def test_a_thread_over_its_time_is_counted_and_its_late_result_only_measured(bench: Bench) -> None:
    """Behaviours: 1.7, 6.12. A thread cannot be killed: it is counted until it comes back, and it comes back usable.

    Its answer names its try, so that the round trip can be measured.
    """
    gate = bench.gate()
    bench.start(gate.wait, timeout_ms=5, path="late")
    ended = await bench.outcome()
    assert (ended.path, Outcome(ended.outcome)) == ("late", Outcome.TIMEOUT)
    assert bench.workers.hung == 1
    gate.set()
    late = await bench.outcome()
    assert (late.path, late.try_number, Outcome(late.outcome)) == ("late", 1, Outcome.OK)
    assert late.latency_ms >= ended.latency_ms
    assert await bench.result(add, 1, path="next") == 1
    await until(lambda: bench.workers.hung == 0)
    assert bench.ended.empty()


async def test_a_plain_function_may_be_started_by_another_thread_and_keeps_its_limit(bench: Bench) -> None:
    """Behaviour: 1.7. The node's thread starts steps right after its commit; the loop is told of nearer limits only."""
    gate = bench.gate()
    start = bench.workers.start_in_thread
    assert await asyncio.to_thread(start, bench.step(gate.wait, path="later limit"))
    assert await asyncio.to_thread(start, bench.step(gate.wait, path="near limit", timeout_ms=5))
    ended = await bench.outcome()
    assert (ended.path, Outcome(ended.outcome)) == ("near limit", Outcome.TIMEOUT)
    assert await asyncio.to_thread(start, bench.step(add, 1, path="short"))
    assert (await bench.outcome()).path == "short"
    assert not await asyncio.to_thread(start, bench.step(double, 1, path="runs on the loop"))
    gate.set()
    late = [(await bench.outcome()).path for _ in range(2)]
    assert sorted(late) == ["later limit", "near limit"], "the second one to be measured only"
    assert bench.ended.empty()


async def test_hung_threads_are_replaced(bench: Bench) -> None:
    gate = bench.gate()
    for number in range(WORKER_THREADS):
        bench.start(gate.wait, timeout_ms=5, path=f"hung{number}")
    for _ in range(WORKER_THREADS):
        assert Outcome((await bench.outcome()).outcome) is Outcome.TIMEOUT
    assert bench.workers.hung == WORKER_THREADS
    assert await bench.result(add, 7) == 7


async def test_a_step_that_was_queued_before_the_threads_hung_gets_one_of_those_that_replace_them(bench: Bench) -> None:
    """Behaviour: 1.7: nothing else is started that would bring a thread along."""
    gate, taken = bench.gate(), threading.Semaphore(0)

    def hold() -> None:
        taken.release()
        gate.wait()

    for number in range(WORKER_THREADS):
        bench.start(hold, timeout_ms=500, path=f"hung{number}")
    for _ in range(WORKER_THREADS):
        assert await asyncio.to_thread(taken.acquire, timeout=10)
    bench.start(add, 7, path="queued")
    ended = {item.path: Outcome(item.outcome) for item in [await bench.outcome() for _ in range(WORKER_THREADS + 1)]}
    assert ended.pop("queued") is Outcome.OK
    assert set(ended.values()) == {Outcome.TIMEOUT}


async def test_a_step_that_waits_for_a_thread_is_not_timed_out_and_no_thread_is_said_to_hang(bench: Bench) -> None:
    gate = bench.gate()
    started = threading.Semaphore(0)

    def hold() -> None:
        started.release()
        gate.wait()

    for number in range(WORKER_THREADS):
        bench.start(hold, path=f"busy{number}")
    for _ in range(WORKER_THREADS):
        assert await asyncio.to_thread(started.acquire, timeout=10)
    bench.start(add, 3, path="queued", timeout_ms=1)
    await asyncio.to_thread(threading.Event().wait, 0.02)  # its time limit passes while it is queued
    assert (bench.workers.hung, bench.ended.empty()) == (0, True)
    gate.set()
    ended = [await bench.outcome() for _ in range(WORKER_THREADS + 1)]
    assert {Outcome(item.outcome) for item in ended} == {Outcome.OK}


async def test_a_burst_runs_in_all_threads_at_once(bench: Bench) -> None:
    barrier = threading.Barrier(WORKER_THREADS, timeout=10)
    await bench.result(add, 1)  # one thread is there, and idle
    for number in range(WORKER_THREADS):
        bench.start(barrier.wait, path=f"b{number}")
    for _ in range(WORKER_THREADS):
        assert Outcome((await bench.outcome()).outcome) is Outcome.OK


@pytest.mark.parametrize("kind", ["async", "plain", "lambda"])
async def test_a_stopped_step_has_its_one_outcome(bench: Bench, kind: str) -> None:
    gate = bench.gate()
    begun = asyncio.Event()

    async def asynchronous() -> None:
        begun.set()
        await asyncio.Event().wait()

    def plain() -> None:
        bench.loop.call_soon_threadsafe(begun.set)
        gate.wait()

    bench.start({"async": asynchronous, "plain": plain, "lambda": lambda: asynchronous()}[kind])
    await begun.wait()
    bench.workers.stop(b"o" * 32, "p")
    ended = await bench.outcome()
    assert Outcome(ended.outcome) is Outcome.CRASHED and "stopped" in ended.error
    gate.set()
    await until(lambda: (bench.workers.hung, bench.workers.running) == (0, 0))
    assert bench.ended.empty()


async def test_stopping_what_is_not_there_changes_nothing(bench: Bench) -> None:
    bench.workers.stop(b"o" * 32, "nothing")
    assert bench.workers.running == 0


async def test_closing_lets_short_steps_end_and_cancels_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_runtime.host.workers.GRACE_S", 0.1)
    bench.start(asyncio.sleep, 0.02, path="short")
    bench.start(asyncio.sleep, 60, path="long")
    await bench.workers.close()
    ended = {item.path: Outcome(item.outcome) for item in [await bench.outcome(), await bench.outcome()]}
    assert ended == {"short": Outcome.OK, "long": Outcome.CRASHED}
    bench.start(double, 1, path="too late")
    late = await bench.outcome()
    assert (late.path, Outcome(late.outcome)) == ("too late", Outcome.CRASHED)
    assert "not begun" in late.error


async def test_a_step_knows_whom_to_ask_and_what_was_done_and_says_what_it_spent(bench: Bench) -> None:
    """Behaviours: 6.3, 6.8."""

    def send() -> list[Any]:
        attempt = current_attempt()
        attempt.spend(bytes=700)
        attempt.spend(bytes=300, energy_mj=5)
        return [attempt.peer, *attempt.done]

    bench.workers.start(
        StartStep(b"o" * 32, "p", b"a" * 16, 2, "p", send, (), Any, LONG_MS, peer="server-b", done=([1, 2], [3]))
    )
    ended = await bench.outcome()
    assert decode_value(ended.value) == ["server-b", [1, 2], [3]]
    assert (ended.bytes_used, ended.energy_mj) == (1_000, 5)


async def test_progress_is_told_with_what_is_left(bench: Bench) -> None:
    """Behaviour: 6.3."""

    def send() -> None:
        current_attempt().spend(bytes=10)
        raise PartialError([1], [2, 3])

    bench.start(send)
    ended = await bench.outcome()
    assert (Outcome(ended.outcome), ended.bytes_used) == (Outcome.PARTIAL, 10)
    assert ended.value == write_partial(encode_value([1]), encode_value([2, 3]))


async def test_what_is_seen_by_a_loop_that_is_late_is_marked(bench: Bench) -> None:
    """Behaviour: 7.4."""
    late_ms = [0]
    bench.workers._lag = LoopLag(bench.loop, lambda: True, lambda: boot_ms() + late_ms[0])
    bench.start(double, 1)
    assert not (await bench.outcome()).is_observer_late
    gate = bench.gate()
    bench.start(gate.wait)
    late_ms[0] = LOOK_EVERY_MS + OBSERVER_LATE_MS_MAX + 1
    gate.set()
    assert (await bench.outcome()).is_observer_late


async def until(check: Callable[[], bool]) -> None:
    """Give threads and loop their turns until something holds."""
    async with asyncio.timeout(10):
        while not check():
            await asyncio.to_thread(lambda: None)


async def test_a_step_whose_verdict_is_no_longer_in_force_does_not_run(bench: Bench) -> None:
    """Behaviour: 2.8: asked right before it runs, on the loop and in a thread; nothing ran, and the node is told so."""
    ran: list[str] = []

    async def on_loop() -> None:
        ran.append("loop")

    bench.policy = b"another"
    for path, function in (("a", on_loop), ("b", functools.partial(ran.append, "thread"))):
        bench.start(function, path=path)
        assert await bench.outcome() == StepWithheld(b"o" * 32, path, b"a" * 16, 1)
    assert ran == [] and bench.workers.running == 0


async def test_a_step_that_waited_for_a_thread_is_asked_about_when_it_gets_one(bench: Bench) -> None:
    """Behaviour: 2.8: policy changed while it was queued behind others."""
    ran: list[int] = []
    gate, taken = bench.gate(), threading.Semaphore(0)

    def hold() -> None:
        taken.release()
        gate.wait(10)

    for number in range(WORKER_THREADS):
        bench.start(hold, path=f"busy{number}")
    for _ in range(WORKER_THREADS):
        assert await asyncio.to_thread(taken.acquire, timeout=10)
    bench.start(functools.partial(ran.append, 1), path="late")
    bench.policy = b"another"
    gate.set()
    found = [await bench.outcome() for _ in range(WORKER_THREADS + 1)]
    assert [event for event in found if isinstance(event, StepWithheld)] == [
        StepWithheld(b"o" * 32, "late", b"a" * 16, 1)
    ]
    assert ran == []


async def test_a_unit_tells_how_far_it_is_before_it_ends_on_the_loop_and_in_a_thread(bench: Bench) -> None:
    """Behaviour: 13.3."""

    async def walk() -> str:
        current_attempt().progress(400, "north")
        return "clear"

    def walk_there() -> str:
        current_attempt().progress(600)
        return "clear"

    for function, said in ((walk, (400, encode_value("north"))), (walk_there, (600, b""))):
        bench.workers.start(structs.replace(bench.step(function), is_unit=True))
        progressed: Any = await bench.outcome()
        assert (progressed.permille, progressed.value) == said and progressed.attempt == b"a" * 16
        assert (await bench.outcome()).outcome == Outcome.OK

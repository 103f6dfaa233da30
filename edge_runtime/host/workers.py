"""Running steps: coroutine functions as tasks on the loop, plain functions in a few threads. One outcome each, always.

A coroutine is cancelled at its time limit; what it awaits with `reply` is listened for a while (`listeners`). A thread
cannot be killed: after its time limit the outcome is `timeout` and a late result is only measured, but the
thread stays taken; such threads are counted (`hung`), and replaced up to a bound.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import queue
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from msgspec import Struct, field, structs

from ..base.limits import HUNG_THREADS_MAX, WORKER_THREADS
from ..judge.outcomes import Outcome
from ..node.effects import StartStep
from ..node.events import StepEnded, StepProgressed, StepWithheld
from ..program.attempt import Attempt, Meter, enter_attempt
from ..program.errors import Failure, classify_exception
from ..program.results import encode_result
from .clock import boot_ms
from .lag import LoopLag
from .listeners import Listeners
from ..base.foreign import contained

# When the daemon stops: how long steps may still end by themselves, then how long cancelled ones may take.
GRACE_S = 1.0
CANCEL_S = 1.0


class _Run(Struct, eq=False):
    """One step that runs. `is_over`: its outcome was told; whatever comes later is discarded."""

    start: StartStep
    began_ms: int
    is_over: bool = False
    is_hung: bool = False
    is_timed_out: bool = False
    task: asyncio.Task[None] | None = None
    limit: asyncio.Timeout | None = None
    thread_began_ms: int | None = None  # None while it waits for a thread
    context: contextvars.Context = field(default_factory=contextvars.Context)
    meter: Meter = field(default_factory=Meter)


class Workers:
    """Runs what `StartStep` releases.

    Args:
        tell: called with each outcome, and with the progress of units, from the loop or from a worker thread.
        is_in_force: asked right before a step runs, on the loop or in its thread: does its verdict still hold?

    Attributes:
        hung: threads whose step was given up and that have not come back.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tell: Callable[[StepEnded | StepWithheld | StepProgressed], None],
        is_in_force: Callable[[StartStep], bool],
    ) -> None:  # fmt: skip
        self._loop = loop
        self._tell = tell
        self._is_in_force = is_in_force
        self._runs: dict[tuple[bytes, str], _Run] = {}
        self._jobs: queue.SimpleQueue[_Run | None] = queue.SimpleQueue()
        # One timer for the limits of all steps in threads, armed for the nearest: nearly every step ends long before.
        self._limit_timer: asyncio.TimerHandle | None = None
        self._limit_ms: int | None = None
        self._threads = 0
        self._idle = 0
        self._queued = 0
        self._lock = threading.Lock()  # around the counters and each run's two flags
        self._is_closing = False
        self._listeners = Listeners(loop)
        self._lag = LoopLag(loop, lambda: bool(self._runs or len(self._listeners)))
        self.hung = 0

    @property
    def running(self) -> int:
        """How many steps run now."""
        return len(self._runs)

    def start(self, effect: StartStep) -> None:
        """Run a step; on the loop."""
        if self.start_in_thread(effect):
            return
        run = self._begin(effect)
        if run is not None:
            run.task = self._loop.create_task(self._run_async(run, None), context=run.context)

    def start_in_thread(self, effect: StartStep) -> bool:
        """Run a step that is a plain function, and say whether it was one; from any thread."""
        if _is_async(effect.function):
            return False
        run = self._begin(effect)
        if run is not None:
            limit_ms = run.began_ms + effect.timeout_ms
            if self._limit_ms is None or limit_ms < self._limit_ms:
                self._limit_ms = limit_ms
                self._loop.call_soon_threadsafe(self._arm_limits)
            self._submit(run)
        return True

    def _begin(self, effect: StartStep) -> _Run | None:
        run = _Run(effect, boot_ms())
        if self._is_closing:
            self._finish(run, _failed(run, Failure(Outcome.CRASHED, None, "not begun: the device stops", "Stopped")))
            return None
        self._runs[(effect.object, effect.path)] = run
        self._lag.watch()
        owner = effect.object.hex()
        report = partial(self._tell_progress, run) if effect.is_unit else None
        attempt = Attempt(
            effect.attempt.hex(), effect.try_number, owner, None, effect.peer, effect.done, run.meter, report,
            partial(self._listen, run),
        )  # fmt: skip
        run.context.run(enter_attempt, attempt)
        return run

    def stop(self, object_id: bytes, path: str) -> None:
        """Nobody waits for the step any more: a task is cancelled; a thread's result will be discarded."""
        run = self._runs.get((object_id, path))
        if run is None:
            return
        if run.task is not None:
            run.task.cancel()
        else:
            self._give_up(run, Failure(Outcome.CRASHED, None, "stopped: nobody waits for it", "Stopped"))

    async def close(self) -> None:
        """Let steps end by themselves for a moment, then cancel what runs on the loop; threads die with the process."""
        until_s = self._loop.time() + GRACE_S
        while self._runs and self._loop.time() < until_s:
            await asyncio.sleep(0.01)
        self._is_closing = True
        tasks = [run.task for run in list(self._runs.values()) if run.task is not None]
        for task in tasks:
            task.cancel()
        self._listeners.close()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_S)
        if self._limit_timer is not None:
            self._limit_timer.cancel()
        for _ in range(self._threads):
            self._jobs.put(None)

    # --- On the loop ----------------------------------------------------------------------------------------------

    async def _run_async(self, run: _Run, awaited: Awaitable[Any] | None) -> None:
        """Run a coroutine function, or await what a plain function returned."""
        effect = run.start
        left_ms = max(0, effect.timeout_ms - (boot_ms() - run.began_ms))
        limit = run.limit = asyncio.timeout(left_ms / 1000)
        value: Any = None
        if awaited is None and not self._is_in_force(effect):
            self._finish(run, _withheld(effect))
            return
        with contained() as caught:
            async with limit:
                value = await (effect.function(*effect.arguments) if awaited is None else awaited)
        if caught.error is None:
            self._finish(run, _succeeded(run, value))
        elif isinstance(caught.error, TimeoutError) and limit.expired():
            self._finish(run, _failed(run, _timed_out(effect)))
        elif isinstance(caught.error, asyncio.CancelledError):
            self._finish(run, _failed(run, Failure(Outcome.CRASHED, None, "stopped", "CancelledError")))
        else:
            self._finish(run, _failed(run, classify_exception(caught.error)))

    async def _listen(self, run: _Run, awaited: Awaitable[Any]) -> Any:
        """Await an answer for a step on the loop, beyond its limit if need be."""

        def has_timed_out() -> bool:
            return run.limit is not None and run.limit.expired()

        def answered() -> None:
            run.is_timed_out = True
            self._finish(run, _answered(run))

        return await self._listeners.listen(awaited, has_timed_out, answered)

    def _arm_limits(self) -> None:
        """Give up what is beyond its limit, and look again when the next one is due.

        A limit counts from when a thread took the step, not from when it was queued.
        """
        if self._limit_timer is not None:
            self._limit_timer.cancel()
            self._limit_timer = None
        self._limit_ms = None  # before the look: what starts meanwhile asks for a look of its own
        now_ms, next_ms = boot_ms(), None
        for run in list(self._runs.values()):
            if run.task is not None or run.is_over:
                continue
            began_ms = now_ms if run.thread_began_ms is None else run.thread_began_ms
            limit_ms = began_ms + run.start.timeout_ms
            if limit_ms <= now_ms:
                self._give_up(run, _timed_out(run.start))
            else:
                next_ms = limit_ms if next_ms is None else min(next_ms, limit_ms)
        if next_ms is not None:
            self._limit_ms = next_ms
            self._limit_timer = self._loop.call_later((next_ms - now_ms) / 1000, self._arm_limits)

    def _give_up(self, run: _Run, failure: Failure) -> None:
        """Tell the outcome of a step in a thread that has not come back; the thread is counted until it does."""
        with self._lock:
            if run.is_over:
                return
            run.is_timed_out = failure.outcome is Outcome.TIMEOUT
            if run.thread_began_ms is not None:
                run.is_hung = True
                self.hung += 1
                self._add_thread()  # what is queued behind it has nobody else to take it
        self._finish(run, _failed(run, failure))

    def _tell_progress(self, run: _Run, permille: int, value: bytes) -> None:
        """Tell how far a unit is; nothing of one that was given up."""
        effect = run.start
        if not run.is_over:
            self._tell(
                StepProgressed(effect.object, effect.path, effect.attempt, effect.try_number, permille, value)
            )

    def _finish(self, run: _Run, ended: StepEnded | StepWithheld) -> None:
        """Tell an outcome, once."""
        if isinstance(ended, StepEnded) and self._lag.was_late_since(run.began_ms):
            ended = structs.replace(ended, is_observer_late=True)
        with self._lock:
            was_over, run.is_over = run.is_over, True
        if was_over:
            # A late answer to a try that timed out: told to be measured, for it names its try, and not to count.
            is_answer = isinstance(ended, StepEnded) and ended.outcome == Outcome.OK
            if run.is_timed_out and is_answer and not self._is_closing:
                self._tell(ended)
            return
        key = (run.start.object, run.start.path)
        if self._runs.get(key) is run:
            del self._runs[key]
        self._tell(ended)

    # --- Threads --------------------------------------------------------------------------------------------------

    def _submit(self, run: _Run) -> None:
        with self._lock:
            self._queued += 1
            self._add_thread()
        self._jobs.put(run)

    def _add_thread(self) -> None:
        """Start one more thread if more steps are queued than threads are idle, up to the bound; under the lock."""
        is_short = self._queued > self._idle and self._threads - self.hung < WORKER_THREADS
        if is_short and self._threads < WORKER_THREADS + HUNG_THREADS_MAX:
            self._threads += 1
            self._idle += 1
            threading.Thread(target=self._serve, name=f"step-{self._threads}", daemon=True).start()

    def _serve(self) -> None:
        """Take steps until told to end, or until a thread that replaced this hung one makes it one too many."""
        while True:
            run = self._jobs.get()
            if run is None:
                return
            with self._lock:
                self._queued -= 1
                self._idle -= 1
                if not run.is_over:
                    run.thread_began_ms = boot_ms()
            if run.thread_began_ms is not None:
                self._run_here(run)
            with self._lock:
                if run.is_hung:
                    self.hung -= 1
                if self._threads - self.hung > WORKER_THREADS:
                    self._threads -= 1
                    return
                self._idle += 1

    def _run_here(self, run: _Run) -> None:
        effect = run.start
        value: Any = None
        if not self._is_in_force(effect):  # it may have waited long for a thread
            self._finish(run, _withheld(effect))
            return
        with contained() as caught:
            value = run.context.run(partial(effect.function, *effect.arguments))
        if caught.error is not None:
            self._finish(run, _failed(run, classify_exception(caught.error)))
        elif inspect.isawaitable(value):
            # `lambda: fetch(url)`: a plain function that made a coroutine; it runs where coroutines run.
            self._loop.call_soon_threadsafe(self._await_here, run, value)
        else:
            self._finish(run, _succeeded(run, value))

    def _await_here(self, run: _Run, value: Awaitable[Any]) -> None:
        if not run.is_over:
            run.task = self._loop.create_task(self._run_async(run, value), context=run.context)
        elif inspect.iscoroutine(value):
            value.close()


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))


def _withheld(effect: StartStep) -> StepWithheld:
    return StepWithheld(effect.object, effect.path, effect.attempt, effect.try_number)


def _timed_out(effect: StartStep) -> Failure:
    return Failure(Outcome.TIMEOUT, None, f"no answer within {effect.timeout_ms} ms", "TimeoutError", "silence")


def _succeeded(run: _Run, value: object) -> StepEnded:
    effect = run.start
    encoded = encode_result(value, effect.result_type, effect.name)
    if isinstance(encoded, Failure):
        return _failed(run, encoded)
    return StepEnded(
        effect.object, effect.path, effect.attempt, effect.try_number, encoded, int(Outcome.OK),
        latency_ms=boot_ms() - run.began_ms, bytes_used=run.meter.bytes_used, energy_mj=run.meter.energy_mj,
    )  # fmt: skip


def _answered(run: _Run) -> StepEnded:
    """Return the late answer to a try that timed out: what it says is not kept."""
    effect = run.start
    return StepEnded(effect.object, effect.path, effect.attempt, effect.try_number, latency_ms=boot_ms() - run.began_ms)


def _failed(run: _Run, failure: Failure) -> StepEnded:
    effect = run.start
    return StepEnded(
        effect.object, effect.path, effect.attempt, effect.try_number, failure.value, int(failure.outcome),
        failure.error, failure.error_type, failure.hint_ms, boot_ms() - run.began_ms, failure.evidence, False,
        run.meter.bytes_used, run.meter.energy_mj,
    )  # fmt: skip

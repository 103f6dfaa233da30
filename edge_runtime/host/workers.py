"""Running steps: coroutine functions as tasks on the loop, plain functions in a few threads. One outcome each, always.

A thread cannot be killed: after its time limit the outcome is `timeout` and a late result is discarded, but the
thread stays taken; such threads are counted (`hung`), and replaced up to a bound.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..base.limits import HUNG_THREADS_MAX, WORKER_THREADS
from ..judge.outcomes import Outcome
from ..node.effects import StartStep
from ..node.events import StepEnded
from ..program.attempt import Attempt, enter_attempt
from ..program.errors import Failure, classify_exception
from ..program.results import encode_result
from .clock import boot_ms


@dataclass(slots=True, eq=False)
class _Run:
    """One step that runs. `is_over`: its outcome was told; whatever comes later is discarded."""

    start: StartStep
    began_ms: int
    is_over: bool = False
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    is_in_thread: bool = False
    context: contextvars.Context = field(default_factory=contextvars.Context)


class Workers:
    """Runs what `StartStep` releases.

    Args:
        tell: called with each outcome, from the loop or from a worker thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Callable[[StepEnded], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._runs: dict[tuple[bytes, str], _Run] = {}
        self._jobs: queue.SimpleQueue[_Run | None] = queue.SimpleQueue()
        self._threads = 0
        self._idle = 0
        self._lock = threading.Lock()
        self.hung = 0

    @property
    def running(self) -> int:
        """How many steps run now."""
        return len(self._runs)

    def start(self, effect: StartStep) -> None:
        """Run a step; on the loop."""
        run = _Run(effect, boot_ms())
        self._runs[(effect.object, effect.path)] = run
        attempt = Attempt(effect.attempt.hex(), effect.try_number, effect.object.hex())
        run.context.run(enter_attempt, attempt)
        if _is_async(effect.function):
            run.task = self._loop.create_task(self._run_async(run), context=run.context)
        else:
            run.is_in_thread = True
            run.timer = self._loop.call_later(effect.timeout_ms / 1000, self._time_out, run)
            self._submit(run)

    def stop(self, object_id: bytes, path: str) -> None:
        """Nobody waits for the step any more: a task is cancelled; a thread's result will be discarded."""
        run = self._runs.get((object_id, path))
        if run is None:
            return
        if run.task is not None:
            run.task.cancel()
        else:
            self._finish(run, _failed(run, Failure(Outcome.CRASHED, None, "stopped: nobody waits for it", "Stopped")))

    async def close(self) -> None:
        """Cancel what runs on the loop; threads die with the process."""
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        for _ in range(self._threads):
            self._jobs.put(None)

    # --- On the loop ----------------------------------------------------------------------------------------------

    async def _run_async(self, run: _Run) -> None:
        effect = run.start
        try:
            async with asyncio.timeout(effect.timeout_ms / 1000) as limit:
                value = await effect.function(*effect.arguments)
            ended = _succeeded(run, value)
        except asyncio.CancelledError:
            ended = _failed(run, Failure(Outcome.CRASHED, None, "stopped", "CancelledError"))
        except BaseException as error:
            if isinstance(error, TimeoutError) and limit.expired():
                ended = _failed(run, _timed_out(effect))
            else:
                ended = _failed(run, classify_exception(error))
        self._finish(run, ended)

    def _time_out(self, run: _Run) -> None:
        if not run.is_over:
            self.hung += 1
            self._finish(run, _failed(run, _timed_out(run.start)))

    def _finish(self, run: _Run, ended: StepEnded) -> None:
        """Tell an outcome, once."""
        with self._lock:
            if run.is_over:
                return
            run.is_over = True
        key = (run.start.object, run.start.path)
        if self._runs.get(key) is run:
            del self._runs[key]
        self._tell(ended)

    # --- Threads --------------------------------------------------------------------------------------------------

    def _submit(self, run: _Run) -> None:
        with self._lock:
            wanted = self._idle == 0 and self._threads - self.hung < WORKER_THREADS
            if wanted and self._threads < WORKER_THREADS + HUNG_THREADS_MAX:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"step-{self._threads}", daemon=True).start()
        self._jobs.put(run)

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            run = self._jobs.get()
            with self._lock:
                self._idle -= 1
            if run is None:
                return
            if run.is_over:
                continue
            effect = run.start
            try:
                call = partial(effect.function, *effect.arguments)
                ended = _succeeded(run, run.context.run(call))
            except BaseException as error:
                ended = _failed(run, classify_exception(error))
            if run.is_over:
                self.hung -= 1
                continue
            self._finish(run, ended)
            if run.timer is not None:
                self._loop.call_soon_threadsafe(run.timer.cancel)


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))


def _timed_out(effect: StartStep) -> Failure:
    return Failure(Outcome.TIMEOUT, None, f"no answer within {effect.timeout_ms} ms", "TimeoutError")


def _succeeded(run: _Run, value: object) -> StepEnded:
    effect = run.start
    encoded = encode_result(value, effect.result_type, effect.name)
    if isinstance(encoded, Failure):
        return _failed(run, encoded)
    return StepEnded(
        effect.object, effect.path, effect.attempt, effect.try_number, encoded, int(Outcome.OK),
        latency_ms=boot_ms() - run.began_ms,
    )  # fmt: skip


def _failed(run: _Run, failure: Failure) -> StepEnded:
    effect = run.start
    return StepEnded(
        effect.object, effect.path, effect.attempt, effect.try_number, b"", int(failure.outcome), failure.error,
        failure.error_type, failure.hint_ms, boot_ms() - run.began_ms,
    )  # fmt: skip

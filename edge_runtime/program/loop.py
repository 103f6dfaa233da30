"""The event loop of one body: tasks, futures and durable timers, in an order that every device repeats.

It never waits. `run_ready` runs what is ready, first in first out, and returns; what resumes a body (`driver`) sets
a future or fires a timer and runs it again. Its time is the object's age. Everything that would reach the machine
(sockets, executors, subprocesses, signals) is refused: it belongs into a step.

Source: the approach of Temporal's Python SDK (a deterministic `AbstractEventLoop` per workflow).
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import tasks as asyncio_tasks
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from typing import Any, NoReturn, TypeVarTuple

from ..base.errors import UsageError
from ..base.limits import AWAITS_AT_CLOSE_MAX, COMPLAINTS_MAX, LIFETIME_MS_MAX
from ..base.units import duration_ms
from .calls import Timer
from .errors import BodyFreed, BodyOverran, bounded
from .scopes import (
    RELEASE,
    ROOT,
    SHIELD_CODE,
    WAIT_CODE,
    WAIT_FOR_CODE,
    BodyFuture,
    BodyTask,
    BodyTimer,
    Scope,
    Waiter,
    check_waited_for,
    find_wait_for,
)

Arguments = TypeVarTuple("Arguments")

SWEEP_AT = 64  # finished tasks are dropped from the list when it has doubled since, at this length first

class BodyLoop(asyncio.AbstractEventLoop):
    """The loop of one body in one run.

    Attributes:
        age_ms: the body's clock: the object's age at the newest resumption.
        is_halted: the run is over; what is ready stays undone. Set by the ledger.
        is_freed: the body is being taken out of memory.
        complaints: what asyncio would have logged, at most COMPLAINTS_MAX texts; for the test kit and notes.
    """

    def __init__(self, run: int, age_ms: int) -> None:
        self.run = run
        self.age_ms = age_ms
        self.is_halted = False
        self.is_freed = False
        self.complaints: list[str] = []
        self.root = Scope(run, ROOT)
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: dict[str, BodyTimer | None] = {}  # None: fired or cancelled
        self._tasks: list[BodyTask] = []
        self._sweep_at = SWEEP_AT
        self._generators: list[AsyncGenerator[Any, Any]] = []
        self._tasks_made = 0
        self._futures_made = 0
        self._is_running = False
        self._goes_first = False

    @classmethod
    def make(cls, run: int, age_ms: int) -> BodyLoop:
        """Return a new loop; a type checker counts what is refused below the class as missing from it."""
        return cls(run, age_ms)

    # --- What the driver uses ---------------------------------------------------------------------------------

    def run_ready(self, main: BodyTask) -> None:
        """Run what is ready until nothing is, or `main` is done, or the run is halted.

        Raises:
            BodyOverran: the host interrupted the body; the loop can only be freed.
        """
        ready = self._ready
        with self._driven():
            while ready:
                handle = ready.popleft()
                if not handle.cancelled():
                    handle._run()
                if self.is_halted or main.done():
                    break

    def has_timer(self, path: str) -> bool:
        """Say whether the body ever made this timer, pending or not."""
        return path in self._timers

    def fire(self, path: str) -> None:
        """Make a timer's callback ready, unless the body has cancelled it or it has fired before."""
        timer = self._timers[path]
        if timer is not None:
            self._timers[path] = None
            self._ready.append(timer)

    def timers(self) -> tuple[Timer, ...]:
        """Return the pending timers, soonest first, then in the order of their making."""
        pending = [timer for timer in self._timers.values() if timer is not None]
        pending.sort(key=lambda timer: timer.due_ms)
        return tuple(Timer(timer.path, timer.due_ms) for timer in pending)

    def current_scope(self) -> Scope:
        """Return the scope of the running task, the root's inside a bare callback."""
        task = asyncio.current_task(self)
        return task.scope if isinstance(task, BodyTask) else self.root

    def live_tasks(self) -> list[BodyTask]:
        """Return the tasks that are not done, oldest first."""
        self._tasks = [task for task in self._tasks if not task.done()]
        return self._tasks

    def free(self) -> None:
        """Close every coroutine, newest first; nothing they do in a `finally` has an effect here."""
        self.is_freed = self.is_halted = True
        for task in reversed(self.live_tasks()):
            task._log_destroy_pending = False
            coroutine: Any = task.get_coro()
            with self._driven():
                asyncio_tasks._enter_task(self, task)
                try:
                    self._close(coroutine, coroutine.close, partial(getattr, coroutine, "cr_frame", None))
                finally:
                    asyncio_tasks._leave_task(self, task)
        while self._generators:
            generator = self._generators.pop()
            closing = generator.aclose()
            with self._driven():
                self._close(closing, partial(closing.send, None), partial(getattr, generator, "ag_frame"))
        self._ready.clear()
        self._timers.clear()
        self._tasks.clear()

    def _close(self, coroutine: Any, begin: Callable[[], object], frame: Callable[[], object]) -> None:
        """Close one coroutine: GeneratorExit where it stands, BodyFreed at each await that follows.

        A handle runs it as it runs any callback: whatever it raises ends there.
        """
        try:
            asyncio.Handle(begin, (), self)._run()
            for _ in range(AWAITS_AT_CLOSE_MAX):
                if frame() is None:
                    break
                asyncio.Handle(coroutine.throw, (_freed(),), self)._run()
        except BodyOverran:
            pass  # a `finally` that loops was interrupted like any other slice; that has closed it

    @contextmanager
    def _driven(self) -> Generator[None]:
        """Be the thread's running loop for a while, also inside a callback or task of another loop."""
        outer = asyncio._get_running_loop()
        task = None if outer is None else asyncio.current_task(outer)
        hooks = sys.get_asyncgen_hooks()
        if outer is not None and task is not None:
            asyncio_tasks._leave_task(outer, task)
        asyncio._set_running_loop(self)
        # A dropped generator is kept and closed with the rest: the collector's moment must not run its `finally`.
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._generators.append)
        self._is_running = True
        try:
            yield
        finally:
            self._is_running = False
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)
            if outer is not None and task is not None:
                asyncio_tasks._enter_task(outer, task)

    # --- What asyncio uses ------------------------------------------------------------------------------------

    def call_soon(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Append the callback to what is ready."""
        if type(callback) is partial and callback.func is RELEASE:
            return self._release_soon(callback, args, context)
        handle = asyncio.Handle(callback, args, self, context)
        if self.is_freed:
            return handle
        if self._goes_first:
            self._ready.appendleft(handle)
        else:
            self._ready.append(handle)
        return handle

    def _release_soon(
        self, callback: Callable[..., object], args: tuple[object, ...], context: Context | None
    ) -> asyncio.Handle:
        """End a `wait_for` of Python 3.11 where 3.12 would: at once after its extra task, its caller next."""
        handle = asyncio.Handle(self._release, (callback, *args), self, context)
        if isinstance(args[0], BodyTask) and args[0].is_extra:
            self._ready.appendleft(handle)
        else:
            self._ready.append(handle)
        return handle

    def _release(self, callback: Callable[..., object], future: object) -> None:
        self._goes_first = True
        try:
            callback(future)
        finally:
            self._goes_first = False

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Make a durable timer; the delay is rounded up to whole ms, one beyond any lifetime never ends."""
        return self.arm(_bounded_ms(delay), callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Make a durable timer due at that age in seconds."""
        return self.arm(_bounded_ms(when) - self.age_ms, callback, args, context)

    def arm(
        self,
        delay_ms: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None = None,
    ) -> BodyTimer:
        """Make a durable timer; a delay below zero is due now."""
        due_ms = self.age_ms + max(0, delay_ms)
        timer = BodyTimer(due_ms / 1_000, callback, args, self, context)
        timer.due_ms = due_ms
        timer.path = self.current_scope().path("timer")
        if not self.is_freed:
            self._timers[timer.path] = timer
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if isinstance(handle, BodyTimer) and handle.path in self._timers:
            self._timers[handle.path] = None

    def time(self) -> float:
        """Return the object's age in seconds, as of the newest thing that resumed the body."""
        return self.age_ms / 1_000

    def create_future(self) -> BodyFuture:
        """Return a new future of this loop."""
        frame = sys._getframe(1)
        code = frame.f_code
        if frame.f_globals.get("__package__") != "asyncio" or code is SHIELD_CODE:
            self._futures_made += 1
            return BodyFuture(self, self._futures_made)
        if code is WAIT_FOR_CODE:
            return Waiter(self, frame.f_locals["fut"])
        if code is WAIT_CODE:
            check_waited_for(frame.f_locals["fs"])
        return BodyFuture(self, 0)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        name: object = None,
        context: Context | None = None,
        **options: Any,
    ) -> BodyTask:
        """Return a new task; it starts when what is ready before it has run.

        Raises:
            UsageError: `as_completed` over bare coroutines, or an option that would change the order of tasks.
            BodyFreed: the body is being freed.
        """
        try:
            if self.is_freed:
                raise _freed()
            for option, value in options.items():
                if value:  # `eager_start=False` of later Pythons is what we do anyway
                    raise UsageError(f"create_task({option}=…) is not possible in a body: leave it out")
            wait_for = find_wait_for(sys._getframe(1))
            scope = self.current_scope()
            if wait_for is None:
                scope = scope.child(self.run)
        except (UsageError, BodyFreed):
            coro.close()  # else Python warns that it was never awaited
            raise
        task = self._make_task(coro, scope, context, str(name) if name else f"body {scope.text}", wait_for is None)
        if wait_for is not None:
            self._start_extra(task, wait_for.f_locals.get("waiter"))
        return task

    def _start_extra(self, task: BodyTask, waiter: object) -> None:
        """Start the extra task of a `wait_for` now, as its caller's own code would run in Python 3.12."""
        if not isinstance(waiter, Waiter):
            return  # no time left: every version makes a task, and cancels it before it starts
        waiter.waited_for = task
        task.is_extra = True
        start, caller = self._ready.pop(), asyncio.current_task(self)
        assert caller is not None, "wait_for runs in a task"
        asyncio_tasks._leave_task(self, caller)
        try:
            start._run()
        finally:
            asyncio_tasks._enter_task(self, caller)

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> BodyTask:
        """Return the body's main task, in the root's scope and an empty `contextvars.Context`."""
        return self._make_task(coroutine, self.root, Context(), "body", True)

    def _make_task(
        self, coroutine: Any, scope: Scope, context: Context | None, name: str, is_counted: bool
    ) -> BodyTask:
        if is_counted:
            self._tasks_made += 1
        task = BodyTask(coroutine, self, self._tasks_made if is_counted else 0, scope, name, context)
        # Held here: asyncio itself holds tasks weakly, and the collector's moment would decide what goes on.
        self._tasks.append(task)
        if len(self._tasks) > self._sweep_at:
            self._sweep_at = max(SWEEP_AT, 2 * len(self.live_tasks()))
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what asyncio would have logged; below the host nothing logs."""
        if not self.is_freed and len(self.complaints) < COMPLAINTS_MAX:
            self.complaints.append(bounded(f"{context.get('message')}: {context.get('exception')!r}", 256))

    def get_task_factory(self) -> None:
        """Say that tasks are made here."""
        return None

    def get_exception_handler(self) -> None:
        """Say that complaints are kept here."""
        return None

    def get_debug(self) -> bool:
        """Say that asyncio's debug mode is off: it logs and measures by the machine's clock."""
        return False

    def is_running(self) -> bool:
        """Say whether the body is being driven right now."""
        return self._is_running

    def is_closed(self) -> bool:
        """Say whether the body is freed."""
        return self.is_freed


def _bounded_ms(seconds: float) -> int:
    return duration_ms(min(seconds, LIFETIME_MS_MAX / 1_000))


def _freed() -> BodyFreed:
    return BodyFreed("this body's run is over or it is being taken out of memory: nothing is recorded here")


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(self: BodyLoop, *args: object, **kwargs: object) -> NoReturn:
        raise UsageError(
            f"loop.{name}() reaches the machine, which a body may not: "
            "put it in a function of its own and call it as a step, with ctx.run(name, function)"
        )

    refuse.__name__ = name
    return refuse


# Everything that an event loop can do and is not above, in this Python and in later ones.
for _name in dir(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(BodyLoop):
        setattr(BodyLoop, _name, _refusal(_name))

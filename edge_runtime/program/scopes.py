"""Scopes, and the tasks, futures and timers of a body's loop, in an order that does not differ from run to run.

Three things of asyncio would differ, and are settled here. Tasks and futures hash by the number of their creation,
because the standard library iterates sets of them; what asyncio makes for its own use has no number, for that differs
between versions. A task's *scope* is its parent's scope and its number among the parent's tasks, so that a call has
the same path however tasks interleave. And `wait_for` runs what it waits for in a task of its own up to Python 3.11,
in the caller from 3.12 on: that extra task shares its caller's scope, and `Waiter` with `BodyLoop` lets it start, end
and be cancelled in the place where later versions would.

Source: ours; a scope is to a call what a task's creation path is in structured concurrency.
"""

from __future__ import annotations

import asyncio
from asyncio import tasks as asyncio_tasks
from collections.abc import Coroutine, Iterable
from contextvars import Context
from types import FrameType
from typing import Any

from ..base.errors import UsageError
from ..base.limits import SCOPE_CHARS_MAX

ROOT = "0"  # children count from 1, so no child is called like the root


class Scope:
    """Where calls are counted: one per task, but for the extra task of `wait_for`."""

    __slots__ = ("_children", "_counters", "_prefix", "text")

    def __init__(self, run: int, text: str) -> None:
        self.text = text
        self._prefix = f"{run}/{text}/"
        self._children = 0
        self._counters: dict[str, int] = {}

    def path(self, name: str) -> str:
        """Return the path of the next call of that name."""
        number = self._counters.get(name, 0) + 1
        self._counters[name] = number
        return f"{self._prefix}{name}:{number}"

    def child(self, run: int) -> Scope:
        """Return the scope of the next task made in this one.

        Raises:
            UsageError: tasks are nested too deep for a call path.
        """
        self._children += 1
        text = str(self._children) if self.text == ROOT else f"{self.text}.{self._children}"
        if len(text) > SCOPE_CHARS_MAX:
            raise UsageError("tasks are nested too deep: use a loop instead of a task that makes a task")
        return Scope(run, text)


class BodyFuture(asyncio.Future[Any]):
    """A future that hashes by the number of its creation."""

    __slots__ = ("number",)

    def __init__(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        self.number = number  # first: asyncio may hash it while it is made
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class Waiter(BodyFuture):
    """The future that `wait_for` of Python 3.11 waits for, beside what it was given.

    Cancelling it cancels what was given, at once; that ends, and then the waiter is released. Else the cancellation
    would reach it one step of the loop later than in Python 3.12.
    """

    __slots__ = ("waited_for",)

    def __init__(self, loop: asyncio.AbstractEventLoop, waited_for: object) -> None:
        self.waited_for = waited_for if asyncio.isfuture(waited_for) else None
        super().__init__(loop, 0)

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel what is waited for."""
        return super().cancel(msg) if self.waited_for is None else self.waited_for.cancel(msg)


class BodyTask(asyncio.Task[Any]):
    """A task that hashes by the number of its creation and knows its scope."""

    __slots__ = ("is_extra", "number", "scope")

    _log_destroy_pending: bool  # asyncio's own switch

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        loop: asyncio.AbstractEventLoop,
        number: int,
        scope: Scope,
        name: str,
        context: Context | None,
    ) -> None:
        self.number = number
        self.scope = scope
        self.is_extra = False
        super().__init__(coroutine, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self.number


class BodyTimer(asyncio.TimerHandle):
    """A durable timer's handle."""

    __slots__ = ("due_ms", "path")

    path: str
    due_ms: int


ASYNCIO_GLOBALS = vars(asyncio_tasks)
WAIT_CODE = getattr(ASYNCIO_GLOBALS.get("_wait"), "__code__", None)
WAIT_FOR_CODE = asyncio.wait_for.__code__
SHIELD_CODE = asyncio.shield.__code__
# The callback by which Python 3.11 ends a `wait_for`; later versions have none there, or never use it so.
RELEASE = ASYNCIO_GLOBALS.get("_release_waiter")
AS_COMPLETED = ("as_completed", "_AsCompletedIterator.__init__")  # up to 3.12; from 3.13 on


def find_wait_for(frame: FrameType | None) -> FrameType | None:
    """Return the frame of the `wait_for` that asks for a task, given the frame that called `create_task`.

    Raises:
        UsageError: `as_completed` over bare coroutines, which it takes in the order of their addresses.
    """
    while frame is not None and frame.f_globals is ASYNCIO_GLOBALS:
        if frame.f_code is WAIT_FOR_CODE:
            return frame
        if frame.f_code.co_qualname in AS_COMPLETED:
            raise UsageError(
                "as_completed over bare coroutines has no fixed order: create tasks first "
                "(asyncio.create_task) and give it the tasks"
            )
        frame = frame.f_back
    return None


def check_waited_for(waited_for: Iterable[object]) -> None:
    """Refuse `asyncio.wait` over several futures that are not ours (`gather` makes its own): a set orders them."""
    foreign = [future for future in waited_for if not isinstance(future, (BodyTask, BodyFuture))]
    if len(foreign) > 1:
        raise UsageError(
            "asyncio.wait over several gather() futures has no fixed order: "
            "await each gather in a task and wait for the tasks"
        )

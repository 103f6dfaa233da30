"""Scopes, and the tasks, futures and timers of a body's loop, in an order that does not differ from run to run.

Two things of asyncio would differ, and are settled here. Tasks and futures hash by the number of their creation,
because the standard library iterates sets of them. A task's *scope* is its parent's scope and its number among the
parent's tasks, so that a call has the same path however tasks interleave; the extra task that `wait_for` makes up to
Python 3.11 is no task of the program's and shares its caller's scope.

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


class BodyTask(asyncio.Task[Any]):
    """A task that hashes by the number of its creation and knows its scope."""

    __slots__ = ("number", "scope")

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
AS_COMPLETED = ("as_completed", "_AsCompletedIterator.__init__")  # up to 3.12; from 3.13 on


def is_extra_task(frame: FrameType | None) -> bool:
    """Say whether asyncio makes this task for itself, given the frame that asked for it.

    Raises:
        UsageError: `as_completed` over bare coroutines, which it takes in the order of their addresses.
    """
    while frame is not None and frame.f_globals is ASYNCIO_GLOBALS:
        name = frame.f_code.co_qualname
        if name == "wait_for":
            return True
        if name in AS_COMPLETED:
            raise UsageError(
                "as_completed over bare coroutines has no fixed order: create tasks first "
                "(asyncio.create_task) and give it the tasks"
            )
        frame = frame.f_back
    return False


def check_waited_for(waited_for: Iterable[object]) -> None:
    """Refuse `asyncio.wait` over several futures that are not ours (`gather` makes its own): a set orders them."""
    foreign = [future for future in waited_for if not isinstance(future, (BodyTask, BodyFuture))]
    if len(foreign) > 1:
        raise UsageError(
            "asyncio.wait over several gather() futures has no fixed order: "
            "await each gather in a task and wait for the tasks"
        )

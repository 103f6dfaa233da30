"""Read-only questions to the node, on tickets of their own. On the loop only.

The type of a question names the commands that change nothing: no route can ask anything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from ...base.errors import Exit, UsageError
from ...base.limits import WEB_ASK_MS_MAX
from ...node import commands as c
from ...node.effects import Answer

Reading: TypeAlias = c.Show | c.Trace | c.Explain | c.Peers | c.Contacts | c.Status


class Questions:
    """Asks the node and hands each answer to who waits for it.

    Args:
        ask: called with (ticket, command); tickets are below zero, those of the control socket above.
        gone: called with a ticket whose asker does not wait any more.
    """

    def __init__(self, ask: Callable[[int, c.Command], None], gone: Callable[[int], None]) -> None:
        self._ask = ask
        self._gone = gone
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_ticket = 0

    async def ask(self, command: Reading) -> Any:
        """Return the node's answer, plain JSON values.

        Raises:
            UsageError: the node refuses (4: it is not here), or gave no answer within WEB_ASK_MS_MAX.
        """
        self._last_ticket -= 1
        ticket = self._last_ticket
        future = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._ask(ticket, command)
        try:
            async with asyncio.timeout(WEB_ASK_MS_MAX / 1000):
                return await future
        except TimeoutError:
            what = f"The node gave no answer within {WEB_ASK_MS_MAX // 1000} s. Look at /healthz and at the log."
            raise UsageError(what, Exit.FAILED) from None
        finally:
            if self._waiting.pop(ticket, None) is not None and not future.done():
                self._gone(ticket)

    def answer(self, answer: Answer) -> None:
        """Hand on an answer; nobody waits any more for one that comes too late."""
        future = self._waiting.get(answer.ticket)
        if future is None or future.done():
            return
        if answer.error is not None:
            future.set_exception(answer.error)
        else:
            future.set_result(answer.value)

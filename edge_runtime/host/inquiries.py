"""Questions that the daemon's own parts put to the node, beside those of clients: same commands, same answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..node.effects import Answer
from ..node.events import Event

FIRST_TICKET = 1 << 40  # no client ever comes so far; those of browsers are below zero


class Inquiries:
    """Gives each question a ticket that nobody else has, and hands its answer back.

    Args:
        post: gives the node an event.
    """

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_ticket = FIRST_TICKET

    async def ask(self, make_event: Callable[[int], Event]) -> Any:
        """Post the event that `make_event` makes of a ticket, and return its answer's value: durable by then.

        Raises:
            UsageError: what the node refused.
        """
        self._last_ticket += 1
        ticket = self._last_ticket
        future = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._post(make_event(ticket))
        try:
            return await future
        finally:
            del self._waiting[ticket]

    def hear(self, answer: Answer) -> bool:
        """Take an answer if the question was ours; say whether it was."""
        future = self._waiting.get(answer.ticket)
        if future is None or future.done():
            return answer.ticket > FIRST_TICKET  # whoever asked was cancelled
        if answer.error is not None:
            future.set_exception(answer.error)
        else:
            future.set_result(answer.value)
        return True

"""What every call of a context that waits has in common: the ledger, and a durable timeout around a wait."""

from __future__ import annotations

import asyncio
from typing import Any

from .arguments import Duration, checked_duration
from .ledger import Ledger
from .scopes import BodyFuture


class Waiting:
    """Base of the groups of calls that make up `Context`."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def _within(self, future: BodyFuture, timeout: Duration | None, what: str) -> Any:
        """Await a future of this body; a durable timer raises TimeoutError, naming what was waited for."""
        if timeout is None:
            return await future
        delay_ms = checked_duration(timeout, "timeout")
        timer = self._ledger.loop.arm(delay_ms, _expire, (future, f"{what}: {delay_ms} ms passed"))
        try:
            return await future
        finally:
            timer.cancel()


def _expire(future: asyncio.Future[Any], text: str) -> None:
    if not future.done():
        future.set_exception(TimeoutError(text))

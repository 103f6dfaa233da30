"""Answers that are still listened for after their step's time limit: measured, and of no other effect.

A step on the loop is cancelled at its limit. What it waits for with `current_attempt().reply(…)` is not: the answer to
that request names its try by the connection that it comes on, and its round trip alone tells a slow peer from a silent
one. Without it, a peer that became slower than the limit would look silent for ever.

Source: Karn & Partridge 1987, "Improving round-trip time estimates in reliable transport protocols": an answer counts
as a sample only if it is known which request it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..base.limits import LISTEN_MS_MAX, LISTENERS_MAX


class Listeners:
    """Awaitables whose step was given up, at most LISTENERS_MAX; one more ends the oldest."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._kept: dict[asyncio.Future[Any], asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        """Return how many are listened for now."""
        return len(self._kept)

    async def listen(
        self, awaited: Awaitable[Any], has_timed_out: Callable[[], bool], answered: Callable[[], None]
    ) -> Any:
        """Await something for a step; if the step is cancelled by its limit, go on awaiting it alone.

        Args:
            has_timed_out: was it the limit that cancelled? Any other cancellation cancels what is awaited, too.
            answered: called once if it succeeds within LISTEN_MS_MAX after that.
        """
        future = asyncio.ensure_future(awaited)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if has_timed_out() and not future.done():
                self._keep(future, answered)
            else:
                future.cancel()
            raise

    def close(self) -> None:
        """Listen for nothing any more."""
        for future in list(self._kept):
            future.cancel()

    def _keep(self, future: asyncio.Future[Any], answered: Callable[[], None]) -> None:
        if len(self._kept) >= LISTENERS_MAX:
            oldest = next(iter(self._kept))
            self._forget(oldest)
            oldest.cancel()
        self._kept[future] = self._loop.call_later(LISTEN_MS_MAX / 1_000, future.cancel)

        def end(done: asyncio.Future[Any]) -> None:
            self._forget(done)
            # Looked at in any case, or asyncio complains of an exception that nobody retrieved.
            if not done.cancelled() and done.exception() is None:
                answered()

        future.add_done_callback(end)

    def _forget(self, future: asyncio.Future[Any]) -> None:
        timer = self._kept.pop(future, None)
        if timer is not None:
            timer.cancel()

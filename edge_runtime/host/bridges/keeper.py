"""Keeping one bridge up: its session runs again whenever it ends, paced by why it ended.

Not reachable or lost: a wait that doubles up to a minute, ended at once by a link that comes up; it begins anew after a
session that stood as long as that wait. Refused, or its package is not installed: no try before the configuration is
read again, for only that could help.

Source: ours; the outcomes of `docs/architecture.md` (Outcomes) applied to a peer that is no device of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from ...base.errors import UsageError
from ...base.foreign import contained
from ...base.limits import BRIDGE_WAIT_MS_FIRST, BRIDGE_WAIT_MS_MAX

log = logging.getLogger("edge_runtime")
LOCAL_NAMES = ("localhost", "::1", "127.0.0.1")


def ceiling_ms_after(failures: int) -> int:
    """Return the longest wait after so many failures in a row (1 or more)."""
    return min(BRIDGE_WAIT_MS_FIRST << min(failures - 1, 16), BRIDGE_WAIT_MS_MAX)


def wait_ms_after(failures: int, chance: Random) -> int:
    """Return how long to wait after so many failures in a row (1 or more): doubled, with jitter down to the half."""
    ceiling_ms = ceiling_ms_after(failures)
    return chance.randint(ceiling_ms // 2, ceiling_ms)


def is_local(host: str) -> bool:
    """Say whether a host is this machine: what goes there is no transmission, and `radio off` lets it be."""
    return host in LOCAL_NAMES or host.startswith("127.")


class Keeper:
    """Keeps one bridge up.

    Args:
        name: for people. session: runs until the connection is lost; calls what it is given once it stands.
            `UsageError`: only another configuration could help. Whatever else it raises: it is tried again.

    Attributes:
        trouble: why it does not stand, or empty. sessions: how many stood.
    """

    def __init__(self, name: str, session: Callable[[Callable[[], None]], Awaitable[None]], chance: Random) -> None:
        self.name = name
        self._session = session
        self._chance = chance
        self._signal = asyncio.Event()
        self._failures = 0
        self._stands_s: float | None = None  # since when, on the loop's clock
        self.trouble = "connecting"
        self.sessions = 0

    def signal(self) -> None:
        """A link came up: what was not reachable may be now."""
        self._signal.set()

    def report(self) -> dict[str, Any]:
        """Return what `status` says of it."""
        return {"bridge": self.name, "sessions": self.sessions, "trouble": self.trouble or None}

    async def run(self) -> None:
        """Run sessions until cancelled, or until only another configuration could help."""
        while True:
            self._signal.clear()  # before the try: a link that comes up during one that fails is worth another
            self._stands_s = None
            with contained() as caught:
                await self._session(self._stands)
            error = caught.error
            while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
                error = error.exceptions[0]  # of a task group inside the session
            if error is not None and not isinstance(error, Exception):
                raise error  # cancelled, or the process is told to end
            if isinstance(error, UsageError):
                self.trouble = error.message
                log.error("%s: %s It is tried again when the configuration is read again.", self.name, error.message)
                return
            self._lose(f"{type(error).__name__}: {error}"[:300] if error is not None else "the connection ended")
            wait_ms = wait_ms_after(self._failures, self._chance)
            try:
                async with asyncio.timeout(wait_ms / 1_000):
                    await self._signal.wait()
                self._failures = 0
            except TimeoutError:
                continue

    def _stands(self) -> None:
        self.sessions += 1
        self._stands_s = asyncio.get_running_loop().time()
        self.trouble = ""
        log.info("%s: connected", self.name)

    def _lose(self, reason: str) -> None:
        if self._stands_s is not None:
            stood_ms = (asyncio.get_running_loop().time() - self._stands_s) * 1_000
            if stood_ms >= ceiling_ms_after(self._failures + 1):  # else: thrown out again as soon as it stands
                self._failures = 0
        if not self._failures:  # told once, not at each try
            log.warning("%s: %s", self.name, reason)
        self._failures += 1
        self.trouble = reason

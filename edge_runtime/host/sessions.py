"""One session per peer: what stands for it here, which of two wins, and the check of the entries that it brings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct, field

from ..base.errors import PeerError
from ..objects.entries import Entry, verify
from .channel import Channel

# Two sessions with one peer begun within this are the two sides dialling each other: one rule for both decides.
TWIN_MS = 2_000
VERIFY_INLINE = 4  # entries; more are verified in a pool, since PyNaCl lets other threads run
VERIFY_THREADS = 2


class Session(Struct, eq=False):
    """One authenticated connection. `key` is what was dialled (an instance or a configured address), or empty."""

    number: int
    channel: Channel
    began_ms: int
    initiated: bool
    interface: int
    key: str
    outgoing: asyncio.Queue[tuple[bytes, ...]] = field(default_factory=asyncio.Queue)
    is_closing: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


def wins(new: Session, old: Session, device: bytes) -> bool:
    """Say whether the newer of two sessions with one peer stands; both sides find the same.

    Of twins the one dialled by the lower device id stands; otherwise the newest. `device` is this one.
    """
    if new.began_ms - old.began_ms > TWIN_MS or new.initiated == old.initiated:
        return True
    return new.initiated == (device < new.channel.peer)


class Verifier:
    """Checks the signatures of received entries: a few at once, many in a small pool that is made when first used."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    async def verify(self, raws: Sequence[bytes]) -> tuple[tuple[Entry, ...], int]:
        """Return the entries that hold, in their order, and how many do not."""
        if len(raws) <= VERIFY_INLINE:
            return verify_all(raws)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(VERIFY_THREADS, "verify")
        return await asyncio.get_running_loop().run_in_executor(self._pool, verify_all, raws)

    def close(self) -> None:
        """Let the pool's threads go; the next check makes new ones."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None


def verify_all(raws: Sequence[bytes]) -> tuple[tuple[Entry, ...], int]:
    """Return the entries that hold, in their order, and how many do not."""
    entries: list[Entry] = []
    for raw in raws:
        try:
            entries.append(verify(raw))
        except PeerError:
            pass
    return tuple(entries), len(raws) - len(entries)

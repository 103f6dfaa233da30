"""Capsules that clients hand in, piece by piece: gathered, verified off the loop, and given to the node whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import OBJECT_BYTES_MAX
from ..node.commands import Import
from ..node.effects import Answer
from ..node.events import Imported


class Imports:
    """One capsule at a time per connection; what a client left unfinished goes with it.

    Args:
        post: gives the node an event. answer: answers a client. spawn: runs a coroutine as a task of the daemon.
    """

    def __init__(
        self, post: Callable[[Imported], None], answer: Callable[[Answer], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:  # fmt: skip
        self._post = post
        self._answer = answer
        self._spawn = spawn
        self._pieces: dict[int, bytearray] = {}

    def take(self, ticket: int, connection: int, command: Import) -> None:
        """Take one piece; with the last one the capsule is read, and the node answers."""
        try:
            data = self._gather(connection, command)
        except ValueError as error:
            self._refuse(ticket, error)
            return
        if data is None:
            self._answer(Answer(ticket, {"ok": True, "more": True}))
        else:
            self._spawn(self._read(ticket, data))

    def drop(self, connection: int) -> None:
        """A client hung up."""
        self._pieces.pop(connection, None)

    def _gather(self, connection: int, command: Import) -> bytes | None:
        buffer = self._pieces.pop(connection, bytearray())
        buffer += bytes.fromhex(command.chunk)
        if len(buffer) > 2 * OBJECT_BYTES_MAX:
            raise ValueError("it is too large")
        if not command.is_last:
            self._pieces[connection] = buffer
            return None
        return bytes(buffer)

    async def _read(self, ticket: int, data: bytes) -> None:
        """Verify a capsule in a thread, since it may hold thousands of signatures, and hand it to the node."""
        from ..objects.capsule import read_capsule

        try:
            capsule = await asyncio.to_thread(read_capsule, data)
        except PeerError as error:
            self._refuse(ticket, error)
            return
        header = capsule.header
        age = (header.age_ms, header.age_is_exact, header.wall_ms, header.trust)
        self._post(Imported(ticket, header.object, capsule.grants, capsule.entries, *age))

    def _refuse(self, ticket: int, error: Exception) -> None:
        refusal = UsageError(
            f"The capsule is not taken: {error}. Nothing was stored; ask for a fresh copy.", Exit.REFUSED
        )
        self._answer(Answer(ticket, error=refusal))

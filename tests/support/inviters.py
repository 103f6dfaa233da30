"""The two sides of a pairing in one process, over real sockets: an inviter that can lie, and newcomers to it."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from edge_runtime.base.errors import Exit, PeerError, UsageError
from edge_runtime.host.channel import Identity, read_first
from edge_runtime.host.pairing import Newcomer, Pairing, Wanted
from edge_runtime.node.events import Enrolling
from edge_runtime.objects.grants import MembershipFile, Role, issue_grant
from edge_runtime.objects.invitations import Code, spell_secret
from edge_runtime.objects.keys import SigningKey

KEY = b"k" * 32
CODE = Code(3, spell_secret(b"chance 12"))
ROOT = SigningKey.from_seed(b"r" * 32)


def identity(seed: bytes) -> Identity:
    """Return the identity of a letter."""
    return Identity(SigningKey.from_seed(seed * 32), seed.swapcase() * 32, ())


def membership(device: bytes, root: SigningKey = ROOT) -> MembershipFile:
    """Return what lets a device into the fleet `boats`."""
    return MembershipFile("boats", root.public, (issue_grant(root, device, [Role.EXECUTOR]).raw,))


class Inviter:
    """A listening device with one open invitation; it lets everybody in, unless it is told to do something else.

    Attributes:
        refusal: a text to refuse with. file: bytes to give instead of a membership. silence: it never answers.
        admitted: devices. failures: what connections came to.
    """

    def __init__(self) -> None:
        self.pairing = Pairing(lambda: identity(b"i"), lambda: [(CODE.number, KEY)])
        self.pairing.ask = self._take
        self.admitted: list[bytes] = []
        self.failures: list[str] = []
        self.refusal = ""
        self.file: bytes | None = None
        self.silence = False
        self.was_asked = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._welcome, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def port(self) -> int:
        """Return where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        """Return what `--peer` takes."""
        return f"127.0.0.1:{self.port}"

    async def _take(self, make_event: Any) -> Any:
        event = make_event(1)
        assert isinstance(event, Enrolling)
        self.was_asked.set()
        if self.silence:
            await asyncio.Event().wait()
        if self.refusal:
            raise UsageError(self.refusal, Exit.REFUSED)
        self.admitted.append(event.device)
        file = membership(event.device).to_bytes() if self.file is None else self.file
        return {"file": file.hex()}

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.pairing.respond(reader, writer, await read_first(reader))
        except (PeerError, OSError, TimeoutError) as error:
            self.failures.append(str(error))
        writer.transport.abort()


def newcomer(inviter: Inviter | None, **fields: Any) -> Newcomer:
    """Return a newcomer that asks this inviter, with fields of `Wanted` changed."""
    wanted = {"code": CODE, "key": KEY, "peers": (inviter.address,) if inviter else (), **fields}
    return Newcomer(identity(b"n"), Wanted(**wanted))

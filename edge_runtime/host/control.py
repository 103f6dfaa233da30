"""The control socket: JSON lines over a Unix socket, mode 0660, for the command line and for programs.

A request is one line with `command` and its fields, and an optional `id` (any JSON scalar) that comes back with each
answer: `{"id":…,"ok":true,"value":…,"last":true}` or `{"id":…,"ok":false,"error":…,"exit":n,"details":{}}`.
Source: ours, `docs/control.md`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..base.errors import Exit, UsageError
from ..base.limits import CONTROL_CLIENTS_MAX, CONTROL_LINE_BYTES_MAX
from ..node.commands import Command
from ..node.effects import Answer

_encoder = msgspec.json.Encoder()
_requests = msgspec.json.Decoder(type=Command)


class _Id(msgspec.Struct):
    id: str | int | None = None


_ids = msgspec.json.Decoder(type=_Id)


@dataclass(slots=True, eq=False)
class _Client(asyncio.Protocol):
    """One connection; requests may overlap."""

    server: ControlServer
    transport: asyncio.Transport | None = None
    buffer: bytearray = field(default_factory=bytearray)
    tickets: dict[int, Any] = field(default_factory=dict)
    is_allowed: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.is_allowed = self.server.admit(self, transport)
        if not self.is_allowed:
            transport.close()

    def data_received(self, data: bytes) -> None:
        if not self.is_allowed:
            return
        self.buffer += data
        while (end := self.buffer.find(b"\n")) >= 0:
            line = bytes(self.buffer[:end])
            del self.buffer[: end + 1]
            self._take(line)
        if len(self.buffer) > CONTROL_LINE_BYTES_MAX:
            self.refuse(None, UsageError(f"A request is at most {CONTROL_LINE_BYTES_MAX} bytes."))
            assert self.transport is not None
            self.transport.close()

    def _take(self, line: bytes) -> None:
        request_id = None
        try:
            request_id = _ids.decode(line).id
            command = _requests.decode(_without_id(line) if request_id is not None else line)
        except msgspec.MsgspecError as error:
            self.refuse(request_id, UsageError(f"Not a request: {error}. `docs/control.md` lists them."))
            return
        self.server.ask(self, request_id, command)

    def refuse(self, request_id: Any, error: UsageError) -> None:
        self.write({"id": request_id, **_error_value(error)})

    def write(self, value: dict[str, Any]) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(_encoder.encode(value) + b"\n")

    def connection_lost(self, error: Exception | None) -> None:
        self.server.drop(self)


def _without_id(line: bytes) -> bytes:
    value = msgspec.json.decode(line)
    value.pop("id", None)
    return _encoder.encode(value)


def _error_value(error: UsageError) -> dict[str, Any]:
    return {
        "ok": False, "error": error.message, "exit": int(error.exit), "details": error.details, "last": True,
    }  # fmt: skip


class ControlServer:
    """Listens, gives each request a ticket, and routes answers back.

    Args:
        ask: called with (ticket, command). gone: called with the ticket of a client that hung up.
        hung_up: called with the number of a connection that is no more (`connection_of`).
    """

    def __init__(
        self, path: Path, ask: Callable[[int, Command], None], gone: Callable[[int], None],
        hung_up: Callable[[int], None] | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self._ask = ask
        self._gone = gone
        self._hung_up = hung_up
        self._clients: dict[int, _Client] = {}
        self._by_ticket: dict[int, tuple[_Client, Any]] = {}
        self._next_ticket = 1
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            UsageError: the socket cannot be made there.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.unlink(missing_ok=True)
            # The lock on the state says that no other daemon is here: what is left of a socket is of a dead one.
            mask = os.umask(0o117)
            try:
                loop = asyncio.get_running_loop()
                self._server = await loop.create_unix_server(lambda: _Client(self), str(self.path))
            finally:
                os.umask(mask)
        except OSError as error:
            raise UsageError(f"The control socket {self.path} cannot be made: {error}.", Exit.FAILED) from None

    def admit(self, client: _Client, transport: asyncio.Transport) -> bool:
        """Check who connects: root, this user, or a member of the socket's group; bounded in number."""
        if len(self._clients) >= CONTROL_CLIENTS_MAX:
            client.refuse(None, UsageError(f"{CONTROL_CLIENTS_MAX} clients are connected already.", Exit.REFUSED))
            return False
        peer = transport.get_extra_info("socket")
        _, uid, gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()) and gid != os.getegid() and os.getegid() not in _groups_of(uid):
            client.refuse(None, UsageError("You may not control this device: join its group.", Exit.REFUSED))
            return False
        self._clients[id(client)] = client
        return True

    def ask(self, client: _Client, request_id: Any, command: Command) -> None:
        """Give a request a ticket and pass it on."""
        ticket = self._next_ticket
        self._next_ticket += 1
        client.tickets[ticket] = request_id
        self._by_ticket[ticket] = (client, request_id)
        self._ask(ticket, command)

    def connection_of(self, ticket: int) -> int:
        """Return the number of the connection that holds a ticket, for what spans several of its requests."""
        return id(self._by_ticket[ticket][0])

    def answer(self, answer: Answer) -> None:
        """Write an answer to whoever asked, if it is still there."""
        found = self._by_ticket.get(answer.ticket)
        if found is None:
            return
        client, request_id = found
        if answer.is_last:
            del self._by_ticket[answer.ticket]
            client.tickets.pop(answer.ticket, None)
        if answer.error is not None:
            client.refuse(request_id, answer.error)
        else:
            client.write({"id": request_id, "ok": True, "value": answer.value, "last": answer.is_last})

    def drop(self, client: _Client) -> None:
        """A client hung up."""
        self._clients.pop(id(client), None)
        for ticket in client.tickets:
            if self._by_ticket.pop(ticket, None) is not None:
                self._gone(ticket)
        if self._hung_up is not None:
            self._hung_up(id(client))

    async def stop(self) -> None:
        """Close the socket and all clients."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients.values()):
            if client.transport is not None:
                client.transport.close()
        self.path.unlink(missing_ok=True)


def _groups_of(uid: int) -> list[int]:
    import pwd

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return []
    return os.getgrouplist(entry.pw_name, entry.pw_gid)

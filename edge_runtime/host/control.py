"""The control socket: JSON lines over a Unix socket, mode 0660, for the command line and for programs.

A request is one line with `command` and its fields, and an optional `id` (text or integer) that comes back with each
answer: `{"id":…,"ok":true,"value":…,"last":true}` or `{"id":…,"ok":false,"error":…,"exit":n,"details":{},"last":true}`.
Source: ours, `docs/control.md`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..base.errors import Exit, UsageError
from ..base.limits import (
    CONTROL_CLIENTS_MAX,
    CONTROL_LINE_BYTES_MAX,
    CONTROL_REQUESTS_MAX,
    CONTROL_UNREAD_BYTES_MAX,
    NAME_BYTES_MAX,
)
from ..node.commands import Command
from ..node.effects import Answer

SOCKET_MODE = 0o660
CREDENTIALS = struct.Struct("=iII")  # pid, uid, gid; Source: unix(7), SO_PEERCRED, struct ucred

_encoder = msgspec.json.Encoder()
_requests = msgspec.json.Decoder(type=Command)

RequestId = Annotated[str, Meta(max_length=NAME_BYTES_MAX)] | int | None


class _Id(msgspec.Struct):
    id: RequestId = None


_ids = msgspec.json.Decoder(type=_Id)


class _Client(asyncio.Protocol):
    """One connection; requests may overlap.

    Attributes:
        buffer: the beginning of a request whose end has not come yet, at most CONTROL_LINE_BYTES_MAX.
        tickets: the id of each request that is not answered yet.
    """

    def __init__(self, server: ControlServer) -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.tickets: dict[int, RequestId] = {}
        self.is_heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        refusal = self.server.admit(self, transport)
        if refusal is None:
            self.is_heard = True
        else:
            self._turn_away(refusal)

    def data_received(self, data: bytes) -> None:
        buffer, searched, begin = self.buffer, len(self.buffer), 0
        buffer += data
        while self.is_heard and (end := buffer.find(b"\n", max(begin, searched))) >= 0:
            if end - begin > CONTROL_LINE_BYTES_MAX:
                break
            self._take(bytes(buffer[begin:end]))
            begin = end + 1
        del buffer[:begin]
        if self.is_heard and len(buffer) > CONTROL_LINE_BYTES_MAX:
            # Its end is not worth waiting for: what follows could not be told from a request.
            self._turn_away(UsageError(f"A request is at most {CONTROL_LINE_BYTES_MAX} bytes."))

    def _take(self, line: bytes) -> None:
        request_id: RequestId = None
        try:
            request_id = _ids.decode(line).id
            command = _requests.decode(line if request_id is None else _without_id(line))
        except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeDecodeError are ValueErrors
            self.refuse(request_id, UsageError(f"Not a request: {error}. `docs/control.md` lists them."))
            return
        if len(self.tickets) >= CONTROL_REQUESTS_MAX:
            what = f"{CONTROL_REQUESTS_MAX} requests of this connection wait for an answer. Read some first."
            self.refuse(request_id, UsageError(what, Exit.REFUSED))
            return
        self.server.ask(self, request_id, command)

    def _turn_away(self, error: UsageError) -> None:
        self.is_heard = False
        self.refuse(None, error)
        assert self.transport is not None
        self.transport.close()

    def refuse(self, request_id: RequestId, error: UsageError) -> None:
        self.write(
            {
                "id": request_id, "ok": False, "error": error.message, "exit": int(error.exit),
                "details": error.details, "last": True,
            }
        )  # fmt: skip

    def write(self, value: dict[str, Any]) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > CONTROL_UNREAD_BYTES_MAX:
            transport.abort()  # a stopped `trace --follow` must not cost the device its memory
        else:
            transport.write(_encoder.encode(value) + b"\n")

    def pause_writing(self) -> None:
        """Hear no more requests of a client that does not read its answers."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_heard = False
        self.server.drop(self)


def _without_id(line: bytes) -> bytes:
    # Cheaper than it looks (1 µs): converting the parsed value to a Command instead costs twenty times as much.
    value = msgspec.json.decode(line)
    del value["id"]
    return _encoder.encode(value)


class ControlServer:
    """Listens, gives each request a ticket, and routes answers back. On the loop's thread only.

    Args:
        path: where the socket stands; what a dead daemon left there is replaced.
        ask: called with (ticket, command), in the order of each connection's requests.
        gone: called with the ticket of each request whose client hung up before its last answer.
        hung_up: called with the number of a connection that is no more (`connection_of`).

    Bounds: CONTROL_CLIENTS_MAX connections, CONTROL_REQUESTS_MAX requests of each without an answer; one more is
    refused. CONTROL_LINE_BYTES_MAX for a request, CONTROL_UNREAD_BYTES_MAX for answers; then the client is hung up on.
    """

    def __init__(
        self, path: Path, ask: Callable[[int, Command], None], gone: Callable[[int], None],
        hung_up: Callable[[int], None] | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self._ask = ask
        self._gone = gone
        self._hung_up = hung_up
        self._group = os.getegid()
        self._clients: dict[int, _Client] = {}
        self._by_ticket: dict[int, tuple[_Client, RequestId]] = {}
        self._next_ticket = 1
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            UsageError: the socket cannot be made there.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # The lock on the state says that no other daemon is here: what is left of a socket is of a dead one.
            self.path.unlink(missing_ok=True)
            # Bound, then opened to the group, then listening: nobody can connect before the mode is right. A umask
            # would do the same, but it is the whole process's, and the node thread makes files too.
            listener.bind(str(self.path))
            os.chmod(self.path, SOCKET_MODE)
            self._group = os.stat(self.path).st_gid
            self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Client(self), sock=listener)
        except OSError as error:
            listener.close()
            raise UsageError(f"The control socket {self.path} cannot be made: {error}.", Exit.FAILED) from None

    def admit(self, client: _Client, transport: asyncio.Transport) -> UsageError | None:
        """Check who connects: root, this user, or a member of the socket's group. Return why not, None if admitted."""
        if len(self._clients) >= CONTROL_CLIENTS_MAX:
            what = f"{CONTROL_CLIENTS_MAX} clients are connected already. Close some, then ask again."
            return UsageError(what, Exit.REFUSED)
        found = transport.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size
        )  # fmt: skip
        _, uid, gid = CREDENTIALS.unpack(found)
        if uid not in (0, os.geteuid()) and gid != self._group and self._group not in _groups_of(uid):
            return UsageError("You may not control this device. Join the group of its socket.", Exit.REFUSED)
        self._clients[id(client)] = client
        return None

    def ask(self, client: _Client, request_id: RequestId, command: Command) -> None:
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
        is_last = answer.is_last or answer.error is not None
        if is_last:
            del self._by_ticket[answer.ticket]
            del client.tickets[answer.ticket]
        if answer.error is not None:
            client.refuse(request_id, answer.error)
        else:
            client.write({"id": request_id, "ok": True, "value": answer.value, "last": is_last})

    def drop(self, client: _Client) -> None:
        """A client hung up."""
        if self._clients.pop(id(client), None) is None:
            return
        for ticket in client.tickets:
            del self._by_ticket[ticket]
            self._gone(ticket)
        client.tickets.clear()
        if self._hung_up is not None:
            self._hung_up(id(client))

    async def stop(self) -> None:
        """Close the socket and all clients; what is written already still reaches those who read."""
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

"""Programs' way to a device: `Client` (async) and `BlockingClient`, JSON lines over the control socket.

Arguments and signals may be anything that can be recorded (`program.payloads`); results come as plain JSON values.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from .base.errors import Exit, UsageError

SYSTEM_SOCKET = Path("/run/edge-runtime/control.sock")


def default_state() -> Path:
    """Return where an ordinary user's device lives: $EDGE_RUNTIME_STATE, else the XDG state directory."""
    named = os.environ.get("EDGE_RUNTIME_STATE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(base) / "edge-runtime"


def socket_path(state: Path) -> Path:
    """Return the control socket of a state directory: where the daemon recorded it, else in the directory itself."""
    try:
        return Path((state / "control.path").read_text().strip())
    except (OSError, UnicodeDecodeError):
        return state.absolute() / "control.sock"


def find_socket(state: str | Path | None = None) -> Path:
    """Return the socket to talk to: of a state directory, else of one's own device, else of the system's."""
    if state is not None or os.environ.get("EDGE_RUNTIME_STATE"):
        return socket_path(Path(state) if state is not None else default_state())
    own = default_state()
    return socket_path(own) if own.exists() else SYSTEM_SOCKET


def no_daemon(path: Path, error: OSError) -> UsageError:
    """Return the error that says that nobody listens, and how to change it."""
    if isinstance(error, PermissionError):
        return UsageError(f"{path}: permission denied. Join the daemon's group, or run as its user.", Exit.REFUSED)
    return UsageError(
        f"No daemon answers at {path}. Start one with `edge-runtime run`, or name its directory with --state DIR.",
        Exit.NO_DAEMON,
    )


def read_answer(line: bytes, path: Path) -> tuple[Any, bool]:
    """Return (value, is it the last) of one answer line.

    Raises:
        UsageError: the daemon refused, or hung up before it answered.
    """
    if not line:
        raise UsageError(f"The daemon at {path} hung up. Look at its log, then ask again.", Exit.NO_DAEMON)
    answer = json.loads(line)
    if not answer.get("ok"):
        raise UsageError(answer["error"], Exit(answer.get("exit", 1)), **answer.get("details", {}))
    return answer.get("value"), answer.get("last", True)


def submit_fields(intent: str, arguments: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a `submit` for arguments of any recordable type."""
    from .base.limits import ARGUMENTS_BYTES_MAX
    from .program.payloads import encode_payload

    data = encode_payload(arguments, f"the arguments of {intent}", ARGUMENTS_BYTES_MAX)
    return {"intent": intent, "arguments_cbor": data.hex(), **fields}


class BlockingClient:
    """Asks a daemon and waits. Not thread-safe; one request at a time.

    Raises (all calls):
        UsageError: no daemon (exit 3), or what the daemon refused; `exit` and `details` say more.
    """

    def __init__(self, state: str | Path | None = None) -> None:
        self.path = find_socket(state)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(self.path))
        except OSError as error:
            self._socket.close()
            raise no_daemon(self.path, error) from None
        self._file = self._socket.makefile("rb")

    def ask(self, command: str, **fields: Any) -> Any:
        """Send one command and return its answer's value."""
        value = None
        for value in self.stream(command, **fields):
            pass
        return value

    def stream(self, command: str, **fields: Any) -> Iterator[Any]:
        """Send one command and yield each row of its answer, the last one included."""
        self._socket.sendall(json.dumps({"command": command, **fields}).encode() + b"\n")
        is_last = False
        while not is_last:
            value, is_last = read_answer(self._file.readline(), self.path)
            yield value

    def submit(self, intent: str, arguments: Any = None, **fields: Any) -> dict[str, Any]:
        """Submit an object (idempotent by `name`); return what `show` says. With wait=True, once it ended."""
        found: dict[str, Any] = self.ask("submit", **submit_fields(intent, arguments, fields))
        return found

    def result(self, reference: str) -> Any:
        """Wait until an object has ended and return its result.

        Raises:
            UsageError: it did not complete; the text says how it ended.
        """
        return result_of(self.ask("wait", object=reference))

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def __enter__(self) -> BlockingClient:
        """Return the client itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Hang up."""
        self.close()


def result_of(shown: dict[str, Any]) -> Any:
    """Return the result of an object that `show` says has completed."""
    if shown["end"] != "completed":
        raise UsageError(f"The object ended {shown['end']}: {shown['error'] or 'no reason given'}", Exit.FAILED)
    return shown["result"]


class Client:
    """The same for asyncio: requests may overlap on one connection.

    Use as `async with Client() as client: await client.submit(…)`.
    """

    def __init__(self, state: str | Path | None = None) -> None:
        self.path = find_socket(state)
        self._next_id = 0
        self._waiting: dict[int, asyncio.Queue[bytes]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Client:
        """Connect."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(str(self.path), limit=64 << 20)
        except OSError as error:
            raise no_daemon(self.path, error) from None
        self._reading = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Hang up."""
        if self._reading is not None:
            self._reading.cancel()
        self._writer.close()

    async def _read(self) -> None:
        while line := await self._reader.readline():
            number = json.loads(line).get("id")
            if number in self._waiting:
                self._waiting[number].put_nowait(line)
        for queue in self._waiting.values():
            queue.put_nowait(b"")

    async def stream(self, command: str, **fields: Any) -> AsyncIterator[Any]:
        """Send one command and yield each row of its answer, the last one included."""
        self._next_id += 1
        number, queue = self._next_id, asyncio.Queue[bytes]()
        self._waiting[number] = queue
        try:
            self._writer.write(json.dumps({"id": number, "command": command, **fields}).encode() + b"\n")
            is_last = False
            while not is_last:
                value, is_last = read_answer(await queue.get(), self.path)
                yield value
        finally:
            del self._waiting[number]

    async def ask(self, command: str, **fields: Any) -> Any:
        """Send one command and return its answer's value."""
        value = None
        async for value in self.stream(command, **fields):
            pass
        return value

    async def submit(self, intent: str, arguments: Any = None, **fields: Any) -> dict[str, Any]:
        """Submit an object (idempotent by `name`); return what `show` says. With wait=True, once it ended."""
        found: dict[str, Any] = await self.ask("submit", **submit_fields(intent, arguments, fields))
        return found

    async def result(self, reference: str) -> Any:
        """Wait until an object has ended and return its result, or raise UsageError saying how it ended."""
        return result_of(await self.ask("wait", object=reference))

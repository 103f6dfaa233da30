"""Programs' way to a device: `Client` (async) and `BlockingClient`, JSON lines over the control socket.

Arguments may be anything that can be recorded (`program.payloads`); signals, facts and results are plain JSON values.
Both clients are one connection: what waits on it, waits in the daemon, and ends when the client hangs up.
Source: ours, `docs/control.md`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.errors import Exit, UsageError
from .base.limits import ANSWER_BYTES_MAX, CONTROL_LINE_BYTES_MAX

if TYPE_CHECKING:  # asyncio costs a third of the command line's start: only `Client` loads it
    import asyncio
    from io import BufferedReader

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
        recorded = (state / "control.path").read_text().strip()
    except (OSError, UnicodeDecodeError):
        recorded = ""
    return Path(recorded) if recorded else state.absolute() / "control.sock"


def find_socket(state: str | Path | None = None) -> Path:
    """Return the socket to talk to: of a state directory, else of one's own device, else of the system's."""
    if state is not None or os.environ.get("EDGE_RUNTIME_STATE"):
        return socket_path(Path(state) if state is not None else default_state())
    own = default_state()
    return socket_path(own) if own.exists() else SYSTEM_SOCKET


def no_daemon(path: Path, error: OSError) -> UsageError:
    """Return the error that says that nobody listens, and how to change it."""
    if isinstance(error, PermissionError):
        return UsageError(
            f"{path}: permission denied. Join the daemon's group, run as its user, or name your own device "
            "with --state DIR.",
            Exit.REFUSED,
        )
    return UsageError(
        f"No daemon answers at {path}. Start one with `edge-runtime run`, or name its directory with --state DIR.",
        Exit.NO_DAEMON,
    )


def encode_request(command: str, fields: dict[str, Any], number: int | None = None) -> bytes:
    """Return the line of one request.

    Raises:
        UsageError: a value is no JSON value, or the line is longer than a daemon takes. Nothing was sent.
    """
    request = {"command": command, **fields} if number is None else {"id": number, "command": command, **fields}
    try:
        line = json.dumps(request, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"This {command} cannot be sent: {error}. Give JSON values.") from None
    if len(line) > CONTROL_LINE_BYTES_MAX:
        raise UsageError(
            f"This {command} takes {len(line)} bytes; at most {CONTROL_LINE_BYTES_MAX} are taken. Pass a path instead."
        )
    return line + b"\n"


def read_answer(answer: dict[str, Any] | None, path: Path) -> tuple[Any, bool]:
    """Return (value, is it the last) of one answer; None stands for the end of the connection.

    Raises:
        UsageError: the daemon refused, or hung up before it answered.
    """
    if answer is None:
        raise UsageError(f"The daemon at {path} hung up. Look at its log, then ask again.", Exit.NO_DAEMON)
    if not answer.get("ok"):
        code = answer.get("exit")
        exit = Exit(code) if code in tuple(Exit) else Exit.FAILED  # a newer daemon may know more of them
        raise UsageError(str(answer.get("error")), exit, **answer.get("details", {}))
    return answer.get("value"), answer.get("last", True)


def submit_fields(intent: str, arguments: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a `submit` for arguments of any recordable type."""
    from .base.limits import ARGUMENTS_BYTES_MAX
    from .program.payloads import encode_payload

    data = encode_payload(arguments, f"the arguments of {intent}", ARGUMENTS_BYTES_MAX)
    return {"intent": intent, "arguments_cbor": data.hex(), **fields}


def result_of(shown: dict[str, Any]) -> Any:
    """Return the result of an object that `show` says has completed.

    Raises:
        UsageError: it ended in another way; the text says how and why.
    """
    if shown["end"] != "completed":
        raise UsageError(f"The object ended {shown['end']}: {shown['error'] or 'no reason given'}", Exit.FAILED)
    return shown["result"]


class BlockingClient:
    """Asks a daemon and waits. Not thread-safe; one request at a time.

    `docs/control.md` lists every command for `ask`, with its fields; the methods below are the common ones.
    After an error of the connection, or a stream left before its end, the next request connects anew.

    Args:
        state: the device's state directory; default: as for the command line.

    Raises (all calls):
        UsageError: no daemon (exit 3), or what the daemon refused; `exit` and `details` say more.
    """

    def __init__(self, state: str | Path | None = None) -> None:
        self.path = find_socket(state)
        self._socket: socket.socket | None = None
        self._connect()

    def _connect(self) -> tuple[socket.socket, BufferedReader]:
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                made.connect(str(self.path))
            except OSError as error:
                made.close()
                raise no_daemon(self.path, error) from None
            self._socket, self._file = made, made.makefile("rb")
        return self._socket, self._file

    def ask(self, command: str, **fields: Any) -> Any:
        """Send one command and return its answer's value."""
        return list(self.stream(command, **fields))[-1]

    def stream(self, command: str, **fields: Any) -> Iterator[Any]:
        """Send one command and yield each row of its answer, the last one included."""
        line = encode_request(command, fields)
        connection, file = self._connect()
        is_last = False
        try:
            try:
                connection.sendall(line)
            except OSError:
                pass  # it hung up; what it said before that, such as why, can still be read
            while not is_last:
                answer = _read_line(file)
                is_last = answer is not None and not answer.get("ok")  # a refusal is the last of its request
                value, is_last = read_answer(answer, self.path)
                yield value
        finally:
            if not is_last:
                self.close()

    def submit(self, intent: str, arguments: Any = None, **fields: Any) -> dict[str, Any]:
        """Submit an object (idempotent by `name`); return what `show` says. With wait=True, once it ended."""
        found: dict[str, Any] = self.ask("submit", **submit_fields(intent, arguments, fields))
        return found

    def show(self, reference: str) -> dict[str, Any]:
        """Return all about an object, named by id, by the name of its submission, or by an id prefix."""
        found: dict[str, Any] = self.ask("show", object=reference)
        return found

    def result(self, reference: str) -> Any:
        """Wait until an object has ended and return its result.

        Raises:
            UsageError: it did not complete; the text says how it ended.
        """
        return result_of(self.ask("wait", object=reference))

    def signal(self, reference: str, name: str, value: Any = None) -> dict[str, Any]:
        """Give an object a named JSON value; the answer says whether its custodian has heard it (`reached`)."""
        found: dict[str, Any] = self.ask("signal", object=reference, name=name, value=value)
        return found

    def cancel(self, reference: str, reason: str = "") -> dict[str, Any]:
        """Ask an object to end; its body is told and may clean up."""
        found: dict[str, Any] = self.ask("cancel", object=reference, reason=reason)
        return found

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of one SELECT over the documented views."""
        found: list[dict[str, Any]] = self.ask("query", sql=sql)
        return found

    def facts(self) -> list[dict[str, Any]]:
        """Return all facts of the device."""
        found: list[dict[str, Any]] = self.ask("facts")
        return found

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._file.close()
            self._socket.close()
            self._socket = None

    def __enter__(self) -> BlockingClient:
        """Return the client itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Hang up."""
        self.close()


def _read_line(file: BufferedReader) -> dict[str, Any] | None:
    """Return one answer; None where the daemon hung up, even in the middle of a line."""
    try:
        line = file.readline(ANSWER_BYTES_MAX)
    except OSError:
        return None
    return json.loads(line) if line.endswith(b"\n") else None


class Client:
    """The same for asyncio: requests may overlap on one connection.

    Use as `async with Client() as client: await client.submit(…)`. Once the daemon has hung up, every call raises
    UsageError (exit 3): make a new client.
    """

    def __init__(self, state: str | Path | None = None) -> None:
        self.path = find_socket(state)
        self._next_id = 0
        self._waiting: dict[int, asyncio.Queue[dict[str, Any] | None]] = {}
        self._is_open = False
        self._why_closed: dict[str, Any] | None = None  # a refusal of the connection as a whole

    async def __aenter__(self) -> Client:
        """Connect."""
        import asyncio

        try:
            self._reader, self._writer = await asyncio.open_unix_connection(str(self.path), limit=ANSWER_BYTES_MAX)
        except OSError as error:
            raise no_daemon(self.path, error) from None
        self._is_open = True
        self._reading = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Hang up."""
        self._reading.cancel()
        self._writer.close()

    async def _read(self) -> None:
        try:
            while (line := await self._reader.readline()).endswith(b"\n"):
                answer = json.loads(line)
                number = answer.get("id")
                if number in self._waiting:
                    self._waiting[number].put_nowait(answer)
                elif number is None:
                    self._why_closed = answer
        except (OSError, ValueError):
            pass  # reset, or a line longer than any that a daemon writes: as good as a hang-up
        finally:
            self._is_open = False
            for queue in self._waiting.values():
                queue.put_nowait(self._why_closed)

    async def stream(self, command: str, **fields: Any) -> AsyncIterator[Any]:
        """Send one command and yield each row of its answer, the last one included."""
        from asyncio import Queue

        self._next_id += 1
        number = self._next_id
        line = encode_request(command, fields, number)
        queue: Queue[dict[str, Any] | None] = Queue()
        self._waiting[number] = queue
        try:
            if self._is_open:
                self._writer.write(line)
            else:
                queue.put_nowait(self._why_closed)
            is_last = False
            while not is_last:
                value, is_last = read_answer(await queue.get(), self.path)
                yield value
        finally:
            del self._waiting[number]

    async def ask(self, command: str, **fields: Any) -> Any:
        """Send one command and return its answer's value."""
        return [row async for row in self.stream(command, **fields)][-1]

    async def submit(self, intent: str, arguments: Any = None, **fields: Any) -> dict[str, Any]:
        """Submit an object (idempotent by `name`); return what `show` says. With wait=True, once it ended."""
        found: dict[str, Any] = await self.ask("submit", **submit_fields(intent, arguments, fields))
        return found

    async def show(self, reference: str) -> dict[str, Any]:
        """Return all about an object."""
        found: dict[str, Any] = await self.ask("show", object=reference)
        return found

    async def result(self, reference: str) -> Any:
        """Wait until an object has ended and return its result, or raise UsageError saying how it ended."""
        return result_of(await self.ask("wait", object=reference))

    async def signal(self, reference: str, name: str, value: Any = None) -> dict[str, Any]:
        """Give an object a named JSON value; the answer says whether its custodian has heard it (`reached`)."""
        found: dict[str, Any] = await self.ask("signal", object=reference, name=name, value=value)
        return found

    async def cancel(self, reference: str, reason: str = "") -> dict[str, Any]:
        """Ask an object to end; its body is told and may clean up."""
        found: dict[str, Any] = await self.ask("cancel", object=reference, reason=reason)
        return found

    async def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of one SELECT over the documented views."""
        found: list[dict[str, Any]] = await self.ask("query", sql=sql)
        return found

    async def facts(self) -> list[dict[str, Any]]:
        """Return all facts of the device."""
        found: list[dict[str, Any]] = await self.ask("facts")
        return found

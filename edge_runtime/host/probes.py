"""Probes of this device: only those that its configuration names, and `disk`, can be polled. One answer each, always.

What may block runs in a thread of its own and never on the loop; a command runs without a shell, in a process group
that is killed when its time is over. At most PROBES_IN_FLIGHT_MAX run at once; a thread that does not come back keeps
its place, since it cannot be killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..base.limits import CURSOR_BYTES_MAX, ERROR_TEXT_BYTES_MAX, PROBE_BYTES_MAX, PROBES_IN_FLIGHT_MAX
from ..node.effects import StartProbe
from ..node.events import ProbeAnswered
from ..objects.codec import encode_value
from .probe_config import ProbeConfig
from .readings import Reading, head_http, read_disk, read_file, read_log

# How long a cancelled probe may take to end when the daemon stops.
CLOSE_S = 1.0
# How long a look waits for its turn: with its own time it stays within PROBE_ANSWER_MS_MAX, when it is asked anew.
PLACE_S = 20.0
UNREADABLE = (OSError, ValueError)


class Probes:
    """Looks at what `StartProbe` names.

    Args:
        tell: called on the loop with each answer.
        configs: of the configuration file. state: folder whose file system the built-in `disk` reads.
        place_s: how long a look waits for its turn; then the source counts as absent.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tell: Callable[[ProbeAnswered], None], configs: Sequence[ProbeConfig],
        state: Path, place_s: float = PLACE_S,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._tell = tell
        self._state = state
        self._place_s = place_s
        self._places = asyncio.Semaphore(PROBES_IN_FLIGHT_MAX)
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._by_name: dict[str, ProbeConfig] = {}
        self.configure(configs)

    def configure(self, configs: Sequence[ProbeConfig]) -> None:
        """Have these probes, and the built-in ones, from the next poll on."""
        built_in = ProbeConfig("disk", "disk", path=str(self._state))
        self._by_name = {probe.name: probe for probe in (built_in, *configs)}

    def start(self, effect: StartProbe) -> None:
        """Look once; on the loop."""
        task = self._loop.create_task(self._answer(effect))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def close(self) -> None:
        """Stop looking: what was asked is asked again by the next process."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)

    async def _answer(self, start: StartProbe) -> None:
        probe = self._by_name.get(start.probe)
        if start.refusal or probe is None:
            error = start.refusal or f"no probe named {start.probe!r} is in this device's configuration"
            self._tell(ProbeAnswered(start.object, start.probe, start.number, error=error))
            return
        try:
            # Without a limit of its own, eight sources that hang would let the row of those who wait grow for ever.
            async with asyncio.timeout(self._place_s):
                await self._places.acquire()
        except TimeoutError:
            error = f"{PROBES_IN_FLIGHT_MAX} probes are being looked at and do not come back"
            self._tell(ProbeAnswered(start.object, start.probe, start.number, error=error))
            return
        try:
            async with asyncio.timeout(probe.timeout_s):
                reading = await self._look(probe, start.cursor)
            answered = _answer_of(start, reading)
        except TimeoutError:
            error = f"no answer within {probe.timeout_s} s"
            answered = ProbeAnswered(start.object, start.probe, start.number, error=error)
        except UNREADABLE as error:
            text = f"{type(error).__name__}: {error}".encode()[:ERROR_TEXT_BYTES_MAX].decode("utf-8", "ignore")
            answered = ProbeAnswered(start.object, start.probe, start.number, error=text)
        self._tell(answered)

    async def _look(self, probe: ProbeConfig, cursor: bytes) -> Reading:
        """Read a source; whoever reads gives the place back that `_answer` took."""
        match probe.kind:
            case "file":
                return await self._in_thread(partial(read_file, probe.path))
            case "log":
                return await self._in_thread(partial(read_log, probe.path, cursor))
            case "disk":
                return await self._in_thread(partial(read_disk, probe.path))
            case "http":
                return await self._in_thread(partial(head_http, probe.url, probe.timeout_s))
            case "command":
                try:
                    return await run_command(probe.argv)
                finally:
                    self._places.release()

    def _in_thread(self, read: Callable[[], Reading]) -> asyncio.Future[Reading]:
        # A daemon thread of its own: the loop's executor is joined at exit, and a file on a dead share never comes.
        future: asyncio.Future[Reading] = self._loop.create_future()
        threading.Thread(target=self._read, args=(read, future), name="probe", daemon=True).start()
        return future

    def _read(self, read: Callable[[], Reading], future: asyncio.Future[Reading]) -> None:
        try:
            found: Reading | Exception = read()
        except UNREADABLE as error:
            found = error
        try:
            self._loop.call_soon_threadsafe(self._settle, future, found)
        except RuntimeError:
            pass  # the loop is closed: the daemon has stopped meanwhile

    def _settle(self, future: asyncio.Future[Reading], found: Reading | Exception) -> None:
        self._places.release()
        if future.done():
            return
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)


def _answer_of(start: StartProbe, reading: Reading) -> ProbeAnswered:
    cursor = reading.cursor or b""
    assert len(cursor) <= CURSOR_BYTES_MAX
    value = encode_value(dict(reading.fields))
    return ProbeAnswered(start.object, start.probe, start.number, value, "", cursor, reading.cursor is not None)


async def run_command(argv: Sequence[str]) -> Reading:
    """Run a command without a shell, and return its exit code and the first PROBE_BYTES_MAX bytes that it prints.

    Raises:
        OSError: it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    kept, has_ended = b"", False
    try:
        while chunk := await process.stdout.read(1 << 16):
            kept = (kept + chunk)[:PROBE_BYTES_MAX]
        code = await process.wait()
        has_ended = True
    finally:
        if not has_ended:  # also where the command itself has, and a child of it still holds the output open
            _kill(process.pid)
            await process.wait()
    return Reading({"exit": code, "out": kept.decode("utf-8", "replace").rstrip("\n")})


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass

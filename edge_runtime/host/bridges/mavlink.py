"""MAVLink: a vehicle's telemetry as facts. It listens, and sends nothing, not even a heartbeat.

Nothing is polled: the loop watches the connection's file descriptor. Battery and position come many times a second;
the feed hands on what differs, at most once a second each.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from ...base.errors import UsageError
from ...base.foreign import Caught, contained
from ...base.limits import BRIDGE_CONNECT_MS_MAX, MAVLINK_MESSAGES_PER_TURN_MAX
from ...judge.fact_names import MAVLINK
from ..fact_config import MavlinkConfig
from ..sensors.readers import Value
from ..sensors.ticker import Take
from .keeper import is_local
from .telemetry import SILENT_MS, facts_of, facts_of_silence

AUTOPILOT = 1  # MAV_COMP_ID_AUTOPILOT1
NO_AUTOPILOT = 8  # MAV_AUTOPILOT_INVALID: a ground station or a camera, whose heartbeats say nothing of the vehicle


def is_on_board(connection: str) -> bool:
    """Say whether a connection stays on this machine: a serial line, or an address of its own."""
    scheme, _, rest = connection.partition(":")
    return scheme not in ("udp", "udpin", "udpout", "udpbcast", "tcp", "tcpin", "mcast") or is_local(
        rest.rpartition(":")[0]
    )


class MavlinkBridge:
    """One vehicle.

    Args:
        take: takes a reading. clock_ms: the boot clock.
    """

    def __init__(self, config: MavlinkConfig, take: Take, clock_ms: Callable[[], int]) -> None:
        self._config = config
        self._take = take
        self._clock_ms = clock_ms
        self._opening: asyncio.Future[Any] | None = None  # what did not come back in time yet
        self._heard_ms: int | None = None
        self._stands: Callable[[], None] | None = None  # to be told at the first heartbeat of a session

    async def session(self, stands: Callable[[], None]) -> None:
        """Open the connection and read it until it is lost; a vehicle that falls silent is told as such.

        Raises:
            UsageError: the package is missing, or the connection's name is none. Others: not reachable, or lost.
        """
        connection = await self._open()
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[None] = loop.create_future()
        self._stands = stands
        loop.add_reader(connection.fd, self._read, connection, lost)
        try:
            while not lost.done():
                # Once in a step of the silence; while heartbeats come, one look in a few seconds says nothing new.
                await asyncio.wait([lost], timeout=SILENT_MS / 1_000)
                if self._heard_ms is not None:
                    self._tell(facts_of_silence(self._clock_ms() - self._heard_ms))
            lost.result()
        finally:
            loop.remove_reader(connection.fd)
            connection.close()
            if self._heard_ms is not None:
                self._tell({"mavlink.connected": False})

    async def _open(self) -> Any:
        """Open it in a thread: TCP and serial lines block. MAVLink 2 is asked for; version 1 is understood as well.

        The thread is of its own and dies with the process: a vehicle that does not answer holds it for minutes, and
        those of the loop are joined at the end. Nothing is opened again before it comes back.
        """
        os.environ.setdefault("MAVLINK20", "1")
        try:
            from pymavlink import mavutil
        except ImportError:
            raise UsageError("[mavlink] needs the package pymavlink: pip install 'edge-runtime[mavlink]'.") from None
        config = self._config
        options = {"baud": config.baud, "retries": 0, "autoreconnect": False, "source_system": 255}
        if self._opening is None:
            self._opening = _in_thread(partial(mavutil.mavlink_connection, config.connection, **options))
        done, _ = await asyncio.wait([self._opening], timeout=BRIDGE_CONNECT_MS_MAX / 1_000)
        if not done:
            raise TimeoutError(f"{config.connection} did not answer within {BRIDGE_CONNECT_MS_MAX} ms")
        opened, self._opening = self._opening, None
        try:
            return opened.result()
        except ValueError as error:
            raise UsageError(f"[mavlink] connection = {config.connection!r} is none: {error}.") from None

    def _read(self, connection: Any, lost: asyncio.Future[None]) -> None:
        with contained() as caught:  # a parser of another house, over bytes of anybody
            if _is_closed(connection):
                raise ConnectionResetError("the other side closed the connection")
            for _ in range(MAVLINK_MESSAGES_PER_TURN_MAX):
                message = connection.recv_msg()
                if message is None:
                    return
                self._hear(message)
        if caught.error is not None and not lost.done():
            lost.set_exception(caught.error)

    def _hear(self, message: Any) -> None:
        kind, config = message.get_type(), self._config
        if config.system and message.get_srcSystem() != config.system:
            return
        if message.get_srcComponent() != AUTOPILOT or (kind == "HEARTBEAT" and message.autopilot == NO_AUTOPILOT):
            return
        mode = ""
        if kind == "HEARTBEAT":
            from pymavlink import mavutil

            self._heard_ms = self._clock_ms()
            if self._stands is not None:
                self._stands()
                self._stands = None
            mode = mavutil.mode_string_v10(message)
        elif kind == "BAD_DATA":
            return
        self._tell(facts_of(kind, message.to_dict(), mode, config.modes))

    def _tell(self, values: dict[str, Value]) -> None:
        for name, value in values.items():
            self._take(name, value, MAVLINK, self._config.interval_ms, self._config.max_age_ms)


def _in_thread(open_it: Callable[[], Any]) -> asyncio.Future[Any]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(caught: Caught, connection: Any) -> None:
        if caught.error is not None:
            future.set_exception(caught.error)
        else:
            future.set_result(connection)

    def run() -> None:
        connection = None
        with contained() as caught:
            connection = open_it()
        try:
            loop.call_soon_threadsafe(settle, caught, connection)
        except RuntimeError:
            pass  # the loop is closed: the daemon has stopped meanwhile

    threading.Thread(target=run, name="mavlink", daemon=True).start()
    return future


def _is_closed(connection: Any) -> bool:
    """Say whether a stream has ended: the package would print a line for each look at it, and go on looking."""
    port = getattr(connection, "port", None)
    if not isinstance(port, socket.socket) or port.type != socket.SOCK_STREAM:
        return False
    try:
        return port.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False

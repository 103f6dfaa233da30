"""The port that peers dial: the one that was asked for, else a free one that this device keeps from start to start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from ..base.errors import Exit, UsageError
from .dialling import split_address

Welcome = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LOOPBACK = "127.0.0.1"
PORT_TRIES = 3


async def start_listening(
    welcome: Welcome, wanted: str, interfaces: Sequence[str], state: Path
) -> tuple[asyncio.Server, int]:
    """Listen for peers.

    Args:
        wanted: `host:port`; port 0 or an empty text means a free port.
        interfaces: if it is `lo` alone, nobody outside this machine can even connect.
        state: the directory in which a free port is remembered, so that peers find it again.

    Returns:
        the server, and the port, the same for IPv4 and IPv6.

    Raises:
        UsageError: the address is none, or what was asked for is taken.
    """
    host, port = split_address(wanted) if wanted else ("", 0)
    hosts = [host] if host else ([LOOPBACK] if tuple(interfaces) == ("lo",) else None)
    if port:
        try:
            return await asyncio.start_server(welcome, hosts, port), port
        except OSError as error:
            raise _taken(wanted, error) from None
    record = state / "port"
    kept = _read_port(record)
    server = await _try(welcome, hosts, kept) if kept else None
    for _ in range(PORT_TRIES):
        if server is None:  # the kept port is taken by something else: any will do
            kept = await _free_port(welcome, hosts)
            server = await _try(welcome, hosts, kept)
    if server is None:
        raise _taken(wanted or "any port", OSError("no free port for IPv4 and IPv6 alike"))
    if kept != _read_port(record):
        record.write_text(f"{kept}\n")
    return server, kept


async def _try(welcome: Welcome, hosts: list[str] | None, port: int) -> asyncio.Server | None:
    try:
        return await asyncio.start_server(welcome, hosts, port)
    except OSError:
        return None


async def _free_port(welcome: Welcome, hosts: list[str] | None) -> int:
    """Return a port that is free now, on the first of the hosts."""
    try:
        probe = await asyncio.start_server(welcome, hosts[0] if hosts else "0.0.0.0", 0, start_serving=False)
    except OSError as error:
        raise _taken(hosts[0] if hosts else "any address", error) from None
    port: int = probe.sockets[0].getsockname()[1]
    probe.close()
    return port


def _taken(what: str, error: OSError) -> UsageError:
    return UsageError(
        f"{what} cannot be listened on: {error.strerror or error}. Stop what uses it, or give another "
        "--listen HOST:PORT.",
        Exit.FAILED,
    )


def _read_port(record: Path) -> int:
    try:
        port = int(record.read_text())
    except (OSError, ValueError):
        return 0
    return port if 0 < port <= 65_535 else 0

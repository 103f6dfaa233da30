"""The port that peers dial."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.host.listening import start_listening


async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say who answered."""
    writer.write(b"welcome")
    writer.close()


@pytest.fixture
async def servers() -> AsyncIterator[AsyncExitStack]:
    """Servers that are closed in the end."""
    async with AsyncExitStack() as stack:
        yield stack


async def listen(servers: AsyncExitStack, wanted: str, state: Path, *interfaces: str) -> int:
    """Listen and return the port."""
    server, port = await start_listening(welcome, wanted, interfaces, state)
    servers.callback(server.close)
    return port


async def answers(host: str, port: int) -> bool:
    """Say whether a dial to an address is welcomed."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    found = await reader.read()
    writer.close()
    return found == b"welcome"


async def test_a_free_port_is_kept_from_start_to_start(tmp_path: Path) -> None:
    ports = []
    for _ in range(2):
        async with AsyncExitStack() as servers:
            ports.append(await listen(servers, "", tmp_path))
            assert await answers("127.0.0.1", ports[-1])
    assert ports[0] == ports[1] == int((tmp_path / "port").read_text())


async def test_a_kept_port_that_is_taken_is_replaced(tmp_path: Path, servers: AsyncExitStack) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        taken = other.getsockname()[1]
        (tmp_path / "port").write_text(str(taken))
        port = await listen(servers, "", tmp_path)
        assert port != taken and int((tmp_path / "port").read_text()) == port
        assert await answers("127.0.0.1", port)


@pytest.mark.parametrize("text", ["", "none", "-1", "99999", "\xff"])
async def test_a_spoilt_record_is_replaced(tmp_path: Path, servers: AsyncExitStack, text: str) -> None:
    (tmp_path / "port").write_text(text)
    assert await listen(servers, "", tmp_path) == int((tmp_path / "port").read_text())


async def test_a_port_that_was_asked_for_and_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        wanted = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"{wanted} cannot be listened on.*in use.*--listen HOST:PORT") as caught:
            await start_listening(welcome, wanted, (), tmp_path)
    assert caught.value.exit is Exit.FAILED
    assert not (tmp_path / "port").exists()


async def test_an_address_of_another_machine_ends_the_start(tmp_path: Path) -> None:
    for wanted in ("192.0.2.1:4711", "192.0.2.1:0"):  # RFC 5737: nobody has it
        with pytest.raises(UsageError, match="192.0.2.1.* cannot be listened on"):
            await start_listening(welcome, wanted, (), tmp_path)


async def test_a_host_without_a_port_gets_a_free_one_there_only(tmp_path: Path, servers: AsyncExitStack) -> None:
    port = await listen(servers, "127.0.0.1:0", tmp_path)
    assert await answers("127.0.0.1", port)
    assert not await answers("127.0.0.2", port)


async def test_bounded_to_loopback_nobody_outside_can_connect(tmp_path: Path, servers: AsyncExitStack) -> None:
    port = await listen(servers, "", tmp_path, "lo")
    assert await answers("127.0.0.1", port)
    assert not await answers("127.0.0.2", port)

"""Whom to dial and when again, with real connections over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from edge_runtime.base.errors import PeerError, UsageError
from edge_runtime.base.limits import SIGHTINGS_MAX
from edge_runtime.host import dialling
from edge_runtime.host.dialling import Dialler, join_address, split_address
from edge_runtime.host.discovery import Card, Sighting

OWN = "8" * 16
LOWER, HIGHER = "0" * 16, "f" * 16
HINT = "0a0b0c0d"


class Bench:
    """A dialler on the test's loop. `meets` says what a handshake at a port comes to."""

    def __init__(self, group: asyncio.TaskGroup, *static: str) -> None:
        self.met: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.connected: dict[str, None] = {}
        self.failures: list[Exception] = []
        self.outcome: dict[int, Exception] = {}
        self.tries: list[int] = []
        self.dialler = Dialler(
            OWN, static, self._meet, self.connected.__contains__, self.failures.append,
            lambda work: group.create_task(work),
        )  # fmt: skip
        self.dialler.hints = (HINT,)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        port = writer.get_extra_info("peername")[1]
        self.tries.append(port)
        error = self.outcome.get(port)
        if error is not None:
            raise error
        self.connected[key] = None
        writer.transport.abort()  # what becomes of a session is not the dialler's
        self.met.put_nowait((key, port))

    async def next_met(self) -> tuple[str, int]:
        """Return the next peer that was met."""
        async with asyncio.timeout(10):
            return await self.met.get()

    async def failed(self, number: int) -> None:
        """Wait until so many dials have failed."""
        async with asyncio.timeout(10):
            while len(self.failures) < number:
                await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "REDIAL_S", (0.0, 0.001, 0.001))
    monkeypatch.setattr(dialling, "STAGGER_S", 0.01)


@pytest.fixture
async def group() -> AsyncIterator[asyncio.TaskGroup]:
    """A group that owns the dials."""
    async with asyncio.TaskGroup() as found:
        yield found


@pytest.fixture
async def servers() -> AsyncIterator[Callable[[], asyncio.Future[int]]]:
    """A maker of ports that answer, each held open until the end."""
    async with AsyncExitStack() as stack:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async def make() -> int:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            stack.callback(server.close)
            return int(server.sockets[0].getsockname()[1])

        yield lambda: asyncio.ensure_future(make())


Servers = Callable[[], "asyncio.Future[int]"]


def sighting(instance: str, port: int, hint: str = HINT, addresses: tuple[str, ...] = ("127.0.0.1",)) -> Sighting:
    """Return an announcement."""
    return Sighting(instance, addresses, port, Card(1, hint, "00000000"))


async def free_port() -> int:
    """Return a port at which nobody listens."""
    probe = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = int(probe.sockets[0].getsockname()[1])
    probe.close()
    return port


# --- Addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("base.local:4711", ("base.local", 4711)),
        ("[::1]:4711", ("::1", 4711)),
        ("[fe80::1%3]:1", ("fe80::1%3", 1)),
        (":4711", ("", 4711)),
        ("10.0.0.1:0", ("10.0.0.1", 0)),
    ],
)
def test_an_address_is_host_and_port(text: str, parts: tuple[str, int]) -> None:
    assert split_address(text) == parts
    if parts[0] and ":" not in parts[0]:
        assert join_address(*parts) == text


@pytest.mark.parametrize("text", ["", "base", "base:", "base:http", "base:65536", "::1:4711", "base:-1", "base:²"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"write HOST:PORT, such as"):
        split_address(text)


@pytest.mark.parametrize("text", ["base", ":4711", "base:0"])
def test_a_configured_peer_that_cannot_be_dialled_ends_the_start(text: str) -> None:
    with pytest.raises(UsageError, match="write HOST:PORT"):
        Dialler(OWN, [text], None, None, None, None)  # type: ignore[arg-type]


# --- Sightings ------------------------------------------------------------------------------------------------------


async def test_a_sighting_is_dialled_once_however_often_it_is_repeated(
    group: asyncio.TaskGroup, servers: Servers
) -> None:
    bench, port = Bench(group), await servers()
    for _ in range(5):
        bench.dialler.see(sighting(HIGHER, port))
    assert await bench.next_met() == (HIGHER, port)
    bench.dialler.see(sighting(HIGHER, port))
    bench.dialler.look_again()
    await asyncio.sleep(0)
    assert bench.tries == [port]


async def test_of_two_that_see_each_other_the_larger_name_lets_the_other_dial_first(
    group: asyncio.TaskGroup, servers: Servers
) -> None:
    bench, port = Bench(group), await servers()
    bench.dialler.see(sighting(LOWER, port))
    bench.connected[LOWER] = None  # its own dial was quicker
    await asyncio.sleep(0.03)
    assert bench.tries == []
    del bench.connected[LOWER]
    bench.dialler.see(sighting(LOWER, port))  # and where it does not dial, we do
    assert await bench.next_met() == (LOWER, port)


async def test_strangers_are_not_dialled(group: asyncio.TaskGroup, servers: Servers) -> None:
    bench, port = Bench(group), await servers()
    bench.dialler.see(sighting(HIGHER, port, hint="ffffffff"))
    await asyncio.sleep(0.02)
    assert (bench.tries, bench.failures) == ([], [])


async def test_a_device_of_several_fleets_tries_a_stranger_now_and_then(
    group: asyncio.TaskGroup, servers: Servers
) -> None:
    bench, port = Bench(group), await servers()
    bench.dialler.hints = (HINT, "11111111")
    bench.outcome[port] = PeerError("grant", "another fleet")
    for _ in range(3):
        bench.dialler.see(sighting(HIGHER, port, hint="ffffffff"))
        await asyncio.sleep(0.01)
    assert bench.tries == [port]


async def test_a_refusal_is_counted_and_not_hammered_until_a_link_comes_up(
    group: asyncio.TaskGroup, servers: Servers
) -> None:
    bench, port = Bench(group), await servers()
    bench.outcome[port] = PeerError("grant", "revoked")
    for _ in range(5):
        bench.dialler.see(sighting(HIGHER, port))
        await asyncio.sleep(0.01)
    assert (bench.tries, len(bench.failures)) == ([port], 1)
    bench.outcome.clear()
    bench.dialler.look_again()
    assert await bench.next_met() == (HIGHER, port)


async def test_an_address_where_somebody_else_answers_does_not_hide_the_right_one(
    group: asyncio.TaskGroup, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container bridge has the same address on every machine: dialling it leads to ourselves."""
    bench, ours, theirs = Bench(group), await servers(), await servers()
    monkeypatch.setattr(dialling, "join_address", lambda host, port: {"a": f"127.0.0.1:{ours}"}.get(host, host))
    bench.outcome[ours] = PeerError("self", "that is this device")
    bench.dialler.see(sighting(HIGHER, 1, addresses=("a", f"127.0.0.1:{theirs}")))
    assert await bench.next_met() == (HIGHER, theirs)
    assert bench.failures == []


async def test_addresses_race_and_one_connection_stands(group: asyncio.TaskGroup, servers: Servers) -> None:
    bench, port = Bench(group), await servers()
    bench.dialler.see(sighting(HIGHER, port, addresses=("192.0.2.1", "127.0.0.1", "127.0.0.1")))
    assert await bench.next_met() == (HIGHER, port)
    await asyncio.sleep(0.01)
    assert bench.tries == [port]


async def test_nobody_at_home_is_tried_again_for_a_while_and_then_left(group: asyncio.TaskGroup) -> None:
    bench, port = Bench(group), await free_port()
    bench.dialler.see(sighting(HIGHER, port))
    await bench.failed(4)
    await asyncio.sleep(0.02)
    assert len(bench.failures) == 4  # one, and one after each pause
    bench.dialler.see(sighting(HIGHER, port))
    await bench.failed(5)
    bench.dialler.stop()


async def test_what_is_remembered_of_announcements_is_bounded(group: asyncio.TaskGroup) -> None:
    bench = Bench(group)
    for number in range(SIGHTINGS_MAX + 10):
        bench.dialler.see(sighting(f"{number:016x}", 1, hint="ffffffff"))
    assert len(bench.dialler._sightings) == SIGHTINGS_MAX
    assert f"{9:016x}" not in bench.dialler._sightings


# --- Configured peers -----------------------------------------------------------------------------------------------


async def test_a_configured_peer_is_dialled_for_ever(group: asyncio.TaskGroup) -> None:
    address = f"127.0.0.1:{await free_port()}"
    bench = Bench(group, address)
    bench.dialler.start()
    await bench.failed(10)
    bench.dialler.stop()


async def test_a_configured_peer_that_refuses_is_tried_at_the_slowest_pace(
    group: asyncio.TaskGroup, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "REDIAL_S", (0.0, 60.0))
    port = await servers()
    bench = Bench(group, f"127.0.0.1:{port}")
    bench.outcome[port] = PeerError("grant", "another fleet")
    bench.dialler.start()
    await bench.failed(1)
    await asyncio.sleep(0.01)
    assert bench.tries == [port]
    bench.dialler.stop()


async def test_a_name_that_can_be_none_is_only_counted(group: asyncio.TaskGroup) -> None:
    bench = Bench(group, f"{'a' * 70}.local:1", "a..b:1")
    bench.dialler.start()
    await bench.failed(2)
    bench.dialler.stop()


async def test_a_lost_contact_is_dialled_again_at_once(group: asyncio.TaskGroup, servers: Servers) -> None:
    port = await servers()
    address = f"127.0.0.1:{port}"
    bench = Bench(group, address)
    bench.dialler.start()
    assert await bench.next_met() == (address, port)
    bench.connected.clear()
    bench.dialler.lose(address, HIGHER)
    assert await bench.next_met() == (address, port)
    bench.dialler.see(sighting(HIGHER, port))
    assert await bench.next_met() == (HIGHER, port)
    bench.connected.clear()
    bench.dialler.lose(HIGHER, HIGHER)
    assert await bench.next_met() == (HIGHER, port)


async def test_stopped_it_dials_nobody_and_remembers_nobody(group: asyncio.TaskGroup, servers: Servers) -> None:
    bench, port = Bench(group), await servers()
    bench.dialler.see(sighting(HIGHER, port))
    bench.dialler.stop()
    bench.dialler.look_again()
    await asyncio.sleep(0.01)
    assert bench.tries == []

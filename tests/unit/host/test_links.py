"""Contacts between real nodes of this process, over loopback: sessions, twins, refusals, the radio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import PeerError, UsageError
from edge_runtime.host.clock import Clock
from edge_runtime.host.device import make_node
from edge_runtime.host.links import Links
from edge_runtime.host.local import answer_locally
from edge_runtime.host.statedir import StateDir
from edge_runtime.host.thread import NodeThread
from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.node.effects import Answer, Close, MembershipChanged, Send, Turn
from edge_runtime.node.events import Asked, Restored
from edge_runtime.program.app import App


async def note(text: str) -> str:
    """Do nothing."""
    return text


class Device:
    """A node thread and its links; steps are not run."""

    def __init__(self, folder: Path, group: asyncio.TaskGroup, *peers: str, listen: str = "127.0.0.1:0") -> None:
        self.state = StateDir.open(folder)
        self.group = group
        self.loop = asyncio.get_running_loop()
        self.answers: dict[int, asyncio.Future[Any]] = {}
        self.peers, self.listen = peers, listen
        clock = self.clock = Clock()
        self.thread = NodeThread(
            lambda: make_node(self.state, [App.of(note)], Policy.default(), clock, folder.name), clock, self.loop,
            self._perform, lambda reason: None,
        )  # fmt: skip
        self.links: Links | None = None

    async def start(self, is_dialling: bool = True) -> Device:
        """Start, listen and dial."""
        await self.thread.start()
        assert self.thread.membership is not None
        self.links = Links(
            self.thread, self.state, self.clock, self.thread.membership, self.listen, self.peers, ("lo",),
            lambda work: self.group.create_task(work),
        )  # fmt: skip
        await self.links.start()
        self.thread.post(Restored())
        if is_dialling:
            self.links.look_for_peers()
        return self

    @property
    def address(self) -> str:
        """Where it can be dialled."""
        assert self.links is not None
        return f"127.0.0.1:{self.links.port}"

    def _perform(self, turn: Turn) -> None:
        links = self.links
        for effect in turn.effects:
            match effect:
                case Answer(ticket, value) if ticket in self.answers:
                    self.answers[ticket].set_result(value)
                case Send(contact, messages) if links is not None:
                    links.send(contact, messages)
                case Close(contact, reason) if links is not None:
                    links.close(contact, reason)
                case MembershipChanged() if links is not None:
                    assert self.thread.membership is not None
                    links.change_membership(self.thread.membership)

    async def ask(self, command: c.Command) -> Any:
        """Ask the node."""
        ticket = len(self.answers) + 1
        self.answers[ticket] = self.loop.create_future()
        self.thread.post(Asked(ticket, command))
        async with asyncio.timeout(10):
            return await self.answers[ticket]

    async def connected(self) -> list[str]:
        """Return the names of the peers in contact."""
        return [row["name"] for row in await self.ask(c.Peers()) if row["connected"]]

    async def until_connected(self, *names: str) -> None:
        """Wait until exactly these peers are in contact."""
        async with asyncio.timeout(10):
            while sorted(await self.connected()) != sorted(names):
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Say goodbye and stop."""
        if self.links is not None:
            await self.links.stop()
        await self.thread.stop()
        self.state.close()


Make = Callable[..., "Device"]


@pytest.fixture
async def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """A maker of devices that are stopped in the end. Discovery and link events have tests of their own."""

    async def no_links(self: Links) -> None:
        pass

    monkeypatch.setattr(Links, "_watch_links", no_links)
    async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:

        def build(name: str, *peers: str, **options: Any) -> Device:
            found = Device(tmp_path / name, group, *peers, **options)
            stack.push_async_callback(found.stop)
            return found

        yield build


def found_fleet(folder: Path, *names: str) -> None:
    """Put devices of these names into one fleet, as a person would."""
    ids = {name: answer_locally(folder / name, c.Initialise(name))["device"] for name in names}
    answer_locally(folder / names[0], c.FleetCreate("field"))
    for name in names[1:]:
        file = answer_locally(folder / names[0], c.Grant(ids[name], ["executor"]))["file"]
        answer_locally(folder / name, c.Join(file))


async def test_two_devices_meet_and_an_object_is_on_both_sides(make: Make, tmp_path: Path) -> None:
    found_fleet(tmp_path, "one", "two")
    one = await make("one").start()
    two = await make("two", one.address).start()
    await one.until_connected("two")
    await two.until_connected("one")
    made = await one.ask(c.Submit("note", {"text": "x"}))
    async with asyncio.timeout(10):
        while made["object"] not in [row["object"] for row in await two.ask(c.List())]:
            await asyncio.sleep(0.005)


async def test_both_dial_at_once_and_one_contact_stands_on_both_sides(make: Make, tmp_path: Path) -> None:
    """Of two sessions begun within 2 s the one dialled by the lower device id wins."""
    found_fleet(tmp_path, "one", "two")
    ports = {name: await free_port(tmp_path / name) for name in ("one", "two")}
    one = await make("one", f"127.0.0.1:{ports['two']}").start(is_dialling=False)
    two = await make("two", f"127.0.0.1:{ports['one']}").start(is_dialling=False)
    assert one.links is not None and two.links is not None
    one.links.look_for_peers()
    two.links.look_for_peers()
    await one.until_connected("two")
    await two.until_connected("one")
    async with asyncio.timeout(10):
        while not (settled := one.links._dialler._dials == two.links._dialler._dials == {}):
            await asyncio.sleep(0.005)
    assert settled
    lower, higher = sorted((one, two), key=lambda device: device.state.device_key().public)
    assert lower.links is not None and higher.links is not None
    assert [session.initiated for session in lower.links._sessions.values()] == [True]
    assert [session.initiated for session in higher.links._sessions.values()] == [False]


async def free_port(folder: Path) -> int:
    """Let a device keep a port that is free now."""
    probe = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = int(probe.sockets[0].getsockname()[1])
    probe.close()
    (folder / "port").write_text(str(port))
    return port


async def test_a_stranger_is_refused_and_counted_and_nothing_else_happens(make: Make, tmp_path: Path) -> None:
    """Behaviour: 14.11."""
    found_fleet(tmp_path, "one")
    found_fleet(tmp_path, "other")
    one = await make("one").start()
    other = await make("other", one.address).start()
    assert one.links is not None and other.links is not None
    async with asyncio.timeout(10):
        while not one.links.refused or not other.links.refused:
            await asyncio.sleep(0.005)
    assert one.links.refused == {"grant": 1}
    assert await one.connected() == await other.connected() == []
    assert await one.ask(c.Contacts()) == []


async def test_a_lost_contact_is_dialled_anew(make: Make, tmp_path: Path) -> None:
    found_fleet(tmp_path, "one", "two")
    one = await make("one").start()
    two = await make("two", one.address).start()
    assert one.links is not None
    await two.until_connected("one")
    next(iter(one.links._sessions.values())).channel.abort()
    async with asyncio.timeout(10):
        while len(await two.ask(c.Contacts())) < 2:
            await asyncio.sleep(0.005)
    await two.until_connected("one")
    assert "lost" in (await two.ask(c.Contacts()))[1]["reason"]


async def test_radio_off_says_goodbye_closes_every_socket_and_on_is_as_before(make: Make, tmp_path: Path) -> None:
    found_fleet(tmp_path, "one", "two")
    one = await make("one").start()
    two = await make("two", one.address).start()
    await one.until_connected("two")
    address = one.address
    await one.ask(c.Radio(on=False))
    await two.until_connected()
    assert (await two.ask(c.Contacts()))[0]["reason"] == "radio off"
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address.split(":"))
    await one.ask(c.Radio(on=True))
    assert two.links is not None
    two.links._dialler.look_again()
    await two.until_connected("one")
    assert one.address == address


async def test_a_radio_that_is_off_stays_off_at_the_next_start(make: Make, tmp_path: Path) -> None:
    found_fleet(tmp_path, "one", "two")
    answer_locally(tmp_path / "two", c.Radio(on=False))
    one = await make("one").start()
    two = await make("two", one.address).start()
    assert two.links is not None and two.links.port == 0 and two.links._servers == []
    await asyncio.sleep(0.02)
    assert await one.ask(c.Contacts()) == []


async def test_a_peer_that_sends_nonsense_is_dropped_and_the_daemon_lives(make: Make, tmp_path: Path) -> None:
    found_fleet(tmp_path, "one", "two")
    one = await make("one").start()
    two = await make("two", one.address).start()
    assert one.links is not None and two.links is not None
    await one.until_connected("two")
    number = next(iter(two.links._sessions))
    two.links.send(number, (b"\xff nonsense",))
    async with asyncio.timeout(10):
        # The refusal is counted first; the contact's row says so when the node has heard of its end.
        while not one.links.refused or "refused" not in str((await one.ask(c.Contacts()))[-1]["reason"]):
            await asyncio.sleep(0.005)


async def test_bytes_of_strangers_before_a_handshake_are_bounded(make: Make, tmp_path: Path) -> None:
    found_fleet(tmp_path, "one")
    one = await make("one").start()
    assert one.links is not None
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff" + b"x" * 70_000, b"", b"\x00\x00"):
        reader, writer = await asyncio.open_connection(*one.address.split(":"))
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(5):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await reader.readexactly(1_000_000)
        writer.close()
    assert sum(one.links.refused.values()) == 4
    assert one.links.count == 0


async def test_a_configured_address_that_is_none_ends_the_start(make: Make, tmp_path: Path) -> None:
    found_fleet(tmp_path, "one")
    with pytest.raises(UsageError, match="'base' is no address"):
        await make("one", "base").start()


async def test_who_would_be_the_same_device_is_refused(make: Make, tmp_path: Path) -> None:
    found_fleet(tmp_path, "one")
    one = await make("one").start()
    assert one.links is not None
    with pytest.raises(PeerError, match="this device"):
        one.links._authorise(one.state.device_key().public, ())

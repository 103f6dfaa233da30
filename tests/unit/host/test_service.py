"""What systemd is told of a running node, on a real datagram socket, over a real node thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge_runtime.base.limits import STATUS_LINE_CHARS_MAX
from edge_runtime.host import service as module
from edge_runtime.host.clock import Clock
from edge_runtime.host.config import Config
from edge_runtime.host.device import follow_config, make_node
from edge_runtime.host.notify import Notifier
from edge_runtime.host.service import Service, free_bytes, status_line
from edge_runtime.host.statedir import StateDir
from edge_runtime.host.thread import NodeThread
from edge_runtime.judge.policy import Policy
from edge_runtime.node.events import Called

WAIT_S = 10.0


class Told:
    """The end that systemd reads."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener

    def all(self) -> list[str]:
        """Return what came since the last call."""
        found = []
        while True:
            try:
                found.append(self.listener.recv(4096).decode())
            except BlockingIOError:
                return found

    async def wait_for(self, word: str, seconds: float = WAIT_S) -> str:
        """Return the next message with this word; those before it are dropped."""
        async with asyncio.timeout(seconds):
            while True:
                message = (await asyncio.get_running_loop().sock_recv(self.listener, 4096)).decode()
                if word in message:
                    return message


class Running:
    """A node thread and what tells systemd of it."""

    def __init__(self, state: StateDir, told: Told) -> None:
        self.told = told
        self.trouble = ""
        clock = Clock()

        def make() -> object:
            node = make_node(state, (), Policy.default(), clock, "here", (), (), ())
            follow_config(node, Config())
            return node

        self.thread = NodeThread(
            make, clock, asyncio.get_running_loop(), lambda turn: None, lambda reason: None  # type: ignore[arg-type]
        )
        self.service = Service(Notifier(), self.thread, state.path, lambda: 2, lambda: 0, lambda: self.trouble)


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(module, "STATUS_EVERY_S", 0.2)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        state = StateDir.open(tmp_path / "state")
        running = Running(state, Told(listener))
        await running.thread.start()
        try:
            yield running
        finally:
            await running.thread.stop()
            state.close()


def test_the_line_says_objects_peers_disk_and_what_is_wrong_on_one_line() -> None:
    counts = {"awake": 1, "dormant": 3, "attempting": 0, "ended": 12}
    assert status_line(counts, 1, 3_100_000_000, "", "a\nREADY=1") == (
        "1 awake, 0 attempting, 3 dormant, 12 ended; 1 peer in contact; 3.1 GB free; a READY=1"
    )
    assert "disk does not answer" in status_line({}, 0, None)
    assert len(status_line({}, 0, 0, "x" * 1_000)) == STATUS_LINE_CHARS_MAX


def test_a_file_system_that_does_not_answer_has_no_number(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "nowhere") is None
    assert (free_bytes(tmp_path) or 0) > 0


async def test_the_line_follows_a_turn_and_an_idle_node_is_not_looked_at(running: Running) -> None:
    running.service.ready()
    assert await running.told.wait_for("READY=1") == "READY=1\nSTATUS=running"
    assert "0 dormant" in await running.told.wait_for("STATUS=")
    turns = running.thread.turns
    await asyncio.sleep(0.6)  # three times the least distance between two lines, of nothing
    assert running.told.all() == [] and running.thread.turns == turns


async def test_many_turns_make_few_lines(running: Running) -> None:
    running.service.ready()
    await running.told.wait_for("GB free")
    counted = []
    count = running.service._say
    running.service._say = lambda counts: (counted.append(1), count(counts))[1]  # type: ignore[method-assign]
    loop = asyncio.get_running_loop()
    until_s = loop.time() + 1.0
    while loop.time() < until_s:
        done = asyncio.Event()
        running.thread.post(Called(lambda done=done: loop.call_soon_threadsafe(done.set)))  # type: ignore[misc]
        await asyncio.wait_for(done.wait(), WAIT_S)
    assert 1 <= len(counted) <= 6, "one in 0.2 s"


async def test_a_store_that_fails_is_said_without_a_turn(running: Running) -> None:
    running.service.ready()
    await running.told.wait_for("GB free")
    running.trouble = "the spool cannot be written: disk full"
    running.service.changed()
    assert "disk full" in await running.told.wait_for("STATUS=")
    running.trouble = ""
    running.service.changed()
    assert "disk full" not in await running.told.wait_for("STATUS=")


async def test_a_refused_reload_is_said_until_one_is_taken(running: Running) -> None:
    running.service.ready()
    await running.told.wait_for("GB free")
    running.service.reloading()
    running.service.reloaded("reload refused: policy.toml")
    assert await running.told.wait_for("RELOADING=1")
    assert await running.told.wait_for("READY=1")
    assert "reload refused" in await running.told.wait_for("STATUS=")
    running.service.reloading()
    running.service.reloaded()
    assert "refused" not in await running.told.wait_for("STATUS=")


async def hold_node(running: Running, release: Callable[[], None]) -> asyncio.Event:
    """Let the node thread stand still inside a turn until it is released."""
    loop, held = asyncio.get_running_loop(), asyncio.Event()
    running.thread.post(Called(lambda: (loop.call_soon_threadsafe(held.set), release())[1]))
    return held


async def test_the_watchdog_is_fed_while_the_node_is_idle_and_not_while_it_stands_still(running: Running) -> None:
    let_go = threading.Event()
    feeding = asyncio.create_task(running.service.feed_watchdog())
    try:
        for _ in range(3):
            await running.told.wait_for("WATCHDOG=1")
        held = await hold_node(running, lambda: let_go.wait(WAIT_S) and None)
        await asyncio.wait_for(held.wait(), WAIT_S)
        await asyncio.sleep(0.25)  # the look at which it had just made progress
        running.told.all()
        await asyncio.sleep(0.5)  # five looks
        assert running.told.all() == []
        let_go.set()
        await running.told.wait_for("WATCHDOG=1")
    finally:
        let_go.set()
        feeding.cancel()

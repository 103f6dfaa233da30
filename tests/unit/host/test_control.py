"""The control socket: real connections, with a device behind it that only writes down what it is asked."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import CONTROL_CLIENTS_MAX, CONTROL_LINE_BYTES_MAX
from edge_runtime.host import control
from edge_runtime.host.control import ControlServer
from edge_runtime.node import commands as c
from edge_runtime.node.effects import Answer

SOON_S = 5


class Asker:
    """A device's side of the socket: what came, in order; a test answers by hand."""

    def __init__(self, path: Path) -> None:
        self.asked: asyncio.Queue[tuple[int, c.Command]] = asyncio.Queue()
        self.gone: asyncio.Queue[int] = asyncio.Queue()
        self.hung_up: asyncio.Queue[int] = asyncio.Queue()
        self.server = ControlServer(
            path, lambda ticket, command: self.asked.put_nowait((ticket, command)), self.gone.put_nowait,
            self.hung_up.put_nowait,
        )  # fmt: skip

    async def next(self) -> tuple[int, c.Command]:
        """Return the next request."""
        return await asyncio.wait_for(self.asked.get(), SOON_S)


class Caller:
    """A client at the level of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *requests: dict[str, Any] | bytes) -> None:
        """Write requests, a line each; bytes as they are."""
        for request in requests:
            self.writer.write(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")

    async def read(self) -> dict[str, Any] | None:
        """Return the next answer, None at the end."""
        line = await asyncio.wait_for(self.reader.readline(), SOON_S)
        return json.loads(line) if line else None

    async def refusal(self) -> dict[str, Any]:
        """Return the next answer, which must be a refusal."""
        answer = await self.read()
        assert answer is not None and answer["ok"] is False and answer["last"] is True
        return answer


@pytest.fixture
async def asker(tmp_path: Path) -> AsyncIterator[Asker]:
    """A listening socket."""
    found = Asker(tmp_path / "control.sock")
    await found.server.start()
    yield found
    await found.server.stop()


async def connect(asker: Asker) -> Caller:
    """Connect a client."""
    return Caller(*await asyncio.open_unix_connection(str(asker.server.path), limit=1 << 20))


async def test_a_request_gets_its_answer(asker: Asker) -> None:
    caller = await connect(asker)
    caller.send({"command": "show", "object": "first"})
    ticket, command = await asker.next()
    assert command == c.Show("first")
    asker.server.answer(Answer(ticket, {"object": "ab"}))
    assert await caller.read() == {"id": None, "ok": True, "value": {"object": "ab"}, "last": True}


async def test_requests_overlap_and_answers_carry_the_id_that_came(asker: Asker) -> None:
    caller = await connect(asker)
    caller.send({"id": "a", "command": "status"}, {"command": "facts", "id": 7}, {"command": "peers"})
    tickets = [(await asker.next())[0] for _ in range(3)]
    for ticket in reversed(tickets):
        asker.server.answer(Answer(ticket, ticket))
    assert [(await caller.read() or {})["id"] for _ in range(3)] == [None, 7, "a"]


async def test_a_request_may_come_in_pieces_and_several_in_one_piece(asker: Asker) -> None:
    caller = await connect(asker)
    line = json.dumps({"command": "signal", "object": "x", "name": "n", "value": "é\u2028"}, ensure_ascii=False)
    data = line.encode() + b"\r\n" + b'{"command": "status"}\n{"command": "fac'
    for at in range(0, len(data), 7):
        caller.send(data[at : at + 7])
        await caller.writer.drain()
        await asyncio.sleep(0)
    assert [(await asker.next())[1] for _ in range(2)] == [c.Signal("x", "n", "é\u2028"), c.Status()]
    caller.send(b'ts"}\n')
    assert (await asker.next())[1] == c.Facts()


async def test_rows_of_a_stream_come_before_the_last_one(asker: Asker) -> None:
    caller = await connect(asker)
    caller.send({"id": 1, "command": "trace", "object": "x", "follow": True})
    ticket, _ = await asker.next()
    for number in range(3):
        asker.server.answer(Answer(ticket, number, is_last=False))
    asker.server.answer(Answer(ticket, "end"))
    asker.server.answer(Answer(ticket, "after the end"))
    answers = [await caller.read() or {} for _ in range(4)]
    assert [(answer["value"], answer["last"]) for answer in answers] == [
        (0, False), (1, False), (2, False), ("end", True),
    ]  # fmt: skip
    caller.send({"command": "status"})
    asker.server.answer(Answer((await asker.next())[0], "next"))
    assert (await caller.read() or {})["value"] == "next", "nothing came after the last row"


async def test_what_the_device_refuses_is_said_with_exit_code_and_details(asker: Asker) -> None:
    caller = await connect(asker)
    caller.send({"id": 3, "command": "show", "object": "ab"})
    ticket, _ = await asker.next()
    asker.server.answer(Answer(ticket, error=UsageError("Two of them.", Exit.NOT_FOUND, candidates=["ab1", "ab2"])))
    assert await caller.read() == {
        "id": 3, "ok": False, "error": "Two of them.", "exit": 4, "details": {"candidates": ["ab1", "ab2"]},
        "last": True,
    }  # fmt: skip


GARBAGE = [
    b"",
    b"hello",
    b"[]",
    b"null",
    b"{}",
    b'{"command": 1}',
    b'{"command": "fly"}',
    b'{"command": "show"}',
    b'{"command": "show", "object": "x", "colour": 1}',
    b'{"command": "show", "object": ""}',
    b'{"command": "submit", "intent": "x", "priority": 99}',
    b'{"command": "submit", "intent": "x", "arguments": ' + b"[" * 100_000,
    b'{"command": "submit", "intent": "x", "arguments": 1e999}',
    b'{"command": "submit", "intent": "\\ud800"}',
    b'{"command": "submit", "intent": "\xff"}',
    b'{"id": {}, "command": "status"}',
    b'{"id": "' + b"i" * 200 + b'", "command": "status"}',
    b'{"command": "status"} {"command": "status"}',
    bytes(range(11, 256)),
]


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: repr(line[:24]))
async def test_garbage_is_refused_with_a_hint_and_the_connection_goes_on(asker: Asker, line: bytes) -> None:
    caller = await connect(asker)
    caller.send(line + b"\n", {"id": 1, "command": "status"})
    refusal = await caller.refusal()
    assert refusal["exit"] == Exit.USAGE and "docs/control.md" in refusal["error"]
    assert len(refusal["error"]) < 500
    ticket, command = await asker.next()
    assert command == c.Status(), "nothing of the garbage reached the device"
    asker.server.answer(Answer(ticket, "fine"))
    assert (await caller.read() or {})["value"] == "fine"


async def test_the_id_of_a_request_that_is_not_right_comes_back_where_it_can_be_read(asker: Asker) -> None:
    caller = await connect(asker)
    caller.send({"id": 9, "command": "fly"})
    assert (await caller.refusal())["id"] == 9


async def test_a_line_up_to_the_bound_is_taken_and_one_more_byte_ends_the_connection(asker: Asker) -> None:
    def line(size: int) -> bytes:
        start = b'{"command": "import", "is_last": true, "chunk": ""'
        return start + b" " * (size - len(start) - 1) + b"}\n"

    caller = await connect(asker)
    caller.send(line(CONTROL_LINE_BYTES_MAX))
    assert (await asker.next())[1] == c.Import("")
    caller.send(line(CONTROL_LINE_BYTES_MAX + 1), {"command": "status"})
    refusal = await caller.refusal()
    assert str(CONTROL_LINE_BYTES_MAX) in refusal["error"] and refusal["exit"] == Exit.USAGE
    assert await caller.read() is None and asker.asked.empty()


async def test_a_line_without_an_end_is_cut_off(asker: Asker) -> None:
    caller = await connect(asker)
    caller.send(b"x" * (CONTROL_LINE_BYTES_MAX + 1))
    assert str(CONTROL_LINE_BYTES_MAX) in (await caller.refusal())["error"]
    assert await caller.read() is None


async def test_one_client_more_than_there_may_be_is_told_so_and_gets_in_when_another_left(asker: Asker) -> None:
    callers = [await connect(asker) for _ in range(CONTROL_CLIENTS_MAX)]
    for caller in callers:  # each one is in before the next comes
        caller.send({"command": "status"})
        await asker.next()
    late = await connect(asker)
    late.send({"command": "status"})
    refusal = await late.refusal()
    assert refusal["exit"] == Exit.REFUSED and str(CONTROL_CLIENTS_MAX) in refusal["error"]
    callers[0].writer.close()
    await asyncio.wait_for(asker.gone.get(), SOON_S)
    later = await connect(asker)
    later.send({"command": "facts"})
    assert (await asker.next())[1] == c.Facts()
    assert asker.gone.empty(), "who was not let in had no ticket"


async def test_a_hang_up_ends_what_waits_and_an_answer_that_comes_late_goes_nowhere(asker: Asker) -> None:
    caller, other = await connect(asker), await connect(asker)
    caller.send({"command": "wait", "object": "x"}, {"command": "wait", "object": "y"})
    other.send({"command": "wait", "object": "x"})
    tickets = [(await asker.next())[0] for _ in range(3)]
    connection = asker.server.connection_of(tickets[0])
    assert connection == asker.server.connection_of(tickets[1]) != asker.server.connection_of(tickets[2])
    caller.writer.close()
    assert [await asyncio.wait_for(asker.gone.get(), SOON_S) for _ in range(2)] == tickets[:2]
    assert await asyncio.wait_for(asker.hung_up.get(), SOON_S) == connection
    for ticket in tickets:
        asker.server.answer(Answer(ticket, ticket))
    assert (await other.read() or {})["value"] == tickets[2]


async def test_more_requests_than_may_wait_are_refused_until_one_is_answered(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "CONTROL_REQUESTS_MAX", 3)
    caller = await connect(asker)
    caller.send(*({"id": number, "command": "wait", "object": "x"} for number in range(4)))
    refusal = await caller.refusal()
    assert (refusal["id"], refusal["exit"]) == (3, Exit.REFUSED) and "3 requests" in refusal["error"]
    ticket, _ = await asker.next()
    asker.server.answer(Answer(ticket, "done"))
    assert (await caller.read() or {})["id"] == 0
    caller.send({"id": 5, "command": "status"})
    assert [(await asker.next())[1] for _ in range(3)][-1] == c.Status()


async def test_a_client_that_reads_no_answers_is_heard_no_more_and_at_the_bound_hung_up_on(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "CONTROL_UNREAD_BYTES_MAX", 1 << 20)
    stuck = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stuck.connect(str(asker.server.path))
    stuck.sendall(b'{"command": "trace", "object": "x", "follow": true}\n')
    ticket, _ = await asker.next()
    row = "r" * 100_000
    for _ in range(5):
        asker.server.answer(Answer(ticket, row, is_last=False))
    stuck.sendall(b'{"command": "status"}\n')
    for _ in range(20):
        await asyncio.sleep(0)
    assert asker.asked.empty(), "its next request waits until it reads"
    for _ in range(12):
        asker.server.answer(Answer(ticket, row, is_last=False))
    assert await asyncio.wait_for(asker.gone.get(), SOON_S) == ticket
    stuck.close()


async def test_a_slow_reader_gets_everything_and_is_heard_again(asker: Asker) -> None:
    caller = await connect(asker)
    caller.send({"command": "trace", "object": "x", "follow": True})
    ticket, _ = await asker.next()
    for number in range(20):
        asker.server.answer(Answer(ticket, f"{number}" * 50_000, is_last=number == 19))
    caller.send({"command": "status"})
    for _ in range(20):
        await caller.read()
    assert (await asker.next())[1] == c.Status()


async def test_the_socket_is_the_groups_too_and_what_a_dead_daemon_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"
    path.parent.mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    mask = os.umask(0)
    try:
        asker = Asker(path)
        await asker.server.start()
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    caller = await connect(asker)
    caller.send({"command": "status"})
    await asker.next()
    await asker.server.stop()
    assert not path.exists() and await caller.read() is None


async def test_a_place_where_no_socket_can_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "control.sock", tmp_path / ("d" * 120) / "control.sock", tmp_path):
        with pytest.raises(UsageError, match="cannot be made") as caught:
            await Asker(path).server.start()
        assert caught.value.exit is Exit.FAILED and str(path) in caught.value.message


AS_ANOTHER = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(54321)
with socket.socket(socket.AF_UNIX) as caller:
    caller.connect(sys.argv[1])
    try:
        caller.sendall(b'{"command": "status"}\\n')
    except BrokenPipeError:
        pass  # turned away already; what was said first can be read
    sys.stdout.buffer.write(caller.makefile("rb").readline())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("gid", "groups", "is_allowed"), [(54_321, [], False), (54_321, [0], True), (0, [], True)],
    ids=["a stranger", "who belongs to the group beside its own", "who has the socket's group as its own"],
)
async def test_only_the_owner_root_and_the_sockets_group_are_heard(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, gid: int, groups: list[int], is_allowed: bool
) -> None:
    """The folder is opened to all on purpose: the check at the door must hold by itself."""
    monkeypatch.setattr(control, "_groups_of", lambda uid: groups if uid == 54_321 else [])
    os.chmod(asker.server.path, 0o666)
    for folder in asker.server.path.parents:
        if folder == Path(tempfile.gettempdir()):
            break
        os.chmod(folder, 0o755)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AS_ANOTHER, str(asker.server.path), str(gid), stdout=asyncio.subprocess.PIPE
    )
    if is_allowed:
        ticket, _ = await asker.next()
        asker.server.answer(Answer(ticket, "welcome"))
    out, _ = await asyncio.wait_for(child.communicate(), SOON_S)
    answer = json.loads(out)
    assert answer["ok"] is is_allowed
    assert is_allowed or (answer["exit"] == Exit.REFUSED and "group" in answer["error"])
    assert asker.asked.empty()

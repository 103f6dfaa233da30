"""Both clients against a socket that answers as it is told to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import CONTROL_LINE_BYTES_MAX
from edge_runtime.client import BlockingClient, Client, find_socket, socket_path
from edge_runtime.objects.codec import decode_value
from tests.support.answering import END, Answering, line, refusal

WAIT_S = 10


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Answering]:
    """Something that answers on the socket of `tmp_path`."""
    found = Answering(tmp_path)
    yield found
    found.close()


# --- Where the socket is ------------------------------------------------------------------------------------------


def test_the_socket_is_the_named_states_then_the_environments_then_ones_own_then_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGE_RUNTIME_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert find_socket() == Path("/run/edge-runtime/control.sock")
    (tmp_path / "xdg" / "edge-runtime").mkdir(parents=True)
    assert find_socket() == tmp_path / "xdg" / "edge-runtime" / "control.sock"
    monkeypatch.setenv("EDGE_RUNTIME_STATE", str(tmp_path / "env"))
    assert find_socket() == tmp_path / "env" / "control.sock"
    assert find_socket(tmp_path / "named") == tmp_path / "named" / "control.sock"


def test_a_record_of_another_place_is_followed_and_an_empty_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "control.path").write_text("/run/elsewhere.sock\n")
    assert socket_path(tmp_path) == Path("/run/elsewhere.sock")
    (tmp_path / "control.path").write_text("")
    assert socket_path(tmp_path) == tmp_path / "control.sock"
    (tmp_path / "control.path").write_bytes(b"\xff\xfe")
    assert socket_path(tmp_path) == tmp_path / "control.sock"


@pytest.mark.parametrize("name", ["nothing", "file/below", "d" * 150])
def test_no_daemon_is_said_with_the_socket_that_was_tried_and_how_to_start(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as caught:
        BlockingClient(tmp_path / name)
    assert caught.value.exit is Exit.NO_DAEMON
    assert str(tmp_path / name) in caught.value.message and "edge-runtime run" in caught.value.message


async def test_the_asyncio_client_says_the_same(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="edge-runtime run") as caught:
        async with Client(tmp_path):
            pass
    assert caught.value.exit is Exit.NO_DAEMON


def test_a_dead_daemons_socket_is_no_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control.sock"))
    with pytest.raises(UsageError, match="No daemon answers"):
        BlockingClient(tmp_path)


# --- The blocking client --------------------------------------------------------------------------------------------


def test_each_method_sends_its_command(daemon: Answering) -> None:
    with BlockingClient(daemon.state) as client:
        client.show("x")
        client.signal("x", "go", [1])
        client.cancel("x", "enough")
        client.query("SELECT 1")
        client.facts()
        client.ask("hand", object="x", to="base")
    assert daemon.requests == [
        {"command": "show", "object": "x"},
        {"command": "signal", "object": "x", "name": "go", "value": [1]},
        {"command": "cancel", "object": "x", "reason": "enough"},
        {"command": "query", "sql": "SELECT 1"},
        {"command": "facts"},
        {"command": "hand", "object": "x", "to": "base"},
    ]
    assert daemon.connections == 1


def test_arguments_of_python_travel_as_recorded_values(daemon: Answering) -> None:
    with BlockingClient(daemon.state) as client:
        client.submit("greet", {"photo": b"\x00\xff", "at": (1, 2)}, name="n1", wait=True)
    (request,) = daemon.requests
    assert decode_value(bytes.fromhex(request["arguments_cbor"])) == {"photo": b"\x00\xff", "at": [1, 2]}
    assert (request["intent"], request["name"], request["wait"]) == ("greet", "n1", True)


def test_a_result_is_the_value_or_says_how_the_object_ended(daemon: Answering) -> None:
    with BlockingClient(daemon.state) as client:
        daemon.script = lambda _, request: [line(request, {"end": "completed", "result": 7, "error": None})]
        assert client.result("x") == 7
        daemon.script = lambda _, request: [line(request, {"end": "failed", "result": None, "error": "no film"})]
        with pytest.raises(UsageError, match="ended failed: no film") as caught:
            client.result("x")
    assert caught.value.exit is Exit.FAILED and daemon.requests[0] == {"command": "wait", "object": "x"}


def test_a_refusal_is_raised_with_its_exit_code_and_details_and_the_connection_goes_on(daemon: Answering) -> None:
    daemon.script = lambda _, request: [refusal(request, "Two of them.", 2, candidates=["a", "b"])]
    with BlockingClient(daemon.state) as client:
        with pytest.raises(UsageError, match="Two of them") as caught:
            client.show("x")
        assert caught.value.exit is Exit.USAGE and caught.value.details == {"candidates": ["a", "b"]}
        daemon.script = lambda connection, request: [line(request, connection)]
        assert client.ask("status") == 1


def test_an_exit_code_that_only_a_newer_daemon_knows_is_a_failure(daemon: Answering) -> None:
    daemon.script = lambda _, request: [refusal(request, "Something new.", 77)]
    with BlockingClient(daemon.state) as client, pytest.raises(UsageError, match="Something new") as caught:
        client.show("x")
    assert caught.value.exit is Exit.FAILED


def test_rows_of_a_stream_come_one_by_one(daemon: Answering) -> None:
    daemon.script = lambda _, request: [line(request, n, is_last=n == 3) for n in range(4)]
    with BlockingClient(daemon.state) as client:
        assert list(client.stream("trace", object="x", follow=True)) == [0, 1, 2, 3]
        assert client.ask("trace", object="x", follow=True) == 3


def test_a_stream_left_early_hangs_up_so_that_its_rows_do_not_answer_the_next_request(daemon: Answering) -> None:
    daemon.script = lambda connection, request: [
        line(request, f"row {n} of {connection}", is_last=n == 3 and request["command"] == "status") for n in range(4)
    ]
    with BlockingClient(daemon.state) as client:
        for row in client.stream("trace", object="x", follow=True):
            assert row == "row 0 of 1"
            break
        assert daemon.ended.acquire(timeout=WAIT_S), "the daemon hears that nobody follows any more"
        assert client.ask("status") == "row 3 of 2"


@pytest.mark.parametrize("last_words", [b"", b'{"ok": true, "val'], ids=["before its answer", "within its answer"])
def test_a_daemon_that_ends_is_said_so_and_the_next_request_finds_its_successor(
    daemon: Answering, last_words: bytes
) -> None:
    daemon.script = lambda connection, request: [last_words, END] if connection == 1 else [line(request, "anew")]
    with BlockingClient(daemon.state) as client:
        with pytest.raises(UsageError, match="hung up") as caught:
            client.ask("status")
        assert caught.value.exit is Exit.NO_DAEMON and str(daemon.state) in caught.value.message
        assert client.ask("status") == "anew"


def test_a_daemon_that_ended_between_two_requests_is_said_so_too(daemon: Answering) -> None:
    daemon.script = lambda connection, request: [line(request, connection), END]
    with BlockingClient(daemon.state) as client:
        assert client.ask("status") == 1
        assert daemon.ended.acquire(timeout=WAIT_S)
        with pytest.raises(UsageError, match="hung up"):
            client.ask("status")
        assert client.ask("status") == 2


def test_a_refusal_of_the_whole_connection_is_read_even_if_the_request_could_not_be_sent(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        client = BlockingClient(tmp_path)
        connection, _ = listener.accept()
        connection.sendall(refusal({}, "64 clients are connected already.", 5))
        connection.close()
        with pytest.raises(UsageError, match="64 clients") as caught:
            client.ask("status")
        assert caught.value.exit is Exit.REFUSED
        client.close()


def test_what_is_no_json_or_too_long_is_refused_before_it_is_sent(daemon: Answering) -> None:
    circle: list[Any] = []
    circle.append(circle)
    with BlockingClient(daemon.state) as client:
        for value in (b"bytes", {1, 2}, float("nan"), circle, "x" * CONTROL_LINE_BYTES_MAX):
            with pytest.raises(UsageError, match="This signal") as caught:
                client.signal("x", "n", value)
            assert caught.value.exit is Exit.USAGE
        assert daemon.requests == []
        assert client.ask("status") == 1


# --- The asyncio client -------------------------------------------------------------------------------------------


async def test_requests_overlap_and_each_gets_its_own_answer(daemon: Answering) -> None:
    kept: list[dict[str, Any]] = []

    def script(_: int, request: dict[str, Any]) -> list[bytes]:
        kept.append(request)
        if len(kept) < 3:
            return []
        return [line(item, item["object"]) for item in reversed(kept)]

    daemon.script = script
    async with Client(daemon.state) as client:
        found = await asyncio.wait_for(asyncio.gather(*(client.show(name) for name in "abc")), WAIT_S)
    assert list(found) == ["a", "b", "c"] and len({item["id"] for item in kept}) == 3


async def test_the_asyncio_client_has_the_same_methods(daemon: Answering) -> None:
    async with Client(daemon.state) as client:
        await client.submit("greet", {"n": b"x"}, name="n1")
        await client.signal("x", "go")
        await client.cancel("x")
        await client.query("SELECT 1")
        await client.facts()
        daemon.script = lambda _, request: [line(request, {"end": "completed", "result": 7, "error": None})]
        assert await client.result("x") == 7
    assert [request["command"] for request in daemon.requests] == [
        "submit", "signal", "cancel", "query", "facts", "wait",
    ]  # fmt: skip


async def test_a_hang_up_ends_every_wait_and_later_requests_too(daemon: Answering) -> None:
    daemon.script = lambda _, request: [] if request["command"] == "wait" else [END]
    async with Client(daemon.state) as client:
        waits = [asyncio.ensure_future(client.result(name)) for name in "ab"]
        await asyncio.sleep(0)
        for future in (*waits, asyncio.ensure_future(client.facts())):
            with pytest.raises(UsageError, match="hung up") as caught:
                await asyncio.wait_for(future, WAIT_S)
            assert caught.value.exit is Exit.NO_DAEMON
        with pytest.raises(UsageError, match="hung up"):
            await asyncio.wait_for(client.facts(), WAIT_S)


async def test_a_refusal_and_a_stream_in_asyncio(daemon: Answering) -> None:
    daemon.script = lambda _, request: [line(request, n, is_last=n == 2) for n in range(3)]
    async with Client(daemon.state) as client:
        assert [row async for row in client.stream("trace", object="x", follow=True)] == [0, 1, 2]
        async for _ in client.stream("trace", object="x", follow=True):
            break  # what still comes for it goes nowhere
        daemon.script = lambda _, request: [refusal(request, "Not here.", 4)]
        with pytest.raises(UsageError, match="Not here") as caught:
            await asyncio.wait_for(client.show("x"), WAIT_S)
    assert caught.value.exit is Exit.NOT_FOUND


async def test_a_refusal_of_the_whole_connection_reaches_whoever_asks(tmp_path: Path) -> None:
    async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(refusal({}, "64 clients are connected already.", 5))
        writer.close()

    server = await asyncio.start_unix_server(turn_away, str(tmp_path / "control.sock"))
    async with server, Client(tmp_path) as client:
        for _ in range(2):
            with pytest.raises(UsageError, match="64 clients") as caught:
                await asyncio.wait_for(client.facts(), WAIT_S)
            assert caught.value.exit is Exit.REFUSED

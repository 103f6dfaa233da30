"""The command line in this process, against a scripted daemon: requests, output, errors, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from edge_runtime.base.errors import Exit
from edge_runtime.host.cli import main as cli
from edge_runtime.host.cli.parser import make_parser
from edge_runtime.node.commands import Command
from tests.support.answering import END, Answering, line, refusal

ROOT = Path(__file__).resolve().parents[4]
SHOWN = {
    "object": "ab" * 32, "name": None, "intent": "greet", "status": "ended", "end": "completed", "result": "hello",
    "error": None, "published": {}, "custodian": "cd" * 32, "custodian_name": "base", "epoch": 0, "reason": None,
    "waits": [], "expires_in_ms": None, "entries": 2,
}  # fmt: skip


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """A scripted daemon on the state that $EDGE_RUNTIME_STATE names."""
    found = Answering(tmp_path)
    monkeypatch.setenv("EDGE_RUNTIME_STATE", str(tmp_path))
    yield found
    found.close()


def answer(daemon: Answering, value: Any) -> None:
    """Let each request be answered so."""
    daemon.script = lambda _, request: [line(request, value)]


# --- What is asked --------------------------------------------------------------------------------------------------

SUBMIT = {
    "command": "submit", "intent": "greet", "arguments": None, "name": "", "needs": [], "priority": 8,
    "attempts_max": 0, "anyway": False, "wait": False,
}  # fmt: skip
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("submit greet", SUBMIT),
    ("submit greet --arg name=Ada --arg n=3 --arg on=true --arg t=a=b --arg e=", {
        **SUBMIT, "arguments": {"name": "Ada", "n": 3, "on": True, "t": "a=b", "e": ""},
    }),
    ("submit greet --name n1 --needs camera --needs gps --priority 0 --lifetime 1h30m --attempts 5 --anyway --wait", {
        **SUBMIT, "name": "n1", "needs": ["camera", "gps"], "priority": 0, "attempts_max": 5, "anyway": True,
        "wait": True, "lifetime_ms": 5_400_000,
    }),
    ("submit greet --label outbox --label b", {**SUBMIT, "labels": ["outbox", "b"]}),
    ("submit greet --bytes 1000 --energy-mj 20", {**SUBMIT, "bytes_max": 1_000, "energy_max_mj": 20}),
    ("show n1", {"command": "show", "object": "n1"}),
    ("wait n1", {"command": "wait", "object": "n1"}),
    ("ls", {"command": "ls", "status": "", "by": "", "most": 1000}),
    ("ls --status dormant --by reason --most 5", {"command": "ls", "status": "dormant", "by": "reason", "most": 5}),
    ("trace n1", {"command": "trace", "object": "n1"}),
    ("trace n1 --follow", {"command": "trace", "object": "n1", "follow": True}),
    ("explain n1", {"command": "explain", "object": "n1"}),
    ("signal n1 go", {"command": "signal", "object": "n1", "name": "go", "value": None}),
    ("signal n1 go [1,2]", {"command": "signal", "object": "n1", "name": "go", "value": [1, 2]}),
    ("cancel n1 --reason enough", {"command": "cancel", "object": "n1", "reason": "enough"}),
    ("hold", {"command": "hold", "object": ""}),
    ("hold n1", {"command": "hold", "object": "n1"}),
    ("release n1", {"command": "release", "object": "n1"}),
    ("resume n1", {"command": "resume", "object": "n1"}),
    ("claim n1", {"command": "claim", "object": "n1"}),
    ("hand n1 --to base", {"command": "hand", "object": "n1", "to": "base"}),
    ("hand --all --to base", {"command": "hand", "object": "", "to": "base"}),
    ("fact set door.open=true", {"command": "fact", "name": "door.open", "value": True}),
    ("fact set a=b --max-age 30s", {"command": "fact", "name": "a", "value": "b", "max_age_ms": 30_000}),
    ("event storm", {"command": "event", "name": "storm"}),
    ("facts", {"command": "facts"}),
    ("peers", {"command": "peers"}),
    ("contacts --most 3", {"command": "contacts", "most": 3}),
    ("status", {"command": "status"}),
    ("apps", {"command": "apps"}),
    ("query SELECT", {"command": "query", "sql": "SELECT"}),
    ("init --name base", {"command": "init", "name": "base"}),
    ("fleet create field", {"command": "fleet-create", "name": "field"}),
    ("fleet show", {"command": "fleet-show"}),
    ("enroll", {"command": "enroll", "uses": 1, "replaces": "", "roles": ["executor"]}),
    ("enroll --uses 5 --expires 2h --roles relay,operator --replaces old",
     {"command": "enroll", "uses": 5, "replaces": "old", "roles": ["relay", "operator"], "expires_ms": 7_200_000}),
    ("enroll --list", {"command": "invitations"}),
    ("enroll --withdraw 3", {"command": "uninvite", "number": 3}),
    ("revoke drone", {"command": "revoke", "device": "drone", "from_sequence": None, "operations": []}),
    ("revoke drone --from 7", {"command": "revoke", "device": "drone", "from_sequence": 7, "operations": []}),
    (
        "revoke drone --only fly --only film",
        {"command": "revoke", "device": "drone", "from_sequence": None, "operations": ["fly", "film"]},
    ),
    ("radio off", {"command": "radio", "on": False}),
    ("schedules", {"command": "schedules"}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "request_"), REQUESTS, ids=lambda item: item if isinstance(item, str) else "")
def test_a_command_asks_for_what_it_says(daemon: Answering, words: str, request_: dict[str, Any]) -> None:
    answer(daemon, {"followed": "x"})
    assert cli.main([*words.split(), "--json"]) == Exit.OK
    assert daemon.requests == [request_]
    assert msgspec.convert(request_, Command), "a daemon understands it"


def test_every_request_that_a_daemon_takes_can_be_asked_from_the_command_line() -> None:
    tags = {command.__struct_config__.tag for command in get_args(Command)}
    asked = {request["command"] for _, request in REQUESTS}
    assert tags - asked == {"grant", "join", "export", "import"}, "these have files, and tests of their own"


def test_grant_writes_the_file_and_join_sends_it(
    daemon: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "drone.grant"
    answer(daemon, {"grant": "ab", "roles": ["executor"], "fleet": "cd", "file": b"\x83grant".hex()})
    assert cli.main(["grant", "ef" * 32, "--roles", "executor, relay", "-o", str(file), "--json"]) == Exit.OK
    assert file.read_bytes() == b"\x83grant"
    assert json.loads(capsys.readouterr().out)["file"] == str(file)
    assert daemon.requests == [
        {"command": "grant", "device": "ef" * 32, "roles": ["executor", "relay"], "replaces": ""}
    ]
    assert cli.main(["join", str(file)]) == Exit.OK
    assert daemon.requests[-1] == {"command": "join", "file": b"\x83grant".hex()}


def test_the_input_file_and_single_arguments_make_one_map(daemon: Answering, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"name": "Ada", "n": 1}')
    answer(daemon, SHOWN)
    assert cli.main(["submit", "greet", "--input", str(file), "--arg", "n=2"]) == Exit.OK
    assert daemon.requests[0]["arguments"] == {"name": "Ada", "n": 2}
    file.write_text("[1, 2]")
    assert cli.main(["submit", "greet", "--input", str(file)]) == Exit.OK
    assert daemon.requests[1]["arguments"] == [1, 2]


# --- What is printed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--json", "ls"], ["ls", "--json"]])
def test_json_goes_before_or_after_the_command_and_lists_are_one_object_a_line(
    daemon: Answering, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    answer(daemon, [{"object": "é"}, {"object": "b"}])
    assert cli.main(words) == Exit.OK
    assert capsys.readouterr().out == '{"object": "é"}\n{"object": "b"}\n'
    answer(daemon, [])
    assert cli.main(words) == Exit.OK
    assert capsys.readouterr().out == ""


def test_state_goes_before_or_after_the_command_and_comes_before_the_environment(
    daemon: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(daemon, [])
    monkeypatch.setenv("EDGE_RUNTIME_STATE", str(daemon.state / "elsewhere"))
    for words in (["--state", str(daemon.state), "facts"], ["facts", "--state", str(daemon.state)]):
        assert cli.main(words) == Exit.OK
    assert cli.main(["facts"]) == Exit.NO_DAEMON


@pytest.mark.parametrize(
    ("end", "code"), [("completed", Exit.OK), ("failed", Exit.FAILED), ("cancelled", Exit.FAILED), (None, Exit.OK)]
)
@pytest.mark.parametrize("words", [["wait", "x"], ["submit", "greet", "--wait"]])
def test_waiting_ends_with_how_the_object_ended(
    daemon: Answering, end: str | None, code: Exit, words: list[str]
) -> None:
    answer(daemon, {**SHOWN, "end": end, "status": "ended" if end else "awake"})
    assert cli.main(words) == code
    assert cli.main(["show", "x"]) == Exit.OK, "looking at it is no failure"


def test_following_prints_each_row_and_ends_with_the_object(
    daemon: Answering, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"kind": "created"}, {"kind": "terminated"}]
    daemon.script = lambda _, request: [
        *(line(request, row, is_last=False) for row in rows), line(request, {"followed": "x"}),
    ]  # fmt: skip
    assert cli.main(["trace", "x", "--follow", "--json"]) == Exit.OK
    assert [json.loads(text) for text in capsys.readouterr().out.splitlines()] == rows


# --- What is wrong --------------------------------------------------------------------------------------------------


def test_a_refusal_is_one_message_on_stderr_with_candidates_and_its_exit_code(
    daemon: Answering, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.script = lambda _, request: [refusal(request, "'ab' could be 2 objects.", 2, candidates=["ab1", "ab2"])]
    assert cli.main(["show", "ab"]) == Exit.USAGE
    said = capsys.readouterr()
    assert said.out == "" and said.err == "edge-runtime: 'ab' could be 2 objects.\n  ab1\n  ab2\n"


def test_with_json_a_refusal_is_one_object_on_stdout(daemon: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.script = lambda _, request: [refusal(request, "Not here.", 4, nearest=["x"])]
    assert cli.main(["show", "ab", "--json"]) == Exit.NOT_FOUND
    said = capsys.readouterr()
    assert json.loads(said.out) == {"ok": False, "error": "Not here.", "exit": 4, "nearest": ["x"]}
    assert said.err == ""


def test_what_a_message_holds_does_not_steer_the_terminal(
    daemon: Answering, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.script = lambda _, request: [refusal(request, "Not here: \x1b[2Jx", 4, candidates=["\x07"])]
    cli.main(["show", "ab"])
    assert capsys.readouterr().err == "edge-runtime: Not here: \\x1b[2Jx\n  \\x07\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], ""),
        (["launch"], "launch"),
        (["show"], "object"),
        (["ls", "--colour"], "--colour"),
        (["ls", "--stat", "ended"], "--stat"),
        (["ls", "--status", "gone"], "dormant"),
        (["ls", "--most", "many"], "--most"),
        (["submit", "greet", "--priority", "16"], "--priority"),
        (["submit", "greet", "--arg", "name"], "NAME=VALUE"),
        (["submit", "greet", "--arg", "=Ada"], "NAME=VALUE"),
        (["submit", "greet", "--arg", "a=1", "--arg", "a=2"], "twice"),
        (["submit", "greet", "--input", "/nothing/here.json"], "/nothing/here.json"),
        (["submit", "greet", "--lifetime", "soon"], "24h"),
        (["submit", "greet", "--lifetime", "0s"], "24h"),
        (["fact", "set", "door"], "door.open=true"),
        (["fact", "unset", "door"], "set"),
        (["hand", "--to", "base"], "--all"),
        (["hand", "x", "--all", "--to", "base"], "--all"),
        (["hand", "x"], "--to"),
        (["fleet", "create"], "name"),
        (["fleet", "show", "field"], "no name"),
        (["radio", "quiet"], "off"),
        (["join", "/nothing/here"], "/nothing/here"),
        (["signal", "x", "n", '"' + "x" * 300_000 + '"'], "at most"),
    ],
)
def test_what_is_typed_wrong_is_said_before_anything_is_asked(
    daemon: Answering, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert cli.main(words) == Exit.USAGE
    said = capsys.readouterr()
    assert says in said.err and said.out == "" and daemon.requests == []
    if words:
        assert cli.main([*words, "--json"]) == Exit.USAGE
        told = json.loads(capsys.readouterr().out)
        assert told["ok"] is False and told["exit"] == Exit.USAGE and says in told["error"]


@pytest.mark.parametrize("content", ["{", "\xff\xfe", "[" * 100_000, ""])
def test_an_input_file_that_is_no_json_is_named(
    daemon: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    file = tmp_path / "input.json"
    file.write_bytes(content.encode("latin-1"))
    assert cli.main(["submit", "greet", "--input", str(file)]) == Exit.USAGE
    assert f"{file}" in capsys.readouterr().err and daemon.requests == []


def test_arguments_of_a_list_take_no_names(daemon: Answering, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text("[1]")
    assert cli.main(["submit", "greet", "--input", str(tmp_path / "input.json"), "--arg", "a=1"]) == Exit.USAGE


def test_no_daemon_is_exit_code_3_with_the_socket_that_was_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["ls", "--state", str(tmp_path)]) == Exit.NO_DAEMON
    said = capsys.readouterr().err
    assert f"{tmp_path / 'control.sock'}" in said and "edge-runtime run" in said


def test_a_daemon_that_dies_before_it_answered_is_exit_code_3(
    daemon: Answering, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.script = lambda _, request: [END]
    assert cli.main(["status"]) == Exit.NO_DAEMON
    assert "hung up" in capsys.readouterr().err


# --- As a process ---------------------------------------------------------------------------------------------------


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **options}
    return subprocess.run([sys.executable, "-m", "edge_runtime", *words], text=True, env=env, **options)


def test_ctrl_c_while_waiting_is_quiet_and_the_daemon_hears_that_nobody_waits(daemon: Answering) -> None:
    daemon.script = lambda _, request: []
    waiting = subprocess.Popen(
        [sys.executable, "-m", "edge_runtime", "wait", "x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # Behind `&` a shell has its children ignore it, these tests among them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert daemon.asked.acquire(timeout=30)
    waiting.send_signal(signal.SIGINT)
    assert waiting.communicate(timeout=30) == ("", "") and waiting.returncode == Exit.FAILED
    assert daemon.ended.acquire(timeout=30)


def test_a_reader_that_went_away_is_no_error(daemon: Answering) -> None:
    answer(daemon, [{"object": "x" * 1000}] * 1000)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("ls", "--json", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (Exit.OK, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_is_full_is_said(daemon: Answering) -> None:
    answer(daemon, [{"object": "x"}])
    with open("/dev/full", "w") as full:
        done = run("ls", "--json", stdout=full)
    assert done.returncode == Exit.FAILED and "Traceback" not in done.stderr


def test_a_terminal_that_cannot_show_a_letter_gets_an_escape(daemon: Answering) -> None:
    answer(daemon, [{"object": "Zoë", "name": "\u4f60"}])
    done = run("ls", "--json", env={"PYTHONIOENCODING": "latin-1"}, encoding="latin-1")
    assert done.returncode == Exit.OK and done.stdout == '{"object": "Zoë", "name": "\\u4f60"}\n'


def test_the_version_is_told_and_the_help_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == Exit.OK
    assert capsys.readouterr().out.startswith("edge-runtime ")
    for command in cli.PLACES:
        with pytest.raises(SystemExit) as caught:
            cli.main([command, "--help"])
        assert caught.value.code == 0
        said = capsys.readouterr().out
        assert f"edge-runtime {command}" in said and "--json" in said and "--state" in said
        assert len(said.split("\n\n")[1]) > 35, "it says what happens"


def test_every_command_has_its_place_and_nothing_else_has() -> None:
    parser = make_parser()
    (commands,) = [action for action in parser._actions if action.dest == "command"]
    assert sorted(commands.choices or ()) == sorted(cli.PLACES) == list(cli.PLACES)
    for place in sorted(set(cli.PLACES.values())):
        held = import_module(f"edge_runtime.host.cli.{place}").COMMANDS
        assert sorted(held) == sorted(name for name, where in cli.PLACES.items() if where == place)


HEAVY = ("zeroconf", "nacl", "cbor2", "msgspec", "asyncio", "sqlite3", "ssl", "logging")


@pytest.mark.parametrize("words", [["--version"], ["ls"], ["ls", "--json"], ["show", "x"], ["status"]])
def test_looking_at_things_loads_nothing_heavy(daemon: Answering, words: list[str]) -> None:
    """Start-up counts on a small board: tens of milliseconds here are half a second there."""
    if "ls" in words:
        answer(daemon, [])
    else:
        daemon.script = lambda _, request: [refusal(request, "Not here.", 4)]
    code = (
        "import sys; from edge_runtime.host.cli.main import main; main(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=env, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr

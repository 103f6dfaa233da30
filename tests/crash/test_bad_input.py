"""Bad input from people: one clear message that says what to do, the right exit code, nothing lost or changed."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit
from tests.support.daemons import Daemon

HELLO = "async def greet(name: str) -> str:\n    return f'hello {name}'\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "hello.py").write_text(HELLO)
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    return folder


@pytest.fixture(scope="module")
def daemon(place: Path) -> Iterator[Daemon]:
    with Daemon(place / "state", "--interface", "lo", "--app", "hello:greet", cwd=place) as running:
        yield running


def refused(daemon: Daemon, *words: str, exit: Exit, says: tuple[str, ...]) -> None:
    """Run a command as a person and as a program: both are told the same."""
    entries = daemon.ask("status")["objects"]
    done = daemon.run(*words, check=False)
    assert done.returncode == exit, done.stdout + done.stderr
    assert done.stdout == "" and len(done.stderr.strip().splitlines()) <= 3
    for part in says:
        assert part in done.stderr, done.stderr
    told = daemon.run(*words, "--json", check=False)
    answer = json.loads(told.stdout)
    assert told.returncode == exit and answer["ok"] is False and answer["exit"] == exit
    assert "Traceback" not in done.stderr + told.stderr
    assert daemon.ask("status")["objects"] == entries, "nothing was changed"


def test_an_unknown_intent_is_refused_with_the_nearest_names(daemon: Daemon) -> None:
    """Behaviour: 1.10."""
    refused(daemon, "submit", "greeet", exit=Exit.REFUSED, says=("greet", "--anyway"))


def test_an_intent_that_a_device_to_come_may_offer_is_accepted_and_says_what_it_waits_for(daemon: Daemon) -> None:
    """Behaviour: 1.10."""
    done = daemon.run("submit", "survey", "--needs", "camera", "--json")
    shown = json.loads(done.stdout)
    assert shown["status"] == "dormant" and "survey" in shown["reason"]
    daemon.run("cancel", shown["object"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--arg", "name"), ("NAME=VALUE",)),
        (("--arg", "nam=Ada"), ("nam",)),
        (("--arg", "name=3"), ("name",)),
        ((), ("name",)),
        (("--input", "/nowhere.json"), ("/nowhere.json",)),
        (("--lifetime", "soon", "--arg", "name=Ada"), ("24h",)),
        (("--priority", "99", "--arg", "name=Ada"), ("priority",)),
    ],
)
def test_malformed_arguments_are_refused_before_anything_is_made(
    daemon: Daemon, words: tuple[str, ...], says: tuple[str, ...]
) -> None:
    refused(daemon, "submit", "greet", *words, exit=Exit.USAGE, says=says)


def test_a_name_reused_with_other_arguments_is_refused_and_with_the_same_is_one_object(daemon: Daemon) -> None:
    """Behaviour: 1.11."""
    first = json.loads(daemon.run("submit", "greet", "--arg", "name=Ada", "--name", "n1", "--wait", "--json").stdout)
    again = json.loads(daemon.run("submit", "greet", "--arg", "name=Ada", "--name", "n1", "--json").stdout)
    assert first["object"] == again["object"] and again["result"] == "hello Ada"
    refused(daemon, "submit", "greet", "--arg", "name=Bob", "--name", "n1", exit=Exit.REFUSED, says=("n1", "name"))


def test_an_object_that_is_not_there_and_an_ambiguous_one(daemon: Daemon) -> None:
    refused(daemon, "show", "nothing-here", exit=Exit.NOT_FOUND, says=("edge-runtime ls",))
    refused(daemon, "show", "ab", exit=Exit.NOT_FOUND, says=("ab",))


def test_a_signal_to_an_ended_object_is_refused(daemon: Daemon) -> None:
    made = json.loads(daemon.run("submit", "greet", "--arg", "name=Eve", "--wait", "--json").stdout)
    refused(daemon, "signal", made["object"], "x", "1", exit=Exit.REFUSED, says=("ended",))


def test_an_unknown_command_or_option_names_the_help(daemon: Daemon) -> None:
    refused(daemon, "launch", exit=Exit.USAGE, says=("--help",))
    refused(daemon, "ls", "--colour", exit=Exit.USAGE, says=("--help",))


def test_a_bad_query_is_refused_and_cannot_write(daemon: Daemon) -> None:
    refused(daemon, "query", "DELETE FROM objects", exit=Exit.USAGE, says=("SELECT",))
    refused(daemon, "query", "SELECT nothing FROM objects", exit=Exit.USAGE, says=("nothing",))


def test_a_second_daemon_on_one_state_ends_and_the_first_notices_nothing(daemon: Daemon) -> None:
    """Behaviour: 18.7."""
    done = daemon.run("run", check=False)
    assert done.returncode == Exit.FAILED and "Another edge-runtime is running" in done.stderr
    assert daemon.ask("status")["name"]


def test_no_daemon_is_said_with_the_socket_and_how_to_start_one(place: Path) -> None:
    lonely = Daemon(place / "lonely", cwd=place)
    done = lonely.run("ls", check=False)
    assert done.returncode == Exit.NO_DAEMON and "edge-runtime run" in done.stderr and "lonely" in done.stderr


def test_a_bad_key_in_the_configuration_is_named(place: Path) -> None:
    file = place / "config.toml"
    file.write_text('[device]\nname = "x"\ncolour = "red"\n')
    lonely = Daemon(place / "lonely2", "--config", str(file), cwd=place)
    for words in (("run", "--config", str(file)), ("config", "check", str(file))):
        done = lonely.run(*words, check=False)
        assert done.returncode == Exit.USAGE and "colour" in done.stderr and str(file) in done.stderr
        assert "[device]" in done.stderr, "an example is shown"


def test_a_bad_policy_is_named(place: Path) -> None:
    file = place / "policy.toml"
    file.write_text('[[rule]]\nname = "night"\nwhen = "within(22, 6)"\neffect = "permit"\n')
    done = Daemon(place / "lonely3", cwd=place).run("policy", "check", str(file), check=False)
    assert done.returncode == Exit.USAGE and "night" in done.stderr
    file.unlink()


def test_wrong_permissions_of_the_keys_are_named_with_the_command_that_mends_them(place: Path) -> None:
    lonely = Daemon(place / "lonely4", cwd=place)
    lonely.run("init", "--name", "x")
    key = place / "lonely4" / "keys" / "device.key"
    os.chmod(key, 0o644)
    done = lonely.run("run", check=False)
    assert done.returncode == Exit.FAILED and f"chmod 600 {key}" in done.stderr


def test_a_port_in_use_is_named(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = Daemon(place / "lonely5", cwd=place).run("run", "--listen", f"127.0.0.1:{port}", check=False)
    assert done.returncode == Exit.FAILED and str(port) in done.stderr and "--listen" in done.stderr


def test_an_app_that_does_not_import_is_named_and_the_daemon_runs_without_it(place: Path) -> None:
    with Daemon(place / "s6", "--interface", "lo", "--app", "broken:app", "--app", "hello:greet", cwd=place) as running:
        assert "nothing_of_that_name" in running.log.read_text()
        assert [row["intent"] for row in running.ask("apps")] == ["greet"]


def test_a_truncated_capsule_is_refused_whole(daemon: Daemon, place: Path) -> None:
    """Behaviours: 12.2, 14.3: nothing of it is stored."""
    made = json.loads(daemon.run("submit", "greet", "--arg", "name=Kay", "--wait", "--json").stdout)
    whole, cut = place / "whole.capsule", place / "cut.capsule"
    daemon.run("export", made["object"], "-o", str(whole))
    assert "full" in daemon.run("verify", str(whole)).stdout
    cut.write_bytes(whole.read_bytes()[:-20])
    done = daemon.run("verify", str(cut), check=False)
    assert done.returncode == Exit.FAILED and "cut.capsule" in done.stderr
    refused(daemon, "import", str(cut), exit=Exit.REFUSED, says=("Nothing was stored",))
    assert json.loads(daemon.run("import", str(whole), "--json").stdout)["new"] == 0

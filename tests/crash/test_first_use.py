"""What a new user meets before anything runs: nothing made by looking, a name that counts, slips that are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit
from tests.support.daemons import Daemon


@pytest.mark.parametrize(
    "words",
    ["enroll", "enroll --list", "enroll --withdraw 1", "fleet show", "fleet backup -o file", "revoke drone-1",
     "grant " + 64 * "0" + " -o file"],
)  # fmt: skip
def test_looking_for_a_device_where_none_is_makes_none(tmp_path: Path, words: str) -> None:
    """A state made by the way would hide the machine's own daemon from this user from then on."""
    done = Daemon(tmp_path / "none", cwd=tmp_path).run(*words.split(), "--json", check=False)
    assert done.returncode == Exit.NO_DAEMON and "no device is in" in json.loads(done.stdout)["error"]
    assert list(tmp_path.iterdir()) == [], "nothing was made"


def test_a_name_that_is_written_down_later_counts_from_the_next_start_on(tmp_path: Path) -> None:
    """The installer starts a device under the host's name; its sample configuration has a line for another one."""
    state, config = tmp_path / "state", tmp_path / "config.toml"
    with Daemon(state, "--interface", "lo") as daemon:
        first = daemon.ask("status")["name"]
    config.write_text('[device]\nname = "drone-1"\n')
    with Daemon(state, "--interface", "lo", "--config", str(config)) as daemon:
        assert daemon.ask("status")["name"] == "drone-1" != first
    with Daemon(state, "--interface", "lo") as daemon:
        assert daemon.ask("status")["name"] == "drone-1", "kept where nothing else is said"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--uses 0", "--uses 0: from 1 to 1000"),
        ("--expires 99d", "--expires 99d: from 60s to 30d"),
        ("--expires 1s", "--expires 1s: from 60s to 30d"),
        ("--withdraw 77", "--withdraw 77: give a number"),
        ("--peer base -o file", "'base' is no address"),
        ("--peer base:4711", "name one with -o"),
    ],
)
def test_a_slip_in_an_invitation_is_named_as_it_was_typed(tmp_path: Path, words: str, says: str) -> None:
    done = Daemon(tmp_path / "state", cwd=tmp_path).run("enroll", *words.split(), check=False)
    assert done.returncode == Exit.USAGE and says in done.stderr and "$." not in done.stderr
    assert not (tmp_path / "file").exists()

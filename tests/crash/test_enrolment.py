"""Two real daemons become a pair: by a code, by a file, with a daemon on the new device and without."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import Exit
from tests.support.daemons import Daemon, wait_until


def said(daemon: Daemon, *words: str) -> Any:
    done = daemon.run(*words, "--json", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def refused(daemon: Daemon, *words: str) -> dict[str, Any]:
    done = daemon.run(*words, "--json", check=False)
    assert done.returncode != 0
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def are_in_contact(one: Daemon, other: Daemon) -> bool:
    return all(any(row["connected"] for row in daemon.ask("peers")) for daemon in (one, other))


def test_a_code_makes_a_working_pair_with_no_daemon_on_the_new_device(tmp_path: Path) -> None:
    """The README's way: `enroll` here, `join` there, `run` there. The code is asked for over discovery alone."""
    with Daemon(tmp_path / "a", "--interface", "lo") as first:
        made = said(first, "enroll")
        second = Daemon(tmp_path / "b", "--interface", "lo")
        joined = said(second, "join", made["code"].lower(), "--interface", "lo", "--wait", "30s")
        assert joined["fleet"] == made["fleet"] and joined["roles"] == ["executor"]
        with second:
            wait_until(lambda: are_in_contact(first, second), what="contact")
            assert said(second, "fleet", "show")["fleet"] == made["fleet"], "no fleet of its own beside"


def test_a_running_daemon_joins_without_a_restart_and_with_one_use_only_one_does(tmp_path: Path) -> None:
    with Daemon(tmp_path / "a", "--interface", "lo") as first, Daemon(tmp_path / "b", "--interface", "lo") as second:
        made = said(first, "enroll")
        assert said(second, "join", made["code"], "--wait", "30s")["fleet"] == made["fleet"]
        wait_until(lambda: are_in_contact(first, second), what="contact")
        third = Daemon(tmp_path / "c", "--interface", "lo")
        answer = refused(third, "join", made["code"], "--interface", "lo", "--wait", "30s")
        assert answer["exit"] == Exit.REFUSED and "used up" in answer["error"]


def test_an_invitation_survives_the_operators_kill_and_its_file_needs_no_discovery(tmp_path: Path) -> None:
    """The file knows where to ask, is for its owner's eyes alone, and is made with no daemon, too."""
    first = Daemon(tmp_path / "a", "--interface", "lo")
    with first:
        made = said(first, "enroll", "-o", str(tmp_path / "boat.invitation"), "--expires", "2h")
        first.kill()
    assert stat.S_IMODE((tmp_path / "boat.invitation").stat().st_mode) == 0o600
    with first:
        second = Daemon(tmp_path / "b", "--interface", "lo")
        joined = said(second, "join", str(tmp_path / "boat.invitation"), "--interface", "nothing", "--wait", "30s")
        assert joined["fleet"] == made["fleet"]
        assert said(first, "enroll", "--list")["uses_left"] == 0, "one row, for one invitation"


def test_a_device_whose_image_holds_an_invitation_joins_by_itself(tmp_path: Path) -> None:
    with Daemon(tmp_path / "a", "--interface", "lo") as first:
        made = said(first, "enroll", "-o", str(tmp_path / "i"))
        (tmp_path / "config.toml").write_text(f'[join]\ninvitation = "{tmp_path / "i"}"\n')
        with Daemon(tmp_path / "b", "--interface", "lo", "--config", str(tmp_path / "config.toml")) as second:
            wait_until(lambda: are_in_contact(first, second), what="contact")
            assert said(second, "fleet", "show")["fleet"] == made["fleet"]
        with Daemon(tmp_path / "b", "--interface", "lo", "--config", str(tmp_path / "config.toml")) as again:
            wait_until(lambda: are_in_contact(first, again), what="contact after a restart")
        assert said(first, "enroll", "--list")["uses_left"] == 0


@pytest.mark.parametrize("text", ["7K3M-9QXT-2B4C-W8RD", "7K3M", "!!!!-!!!!-!!!!-!!!!"])
def test_a_slip_is_told_at_once_and_changes_nothing(tmp_path: Path, text: str) -> None:
    device = Daemon(tmp_path / "a")
    answer = refused(device, "join", text, "--wait", "600s")
    assert answer["exit"] == Exit.USAGE and not (tmp_path / "a").exists()


def test_with_the_radio_off_nobody_is_asked(tmp_path: Path) -> None:
    device = Daemon(tmp_path / "a")
    said(device, "radio", "off")
    with Daemon(tmp_path / "b", "--interface", "lo") as other:
        code = said(other, "enroll")["code"]
    assert "radio is off" in refused(device, "join", code, "--wait", "30s")["error"]


def test_what_an_operator_is_told_when_no_daemon_runs(tmp_path: Path) -> None:
    device = Daemon(tmp_path / "a")
    said(device, "fleet", "create", "boats")
    done: subprocess.CompletedProcess[str] = device.run("enroll")
    assert done.returncode == 0 and "No daemon runs here" in done.stdout

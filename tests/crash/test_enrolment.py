"""Two real daemons become a pair: by a code, by a file, with a daemon on the new device and without."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import Exit
from edge_runtime.host.channel import SECOND_BYTES
from edge_runtime.objects.invitations import Code, spell_secret
from tests.support.daemons import Daemon, wait_until

GOOD_CODE = str(Code(3, spell_secret(b"chance 12")))


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


class Cutter:
    """A relay in front of a device; it lets a pairing through up to its third message, and then cuts the connection.

    The device's answer is read and dropped: by then the grant is committed there. Every later connection passes whole.
    """

    def __init__(self, port: int, then: Callable[[], None]) -> None:
        self._port = port
        self._then = then
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.answers: list[int] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        try:
            while True:
                with self._server.accept()[0] as near:
                    near.settimeout(30)
                    with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 30) as far:
                        far.settimeout(30)
                        self._relay(near, far)
        except OSError:
            pass  # closed

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
        for source, sink in ((near, far), (far, near), (near, far), (far, near)):
            length = source.recv(2, socket.MSG_WAITALL)
            frame = source.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
            if source is far and sink is near and self._is_answer(frame):
                return
            sink.sendall(length + frame)

    def _is_answer(self, frame: bytes) -> bool:
        """Say whether this is the first answer of all, which is lost; what happens then is done at once."""
        if len(frame) == SECOND_BYTES:
            return False
        self.answers.append(len(frame))
        if len(self.answers) == 1:
            self._then()
        return len(self.answers) == 1


@pytest.mark.parametrize("trouble", ["the answer is lost", "the inviter is killed, too"])
def test_a_device_whose_answer_was_lost_joins_at_its_next_try_and_is_counted_once(tmp_path: Path, trouble: str) -> None:
    """The grant is committed before the answer is sent: whoever asks again with the same key gets the same grant."""
    first = Daemon(tmp_path / "a", "--interface", "lo")
    with first:
        made = said(first, "enroll", "--uses", "2")
        port = first.ask("status")["links"]["port"]

        def then() -> None:
            if "killed" in trouble:
                first.kill()
                first.start()

        cutter = Cutter(port, then)
        try:
            second = Daemon(tmp_path / "b", "--interface", "lo")
            words = ("join", made["code"], "--interface", "nothing", "--peer", cutter.address, "--wait", "30s")
            assert said(second, *words)["fleet"] == made["fleet"]
            assert len(cutter.answers) == 2 and cutter.answers[0] == cutter.answers[1]
            row = said(first, "enroll", "--list")
            assert row["uses_left"] == 1 and len(row["devices"]) == 1
        finally:
            cutter.close()


def test_a_radio_that_goes_off_ends_a_join_under_way(tmp_path: Path) -> None:
    """The daemon looks for who invited; `radio off` means that it does not send one more packet for that."""
    silent = socket.create_server(("127.0.0.1", 0))
    silent.settimeout(30)
    try:
        with Daemon(tmp_path / "a", "--interface", "lo") as device:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            looking = subprocess.Popen(
                device.command("join", GOOD_CODE, "--peer", address, "--wait", "60s", "--json"),
                stdout=subprocess.PIPE, env=device.env, text=True,
            )  # fmt: skip
            try:
                with silent.accept()[0] as dialled:
                    dialled.settimeout(30)
                    assert said(device, "radio", "off")["radio"] == "off"
                    out, _ = looking.communicate(timeout=10)
                    while dialled.recv(4_096):  # its first message was under way; then the end, and nothing more
                        pass
                answer = json.loads(out)
                assert answer["exit"] == Exit.REFUSED and "radio is off" in answer["error"]
                assert looking.returncode == Exit.REFUSED
                silent.settimeout(3)
                with pytest.raises(TimeoutError):
                    silent.accept()
            finally:
                looking.kill()
                looking.wait(10)
    finally:
        silent.close()


def test_a_device_with_an_invitation_in_its_image_joins_when_its_radio_comes_on(tmp_path: Path) -> None:
    """It waits for the radio as it waits for the one that invited."""
    with Daemon(tmp_path / "a", "--interface", "lo") as first:
        made = said(first, "enroll", "-o", str(tmp_path / "i"))
        (tmp_path / "config.toml").write_text(f'[join]\ninvitation = "{tmp_path / "i"}"\n')
        second = Daemon(tmp_path / "b", "--interface", "lo", "--config", str(tmp_path / "config.toml"))
        said(second, "radio", "off")
        with second:
            said(second, "radio", "on")
            wait_until(lambda: are_in_contact(first, second), what="contact")
            assert said(second, "fleet", "show")["fleet"] == made["fleet"]


def test_an_image_whose_grant_is_of_another_device_says_so(tmp_path: Path) -> None:
    with Daemon(tmp_path / "a", "--interface", "lo") as first:
        said(first, "grant", "ab" * 32, "-o", str(tmp_path / "g"))
    (tmp_path / "config.toml").write_text(f'[join]\ninvitation = "{tmp_path / "g"}"\n')
    with Daemon(tmp_path / "b", "--interface", "lo", "--config", str(tmp_path / "config.toml")) as second:
        wait_until(lambda: "audience is another device" in second.log.read_text(), what="the line in the log")

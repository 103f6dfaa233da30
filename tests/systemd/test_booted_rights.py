"""What the daemon may and may not do on a real machine, who may command it, and what a reload changes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from tests.support.board import CONFIG, INSTALL, OPERATOR, SOCKET, STATE, STRANGER, TOOL, UNIT, Board
from tests.support.booted import Root

GROUP = 44  # `video` of every Debian
FUSE, TUN = os.makedev(10, 229), os.makedev(10, 200)  # Source: the kernel's admin-guide/devices.txt
POLICY = """[[rule]]
name = "no counting"
effect = "reject"
intents = ["count"]
[[rule]]
name = "the rest"
effect = "permit"
"""


def look(board: Board, *paths: str) -> dict[str, str]:
    """Let the daemon itself open each path for writing."""
    made = board.tool("submit", "look", "--wait", "--arg", f"paths={json.dumps(paths)}")
    return dict(made["result"])


def test_the_sandbox_is_around_the_running_daemon(board: Board) -> None:
    status = dict(line.split(":\t", 1) for line in board.run(f"cat /proc/{board.pid}/status").stdout.splitlines())
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split()
    found = look(board, "/etc/hostname", "/etc/edge-runtime/config.toml", "/usr/bin/env", f"{STATE}/spool.db",
                 "/opt/apps/board_app.py", f"/home/{OPERATOR}/.profile", "/sys/kernel/uevent_helper", "/dev/null", "/dev/fuse",
                 "/proc/sys/vm/swappiness")  # fmt: skip
    print(found)
    assert {name for name, what in found.items() if what == "open"} == {f"{STATE}/spool.db", "/dev/null"}


def test_state_and_socket_are_made_for_the_daemon_and_its_group_alone(board: Board) -> None:
    board.run(f"systemctl stop edge-runtime; rm -r {STATE}; systemctl start edge-runtime")
    shown = board.run(f"stat -c '%U:%G %a %n' {STATE} {STATE}/keys {STATE}/spool.db {SOCKET}").stdout
    assert shown.split("\n") == [
        f"edge-runtime:edge-runtime 750 {STATE}", f"edge-runtime:edge-runtime 700 {STATE}/keys",
        f"edge-runtime:edge-runtime 600 {STATE}/spool.db", f"edge-runtime:edge-runtime 660 {SOCKET}", "",
    ]  # fmt: skip


def test_hardware_that_is_named_is_let_in_and_no_other(device_root: Root, tmp_path: Path) -> None:
    """The drop-in is the one that `install.sh --device` writes."""
    for name, number in (("named", FUSE), ("other", TUN)):
        os.mknod(tmp_path / name, 0o660 | stat.S_IFCHR, number)
        os.chown(tmp_path / name, 0, GROUP)
        os.chmod(tmp_path / name, 0o660)  # whatever the umask
    binds = [f"--bind={tmp_path / name}:/dev/{name}" for name in ("named", "other")]
    with Board(device_root, arguments=binds) as board:
        assert set(look(board, "/dev/named", "/dev/other").values()) == {"No such file or directory"}
        board.run(f"{INSTALL} --device /dev/named --group video", timeout=120)
        found = look(board, "/dev/named", "/dev/other", "/dev/null")
        print(found)
        assert found == {"/dev/named": "open", "/dev/other": "Operation not permitted", "/dev/null": "open"}


def test_operators_command_it_and_others_are_told_what_to_do(board: Board) -> None:
    assert board.tool("status", user=OPERATOR)["device"] == board.tool("status", user="root")["device"]
    for command in ("status", "submit nap", "hold"):
        refused = board.run(f"{TOOL} {command}", user=STRANGER, check=False)
        assert refused.returncode == 5, refused
        assert "permission denied" in refused.stderr and "group" in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr
    board.run(f"usermod -aG edge-runtime {STRANGER}")
    assert board.tool("status", user=STRANGER)


def test_a_reload_brings_a_changed_policy_into_force(board: Board) -> None:
    pid = board.pid
    board.submit("count", "--name", "before", "--arg", "most=1")
    assert board.wait_for("before", status="ended")["end"] == "completed"
    board.write(f"{CONFIG}/policy.toml", POLICY)
    board.run("systemctl reload edge-runtime")
    made = board.submit("count", "--arg", "most=1")
    board.wait(lambda: (board.tool("explain", made)["verdict"] or {}).get("rule") == "no counting", 10, "the new rule")
    assert board.pid == pid and board.state() == "active"


def test_a_reload_refuses_a_bad_file_and_says_so_and_the_old_one_stays(board: Board) -> None:
    board.write(f"{CONFIG}/policy.toml", POLICY)
    board.run("systemctl reload edge-runtime")
    board.write(f"{CONFIG}/policy.toml", POLICY.replace("reject", "permitt"))
    pid = board.pid
    assert board.run("systemctl reload edge-runtime", check=False).returncode != 0, "whoever reloads hears of it at once"
    line = board.wait_for_status("reload refused", "policy.toml")
    print(line)
    assert "policy.toml" in board.journal("-u", UNIT, "-p", "err")
    assert (board.pid, board.state()) == (pid, "active")
    made = board.submit("count", "--arg", "most=1")
    board.wait(lambda: (board.tool("explain", made)["verdict"] or {}).get("rule") == "no counting", 10, "the old rule")
    board.write(f"{CONFIG}/policy.toml", POLICY)
    board.run("systemctl reload edge-runtime")
    board.wait(lambda: "refused" not in board.setting("StatusText"), 10, "the line is in order again")

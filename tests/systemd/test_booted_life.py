"""The daemon under a real systemd: ready when it answers, watched, restarted for ever, and its objects go on."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

from tests.support.board import APP_CONFIG, CONFIG, STATE, TOOL, UNIT, Board
from tests.support.booted import Root
from tests.support.lan import Lan
from tests.support.requires import require


def ticks(board: Board) -> list[int]:
    """What the app's steps wrote down."""
    file = board.path(f"{STATE}/ticks")
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def leave_one_asleep(board: Board) -> str:
    """Submit an object that waits for a signal; return why it says that it sleeps."""
    board.submit("nap", "--name", "sleeper")
    return str(board.wait_for("sleeper", status="dormant")["reason"])


def assert_asleep(board: Board, reason: str) -> None:
    """It sleeps as before, and wakes at the same trigger."""
    assert board.wait_for("sleeper", status="dormant")["reason"] == reason
    board.tool("signal", "sleeper", "go", "now")
    assert board.wait_for("sleeper", status="ended")["result"] == "now"


def test_it_is_active_when_it_answers_and_not_before(board: Board) -> None:
    board.write("/opt/apps/slow.py", "import time\ntime.sleep(2)\nfrom board_app import app\n")
    board.write(f"{CONFIG}/config.toml", APP_CONFIG.replace("board_app:app", "slow:app"))
    board.run("systemctl stop edge-runtime; systemctl start --no-block edge-runtime")
    seen = []
    while board.state() != "active":
        seen.append(board.run(f"{TOOL} status", check=False).returncode)
        assert board.state() in ("activating", "active"), board.journal()
    print(f"{len(seen)} looks while it starts")
    assert seen[0] == 3 and set(seen[:-1]) == {3}, seen
    assert board.tool("status")["trouble"] is None


def test_the_status_line_says_what_sleeps_what_is_awake_who_is_near_and_what_room_there_is(board: Board) -> None:
    leave_one_asleep(board)
    line = board.wait_for_status("0 awake", "1 dormant", "0 peers in contact", "GB free")
    assert "trouble" not in line
    board.tool("signal", "sleeper", "go")
    board.wait_for_status("0 dormant", "1 ended")


def test_a_hung_loop_is_ended_by_the_watchdog_and_its_objects_go_on(board: Board) -> None:
    """The watchdog is fed only while the loop makes progress. Behaviour: 1.5, 3.4."""
    board.drop_in("fast", "WatchdogSec=2", "RestartSec=100ms")
    board.run("systemctl restart edge-runtime")
    reason, pid = leave_one_asleep(board), board.pid
    board.run(f"{TOOL} submit hang_loop --name hung", check=False, timeout=60)
    began = time.monotonic()
    board.wait_for_restart(pid)
    print(f"active again {time.monotonic() - began:.1f} s after the hang")
    assert "Watchdog timeout" in board.journal("-u", UNIT)
    assert board.wait_for("hung", status="ended")["result"] == "past it"
    rows = [row["body"] for row in board.tool("trace", "hung") if row["kind"] == "executed"]
    assert any(body["outcome"] == "crashed" for body in rows), rows
    assert_asleep(board, reason)


def test_a_hung_node_thread_is_ended_by_the_watchdog_and_its_objects_go_on(board: Board) -> None:
    """The watchdog is fed only while the node thread makes progress. Behaviour: 3.4."""
    board.drop_in("fast", "WatchdogSec=2", "RestartSec=100ms")
    board.run("systemctl restart edge-runtime")
    reason = leave_one_asleep(board)
    board.submit("hang_node", "--name", "hung")
    waits = board.wait_for("hung", status="dormant")
    pid, began = board.pid, time.monotonic()
    answer = board.run(f"{TOOL} signal hung go", check=False, timeout=60)
    assert answer.returncode == 3, answer  # nothing was promised: the turn that would have done it never ended
    board.wait_for_restart(pid)
    print(f"active again {time.monotonic() - began:.1f} s after the hang")
    assert "Watchdog timeout" in board.journal("-u", UNIT)
    assert board.wait_for("hung", status="dormant")["entries"] == waits["entries"]
    board.tool("signal", "hung", "go")
    assert board.wait_for("hung", status="ended")["result"] == "past it"
    assert_asleep(board, reason)


def test_a_busy_daemon_is_no_hung_one(board: Board) -> None:
    board.drop_in("fast", "WatchdogSec=1")
    board.run("systemctl restart edge-runtime")
    pid = board.pid
    for number in range(4):
        board.submit("count", "--arg", "most=15", "--name", f"c{number}")
    for number in range(4):
        board.wait_for(f"c{number}", status="ended", end="completed")
    assert board.pid == pid


def test_after_a_kill_it_is_active_again_and_its_objects_go_on(board: Board) -> None:
    """Behaviour: 1.5, 3.4."""
    reason, pid = leave_one_asleep(board), board.pid
    board.submit("count", "--name", "counter")
    board.wait(lambda: len(ticks(board)) >= 3, 10, "three steps")
    board.run("systemctl kill --signal=KILL edge-runtime")
    began = time.monotonic()
    board.wait_for_restart(pid)
    print(f"active again after {time.monotonic() - began:.1f} s, with RestartSec=2")
    assert board.wait_for("counter", status="ended")["result"] == 20
    done = ticks(board)
    assert sorted(set(done)) == list(range(20)) and len(done) <= 21, "at most the step that was cut was done again"
    assert_asleep(board, reason)


def test_after_a_reboot_and_after_a_power_cut_objects_go_on_and_sleepers_sleep(board: Board) -> None:
    """Behaviour: 3.4."""
    reason, device = leave_one_asleep(board), board.tool("status")["device"]
    board.submit("count", "--name", "counter", "--arg", "most=40")
    board.wait(lambda: len(ticks(board)) >= 3, 10, "three steps")
    board.reboot()
    assert board.state() == "active", board.journal()
    before = len(ticks(board))
    board.wait(lambda: len(ticks(board)) > before, 20, "it goes on")
    board.cut_power()
    board.boot()
    assert board.wait_for("counter", status="ended")["result"] == 40
    assert sorted(set(ticks(board))) == list(range(40))
    assert board.tool("status")["device"] == device
    assert_asleep(board, reason)


def test_it_is_never_given_up(board: Board) -> None:
    """Start limits must not stop an offline device: systemd's own would end it after five tries in ten seconds."""
    board.drop_in("fast", "RestartSec=20ms")
    reason = leave_one_asleep(board)
    board.write(f"{CONFIG}/config.toml", "[device\n")
    board.run("systemctl restart edge-runtime", check=False)
    board.wait(lambda: int(board.setting("NRestarts")) >= 20, 120, "20 restarts")
    assert board.state() == "activating"
    assert "config.toml" in board.journal("-u", UNIT, "-p", "err"), "each time it says why"
    board.write(f"{CONFIG}/config.toml", APP_CONFIG)
    board.wait(lambda: board.state() == "active", 10, "the mended file is taken at the next try")
    assert_asleep(board, reason)


def test_a_stop_ends_well_before_its_time_and_leaves_nothing_half_appended(board: Board, tmp_path: Path) -> None:
    leave_one_asleep(board)
    board.submit("count", "--name", "counter")
    board.wait(lambda: len(ticks(board)) >= 3, 10, "three steps")
    began = time.monotonic()
    board.run("systemctl stop edge-runtime")
    took_s = time.monotonic() - began
    print(f"stopped in {took_s:.1f} s")
    assert took_s < 5, "TimeoutStopSec is 20 s"
    assert (board.setting("Result"), board.setting("ExecMainStatus")) == ("success", "0")
    assert not board.path("/run/edge-runtime").exists()
    for file in board.path(STATE).glob("spool.db*"):
        shutil.copy(file, tmp_path)
    spool = sqlite3.connect(tmp_path / "spool.db")
    assert spool.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    spool.close()
    board.run("systemctl start edge-runtime")
    assert board.wait_for("counter", status="ended")["result"] == 20
    done = ticks(board)
    assert sorted(set(done)) == list(range(20)) and len(done) <= 21


def test_a_second_daemon_on_the_state_says_why_it_ends_and_the_first_notices_nothing(board: Board) -> None:
    """Behaviour: 18.7."""
    pid = board.pid
    second = board.run(f"{TOOL} run --state {STATE}", user="edge-runtime", check=False)
    assert second.returncode == 1 and "Another edge-runtime is running" in second.stderr
    assert board.pid == pid and board.tool("status")["trouble"] is None


def test_the_status_line_says_who_is_near(device_root: Root, tmp_path: Path) -> None:
    require("netns")
    with (
        Lan(2) as lan, Board(device_root, lan.namespace(1)) as first, Board(device_root, lan.namespace(2)) as second,
    ):  # fmt: skip
        device = second.tool("status")["device"]
        first.run(f"{TOOL} grant {device} --roles executor -o /mnt/grant")
        shutil.copy(first.path("/mnt/grant"), second.path("/mnt/grant"))
        second.run(f"{TOOL} join /mnt/grant")
        for board in (first, second):
            board.wait_for_status("1 peer in contact", seconds=30)

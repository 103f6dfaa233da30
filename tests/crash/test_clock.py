"""Real daemons whose clocks jump, sleep, start in 1970 and lose their power: nothing early, nothing lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.support.clocks import Board, build_shim, quick_daemon, words_of
from tests.support.daemons import Daemon, wait_until

HOUR_S = 3_600
YEAR_S = 365 * 24 * HOUR_S
APP = """
import asyncio
from edge_runtime import App
app = App("sleeper")

@app.intent("nap")
async def nap(ctx, seconds: float):
    await asyncio.sleep(seconds)
    return round(ctx.age().total_seconds(), 1)
"""


def folder_of(tmp_path: Path) -> Path:
    (tmp_path / "sleeper.py").write_text(APP)
    return tmp_path


def clock_of(daemon: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = daemon.ask("status")["clock"]
    return found


def show(daemon: Daemon, name: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.ask("show", object=name)
    return found


def test_a_wall_clock_that_jumps_under_a_daemon_ends_nothing_early_and_nothing_for_good(tmp_path: Path) -> None:
    """Behaviour: 16.1: a year back, a year on, to 2099; a time server sets it right, and no age ever moved."""
    board = Board(tmp_path)
    daemon = board.power_on("--app", "sleeper:app", cwd=folder_of(tmp_path))
    try:
        daemon.start()
        began = time.monotonic()
        daemon.ask("submit", intent="nap", arguments={"seconds": 4}, name="short")
        daemon.ask("submit", intent="nap", arguments={"seconds": HOUR_S}, name="long", lifetime_ms=2 * HOUR_S * 1000)
        for offset_s in (-YEAR_S, YEAR_S, 73 * YEAR_S, 0):
            board.set_wall(offset_s)
            assert clock_of(daemon)["wall_ms"] >= (time.time() + offset_s - 1) * 1000
            for name in ("short", "long"):
                shown = show(daemon, name)
                assert shown["end"] is None and 0 <= shown["age_ms"] < 4_000 and shown["age_is_exact"]
        assert clock_of(daemon)["wall_ms"] > (time.time() + 72 * YEAR_S) * 1000, "never back without a better source"
        assert daemon.ask("wait", object="short")["end"] == "completed"
        assert 3.9 <= time.monotonic() - began < 15
        board.hear_server()
        wait_until(lambda: clock_of(daemon)["trust"] == "ntp", what="the time server is believed")
        assert abs(clock_of(daemon)["wall_ms"] / 1000 - time.time()) < 5
        assert show(daemon, "long")["end"] is None
        ages = [row["age_ms"] for row in daemon.ask("trace", object="short")]
        assert ages == sorted(ages) and ages[0] >= 0
    finally:
        daemon.stop()


def test_ten_hours_without_power_are_counted_when_the_time_server_is_heard(tmp_path: Path) -> None:
    """Behaviour: 16.3, 5.2: it boots with the old time, so ages are lower bounds until then; counted once."""
    board, cwd = Board(tmp_path), folder_of(tmp_path)
    board.hear_server()
    daemon = board.power_on("--app", "sleeper:app", cwd=cwd)
    try:
        daemon.start()
        assert clock_of(daemon)["trust"] == "ntp"
        for name, hours in (("due", 10), ("later", 22)):
            daemon.ask("submit", intent="nap", arguments={"seconds": hours * HOUR_S}, name=name)
        daemon.kill()
        board.lose_server()
        board.set_wall(-YEAR_S)
        daemon = board.power_on("--app", "sleeper:app", cwd=cwd)
        daemon.start()
        clock = clock_of(daemon)
        assert (clock["trust"], clock["gap_is_open"]) == ("restored", True) and clock["remedy"]
        assert clock["wall_ms"] > (time.time() - 60) * 1000
        shown = show(daemon, "due")
        assert shown["end"] is None and shown["age_ms"] < 60_000 and not shown["age_is_exact"]
        board.set_wall(10 * HOUR_S)
        board.hear_server()
        wait_until(lambda: show(daemon, "due")["end"] == "completed", what="ten hours are over")
        shown = show(daemon, "later")
        assert shown["age_is_exact"] and 0 <= shown["age_ms"] - 10 * HOUR_S * 1000 < 60_000
        daemon.kill()
        board.set_wall(21 * HOUR_S)
        board.hear_server()
        daemon = board.power_on("--app", "sleeper:app", cwd=cwd)
        daemon.start()
        shown = show(daemon, "later")
        assert shown["age_is_exact"] and 0 <= shown["age_ms"] - 21 * HOUR_S * 1000 < 90_000 and shown["end"] is None
    finally:
        daemon.stop()


def test_a_board_whose_power_is_cut_each_hour_reaches_two_hours(tmp_path: Path) -> None:
    """Behaviour: 16.6: nobody asks it anything meanwhile; an hour passes in four seconds, and each start is a boot."""
    cwd, state, times = folder_of(tmp_path), tmp_path / "state", 900
    options = ("--app", "sleeper:app")
    daemon = quick_daemon(state, times, *options, cwd=cwd)
    try:
        daemon.start()
        daemon.ask("submit", intent="nap", arguments={"seconds": 2 * HOUR_S}, name="it")
        for _ in range(3):
            time.sleep(HOUR_S / times)  # the hour itself: nothing is waited for
            daemon.kill()
            daemon = quick_daemon(state, times, *options, cwd=cwd)
            daemon.start()
        daemon.kill()
        daemon = Daemon(state, *options, cwd=cwd).start()
        shown = show(daemon, "it")
        assert shown["age_ms"] >= 2 * HOUR_S * 1000 and shown["age_is_exact"] is False
        if shown["reason"] == "overran":  # its slice is 1 ms where time is so quick, and the machine was busy
            daemon.ask("resume", object="it")
        wait_until(lambda: show(daemon, "it")["end"] == "completed", seconds=10, what="the timer fires")
    finally:
        daemon.stop()


def test_what_came_due_in_a_suspend_fires_within_a_slice_of_resuming(tmp_path: Path) -> None:
    """Behaviour: 16.2, 5.2: the loop's own clock stood still for that hour."""
    slept = tmp_path / "slept"
    slept.write_text("0")
    env = {"LD_PRELOAD": str(build_shim(tmp_path)), "SUSPENDED_FILE": str(slept)}
    daemon = Daemon(
        tmp_path / "state", "--app", "sleeper:app", prefix=("env", *words_of(env)), cwd=folder_of(tmp_path)
    )
    try:
        daemon.start()
        daemon.ask("submit", intent="nap", arguments={"seconds": HOUR_S}, name="it")
        slept.write_text(str(HOUR_S))
        began = time.monotonic()
        rows = wait_until(lambda: _ends(daemon), seconds=35, what="it fires")
        assert rows[-1]["age_ms"] >= HOUR_S * 1000 and time.monotonic() - began <= 31
    finally:
        daemon.stop()


def _ends(daemon: Daemon) -> list[dict[str, Any]]:
    """Return the object's records once it has ended, read beside the daemon: a request would be a turn."""
    rows = daemon.run("query", "SELECT status FROM objects WHERE name = 'it'", "--json").stdout
    if '"ended"' not in rows:
        time.sleep(0.5)
        return []
    found: list[dict[str, Any]] = daemon.ask("trace", object="it")
    return found

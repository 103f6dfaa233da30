"""512 MB of memory and a quarter of a core: the whole story passes, and the watchdog stays quiet."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.boards import small_board
from tests.support.daemons import ROOT, Daemon, wait_until
from tests.support.requires import require

MEMORY_MB, CPU_PERCENT = 512, 25
WATCHDOG_S = 4.0
OBJECTS = 40


def test_the_demo_passes_on_a_small_board(tmp_path: Path) -> None:
    """Three daemons, kills and hand-overs, on what one board has."""
    require("root", "small-board")
    with small_board(MEMORY_MB, CPU_PERCENT) as board:
        words = [*board.prefix, sys.executable, "-m", "edge_runtime", "demo", "--json"]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=180, check=False)
        assert done.returncode == 0, done.stdout[-500:] + done.stderr[-1_000:]
        assert json.loads(done.stdout.splitlines()[-1])["ok"] is True
        assert board.kills == 0 and board.throttled > 0
        print(f"demo on a small board: {board.peak_mb:.0f} MB at most, {board.throttled} periods throttled")


def test_the_watchdog_is_fed_in_time_while_a_small_board_works(tmp_path: Path) -> None:
    """Behaviour: 18 (Mind): it is fed while loop and node thread get on, and a slow board gets on."""
    require("root", "small-board")
    (tmp_path / "work.py").write_text(
        "async def work(number):\n    total = 0\n    for value in range(20_000):\n        total += value * number\n"
        "    return total\n"
    )
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox.bind(str(tmp_path / "notify"))
    inbox.settimeout(WATCHDOG_S)
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(int(WATCHDOG_S * 1_000_000))}
    with small_board(MEMORY_MB, CPU_PERCENT) as board:
        device = Daemon(
            tmp_path / "board", "--interface", "lo", "--app", "work:work", prefix=board.prefix, env=env, cwd=tmp_path
        )
        with device:
            for number in range(OBJECTS):
                device.ask("submit", intent="work", arguments={"number": number}, name=f"o{number}")
            fed: list[float] = []
            until = time.monotonic() + 3 * WATCHDOG_S
            while time.monotonic() < until:
                if b"WATCHDOG=1" in inbox.recv(4096):  # a longer silence is a TimeoutError, and systemd's kill
                    fed.append(time.monotonic())
            wait_until(lambda: device.ask("show", object=f"o{OBJECTS - 1}")["end"] == "completed")
        gaps = [later - earlier for earlier, later in zip(fed, fed[1:], strict=False)]
        assert len(fed) >= 3 and max(gaps) < WATCHDOG_S, gaps
        assert board.kills == 0 and board.throttled > 0
    inbox.close()

"""Schedules of a real daemon that is killed again and again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.support.daemons import Daemon, wait_until

APP = "async def note(text): return text\n"
CONFIG = """[[apps]]
module = "notes:note"

[[schedule]]
name = "beat"
intent = "note"
arguments = { text = "tick" }
every = "1s"
"""
KILLS = 4


def row_of(device: Daemon) -> dict[str, Any]:
    (row,) = device.ask("schedules")
    found: dict[str, Any] = row
    return found


def test_kills_neither_lose_a_slot_unsaid_nor_make_two_objects_of_one(tmp_path: Path) -> None:
    """Behaviour: 5.1"""
    (tmp_path / "notes.py").write_text(APP)
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    device = Daemon(tmp_path / "one", "--interface", "lo", "--config", str(config), cwd=tmp_path)
    try:
        for life in range(KILLS):
            device.start()
            before = row_of(device)["slots"]
            wait_until(lambda: row_of(device)["slots"] > before, what=f"a slot in life {life}")
            device.kill()
        device.start()
        config.write_text(CONFIG.replace('"1s"', '"1h"'))
        assert device.process is not None
        os.kill(device.process.pid, signal.SIGHUP)
        row = wait_until(lambda: (row := row_of(device))["every_ms"] == 3_600_000 and row, what="the new interval")
        names = [item["name"] for item in device.ask("ls")]
        assert len(names) == len(dict.fromkeys(names)) == row["slots"] - row["missed"] >= KILLS
        assert names[0] == f"beat-{row['slots']}" and row["error"] is None
        assert 3_500_000 < row["next_in_ms"] <= 3_600_000
        shown = json.loads(device.run("schedules", "--json").stdout)
        assert shown["object"] == device.ask("show", object=names[0])["object"]
        assert "every 1 h" in device.run("schedules").stdout
        wait_until(lambda: device.ask("show", object=names[0])["end"] == "completed", what="the last one's end")
    finally:
        device.stop()

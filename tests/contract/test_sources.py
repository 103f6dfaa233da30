"""Sensors and files of a real daemon: read on one tick, told when they say more, read anew on SIGHUP."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tests.support.daemons import Daemon, wait_until

APP = """
from edge_runtime import App
app = App("tank")
@app.intent("fill")
async def fill(ctx) -> str:
    await ctx.until("tank.level < 20")
    return "filled"
"""


def make_daemon(folder: Path, config: str) -> Daemon:
    """Return a daemon with this configuration and an app that waits for a tank; not started."""
    (folder / "tank.py").write_text(APP)
    (folder / "config.toml").write_text(f'{config}\n[[apps]]\nmodule = "tank:app"\npath = "{folder}"\n')
    return Daemon(folder / "state", "--config", str(folder / "config.toml"))


def level(path: Path, more: str = "") -> str:
    """Return the part of a configuration that names a file."""
    return f'[[facts.file]]\npath = "{path}"\nname = "tank.level"\ninterval = "1s"\n{more}\n'


def row_of(daemon: Daemon, name: str) -> dict[str, Any] | None:
    """Return the row of one fact while it is known."""
    rows = [row for row in daemon.ask("facts") if row["name"] == name and row["age_ms"] <= row["max_age_ms"]]
    return rows[0] if rows else None


def test_a_file_is_a_fact_that_wakes_and_grows_unknown_when_it_goes(tmp_path: Path) -> None:
    """Behaviour: 4.13."""
    file = tmp_path / "level"
    file.write_text("55\n")
    with make_daemon(tmp_path, level(file)) as daemon:
        wait_until(lambda: row_of(daemon, "tank.level"), what="the file")
        found = row_of(daemon, "tank.level")
        assert found is not None and (found["value"], found["origin"], found["max_age_ms"]) == (55, "file", 3_000)
        daemon.ask("submit", intent="fill", name="one")
        file.write_text("19.5")
        assert daemon.ask("wait", object="one")["result"] == "filled"
        file.unlink()
        wait_until(lambda: row_of(daemon, "tank.level") is None, what="it is too old")
        file.write_text("19.5")
        wait_until(lambda: row_of(daemon, "tank.level"), what="it is there again")


def test_the_machines_own_sensors_are_facts_and_an_unchanged_value_is_not_told_again(tmp_path: Path) -> None:
    file = tmp_path / "level"
    file.write_text("55")
    config = '[facts]\ninterval = "1h"\n' + level(file, 'max_age = "1h"')
    with make_daemon(tmp_path, config) as daemon:
        wait_until(lambda: row_of(daemon, "disk.free_bytes") and row_of(daemon, "tank.level"), what="the first readings")
        assert row_of(daemon, "load") is not None
        before = daemon.ask("status")["sources"]
        wait_until(lambda: daemon.ask("status")["sources"]["ticks"] >= before["ticks"] + 3, what="three more readings")
        assert daemon.ask("status")["sources"]["told"] == before["told"]


def test_a_pipe_or_a_folder_in_a_files_place_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    config = level(tmp_path / "pipe") + level(tmp_path) + level(tmp_path / "good").replace("tank.level", "good.level")
    (tmp_path / "good").write_text("1")
    with make_daemon(tmp_path, config) as daemon:
        wait_until(lambda: row_of(daemon, "good.level"), what="the good file")
        assert row_of(daemon, "tank.level") is None and daemon.ask("status")["sources"]["being_read"] == []


def test_sighup_reads_other_sources_and_a_wrong_file_leaves_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "level").write_text("55")
    (tmp_path / "wind").write_text('{"speed": 7, "from": "NW"}')
    with make_daemon(tmp_path, level(tmp_path / "level")) as daemon:
        wait_until(lambda: row_of(daemon, "tank.level"), what="the file")
        config = tmp_path / "config.toml"
        right = config.read_text()
        assert daemon.process is not None
        config.write_text(right + "[facts]\ncolour = 1\n")
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "What was in force stays" in daemon.log.read_text(), what="the refusal")
        assert str(config) in daemon.log.read_text()
        config.write_text(right + f'[[facts.file]]\npath = "{tmp_path / "wind"}"\nname = "wind"\n')
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: row_of(daemon, "wind.from"), what="the new file")
        assert "next start" not in daemon.log.read_text()
        config.write_text(config.read_text() + '[network]\npeers = ["base.local:4711"]\n')
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "count from the next start" in daemon.log.read_text(), what="what a reload does not do")
        (tmp_path / "level").write_text("54")
        wait_until(lambda: (row_of(daemon, "tank.level") or {}).get("value") == 54, what="the old one, still read")

"""The spool of an older version, of a newer one, and of a device that runs already.

`tests/support/spools/schema1.tar.xz` is the state of a device that the last version with the first schema ran (commit
ae6e98d "Refuse content that is nested too deeply as no fact"): four objects by the app below, a fact set by hand, and
SIGKILL while a step ran; the journal is not worked off. Its keys were made for it.
"""

from __future__ import annotations

import sqlite3
import tarfile
from pathlib import Path

import pytest

from edge_runtime.node.schema import SCHEMA_VERSION
from tests.support.daemons import ROOT, Daemon, wait_until

FIXTURE = ROOT / "tests/support/spools/schema1.tar.xz"
APP = '''
import asyncio
from edge_runtime import App
app = App("old")

@app.intent("count")
async def count(ctx, to: int):
    total = 0
    for number in range(to):
        total += await ctx.run(f"n{number}", abs, number)
    return total

@app.intent("wait")
async def wait(ctx):
    first = await ctx.run("first", abs, -7)
    await ctx.until("door.open == True")
    return first + await ctx.run("second", abs, -1)

@app.intent("slow")
async def slow(ctx):
    return await ctx.run("nap", asyncio.sleep, 600, "woke")
'''


def device(folder: Path) -> Daemon:
    (folder / "old_app.py").write_text(APP)
    return Daemon(folder / "state", "--interface", "lo", "--app", "old_app:app", cwd=folder)


def unpack(folder: Path) -> Path:
    state = folder / "state"
    state.mkdir(mode=0o700)
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(state, filter="data")  # which gives folders the usual mode
    (state / "keys").chmod(0o700)
    return state


def files(state: Path) -> dict[str, bytes]:
    """Return what the spool consists of; the index of the journal is made anew by whoever reads."""
    return {file.name: file.read_bytes() for file in state.glob("spool.db*") if not file.name.endswith("-shm")}


def version_of(state: Path) -> int:
    with sqlite3.connect(f"file:{state}/spool.db?mode=ro", uri=True) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_spool_of_the_first_schema_goes_on_where_its_process_was_killed(tmp_path: Path) -> None:
    """Behaviour: 18.6."""
    state = unpack(tmp_path)
    assert version_of(state) == 1 < SCHEMA_VERSION
    with device(tmp_path) as daemon:
        assert daemon.ask("show", object="counted")["result"] == 10
        assert daemon.ask("show", object="nowhere")["reason"] == "no device with nobody"
        facts = {fact["name"]: fact["value"] for fact in daemon.ask("facts")}
        assert facts["tank.level"] == 40
        wait_until(lambda: daemon.ask("show", object="running")["status"] == "attempting", what="the step is run again")
        rows = [row["body"] for row in daemon.ask("trace", object="running") if row["kind"] == "executed"]
        assert [row["error_type"] for row in rows] == ["ProcessDeath"]
        daemon.ask("fact", name="door.open", value=True)
        assert daemon.ask("wait", object="waiting")["result"] == 8
        daemon.ask("cancel", object="running")
        assert daemon.ask("wait", object="running")["end"] == "cancelled"
    assert version_of(state) == SCHEMA_VERSION


@pytest.mark.parametrize("has_journal", [False, True], ids=["closed in order", "journal not worked off"])
def test_a_spool_of_a_newer_schema_is_refused_and_its_file_is_untouched(tmp_path: Path, has_journal: bool) -> None:
    """Behaviour: 18.6."""
    state = unpack(tmp_path)
    connection = sqlite3.connect(state / "spool.db", isolation_level=None)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    if has_journal:
        before = files(state)
        connection.close()  # works the journal off: undone below, as a process that died leaves it
        for name, data in before.items():
            (state / name).write_bytes(data)
        (state / "spool.db-shm").unlink(missing_ok=True)
    else:
        connection.close()
    before = files(state)
    assert ("spool.db-wal" in before) == has_journal
    daemon = device(tmp_path)
    done = daemon.run("run", "--app", "old_app:app", check=False)
    assert done.returncode == 1 and f"schema {SCHEMA_VERSION + 1}" in done.stderr and "newer" in done.stderr
    assert files(state) == before


def test_a_second_process_on_the_spool_exits_and_the_first_notices_nothing(tmp_path: Path) -> None:
    """Behaviour: 18.7."""
    with device(tmp_path) as daemon:
        made = daemon.ask("submit", intent="wait", name="w")["object"]
        done = daemon.run("run", "--app", "old_app:app", check=False)
        assert done.returncode == 1 and "Another edge-runtime is running" in done.stderr
        assert "Stop it, or use another --state DIR" in done.stderr and done.stdout == ""
        assert (daemon.folder / "control.sock").exists(), "the first one's socket stays"
        daemon.ask("fact", name="door.open", value=True)
        assert daemon.ask("wait", object=made)["result"] == 8
        assert daemon.ask("status")["trouble"] is None
        assert daemon.process is not None and daemon.process.poll() is None

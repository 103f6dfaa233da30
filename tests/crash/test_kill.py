"""The real daemon on real files, ended by SIGKILL at random moments: nothing is lost, nothing finished runs again."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.client import BlockingClient
from edge_runtime.host.clock import Clock
from edge_runtime.host.device import make_node
from edge_runtime.host.statedir import StateDir
from edge_runtime.judge.policy import Policy
from tests.support.daemons import Daemon, wait_until

OBJECTS = 100
STEPS = 5
KILLS = int(os.environ.get("EDGE_KILLS", "200"))
KILLS_PER_ROUND = 25
SEED = int(os.environ.get("EDGE_KILL_SEED", "20261124"))

APP = f'''
import asyncio, os
from edge_runtime import App, current_attempt
app = App("crash")
log = os.open(os.environ["CRASH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

async def work(x, i):
    os.write(log, f"{{current_attempt().id}}\\n".encode()); os.fsync(log)
    await asyncio.sleep(0.002 * (i + 1))
    return x + i

@app.intent("chain")
async def chain(ctx, x: int):
    for i in range({STEPS}):
        x = await ctx.run(f"s{{i}}", work, x, i)
        if i == 2:
            await asyncio.sleep(0.05)
    return x
'''


def test_two_hundred_kills_lose_nothing_and_repeat_nothing_finished(tmp_path: Path) -> None:
    """Behaviours: 1.5, 3.4, 6.15, 17.2. SIGKILL at random moments over rounds of 100 objects with 5 steps."""
    (tmp_path / "crash.py").write_text(APP)
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    done = 0
    kills = 0
    while kills < KILLS:
        folder = tmp_path / f"round{done}"
        log = tmp_path / f"starts{done}"
        daemon = Daemon(folder, "--interface", "lo", "--app", "crash:app", env={"CRASH_LOG": str(log)}, cwd=tmp_path)
        try:
            daemon.start()
            for _ in range(min(KILLS_PER_ROUND, KILLS - kills)):
                _submit_some(folder, chance)
                time.sleep(chance.uniform(0.0, 0.12))
                daemon.kill()
                kills += 1
                if kills % 10 == 0:
                    _check_derived(folder, tmp_path / "copy")
                if kills % 25 == 0:
                    _clear_derived(folder)
                daemon.start()
            _finish(folder)
            _check_round(folder, log)
        finally:
            daemon.stop()
        done += 1
    print(f"{kills} kills over {done} rounds of {OBJECTS} objects with {STEPS} steps")


def _submit_some(folder: Path, chance: random.Random) -> None:
    """Submit a few objects by name, new or known; a daemon that is killed meanwhile acknowledges nothing."""
    with BlockingClient(folder) as client:
        for _ in range(12):
            number = chance.randrange(OBJECTS)
            client.submit("chain", number, name=f"o{number}")


def _finish(folder: Path) -> None:
    with BlockingClient(folder) as client:
        for number in range(OBJECTS):
            client.submit("chain", number, name=f"o{number}")
            try:
                client.ask("resume", object=f"o{number}")  # what was killed three times in one step is set aside
            except UsageError:
                pass  # ended already
    with BlockingClient(folder) as client:
        try:
            rows = wait_until(lambda: _all_ended(client), 60, "every object ends")
        except AssertionError:
            left = [row for row in client.ask("ls") if row["status"] != "ended"]
            pytest.fail(f"{len(left)} have not ended, among them {left[0]}: {client.ask('trace', object=left[0]['object'])}")
    assert len(rows) == OBJECTS, "an acknowledged object is there once, under its name"


def _all_ended(client: BlockingClient) -> list[Any] | None:
    rows = client.ask("ls")
    return rows if all(row["status"] == "ended" for row in rows) else None


def _check_round(folder: Path, log: Path) -> None:
    starts = Counter(log.read_text().split())
    with BlockingClient(folder) as client:
        for number in range(OBJECTS):
            shown = client.ask("show", object=f"o{number}")
            assert shown["end"] == "completed" and shown["result"] == number + sum(range(STEPS)), shown
            rows = [row["body"] for row in client.ask("trace", object=f"o{number}") if row["kind"] == "executed"]
            final = Counter(body["path"] for body in rows if body["is_final"])
            assert len(final) == STEPS and set(final.values()) == {1}, "exactly one final record for each step"
            for attempt, count in Counter(body["attempt"] for body in rows).items():
                # Each start was released by a commit, and each release ends in one record; the last one is final.
                assert starts[attempt] <= count, "a finished step was started again"


def _dump(store: Any, now_ms: int) -> list[Any]:
    """Return the derived tables; a time that has come, or comes within the look-again second, is just `due`."""
    found: list[Any] = []
    for row in store.run("SELECT * FROM shelf ORDER BY object").fetchall():
        due_ms = row[9]
        found.append((*row[:9], "due" if due_ms is not None and due_ms <= now_ms + 2_000 else due_ms, *row[10:]))
    for table in ("wakes", "digests"):
        found.extend(store.run(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall())
    return found


def _check_derived(folder: Path, copy: Path) -> None:
    """On a copy of what the kill left: the derived tables equal what is derived anew from the source tables."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.sock"))
    state = StateDir.open(copy)
    try:
        node = make_node(state, (), Policy.default(), Clock(), "x")
        store, now_ms = node.parts.store, node.parts.timeline.life_ms
        before = _dump(store, now_ms)
        with store.transaction():
            node.rebuild()
        assert _dump(store, now_ms) == before
        store.connection.close()
    finally:
        state.close()


def _clear_derived(folder: Path) -> None:
    """Delete all derived tables between a kill and the next start: no wake and no decision may change."""
    connection = sqlite3.connect(folder / "spool.db")
    with connection:
        for table in ("shelf", "wakes", "digests"):
            connection.execute(f"DELETE FROM {table}")
    connection.close()


@pytest.mark.parametrize("kind", ["awake", "dormant"])
def test_a_kill_right_after_the_acknowledgement_keeps_the_object(tmp_path: Path, kind: str) -> None:
    """Behaviour: 3.4; what was acknowledged is durable."""
    (tmp_path / "crash.py").write_text(APP)
    env = {"CRASH_LOG": str(tmp_path / "starts")}
    daemon = Daemon(tmp_path / "state", "--interface", "lo", "--app", "crash:app", env=env, cwd=tmp_path)
    try:
        daemon.start()
        fields = {"needs": ["nobody"]} if kind == "dormant" else {}
        made = daemon.ask("submit", intent="chain", arguments=1, **fields)
        daemon.kill()
        daemon.start()
        shown = daemon.ask("show", object=made["object"])
        if kind == "dormant":
            assert shown["status"] == "dormant" and "nobody" in shown["reason"]
        else:
            assert daemon.ask("wait", object=made["object"])["result"] == 11
    finally:
        daemon.stop()

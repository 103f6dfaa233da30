"""`dormant`: sleeping objects: memory, idle CPU, restart after SIGKILL, and what runs again then.

A sleeper records one step and sleeps for a day. Its body and its step each write a line where they start; lines that
appear after the restart are `rerun`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

from edge_runtime.client import BlockingClient, Client

from .ours import Daemon
from .peers import Worker, peers_python
from .processes import Unusable, cpu_ms, folder, rss_mb
from .results import OURS, Dormant, DormantRow

OBJECTS, OBJECTS_SMALL = 10_000, 500
# A peer that runs each sleeper again at its restart takes a minute for 10,000 and as long to make them.
PEER_OBJECTS, PEER_OBJECTS_SMALL = 1_000, 100
IDLE_S, IDLE_S_SMALL = 30.0, 10.0
ASLEEP_S = 600.0
QUIET_S = 3.0  # no start for so long after a restart: nothing more will be run again
SETTLE_S = 1.0  # after start-up, and after the last object fell asleep: imports and first checkpoints end
CLIENTS = 50


def measure(is_small: bool, objects: int | None, peer_objects: int | None) -> Dormant:
    """Return the result, DBOS in the same call with fewer objects, which its row says; without DBOS for 0 of them.

    Raises:
        Unusable: our own daemon does not start, or its objects do not fall asleep.
    """
    idle_s = IDLE_S_SMALL if is_small else IDLE_S
    with folder() as place:
        rows = [measure_ours(place, objects or (OBJECTS_SMALL if is_small else OBJECTS), idle_s)]
        if peer_objects == 0:
            return Dormant(tuple(rows))
        try:
            python = peers_python(may_install=not is_small)
            count = peer_objects or (PEER_OBJECTS_SMALL if is_small else PEER_OBJECTS)
            rows.append(measure_dbos(place / "dbos", count, idle_s, python))
        except Unusable as error:
            print(f"skipped: dbos: {error}", file=sys.stderr)
    return Dormant(tuple(rows))


def measure_ours(place: Path, count: int, idle_s: float) -> DormantRow:
    """Return our row. The restart ends when the daemon is ready and has said how many objects sleep."""
    log = place / "starts.log"
    with Daemon(place / "state", "workflow:app", log) as daemon:
        time.sleep(SETTLE_S)
        idle_rss = rss_mb(daemon.pid)
        asyncio.run(submit_sleepers(daemon.state, count))
        _wait(lambda: _asleep(daemon.state) == count, "the objects fell asleep")
        time.sleep(SETTLE_S)
        share = idle_percent(daemon.pid, idle_s)
        rss, before = rss_mb(daemon.pid), starts(log)
        daemon.kill()
        began = time.perf_counter()
        daemon.start()
        _wait(lambda: _asleep(daemon.state) == count, "the objects were asleep again")
        restart_s = time.perf_counter() - began
        _wait_quiet(log)
        return _row(OURS, count, rss, idle_rss, share, restart_s, starts(log) - before)


def measure_dbos(place: Path, count: int, idle_s: float, python: Path) -> DormantRow:
    """Return the row of DBOS. The restart ends when the last body or step has been started again."""
    place.mkdir()
    log = place / "starts.log"
    with Worker(python, place, "default") as worker:
        time.sleep(SETTLE_S)
        idle_rss = rss_mb(worker.pid)
        worker.ask("sleep", count=count)
        _wait(lambda: starts(log) == 2 * count, "the peer's objects fell asleep")
        time.sleep(SETTLE_S)
        share = idle_percent(worker.pid, idle_s)
        rss, before = rss_mb(worker.pid), starts(log)
        worker.kill()
        began = time.perf_counter()
        worker.start()
        restart_s = max(time.perf_counter(), _wait_quiet(log)) - began
        return _row("dbos", count, rss, idle_rss, share, restart_s, starts(log) - before)


def _row(
    system: str, count: int, rss: float, idle_rss: float, share: float, restart_s: float, rerun: int
) -> DormantRow:
    return DormantRow(
        system=system, objects=count, rss_mb=rss, idle_rss_mb=idle_rss, idle_cpu_percent=round(share, 2),
        restart_s=round(restart_s, 2), rerun=rerun,
    )  # fmt: skip


async def submit_sleepers(state: Path, count: int) -> None:
    """Submit so many sleepers over one connection, CLIENTS of them under way at once."""
    left = iter(range(count))

    async def work(client: Client) -> None:
        for number in left:
            await client.submit("sleeper", number)

    async with Client(state) as client, asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(work(client))


def starts(log: Path) -> int:
    """Return how many bodies and steps have started."""
    return log.read_bytes().count(b"\n") if log.exists() else 0


def idle_percent(pid: int, seconds: float) -> float:
    """Return the share of one core that a process uses while nothing is asked of it."""
    used, began = cpu_ms(pid), time.perf_counter()
    time.sleep(seconds)
    return (cpu_ms(pid) - used) / (time.perf_counter() - began) / 10


def _asleep(state: Path) -> int:
    with BlockingClient(state) as client:
        found: int = client.ask("status")["objects"]["dormant"]
        return found


def _wait(is_true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + ASLEEP_S
    while not is_true():
        if time.monotonic() > until:
            raise Unusable(f"not within {ASLEEP_S:.0f} s: {what}")
        time.sleep(0.02)


def _wait_quiet(log: Path) -> float:
    """Wait until nothing has started for QUIET_S; return when the last start was seen, on the performance counter."""
    last, at = starts(log), time.perf_counter()
    while time.perf_counter() - at < QUIET_S:
        time.sleep(0.02)
        if (now := starts(log)) != last:
            last, at = now, time.perf_counter()
    return at

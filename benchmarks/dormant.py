"""`dormant`: sleeping objects: memory, idle CPU, restart after SIGKILL, and what runs again then."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edge_runtime.client import BlockingClient, Client

from .devices import ROOT, Daemon, cpu_ms, folder, peers_python, rss_mb, run_peer

DBOS_OBJECTS = 1_000  # it re-runs each of them at a restart: 10,000 took about a minute


def measure(is_small: bool, objects: int | None) -> dict[str, Any]:
    """Return the result, DBOS in the same call with fewer objects (said in its row)."""
    count = objects or (500 if is_small else 10_000)
    idle_s = 3.0 if is_small else 30.0
    with folder() as place:
        rows = [_ours(place, count, idle_s)]
        python = peers_python(may_install=not is_small)
        if python is not None:
            rows.append(_dbos(place, min(count, DBOS_OBJECTS), idle_s, python))
    return {"rows": rows}


def _ours(place: Path, count: int, idle_s: float) -> dict[str, Any]:
    state, log = place / "state", place / "notes.log"
    daemon = Daemon(state, "--app", "workflow:app", env={"BENCH_LOG": str(log)}).start()
    try:
        time.sleep(1)
        idle = rss_mb(daemon.pid)
        asyncio.run(_submit(state, count))
        _wait_dormant(state, count)
        time.sleep(1)
        cpu, began = cpu_ms(daemon.pid), time.perf_counter()
        time.sleep(idle_s)
        share = (cpu_ms(daemon.pid) - cpu) / (time.perf_counter() - began) / 10
        memory, before = rss_mb(daemon.pid), len(log.read_text().splitlines())
        daemon.kill()
        began = time.perf_counter()
        daemon.start()
        _wait_dormant(state, count)
        restart = time.perf_counter() - began
        time.sleep(1)
        again = len(log.read_text().splitlines()) - before
    finally:
        daemon.__exit__()
    return {
        "system": "edge-runtime", "objects": count, "rss_mb": memory, "idle_rss_mb": idle,
        "idle_cpu_percent": round(share, 2), "restart_s": round(restart, 2), "rerun": again,
    }  # fmt: skip


async def _submit(state: Path, count: int) -> None:
    left = iter(range(count))

    async def worker(client: Client) -> None:
        for number in left:
            await client.submit("sleeper", number)

    async with Client(state) as client:
        await asyncio.gather(*(worker(client) for _ in range(50)))


def _wait_dormant(state: Path, count: int) -> None:
    with BlockingClient(state) as client:
        until = time.monotonic() + 300
        while client.ask("status")["objects"]["dormant"] < count:
            if time.monotonic() > until:
                raise RuntimeError("the objects did not fall asleep")
            time.sleep(0.05)


def _dbos(place: Path, count: int, idle_s: float, python: Path) -> dict[str, Any]:
    where = place / "dbos"
    where.mkdir()
    first = run_peer(python, "dbos_worker.py", "dormant", str(where), "wal", str(count), str(idle_s))
    again = run_peer(python, "dbos_worker.py", "again", str(where), "wal", str(count))
    return {
        "system": "dbos (wal)", "objects": count, "rss_mb": first["rss_mb"], "idle_rss_mb": first["idle_rss_mb"],
        "idle_cpu_percent": first["idle_cpu_percent"], "restart_s": again["restart_s"], "rerun": again["rerun"],
    }  # fmt: skip


def measure_start(is_small: bool) -> dict[str, Any]:
    """`start`: cold start to `ready` on an existing state, idle memory, and the time that imports take; medians."""
    runs = 3 if is_small else 9
    times: list[float] = []
    memory: list[float] = []
    with folder() as place:
        for run in range(runs + 1):
            began = time.perf_counter()
            with Daemon(place / "state") as daemon:
                took = time.perf_counter() - began
                if run:  # the first one makes keys and spool
                    times.append(took)
                time.sleep(1)
                memory.append(rss_mb(daemon.pid))
    code = "import time; t = time.perf_counter(); import edge_runtime.host.runtime, edge_runtime.host.links; " \
           "print((time.perf_counter() - t) * 1000)"  # fmt: skip
    imports = sorted(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout)
        for _ in range(runs)
    )
    return {
        "ready_s": round(sorted(times)[len(times) // 2], 3), "rss_mb": sorted(memory)[len(memory) // 2],
        "import_ms": round(imports[len(imports) // 2], 1),
    }  # fmt: skip

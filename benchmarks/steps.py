"""`steps`: workflows of three recorded steps a second, one at a time and 50 wide, with CPU and flushes each."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from edge_runtime.client import BlockingClient, Client

from .devices import Daemon, count_flushes, cpu_ms, folder, peers_python, run_peer
from .floor import measure_floor

WIDE = 50


def measure(is_small: bool) -> dict[str, Any]:
    """Return the result, peers in the same call."""
    count = 60 if is_small else 500
    rows: list[dict[str, Any]] = []
    with folder() as place:
        rows.extend(_ours(place / "state", count))
        rows.extend(measure_floor(place, width, count) for width in (1, WIDE))
        python = peers_python(may_install=not is_small)
        for mode in ("default", "wal") if python is not None else ():
            (place / mode).mkdir()
            found = run_peer(python, "dbos_worker.py", "steps", str(place / mode), mode, str(count // 3))
            rows.extend({"system": f"dbos ({mode})", **row, "flushes_each": None} for row in found["rows"])
    return {
        "workload": "3 recorded steps", "rows": rows, "ratio_one": _ratio(rows, 1), "ratio_fifty": _ratio(rows, WIDE),
    }  # fmt: skip


def _ratio(rows: list[dict[str, Any]], width: int) -> float | None:
    ours = next(row["per_s"] for row in rows if row["system"] == "edge-runtime" and row["width"] == width)
    peers = [row["per_s"] for row in rows if row["system"].startswith("dbos") and row["width"] == width]
    return round(ours / max(peers), 2) if peers else None


def _ours(state: Path, count: int) -> list[dict[str, Any]]:
    with Daemon(state, "--app", "workflow:app") as daemon, BlockingClient(state) as client:
        for _ in range(20):
            client.submit("three", "x", wait=True)
        one = _one_at_a_time(daemon, client, count)
        wide = asyncio.run(_wide(daemon, state, count))
        for row, width in ((one, 1), (wide, WIDE)):
            with count_flushes(daemon.pid) as flushes:
                asyncio.run(_many(state, width, WIDE))
            row["flushes_each"] = round(flushes[0] / WIDE, 2) if flushes else None
        return [one, wide]


def _one_at_a_time(daemon: Daemon, client: BlockingClient, count: int) -> dict[str, Any]:
    times: list[float] = []
    cpu, began = cpu_ms(daemon.pid), time.perf_counter()
    for _ in range(count):
        start = time.perf_counter()
        client.submit("three", "x", wait=True)
        times.append((time.perf_counter() - start) * 1000)
    return _row(1, count, time.perf_counter() - began, times, cpu_ms(daemon.pid) - cpu)


async def _many(state: Path, width: int, count: int) -> list[float]:
    """Run workflows at a width over one connection; return each one's time in ms."""
    times: list[float] = []
    left = iter(range(count))

    async def worker(client: Client) -> None:
        for _ in left:
            start = time.perf_counter()
            await client.submit("three", "x", wait=True)
            times.append((time.perf_counter() - start) * 1000)

    async with Client(state) as client:
        await asyncio.gather(*(worker(client) for _ in range(width)))
    return times


async def _wide(daemon: Daemon, state: Path, count: int) -> dict[str, Any]:
    cpu, began = cpu_ms(daemon.pid), time.perf_counter()
    times = await _many(state, WIDE, count * 2)
    return _row(WIDE, count * 2, time.perf_counter() - began, times, cpu_ms(daemon.pid) - cpu)


def _row(width: int, count: int, took_s: float, times: list[float], cpu: float) -> dict[str, Any]:
    times.sort()
    return {
        "system": "edge-runtime", "width": width, "per_s": round(count / took_s, 1),
        "p50_ms": round(times[len(times) // 2], 2), "p99_ms": round(times[int(len(times) * 0.99)], 2),
        "cpu_ms_each": round(cpu / count, 2), "flushes_each": None,
    }  # fmt: skip

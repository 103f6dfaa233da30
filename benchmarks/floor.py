"""The floor in plain Python: five signed records a workflow in one shared log with group commit, and nothing else."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edge_runtime.objects.codec import encode
from edge_runtime.objects.keys import SigningKey

RECORDS = 5


class Log:
    """Appends are durable when `append` returns; those that wait together share one flush."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lock = threading.Lock()
        self._flush = threading.Lock()
        self._written = 0
        self._durable = 0
        self.flushes = 0

    def append(self, data: bytes) -> None:
        """Append and wait until it is on the disk."""
        with self._lock:
            os.write(self._file, data)
            self._written += 1
            mine = self._written
        with self._flush:
            if self._durable < mine:
                with self._lock:
                    upto = self._written
                os.fdatasync(self._file)
                self.flushes += 1
                self._durable = upto


def measure_floor(path: Path, width: int, count: int) -> dict[str, Any]:
    """Return the row of the floor at a width."""
    key, log, times = SigningKey.from_seed(b"f" * 32), Log(path / f"floor{width}"), []

    def one(number: int) -> None:
        began = time.perf_counter()
        for record in range(RECORDS):
            payload = encode([number, record, "x" * 60])
            log.append(payload + key.sign(payload))
        times.append((time.perf_counter() - began) * 1000)

    cpu, began = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(one, range(count)))
    took = time.perf_counter() - began
    times.sort()
    return {
        "system": "floor", "width": width, "per_s": round(count / took, 1), "p50_ms": round(times[count // 2], 2),
        "p99_ms": round(times[int(count * 0.99)], 2),
        "cpu_ms_each": round((time.process_time() - cpu) * 1000 / count, 2),
        "flushes_each": round(log.flushes / count, 2),
    }  # fmt: skip

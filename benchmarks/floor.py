"""The floor in plain Python: five signed records a workflow in one shared log with group commit, and nothing else."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from types import TracebackType

from edge_runtime.objects.codec import encode
from edge_runtime.objects.keys import SigningKey

from .results import FLOOR, StepsRow, steps_row

RECORDS = 5  # created, three outcomes, ended


class Log:
    """A file of records for the tasks of one loop: who appends before a flush begins shares it.

    A thread for each workflow and a lock around the flush was tried: a quarter of the speed at 50 wide, since the first
    thread that wakes flushes alone.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self.flushes = 0

    async def append(self, record: bytes) -> None:
        """Append one record; return once it is durable."""
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)  # after every task that is ready now
        self._waiting.append((record, durable))
        await durable

    def _flush(self) -> None:
        group, self._waiting = self._waiting, []
        data = b"".join(record for record, _ in group)
        assert os.write(self._file, data) == len(data)
        os.fdatasync(self._file)
        self.flushes += 1
        for _, durable in group:
            durable.set_result(None)

    def __enter__(self) -> Log:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the file."""
        os.close(self._file)


class FloorSteps:
    """Workflows that only append. The CPU is this process's."""

    system = FLOOR

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = SigningKey.from_seed(b"f" * 32)
        self._flushes: dict[int, float] = {}

    def measure(self, width: int, count: int) -> StepsRow:
        """Return the row of `count` workflows, `width` of them under way at once."""
        with Log(self._folder / f"floor-{width}.log") as log:
            cpu, began = time.process_time(), time.perf_counter()
            times = asyncio.run(self._run(log, width, count))
            took_s, used_ms = time.perf_counter() - began, (time.process_time() - cpu) * 1000
        self._flushes[width] = log.flushes / count
        return steps_row(FLOOR, width, took_s, times, used_ms, None)

    async def _run(self, log: Log, width: int, count: int) -> list[float]:
        times: list[float] = []
        left = iter(range(count))

        async def work() -> None:
            for number in left:
                began = time.perf_counter()
                for record in range(RECORDS):
                    payload = encode([number, record, "x" * 60])
                    await log.append(payload + self._key.sign(payload))
                times.append((time.perf_counter() - began) * 1000)

        async with asyncio.TaskGroup() as group:
            for _ in range(width):
                group.create_task(work())
        return times

    def count_flushes(self, width: int, count: int) -> float | None:
        """Return the flushes per workflow of the run that was measured: it counts its own."""
        return self._flushes[width]

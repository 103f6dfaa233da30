"""Our daemon as it is measured: a process with a state directory of its own, driven over its control socket."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from edge_runtime.client import BlockingClient, Client

from .processes import ROOT, Unusable, count_flushes, cpu_ms, environment
from .results import OURS, StepsRow, steps_row

STOP_S = 15.0
WARM_UP = 20
INTENT = "three"


class Daemon:
    """A daemon; used as a context manager it is running inside and gone after.

    Args:
        state: its state directory. app: what `--app` names, from this folder; "" for none. log: where the
            workload notes what it starts.
    """

    def __init__(self, state: Path, app: str = "", log: Path | None = None) -> None:
        self.state = state
        apps = ["--app", app] if app else []
        quiet = ["--interface", "lo", "--log-level", "warning"]
        self._argv = [sys.executable, "-m", "edge_runtime", "run", "--state", str(state), *quiet, *apps]
        self._env = environment() | ({"BENCH_LOG": str(log)} if log else {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for `ready`.

        Raises:
            Unusable: it ended before; what it said stands on stderr above.
        """
        process = subprocess.Popen(
            self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=self._env, cwd=ROOT / "benchmarks"
        )
        self._process = process
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            self.kill()
            raise Unusable(f"the daemon did not start (exit {process.returncode}): {' '.join(self._argv)}")

    @property
    def pid(self) -> int:
        """Its process id while it runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, as a pulled plug does."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def _end(self, seconds: float | None = None) -> None:
        if self._process is not None:
            self._process.wait(seconds)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def __enter__(self) -> Daemon:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop in order; by force where that takes too long."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._end(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()


class OurSteps:
    """Workflows on a daemon, each from `submit` with `wait` sent to its result read. CPU is the daemon's alone."""

    system = OURS

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        asyncio.run(run_many(daemon.state, 1, WARM_UP))

    def measure(self, width: int, count: int) -> StepsRow:
        """Return the row of `count` workflows, `width` of them under way at once; flushes are not counted."""
        cpu, began = cpu_ms(self._daemon.pid), time.perf_counter()
        if width == 1:
            times = run_one_by_one(self._daemon.state, count)
        else:
            times = asyncio.run(run_many(self._daemon.state, width, count))
        took_s = time.perf_counter() - began
        return steps_row(OURS, width, took_s, times, cpu_ms(self._daemon.pid) - cpu, None)

    def count_flushes(self, width: int, count: int) -> float | None:
        """Return the flushes per workflow in a run that is not timed."""
        with count_flushes(self._daemon.pid) as flushes:
            asyncio.run(run_many(self._daemon.state, width, count))
        return None if flushes.count is None else flushes.count / count


def run_one_by_one(state: Path, count: int) -> list[float]:
    """Run workflows one after the other with the blocking client; return the time of each in ms."""
    times: list[float] = []
    with BlockingClient(state) as client:
        for _ in range(count):
            began = time.perf_counter()
            client.submit(INTENT, "x", wait=True)
            times.append((time.perf_counter() - began) * 1000)
    return times


async def run_many(state: Path, width: int, count: int) -> list[float]:
    """Run workflows at a width over one connection; return the time of each in ms."""
    times: list[float] = []
    left = iter(range(count))

    async def work(client: Client) -> None:
        for _ in left:
            began = time.perf_counter()
            await client.submit(INTENT, "x", wait=True)
            times.append((time.perf_counter() - began) * 1000)

    async with Client(state) as client, asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(work(client))
    return times

"""A small board: control groups that leave a process so much memory and so much of one core, as a Raspberry Pi Zero 2 has."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
TASKS_MAX = 256
NUMBERS = itertools.count()
# Goes into its groups by itself, then becomes the command.
ENTER = 'for group in $1; do echo $$ > "$group/cgroup.procs"; done; shift; exec "$@"'


def is_unified() -> bool:
    """Say whether control groups are of the second version."""
    return (CGROUPS / "cgroup.controllers").exists()


def _own(controller: str) -> Path:
    """Return this process's group of a controller, in the first version of control groups."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return CGROUPS / controller / path.lstrip("/")
    raise OSError(f"no group of {controller}")


class Board:
    """The groups; `prefix` goes before a command that is to run on the board."""

    def __init__(self, memory_mb: int, cpu_percent: int) -> None:
        name = f"edge-board-{os.getpid()}-{next(NUMBERS)}"
        quota_us = PERIOD_US * cpu_percent // 100
        if is_unified():
            self._memory = self._cpu = CGROUPS / name
            (CGROUPS / "cgroup.subtree_control").write_text("+memory +cpu +pids")
            limits = {"memory.max": memory_mb << 20, "cpu.max": f"{quota_us} {PERIOD_US}", "pids.max": TASKS_MAX}
            settings = {self._memory: limits}
        else:
            self._memory, self._cpu, tasks = (_own(kind) / name for kind in ("memory", "cpu", "pids"))
            settings = {
                self._memory: {"memory.limit_in_bytes": memory_mb << 20},
                self._cpu: {"cpu.cfs_period_us": PERIOD_US, "cpu.cfs_quota_us": quota_us},
                tasks: {"pids.max": TASKS_MAX},
            }
        self._groups = list(settings)
        for group, values in settings.items():
            group.mkdir()
            for file, value in values.items():
                (group / file).write_text(str(value))
        self.prefix = ("sh", "-c", ENTER, "board", " ".join(map(str, self._groups)))

    def remove(self) -> None:
        """Take the groups away; nothing runs in them any more."""
        for group in self._groups:
            group.rmdir()

    @property
    def peak_mb(self) -> float:
        """The most memory that was in use at once, page cache and all."""
        file = "memory.peak" if is_unified() else "memory.max_usage_in_bytes"
        return int((self._memory / file).read_text()) / (1 << 20)

    @property
    def kills(self) -> int:
        """How many processes the kernel killed for want of memory."""
        return self._count(self._memory / ("memory.events" if is_unified() else "memory.oom_control"), "oom_kill")

    @property
    def throttled(self) -> int:
        """How many periods had no more time to give: proof that the quarter of a core was felt."""
        return self._count(self._cpu / "cpu.stat", "nr_throttled")

    @staticmethod
    def _count(file: Path, name: str) -> int:
        return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.split()[0] == name)


@contextmanager
def small_board(memory_mb: int, cpu_percent: int) -> Iterator[Board]:
    """Yield a board, whose groups are gone afterwards."""
    board = Board(memory_mb, cpu_percent)
    try:
        yield board
    finally:
        board.remove()

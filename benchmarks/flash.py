"""`flash`: what a memory card has to take: bytes and flushes for a durable step, and bytes in an idle hour.

Counted twice: by the process (`write_bytes` of /proc/PID/io, flushes by strace) and by the block device below it (sectors
written and flushes served, of an ext4 on a loop device of its own; root only). The device's figure is higher: it has the
file system's journal in it. Counts do not depend on what else the machine does. An idle hour is a run of IDLE_S seconds
after everything was written back, scaled; a device that wakes for nothing has only timers of hours left out by that.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_runtime.client import BlockingClient

from .ours import Daemon, run_many
from .processes import Unusable, count_flushes, folder
from .results import WIDE, Flash, FlashRow

STEPS_EACH = 3  # recorded steps of one workflow
COUNTS = {1: 300, WIDE: 1_000}
COUNTS_SMALL = {1: 30, WIDE: 100}
SLEEPERS = 100
IDLE_S, IDLE_S_SMALL = 60, 5
SECTOR = 512  # of /sys/block/*/stat, whatever the device's own are (Documentation/block/stat.rst)
CARD_MIB = 256
MOUNT_S = 20.0


class Counter:
    """Reads what was written so far: by a process, and by the block device under its state."""

    def __init__(self, pid: int, device: str) -> None:
        self._pid = pid
        self._device = device

    def read(self) -> tuple[int, int | None, int | None]:
        """Return (bytes of the process, bytes of the device, flushes of the device), after a write-back of all."""
        os.sync()
        found = Path(f"/proc/{self._pid}/io").read_text()
        written = int(found.split("write_bytes:")[1].split()[0])
        if not self._device:
            return written, None, None
        fields = Path(f"/sys/block/{self._device}/stat").read_text().split()
        return written, int(fields[6]) * SECTOR, int(fields[15])


def measure(is_small: bool) -> Flash:
    """Return the rows.

    Raises:
        Unusable: the daemon does not start.
    """
    counts = COUNTS_SMALL if is_small else COUNTS
    rows: list[FlashRow] = []
    with folder() as place, card(place) as (path, device), Daemon(path / "state", "workflow:app", place / "log") as daemon:
        counter = Counter(daemon.pid, device)
        asyncio.run(run_many(daemon.state, 1, 20))  # what is written once is not a step's
        for width, count in counts.items():
            rows.append(_steps_row(daemon, counter, width, count))
        rows.append(_idle_row(daemon, counter, IDLE_S_SMALL if is_small else IDLE_S))
    return Flash(tuple(rows))


def _steps_row(daemon: Daemon, counter: Counter, width: int, count: int) -> FlashRow:
    before = counter.read()
    asyncio.run(run_many(daemon.state, width, count))
    after = counter.read()
    with count_flushes(daemon.pid) as flushes:
        asyncio.run(run_many(daemon.state, width, count // 4))
    steps = count * STEPS_EACH
    calls = None if flushes.count is None else round(flushes.count / (count // 4 * STEPS_EACH), 2)
    return FlashRow(
        f"durable step, {width} at a time", steps, round((after[0] - before[0]) / steps), _each(before[1], after[1], steps),
        calls, _each(before[2], after[2], steps, 2),
    )  # fmt: skip


def _idle_row(daemon: Daemon, counter: Counter, seconds: float) -> FlashRow:
    """Let objects sleep and nothing happen, and count what is written all the same, for an hour."""
    with BlockingClient(daemon.state) as client:
        for number in range(SLEEPERS):
            client.submit("sleeper", number)
        while any(row["status"] != "dormant" for row in client.ask("ls", most=SLEEPERS)):
            time.sleep(0.05)
    before, began = counter.read(), time.monotonic()
    with count_flushes(daemon.pid) as flushes:
        time.sleep(seconds)  # an idle device is what is measured
    hours = (time.monotonic() - began) / 3_600
    after = counter.read()
    calls = None if flushes.count is None else round(flushes.count / hours, 1)
    return FlashRow(
        f"idle hour, {SLEEPERS} asleep", 0, round((after[0] - before[0]) / hours), _each(before[1], after[1], hours), calls,
        None,  # the device's are those of the counting itself
    )  # fmt: skip


def _each(before: int | None, after: int | None, by: float, digits: int = 0) -> float | None:
    return None if before is None or after is None else round((after - before) / by, digits)


@contextmanager
def card(place: Path) -> Iterator[tuple[Path, str]]:
    """Yield a folder on an ext4 of its own and the name of its block device; the given folder and "" without root."""
    image, path = place / "card", place / "mounted"
    path.mkdir()
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        yield path, ""
        return
    with open(image, "wb") as file:
        file.truncate(CARD_MIB << 20)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    try:
        _run("mount", "-o", "loop,noatime", str(image), str(path))
    except Unusable:
        yield path, ""
        return
    try:
        lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        yield path, next(Path(device).name for device, mounted, *_ in lines if mounted == str(path))
    finally:
        subprocess.run(["umount", "-l", str(path)], timeout=MOUNT_S, check=False)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=MOUNT_S, check=False)
    if done.returncode:
        raise Unusable(f"{words[0]}: {done.stderr.strip()[:200]}")

"""What the kernel counts about a process: CPU time, resident memory, flushes; and a folder on a real disk."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
BYTECODE = BUILD / "pycache"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ATTACH_S = 10.0
FLUSH = re.compile(r"\b(?:fsync|fdatasync)\(")


class Unusable(RuntimeError):
    """Something that was to be measured does not run here; the text says what and why."""


def environment() -> dict[str, str]:
    """Return the environment of what is measured: this checkout, compiled once, as an installation has it.

    Some machines forbid Python to write bytecode; a start from source alone takes more than twice as long.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(BYTECODE)}


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a fresh folder on the checkout's own disk, removed afterwards.

    Raises:
        Unusable: the checkout lies on a memory file system, where a flush costs nothing.
    """
    BUILD.mkdir(exist_ok=True)
    kind = file_system(BUILD)
    if kind in ("tmpfs", "ramfs"):
        raise Unusable(f"{BUILD} is on {kind}: a flush costs nothing there. Use a checkout on a disk.")
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=BUILD))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def file_system(path: Path) -> str:
    """Return the kind of file system that a path lies on, such as `ext4`."""
    return file_system_of(path.resolve(), Path("/proc/self/mounts").read_text())


def file_system_of(path: Path, mounts: str) -> str:
    """The same, from the text of /proc/self/mounts: the longest mount point above the path; of equals the last."""
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        _, point, found = line.split()[:3]
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
        if path.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), found
    return kind


def cpu_ms(pid: int) -> float:
    """Return the CPU time that all threads of a process have used so far, in steps of the kernel's tick (10 ms)."""
    return cpu_ms_of(Path(f"/proc/{pid}/stat").read_text())


def cpu_ms_of(stat: str) -> float:
    """The same, from the text of /proc/PID/stat, whose second field may hold blanks and brackets."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in MB of 1,024 x 1,024 bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


class Flushes:
    """How many flushes were counted; None while nothing was."""

    count: int | None = None


@contextmanager
def count_flushes(pid: int) -> Iterator[Flushes]:
    """Count fsync and fdatasync of all threads of a process while the block runs; None where strace cannot.

    The tracer delays each flush a little, so at width more waiters share one: measure time in another run.
    """
    found = Flushes()
    if shutil.which("strace") is None:
        yield found
        return
    with tempfile.NamedTemporaryFile("r", prefix="strace-", dir=BUILD) as log:
        argv = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", log.name, "-p", str(pid)]
        tracer = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            is_attached = _says(tracer, b"attached")
            yield found
        finally:
            tracer.terminate()  # it lets go of the process, which goes on
            tracer.wait()
            if tracer.stderr is not None:
                tracer.stderr.close()
        if is_attached:
            found.count = flushes_in(log.read().splitlines())


def _says(process: subprocess.Popen[bytes], word: bytes) -> bool:
    """Wait until a process writes a word to stderr; False if it ends, or does not within ATTACH_S."""
    assert process.stderr is not None
    heard = b""
    while word not in heard:
        if not select.select([process.stderr], [], [], ATTACH_S)[0]:
            return False
        part = os.read(process.stderr.fileno(), 4096)
        if not part:
            return False
        heard += part
    return True


def flushes_in(lines: Iterable[str]) -> int:
    """Return how many flushes a log of strace shows; one that was interrupted takes two lines and counts once."""
    return sum(FLUSH.search(line) is not None for line in lines)

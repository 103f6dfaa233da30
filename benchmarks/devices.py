"""Starting what is measured: our daemon, and workers of peers in a virtual environment of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PEERS = BUILD / "peers"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a fresh folder on the checkout's own disk (not a memory file system), removed afterwards."""
    BUILD.mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=BUILD))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def peers_python(may_install: bool) -> Path | None:
    """Return the interpreter that has the peers; made on demand, or None where that may not be done."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        if not may_install:
            return None
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        wanted = ["-r", str(ROOT / "benchmarks" / "requirements.txt")]
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted], check=True)
    return python


class Daemon:
    """Our daemon as a process. `options` are further words of `run`."""

    def __init__(self, state: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.state = state
        self.argv = [sys.executable, "-m", "edge_runtime", "run", "--state", str(state), "--interface", "lo",
                     "--log-level", "warning", *options]  # fmt: skip
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Daemon:
        """Start and wait for `ready`."""
        self.process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, env=self.env, cwd=ROOT / "benchmarks")
        assert self.process.stdout is not None and self.process.stdout.readline() == b"ready\n"
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Daemon:
        """Start."""
        return self.start()

    def __exit__(self, *exception: object) -> None:
        """Stop in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


def cpu_ms(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


@contextmanager
def count_flushes(pid: int) -> Iterator[list[int]]:
    """Count fsync and fdatasync calls of a process while the block runs; an empty list where strace is missing."""
    found: list[int] = []
    if shutil.which("strace") is None:
        yield found
        return
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
        argv = ["strace", "-f", "-q", "-e", "trace=fsync,fdatasync", "-o", log.name, "-p", str(pid)]
        tracer = subprocess.Popen(argv, stderr=subprocess.PIPE)
        try:
            import time

            time.sleep(0.5)
            yield found
        finally:
            tracer.terminate()
            tracer.wait()
        found.append(sum("sync(" in line for line in log.read().splitlines()))


def run_peer(python: Path, script: str, *words: str) -> dict[str, Any]:
    """Run a peer's worker script; its last line is JSON."""
    argv = [str(python), str(ROOT / "benchmarks" / script), *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr[-800:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found

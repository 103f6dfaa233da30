"""Peers as they are measured: a process in a virtual environment of its own, asked line by line over its pipes."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from .processes import BUILD, ROOT, Unusable, count_flushes
from .results import StepsRow, steps_row

PEERS = BUILD / "peers"
WANTED = ROOT / "benchmarks" / "requirements.txt"
ANSWER_S = 900.0  # a peer that says nothing for so long is taken for hung
WARM_UP = 5


def peers_python(may_install: bool) -> Path:
    """Return the interpreter that has the peers installed; never the one that runs this.

    Raises:
        Unusable: it is not there and may not be made, or making it failed; the text says why.
    """
    python, mark = PEERS / "bin" / "python", PEERS / "installed"
    if mark.exists() and mark.read_text() == WANTED.read_text() and python.exists():
        return python
    if not may_install:
        raise Unusable(f"{PEERS} is not made; a run without --small makes it")
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(WANTED)]
    for argv in ([sys.executable, "-m", "venv", str(PEERS)], install):
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if done.returncode:
            raise Unusable(f"exit {done.returncode} of {' '.join(argv)}")
    mark.write_text(WANTED.read_text())  # last: half an installation is none
    return python


class Worker:
    """DBOS in its own process (`dbos_worker.py`); used as a context manager it runs inside and is gone after.

    Args:
        folder: its database and log. mode: `default`, or `wal` for SQLite's write-ahead log.
    """

    def __init__(self, python: Path, folder: Path, mode: str) -> None:
        self._argv = [str(python), str(ROOT / "benchmarks" / "dbos_worker.py"), str(folder), mode]
        self._errors = folder / "stderr.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it has launched."""
        with open(self._errors, "wb") as errors:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0
            )
        self._answer()

    @property
    def pid(self) -> int:
        """Its process id while it runs."""
        assert self._process is not None
        return self._process.pid

    def ask(self, command: str, **fields: int) -> dict[str, Any]:
        """Send one command and return its answer.

        Raises:
            Unusable: it ended or does not answer; the text has the end of what it said.
        """
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **fields}).encode() + b"\n")
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        out = self._process.stdout
        line = out.readline() if select.select([out], [], [], ANSWER_S)[0] else b""
        if not line.endswith(b"\n"):
            self.kill()
            raise Unusable(f"{' '.join(self._argv)} gave no answer: {self._errors.read_text()[-800:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def kill(self) -> None:
        """SIGKILL, as a pulled plug does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def __enter__(self) -> Worker:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it: its database is thrown away, so nothing is lost by force."""
        self.kill()


class PeerSteps:
    """Workflows on a worker, each from its call to its return. CPU is the worker's, which is caller and engine."""

    def __init__(self, system: str, worker: Worker) -> None:
        self.system = system
        self._worker = worker
        worker.ask("measure", width=1, count=WARM_UP)

    def measure(self, width: int, count: int) -> StepsRow:
        """Return the row of `count` workflows, `width` of them under way at once; flushes are not counted."""
        found = self._worker.ask("measure", width=width, count=count)
        return steps_row(self.system, width, found["took_s"], found["times_ms"], found["cpu_ms"], None)

    def count_flushes(self, width: int, count: int) -> float | None:
        """Return the flushes per workflow in a run that is not timed."""
        with count_flushes(self._worker.pid) as flushes:
            self._worker.ask("measure", width=width, count=count)
        return None if flushes.count is None else flushes.count / count

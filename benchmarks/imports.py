"""`imports`: where the time of the daemon's imports goes, by package; medians of fresh processes with their bytecode written."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterable

from .processes import ROOT, Unusable, environment
from .results import ImportRow, Imports

RUNS, RUNS_SMALL = 9, 2
# As `run` does it: asyncio first, without TLS.
LOADED = """import edge_runtime.host.cli.main
from edge_runtime.host.lean import import_asyncio
import_asyncio()
import edge_runtime.host.runtime, edge_runtime.host.links"""
FLOORS = ("base", "objects", "judge", "program", "node", "host")
LIBRARIES = ("msgspec", "nacl", "cbor2", "zeroconf", "asyncio", "sqlite3", "logging", "argparse")
OTHERS = "the rest of the standard library"
START = "the interpreter's own start"
MARK = "import time:"


def measure(is_small: bool) -> Imports:
    """Return a row per package, the costliest first. Python's own stopwatch costs a third more than a plain start.

    Raises:
        Unusable: the package cannot be imported.
    """
    argv = [sys.executable, "-X", "importtime", "-c", f"import site\nprint('began', flush=True)\n{LOADED}"]
    runs: list[dict[str, tuple[int, float]]] = []
    for _ in range((RUNS_SMALL if is_small else RUNS) + 1):
        done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=60, check=False)
        if done.returncode:
            raise Unusable(f"the daemon cannot be imported: {done.stderr.splitlines()[-1]}")
        runs.append(sums_of(done.stderr.splitlines()))
    del runs[0]  # it wrote the bytecode
    rows = [
        ImportRow(what, modules, round(statistics.median(run.get(what, (0, 0.0))[1] for run in runs), 1))
        for what, (modules, _) in runs[0].items()
    ]
    return Imports(tuple(sorted(rows, key=lambda row: -row.ms)))


def sums_of(lines: Iterable[str]) -> dict[str, tuple[int, float]]:
    """Return package -> (modules, ms of their own) from what `python -X importtime` writes."""
    sums: dict[str, tuple[int, float]] = {}
    is_started = False
    for line in lines:
        if not line.startswith(MARK) or "self" in line:
            continue
        own, _, name = line.removeprefix(MARK).split("|")
        what = package_of(name.strip()) if is_started else START
        is_started = is_started or name.strip() == "site"
        modules, ms = sums.get(what, (0, 0.0))
        sums[what] = (modules + 1, ms + int(own) / 1_000)
    return sums


def package_of(module: str) -> str:
    """Return the row that a module counts in."""
    top, _, rest = module.partition(".")
    if top == "edge_runtime":
        floor = rest.partition(".")[0]
        return f"edge_runtime.{floor}" if floor in FLOORS else "edge_runtime"
    return top.lstrip("_") if top.lstrip("_") in LIBRARIES else OTHERS

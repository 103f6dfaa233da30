"""`python -m benchmarks steps|dormant|start|wake [--small] [--json]`, and `table FILE...` for docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from . import tables
from .processes import Unusable
from .results import Result, read_result


def main(words: list[str] | None = None) -> int:
    """Run one benchmark, or print results of earlier runs; return the exit code.

    With --json the last line is one JSON object, in the shape of `results`. A peer that is not measured is named on
    stderr with the reason.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--small", action="store_true", help="under half a minute; peers only if installed already")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    names = parser.add_subparsers(dest="name", required=True)
    for name, text in (
        ("steps", "workflows of three recorded steps a second, one at a time and 50 wide"),
        ("dormant", "sleeping objects: memory, idle CPU, restart after SIGKILL, what runs again then"),
        ("start", "cold start to ready, idle memory, time of the imports"),
        ("wake", "one change among 1,000 to 1,000,000 sleepers: time, evaluations, memory of each"),
    ):
        part = names.add_parser(name, help=text, description=text)
        for option in ("--small", "--json"):  # taken after the name too, without forgetting one before it
            part.add_argument(option, action="store_true", default=argparse.SUPPRESS)
        if name == "dormant":
            part.add_argument("--objects", type=int, help="how many of ours sleep (10,000; 500 with --small)")
            part.add_argument("--peer-objects", type=int, help="how many of a peer's (1,000; 100 with --small; 0: no peer)")
    part = names.add_parser("table", help="print JSON files of earlier runs as the tables of docs/benchmarks.md")
    part.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args(words)
    try:
        if options.name == "table":
            print(tables.page([read_result(file.read_bytes()) for file in options.files]))
            return 0
        found = _run(options)
    except (Unusable, OSError, ValueError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(found).decode() if options.json else tables.page([found]))
    return 0


def _run(options: argparse.Namespace) -> Result:
    match options.name:
        case "steps":
            from . import steps

            return steps.measure(options.small)
        case "dormant":
            from . import dormant

            return dormant.measure(options.small, options.objects, options.peer_objects)
        case "wake":
            from . import wake

            return wake.measure(options.small)
        case _:
            from . import start

            return start.measure(options.small)

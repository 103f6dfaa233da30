"""`python -m benchmarks steps|dormant|start|imports|wake|flash|backoff [--small] [--json]`; `table FILE...` for docs/benchmarks.md."""

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
        ("imports", "where the time of the daemon's imports goes, by package"),
        ("wake", "one change among 1,000 to 1,000,000 sleepers: time, evaluations, memory of each"),
        ("flash", "bytes and flushes for a durable step, bytes in an idle hour"),
        ("backoff", "pacing on recorded contacts: our judge beside an oracle and other runtimes' timers"),
    ):
        part = names.add_parser(name, help=text, description=text)
        for option in ("--small", "--json"):  # taken after the name too, without forgetting one before it
            part.add_argument(option, action="store_true", default=argparse.SUPPRESS)
        if name == "dormant":
            part.add_argument("--objects", type=int, help="how many of ours sleep (10,000; 500 with --small)")
            part.add_argument("--peer-objects", type=int, help="how many of a peer's (1,000; 100 with --small; 0: no peer)")
        if name == "backoff":
            _add_backoff(part)
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


def _add_backoff(part: argparse.ArgumentParser) -> None:
    part.add_argument("--trace", type=Path, required=True, help="contacts: lines t_start_s,t_end_s,node_a,node_b")
    part.add_argument("--plot", type=Path, help="draw lateness against attempts wasted into this PNG")
    part.add_argument("--seed", type=int, default=1, help="of the sample and of all chance (1)")
    part.add_argument("--bursts", type=_positive, help="how many times tasks come (as many as a minute allows)")
    part.add_argument("--burst", type=_positive, default=10, help="tasks that come at once (10)")
    part.add_argument("--shortest", type=float, default=10.0, help="contacts shorter than so many seconds are dropped (10)")
    part.add_argument("--their-limit", type=float, default=10.0, help="connection limit of the other runtimes, s (10)")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


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
        case "imports":
            from . import imports

            return imports.measure(options.small)
        case "flash":
            from . import flash

            return flash.measure(options.small)
        case "backoff":
            from . import backoff, plots

            if options.plot is not None:
                plots.check()
            found = backoff.measure(
                options.trace, options.small, options.seed, options.bursts, options.shortest, options.burst,
                round(options.their_limit * 1_000),
            )  # fmt: skip
            if options.plot is not None:
                plots.draw(found, options.plot)
            return found
        case _:
            from . import start

            return start.measure(options.small)

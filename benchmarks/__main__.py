"""`python -m benchmarks steps|dormant|start [--small] [--json]`, and `table FILE…` for docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Run one benchmark; the last line is one JSON object with --json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=["steps", "dormant", "start", "table"])
    parser.add_argument("files", nargs="*", help="JSON files of earlier runs, for `table`")
    parser.add_argument("--small", action="store_true", help="under half a minute, without installing peers")
    parser.add_argument("--objects", type=int, help="how many sleeping objects (dormant)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.name == "table":
        for file in options.files:
            print(table(json.loads(Path(file).read_text().strip().splitlines()[-1])))
        return 0
    found = run(options.name, options.small, options.objects)
    print(json.dumps(found) if options.json else table(found))
    return 0


def run(name: str, is_small: bool, objects: int | None) -> dict[str, Any]:
    """Run one benchmark and return its result."""
    if name == "steps":
        from .steps import measure

        return measure(is_small)
    from . import dormant

    return dormant.measure(is_small, objects) if name == "dormant" else dormant.measure_start(is_small)


def table(found: dict[str, Any]) -> str:
    """Return a result as a Markdown table; single figures stand below it."""
    rows = found.get("rows", [])
    lines = []
    if rows:
        heads = list(rows[0])
        lines.append("| " + " | ".join(head.replace("_", " ") for head in heads) + " |")
        lines.append("|" + "---|" * len(heads))
        lines.extend("| " + " | ".join("–" if row[head] is None else str(row[head]) for head in heads) + " |" for row in rows)
    rest = {key: value for key, value in found.items() if key != "rows"}
    if rest:
        lines.append("\n" + ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in rest.items()) + "\n")
    return "\n".join(lines)


sys.exit(main())

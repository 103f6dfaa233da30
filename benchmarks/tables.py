"""Results as Markdown: what docs/benchmarks.md shows, and what a run prints without --json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from . import pacing_bars
from .bars import Bar, judged
from .results import (
    Backoff, BackoffRow, Dormant, DormantRow, Flash, FlashRow, ImportRow, Imports, Result, Start, Steps, StepsRow,
    Wake, WakeRow,
)  # fmt: skip


def page(found: Sequence[Result]) -> str:
    """Return the tables of the results in the order given, then all their figures beside the bars."""
    parts = [result_table(result) for result in found]
    bars = _bars_table("ours", judged(found))
    return "\n\n".join([*parts, *([bars] if bars else [])])


def result_table(found: Result) -> str:
    """Return the table of one result."""
    match found:
        case Steps(workload=workload, rows=rows, ratio_one=one, ratio_fifty=fifty):
            ratios = f"{workload}; ours over the best peer: {_cell(one)} one at a time, {_cell(fifty)} 50 wide."
            return _rows_table(StepsRow, rows) + "\n\n" + ratios
        case Dormant(rows=rows):
            return _rows_table(DormantRow, rows)
        case Start():
            return _rows_table(Start, [found])
        case Wake(rows=rows):
            return _rows_table(WakeRow, rows)
        case Backoff():
            return _backoff_table(found)
        case Flash(rows=rows):
            return _rows_table(FlashRow, rows)
        case Imports(rows=rows):
            return _rows_table(ImportRow, rows)


def _backoff_table(found: Backoff) -> str:
    head = (
        f"`{found.trace}`: {found.links} links, {found.contacts} contacts; {found.tasks} tasks in {found.bursts} bursts, "
        f"seed {found.seed}."
    )
    bars = _bars_table("`" + found.trace + "`, ours", pacing_bars.judged(found))
    return "\n\n".join([head, _rows_table(BackoffRow, found.rows), *([bars] if bars else [])])


def _bars_table(head: str, judged_bars: Sequence[tuple[Bar, float]]) -> str:
    """Return figures beside their bars, empty without any."""
    bars = [
        (bar.what, f"{'≥' if bar.is_floor else '≤'} {bar.bound:g}", f"{figure:g}", bar.judge(figure))
        for bar, figure in judged_bars
    ]
    return _table((head, "bar", "measured", ""), bars) if bars else ""


Row: TypeAlias = StepsRow | DormantRow | WakeRow | Start | BackoffRow | FlashRow | ImportRow


def _rows_table(shape: type[Row], rows: Sequence[Row]) -> str:
    names = [field.name for field in msgspec.structs.fields(shape)]
    return _table(
        [name.replace("_", " ").replace(" percent", " %").replace(" mb", " MB").replace(" us", " µs") for name in names],
        [[_cell(getattr(row, name)) for name in names] for row in rows],
    )


def _cell(value: str | float | None) -> str:
    return "–" if value is None else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

"""A picture of `backoff`: how late each policy makes its tasks against what it wastes. Needs matplotlib."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from .processes import Unusable
from .results import OURS, Backoff

DOTS_PER_INCH = 120


def check() -> None:
    """See that matplotlib is there, before anything is measured.

    Raises:
        Unusable: it is not; says how to get it.
    """
    _matplotlib()


def _matplotlib() -> Any:
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        raise Unusable(
            "--plot needs matplotlib: python -m pip install -r benchmarks/requirements.txt"
        ) from None
    matplotlib.use("Agg")
    return importlib.import_module("matplotlib.pyplot")


def draw(found: Backoff, path: Path) -> None:
    """Draw the result into a PNG; a policy that completes nothing is not in it.

    Raises:
        Unusable: matplotlib is missing. OSError: the file cannot be written.
    """
    pyplot = _matplotlib()
    figure, axes = pyplot.subplots(figsize=(9, 6))
    for row in found.rows:
        if row.late_mean_s is None:
            continue
        marker, colour = ("o", "tab:blue") if row.policy == OURS else ("s", "tab:gray")
        axes.plot(row.wasted_per_task, row.late_mean_s, marker, color=colour)
        name = f"{row.policy} ({row.signal})" + ("" if row.completed == 1 else f", {row.completed:.0%} done")
        axes.annotate(name, (row.wasted_per_task, row.late_mean_s), fontsize=7, xytext=(4, 4), textcoords="offset points")
    axes.set_xscale("symlog", linthresh=0.01)
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_xlabel("attempts wasted per task")
    axes.set_ylabel("late, mean, s")
    axes.set_title(f"{found.trace}: {found.tasks} tasks, {found.links} links, seed {found.seed}")
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=DOTS_PER_INCH, format="png", bbox_inches="tight")
    pyplot.close(figure)
    print(f"drawn: {path}", file=sys.stderr)

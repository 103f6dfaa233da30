"""The bars of `backoff`, per trace: what the page "What the pacing must show" asks for, beside one result."""

from __future__ import annotations

from .bars import Bar
from .results import ORACLE, OURS, Backoff, BackoffRow

JITTER = "full jitter 60 s"


def judged(found: Backoff) -> list[tuple[Bar, float]]:
    """Return each bar that the result has a figure for, with the figure; none for a link that is never up.

    A share of what others waste is no figure where they waste nothing.
    """
    if not found.row(ORACLE, "all").completed:
        return []
    link, narrow, wide, none, classes = (
        found.row(OURS, signal) for signal in ("link", "plan 5 s", "plan 300 s", "none", "classes 0.9")
    )
    jitter, temporal = found.row(JITTER, "none"), found.row("temporal", "none")
    least = min(row.completed for row in (link, narrow, wide, none, classes))
    pairs = [
        (_most("link: wasted per task", 0.02), link.wasted_per_task),
        (_most("link: late, mean, s", 2), link.late_mean_s),
        (_most("link: late, p95, s", 10), link.late_p95_s),
        (_most("plan 5 s: wasted per task", 0.1), narrow.wasted_per_task),
        (_most("plan 5 s: late, mean, s", 5), narrow.late_mean_s),
        (_most("plan 300 s: wasted over none's", 1.2), _share(wide, none, "wasted_per_task")),
        (_most("plan 300 s: late, mean, over none's", 1.2), _share(wide, none, "late_mean_s")),
        (_most("none: wasted over full jitter's", 0.2), _share(none, jitter, "wasted_per_task")),
        (_most("none: energy over full jitter's", 0.1), _share(none, jitter, "energy") if jitter.wasted_per_task else None),
        (_most("none: late, median, over full jitter's", 2), _share(none, jitter, "late_median_s")),
        (_most("classes 0.9: wasted per task", 2), classes.wasted_per_task),
        (_most("classes 0.9: late, p95, s", 10), classes.late_p95_s),
        (_most("classes 0.9: wasted over Temporal's", 0.05), _share(classes, temporal, "wasted_per_task")),
        (Bar("completed, ours, least of all signals", 1, True, _nothing), least),
    ]
    return [(bar, figure) for bar, figure in pairs if figure is not None]


def _most(what: str, bound: float) -> Bar:
    return Bar(what, bound, False, _nothing)


def _nothing(_: object) -> None:
    return None


def _share(ours: BackoffRow, theirs: BackoffRow, name: str) -> float | None:
    """Return our figure over theirs; None where either is not known, or theirs is nothing."""
    figure, other = getattr(ours, name), getattr(theirs, name)
    return float(f"{figure / other:.3g}") if figure is not None and other else None

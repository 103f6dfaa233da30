"""The bars, and how figures stand beside them."""

from __future__ import annotations

import pytest

from benchmarks.bars import BARS, Bar, judged
from benchmarks.results import OURS, WIDE, WORKLOAD, Dormant, DormantRow, Start, Steps, StepsRow, Wake, WakeRow

STEPS = Steps(
    WORKLOAD,
    (
        StepsRow(OURS, 1, 400.0, 2.0, 9.0, 1.25, 4.0),
        StepsRow(OURS, WIDE, 900.0, 50.0, 90.0, 1.0, 0.25),
        StepsRow("dbos", 1, 100.0, 10.0, 20.0, 7.0, 20.0),
        StepsRow("dbos", WIDE, 100.0, 400.0, 900.0, 7.0, 20.0),
    ),
    4.0,
    9.0,
)
DORMANT = Dormant((DormantRow("dbos", 10, 90.0, 60.0, 0.8, 3.0, 20), DormantRow(OURS, 10, 45.5, 38.0, 0.05, 0.3, 0)))
MANY = Dormant((DormantRow(OURS, 100_000, 60.0, 31.0, 0.05, 0.45, 0),))
START = Start(0.25, 36.0, 100.0)
WAKE = Wake(
    (
        WakeRow(1_000, 800.0, 500.0, 3, 400.0),
        WakeRow(10_000, 8.0, 5.0, 9, 4.0),
        WakeRow(100_000, 1_000.0, 525.0, 2, 3.5),
    )
)


def bar(bound: float, is_floor: bool) -> Bar:
    """Return a bar of which only the bound counts."""
    return Bar("it", bound, is_floor, lambda found: None)


@pytest.mark.parametrize(
    ("bound", "is_floor", "figure", "word"),
    [
        (4, True, 4.0, "met"),
        (4, True, 3.2, "missed by 25 %"),
        (4, True, 1.6, "missed: 2.5 times"),
        (1.5, False, 1.5, "met"),
        (1.5, False, 1.8, "missed by 20 %"),
        (1.5, False, 3.0, "missed: 2.0 times"),
        (0, False, 0, "met"),
        (0, False, 16, "missed by 16"),
    ],
)
def test_a_figure_meets_a_bar_or_misses_it_by_so_much(bound: float, is_floor: bool, figure: float, word: str) -> None:
    assert bar(bound, is_floor).judge(figure) == word


def test_every_bar_reads_our_figure_from_the_result_that_has_it() -> None:
    figures = {bar.what: figure for bar, figure in judged([START, STEPS, DORMANT, MANY, WAKE])}
    assert len(figures) == len(BARS)
    assert list(figures.values()) == [
        0.25, 36.0, 4.0, 9.0, 0.2, 1.25, 1.0, 4.0, 0.25, 0.05, 7.5, 0.3, 0.45, 60.0, 1.25, 1.05, 2, 3.5, 0,
    ]  # fmt: skip


def test_a_result_without_a_peer_or_a_tracer_is_judged_by_what_it_has() -> None:
    alone = Steps(WORKLOAD, tuple(StepsRow(OURS, width, 1.0, 1.0, 1.0, 1.0, None) for width in (1, WIDE)), None, None)
    assert [bar.what for bar, _ in judged([alone])] == [
        "CPU ms per workflow, one at a time",
        f"CPU ms per workflow, {WIDE} wide",
    ]

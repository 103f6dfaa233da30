"""The bars that the product set itself, and how a result stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .results import OURS, WIDE, Dormant, DormantRow, Result, Start, Steps, Wake, WakeRow, best_peer, row_of


@dataclass(frozen=True)
class Bar:
    """One bar.

    Args:
        what: with its unit. bound: what is asked for. is_floor: the figure must be at least the bound, else at
            most. read: returns the figure of a result; None where that result has none (another benchmark, no peer).
    """

    what: str
    bound: float
    is_floor: bool
    read: Callable[[Result], float | None]

    def judge(self, figure: float) -> str:
        """Return `met`, or by how much the bar is missed."""
        if figure >= self.bound if self.is_floor else figure <= self.bound:
            return "met"
        if not self.bound or not figure:
            return f"missed by {figure:g}"
        share = self.bound / figure if self.is_floor else figure / self.bound
        return f"missed: {share:.1f} times" if share >= 1.995 else f"missed by {(share - 1) * 100:.0f} %"


def _ratio(width: int) -> Callable[[Result], float | None]:
    return lambda found: (found.ratio_one if width == 1 else found.ratio_fifty) if isinstance(found, Steps) else None


def _p50_share(found: Result) -> float | None:
    peer = best_peer(found.rows, 1) if isinstance(found, Steps) else None
    return round(row_of(found.rows, OURS, 1).p50_ms / peer.p50_ms, 2) if isinstance(found, Steps) and peer else None


def _cpu_ms(width: int) -> Callable[[Result], float | None]:
    return lambda found: row_of(found.rows, OURS, width).cpu_ms_each if isinstance(found, Steps) else None


def _flushes(width: int) -> Callable[[Result], float | None]:
    return lambda found: row_of(found.rows, OURS, width).flushes_each if isinstance(found, Steps) else None


def _start(read: Callable[[Start], float]) -> Callable[[Result], float | None]:
    return lambda found: read(found) if isinstance(found, Start) else None


MANY = 100_000  # sleepers; a run with so many has bars of its own


def _asleep(read: Callable[[DormantRow], float], is_many: bool = False) -> Callable[[Result], float | None]:
    def find(found: Result) -> float | None:
        if not isinstance(found, Dormant):
            return None
        row = next(row for row in found.rows if row.system == OURS)
        return read(row) if (row.objects >= MANY) is is_many else None

    return find


def _wake(read: Callable[[WakeRow, WakeRow], float]) -> Callable[[Result], float | None]:
    """Return a reader of the rows with the fewest and with the most sleepers."""
    return lambda found: read(found.rows[0], found.rows[-1]) if isinstance(found, Wake) else None


BARS = (
    Bar("cold start to ready, s", 0.25, False, _start(lambda found: found.ready_s)),
    Bar("idle memory, MB", 35, False, _start(lambda found: found.rss_mb)),
    Bar("workflows/s, one at a time, over the best peer", 4, True, _ratio(1)),
    Bar(f"workflows/s, {WIDE} wide, over the best peer", 4, True, _ratio(WIDE)),
    Bar("p50 one at a time, over the fastest peer's", 0.25, False, _p50_share),
    Bar("CPU ms per workflow, one at a time", 1.5, False, _cpu_ms(1)),
    Bar(f"CPU ms per workflow, {WIDE} wide", 1.5, False, _cpu_ms(WIDE)),
    Bar("flushes per workflow, one at a time", 5, False, _flushes(1)),
    Bar(f"flushes per workflow, {WIDE} wide", 1, False, _flushes(WIDE)),
    Bar("idle CPU with sleepers, %", 0.1, False, _asleep(lambda row: row.idle_cpu_percent)),
    Bar("sleepers: memory over idle, MB", 10, False, _asleep(lambda row: round(row.rss_mb - row.idle_rss_mb, 1))),
    Bar("restart with sleepers, s", 0.5, False, _asleep(lambda row: row.restart_s)),
    Bar("restart with 100,000 sleepers, s", 0.5, False, _asleep(lambda row: row.restart_s, is_many=True)),
    Bar("memory with 100,000 sleepers, MB", 64, False, _asleep(lambda row: row.rss_mb, is_many=True)),
    Bar("a fact changes: most sleepers over fewest, in time", 2, False,
        _wake(lambda few, many: round(many.fact_us / few.fact_us, 2))),
    Bar("one is due: most sleepers over fewest, in time", 2, False,
        _wake(lambda few, many: round(many.due_us / few.due_us, 2))),
    Bar("a fact changes: evaluations for three subscribers", 3, False, _wake(lambda few, many: many.evaluations)),
    Bar("memory of each of the most sleepers, bytes", 100, False, _wake(lambda few, many: many.rss_bytes_each)),
    Bar("started again after the restart", 0, False, _asleep(lambda row: row.rerun)),
)


def judged(found: Sequence[Result]) -> list[tuple[Bar, float]]:
    """Return each bar that one of the results has a figure for, with the figure."""
    pairs = []
    for bar in BARS:
        figures = [figure for result in found if (figure := bar.read(result)) is not None]
        if figures:
            pairs.append((bar, figures[-1]))
    return pairs

"""The shapes of the benchmarks' output: one JSON object each. Times are ms unless named; None is "not measured"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

OURS = "edge-runtime"
FLOOR, ORACLE = "floor", "oracle"
WIDE = 50
WORKLOAD = "3 recorded steps"


class StepsRow(msgspec.Struct, frozen=True):
    """One system at one width (how many workflows are under way at once)."""

    system: str
    width: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms_each: float
    flushes_each: float | None


class Steps(msgspec.Struct, frozen=True):
    """`steps`. The ratios are our workflows per second over the best peer's, None without a peer."""

    workload: str
    rows: tuple[StepsRow, ...]
    ratio_one: float | None
    ratio_fifty: float | None


class DormantRow(msgspec.Struct, frozen=True):
    """One system with objects asleep. `rerun` counts bodies and steps started again after the restart."""

    system: str
    objects: int
    rss_mb: float
    idle_rss_mb: float
    idle_cpu_percent: float
    restart_s: float
    rerun: int


class Dormant(msgspec.Struct, frozen=True):
    """`dormant`."""

    rows: tuple[DormantRow, ...]


class Start(msgspec.Struct, frozen=True):
    """`start`: medians."""

    ready_s: float
    rss_mb: float
    import_ms: float


class WakeRow(msgspec.Struct, frozen=True):
    """So many sleepers: a fact with three subscribers changes, one object is due; each with its commit.

    `evaluations`: leaves of triggers evaluated for one change of the fact. `rss_bytes_each`: memory beyond that of no sleepers.
    """

    objects: int
    fact_us: float
    due_us: float
    evaluations: int
    rss_bytes_each: float


class Wake(msgspec.Struct, frozen=True):
    """`wake`."""

    rows: tuple[WakeRow, ...]


class BackoffRow(msgspec.Struct, frozen=True):
    """One policy with what it can read. `energy` is seconds of radio per task; late times are None if none is done."""

    policy: str
    signal: str
    wasted_per_task: float
    late_mean_s: float | None
    late_p95_s: float | None
    energy: float
    completed: float
    late_median_s: float | None


class Backoff(msgspec.Struct, frozen=True):
    """`backoff` on one trace: how many links and contacts it has, how many bursts and tasks were drawn."""

    trace: str
    links: int
    contacts: int
    bursts: int
    tasks: int
    seed: int
    rows: tuple[BackoffRow, ...]

    def row(self, policy: str, signal: str) -> BackoffRow:
        """Return the row of a policy with a signal."""
        return next(row for row in self.rows if (row.policy, row.signal) == (policy, signal))


class FlashRow(msgspec.Struct, frozen=True):
    """What one durable step, or one idle hour, costs a card. Flushes: calls of the process, and served by the device."""

    case: str
    steps: int
    bytes_each: float
    device_bytes_each: float | None
    flushes_each: float | None
    device_flushes_each: float | None


class Flash(msgspec.Struct, frozen=True):
    """`flash`."""

    rows: tuple[FlashRow, ...]


class ImportRow(msgspec.Struct, frozen=True):
    """What the modules of one package cost when the daemon starts, each counted without what it imports itself."""

    what: str
    modules: int
    ms: float


class Imports(msgspec.Struct, frozen=True):
    """`imports`."""

    rows: tuple[ImportRow, ...]


Result: TypeAlias = Steps | Dormant | Start | Wake | Backoff | Flash | Imports


def read_result(data: bytes) -> Result:
    """Return the result that stands on the last line of a run's output.

    Raises:
        ValueError: it is none of them.
    """
    lines = data.strip().splitlines()
    shapes: tuple[type[Result], ...] = (Steps, Dormant, Start, Wake, Backoff, Flash, Imports)
    for shape in shapes:
        try:
            found: Result = msgspec.json.decode(lines[-1] if lines else b"", type=shape)
        except msgspec.DecodeError:
            continue
        return found
    raise ValueError("the last line is the result of no benchmark: run it with --json")


def best_peer(rows: Sequence[StepsRow], width: int) -> StepsRow | None:
    """Return the fastest system at a width that is neither ours nor the floor."""
    peers = [row for row in rows if row.width == width and row.system not in (OURS, FLOOR)]
    return max(peers, key=lambda row: row.per_s, default=None)


def row_of(rows: Sequence[StepsRow], system: str, width: int) -> StepsRow:
    """Return the row of a system at a width."""
    return next(row for row in rows if (row.system, row.width) == (system, width))


def ratio(rows: Sequence[StepsRow], width: int) -> float | None:
    """Return our workflows per second over the best peer's; None without a peer."""
    peer = best_peer(rows, width)
    return None if peer is None else round(row_of(rows, OURS, width).per_s / peer.per_s, 2)


def steps_row(
    system: str, width: int, took_s: float, times_ms: Sequence[float], cpu_ms: float, flushes_each: float | None
) -> StepsRow:
    """Return a row from what was measured.

    Args:
        times_ms: of each workflow, from asked to answered; any order, at least one.
        cpu_ms: of all of them together.
    """
    ordered, count = sorted(times_ms), len(times_ms)
    return StepsRow(
        system=system, width=width, per_s=round(count / took_s, 1), p50_ms=round(ordered[count // 2], 2),
        p99_ms=round(ordered[count * 99 // 100], 2), cpu_ms_each=round(cpu_ms / count, 2),
        flushes_each=None if flushes_each is None else round(flushes_each, 2),
    )  # fmt: skip


def middle_row(rows: Sequence[StepsRow]) -> StepsRow:
    """Return the row that is the median by workflows per second (the slower one of two)."""
    return sorted(rows, key=lambda row: row.per_s)[(len(rows) - 1) // 2]

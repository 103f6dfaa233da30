"""The shapes of the benchmarks' output, and the figures computed for them."""

from __future__ import annotations

import json

import msgspec
import pytest

from benchmarks.results import (
    FLOOR,
    OURS,
    WIDE,
    WORKLOAD,
    Dormant,
    DormantRow,
    Result,
    Start,
    Steps,
    StepsRow,
    Wake,
    WakeRow,
    best_peer,
    middle_row,
    ratio,
    read_result,
    steps_row,
)


def row(system: str, per_s: float, width: int = 1) -> StepsRow:
    """Return a row of which only the speed counts."""
    return StepsRow(system, width, per_s, 1.0, 2.0, 0.5, None)


RESULTS = [
    Steps(WORKLOAD, (row(OURS, 400.0), row("dbos", 100.0)), 4.0, None),
    Dormant((DormantRow(OURS, 10, 40.5, 38.0, 0.05, 0.3, 0),)),
    Start(0.2, 33.0, 120.5),
    Wake((WakeRow(1_000, 900.0, 500.0, 3, 4.5),)),
]


@pytest.mark.parametrize("found", RESULTS, ids=lambda found: type(found).__name__)
def test_a_result_is_read_back_from_the_last_line_of_a_run(found: Result) -> None:
    assert read_result(b"some words before\n" + msgspec.json.encode(found) + b"\n") == found


def test_the_json_has_the_fields_that_readers_count_on() -> None:
    steps, dormant, start, wake = (json.loads(msgspec.json.encode(found)) for found in RESULTS)
    assert list(steps) == ["workload", "rows", "ratio_one", "ratio_fifty"]
    assert list(steps["rows"][0]) == [
        "system", "width", "per_s", "p50_ms", "p99_ms", "cpu_ms_each", "flushes_each",
    ]  # fmt: skip
    assert list(dormant) == ["rows"]
    assert list(dormant["rows"][0]) == [
        "system", "objects", "rss_mb", "idle_rss_mb", "idle_cpu_percent", "restart_s", "rerun",
    ]  # fmt: skip
    assert list(start) == ["ready_s", "rss_mb", "import_ms"]
    assert list(wake["rows"][0]) == ["objects", "fact_us", "due_us", "evaluations", "rss_bytes_each"]


@pytest.mark.parametrize("data", [b"", b"\n", b"words", b"{}", b'{"rows": [{"system": "x"}]}'])
def test_what_is_no_result_is_refused_with_what_to_do(data: bytes) -> None:
    with pytest.raises(ValueError, match="run it with --json"):
        read_result(data)


def test_a_row_has_rate_percentiles_and_cost_of_each_workflow() -> None:
    times = [float(number) for number in range(200, 0, -1)]
    found = steps_row("x", 1, took_s=4.0, times_ms=times, cpu_ms=300.0, flushes_each=4.125)
    assert found == StepsRow("x", 1, 50.0, 101.0, 199.0, 1.5, 4.12)


def test_a_single_workflow_is_its_own_percentiles() -> None:
    found = steps_row("x", 1, took_s=0.5, times_ms=[7.0], cpu_ms=1.0, flushes_each=None)
    assert (found.p50_ms, found.p99_ms, found.per_s, found.flushes_each) == (7.0, 7.0, 2.0, None)


def test_the_middle_round_stands_for_all() -> None:
    assert middle_row([row("x", 9.0), row("x", 1.0), row("x", 5.0)]).per_s == 5.0
    assert middle_row([row("x", 9.0), row("x", 1.0)]).per_s == 1.0, "of two, not the flattering one"


def test_the_ratio_is_over_the_fastest_peer_at_that_width_and_never_over_the_floor() -> None:
    rows = [row(OURS, 300.0), row(FLOOR, 900.0), row("dbos", 50.0), row("dbos (wal)", 100.0), row("dbos", 999.0, WIDE)]
    assert ratio(rows, 1) == 3.0
    peer = best_peer(rows, 1)
    assert peer is not None and peer.system == "dbos (wal)"


def test_without_a_peer_there_is_no_ratio() -> None:
    assert ratio([row(OURS, 300.0), row(FLOOR, 900.0)], 1) is None

"""The machine's clocks as moments."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import pytest

from edge_runtime.base.moment import Trust
from edge_runtime.host import clock
from edge_runtime.host.clock import Clock, boot_ms, read_boot_id


def test_boot_time_counts_suspend_and_never_goes_back() -> None:
    first = boot_ms()
    assert first <= boot_ms()
    assert abs(first - time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) < 1000
    assert first + 1 >= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


def test_a_moment_holds_both_clocks_in_whole_milliseconds() -> None:
    moment = Clock().read()
    assert abs(moment.wall_ms - time.time() * 1000) < 1000
    assert abs(moment.boot_ms - boot_ms()) < 1000


def test_the_wall_clock_is_trusted_as_far_as_the_kernel_says() -> None:
    # Read here through the C library's own structure: `status` is its fifth field, after four longs and padding.
    buffer = (ctypes.c_long * 26)()
    state = ctypes.CDLL(None).adjtimex(buffer)
    assert Clock().read().trust is (Trust.NTP if 0 <= state < 5 or clock.SYNCHRONIZED.exists() else Trust.NONE)


@pytest.mark.parametrize(
    ("age_s", "trust"), [(0, Trust.NTP), (3_600, Trust.NTP), (3 * 3_600, Trust.NONE), (-60, Trust.NONE)]
)
def test_the_word_of_timesyncd_counts_while_it_is_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: int, trust: Trust
) -> None:
    """Behaviour: 16.1: after a step of the clock its file is from another time."""
    file = tmp_path / "synchronized"
    file.touch()
    os.utime(file, (time.time() - age_s,) * 2)
    monkeypatch.setattr(clock, "SYNCHRONIZED", file)
    under_test = Clock()
    kernel = 0 <= ctypes.CDLL(None).adjtimex((ctypes.c_long * 26)()) < 5
    assert under_test.read().trust is (Trust.NTP if kernel else trust)
    assert bool(under_test.source.name) is (kernel or trust is Trust.NTP)


@pytest.mark.parametrize(
    ("trust", "is_open", "problem"),
    [
        (Trust.NONE, False, "nobody vouches"),
        (Trust.RESTORED, True, "before the last power-off"),
        (Trust.PEER, True, "how long the power was off"),
        (Trust.PEER, False, None),
        (Trust.NTP, False, None),
    ],
)
def test_a_time_that_is_not_trusted_comes_with_what_to_do(trust: Trust, is_open: bool, problem: str | None) -> None:
    source = clock.Source(trust, "the kernel" if trust is Trust.NTP else "")
    found = clock.report({"trust": trust.name.lower(), "gap_is_open": is_open, "wall_ms": 5}, source)
    assert found["wall_ms"] == 5
    assert (found["problem"] is None) is (found["remedy"] is None) is (problem is None)
    assert problem is None or problem in str(found["problem"])
    assert bool(found["source"]) is (trust >= Trust.PEER)


def test_the_kernel_is_not_asked_at_each_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    now_ms = [1_000_000]
    monkeypatch.setattr(clock, "boot_ms", lambda: now_ms[0])
    under_test = Clock()
    source = clock.Source(Trust.NTP, "it")
    monkeypatch.setattr(under_test, "_find_source", lambda: asked.append(now_ms[0]) or source)
    for step_ms in (0, 1, 1_998, 1, 1):
        now_ms[0] += step_ms
        assert under_test.read().trust is Trust.NTP
    assert asked == [1_000_000, 1_002_000]


def test_the_machines_boot_has_a_name_that_lasts() -> None:
    assert read_boot_id() == read_boot_id()
    assert len(read_boot_id()) == 36


def test_a_machine_without_a_boot_id_has_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "BOOT_ID", clock.BOOT_ID / "none")
    assert read_boot_id() == ""

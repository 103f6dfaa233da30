"""The machine's clocks as moments."""

from __future__ import annotations

import ctypes
import time

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
    assert Clock().read().trust is (Trust.NTP if 0 <= state < 5 else Trust.NONE)


def test_the_kernel_is_not_asked_at_each_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    now_ms = [1_000_000]
    monkeypatch.setattr(clock, "boot_ms", lambda: now_ms[0])
    under_test = Clock()
    monkeypatch.setattr(under_test, "_read_trust", lambda: asked.append(now_ms[0]) or Trust.NTP)
    for step_ms in (0, 1, 9_998, 1, 1):
        now_ms[0] += step_ms
        assert under_test.read().trust is Trust.NTP
    assert asked == [1_000_000, 1_010_000]


def test_the_machines_boot_has_a_name_that_lasts() -> None:
    assert read_boot_id() == read_boot_id()
    assert len(read_boot_id()) == 36


def test_a_machine_without_a_boot_id_has_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "BOOT_ID", clock.BOOT_ID / "none")
    assert read_boot_id() == ""

"""What the flash benchmark reads, and how it scales."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.flash import Counter, _each


def test_the_bytes_of_a_process_are_read_and_a_device_that_is_not_known_is_left_out(tmp_path: Path) -> None:
    counter = Counter(os.getpid(), "")
    before = counter.read()
    (tmp_path / "x").write_bytes(b"x" * 100_000)
    after = counter.read()
    assert after[0] - before[0] >= 0 and after[1:] == (None, None)


def test_a_figure_is_scaled_and_one_that_was_not_measured_stays_so() -> None:
    assert _each(100, 700, 3) == 200 and _each(None, 700, 3) is None and _each(1, 2, 3, 2) == 0.33

"""The floor: a shared log with group commit."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.floor import RECORDS, FloorSteps, Log


async def test_records_that_wait_together_share_one_flush(tmp_path: Path) -> None:
    with Log(tmp_path / "log") as log:
        await asyncio.gather(*(log.append(b"%02d" % number) for number in range(50)))
        assert log.flushes == 1
    assert (tmp_path / "log").read_bytes() == b"".join(b"%02d" % number for number in range(50))


async def test_a_record_is_flushed_when_its_append_returns(tmp_path: Path) -> None:
    with Log(tmp_path / "log") as log:
        for number in range(3):
            await log.append(b"x")
            assert (log.flushes, (tmp_path / "log").read_bytes()) == (number + 1, b"x" * (number + 1))


def test_one_at_a_time_each_record_costs_a_flush_and_side_by_side_they_share(tmp_path: Path) -> None:
    floor = FloorSteps(tmp_path)
    row = floor.measure(1, 2)
    assert (row.system, row.width, floor.count_flushes(1, 2)) == ("floor", 1, RECORDS)
    floor.measure(4, 8)
    assert floor.count_flushes(4, 8) == RECORDS / 4

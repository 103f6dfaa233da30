"""What other runtimes' timers do on a link: their defaults, their giving up, and the shortcut through long gaps."""

from __future__ import annotations

import statistics
from random import Random

import pytest

from benchmarks.contacts import Link
from benchmarks.rivals import RIVALS, Rival, run

BY_NAME = {rival.name: rival for rival in RIVALS}
HOUR_MS = 3_600_000


def down_for(gap_ms: int, up_ms: int = HOUR_MS) -> Link:
    """Return a link that is down first, then up."""
    return Link("a-b", (gap_ms,), (gap_ms + up_ms,), gap_ms + up_ms)


def one(rival: Rival, link: Link, came_ms: int = 0, seed: int = 1) -> tuple[int, int | None]:
    return run(rival, link, came_ms, 200, 0, 20 * link.period_ms, Random(seed))


def test_who_finds_the_link_up_is_done_at_once() -> None:
    for rival in RIVALS:
        assert one(rival, down_for(0)) == (0, 200)


@pytest.mark.parametrize(
    ("name", "waits_s"),
    [
        ("temporal", [1, 2, 4, 8, 16, 32, 64, 100, 100]),
        ("restate", [0.5, 1, 2, 4, 8, 16, 32, 60, 60]),
        ("workmanager", [30, 60, 120, 240, 480, 960, 1_920, 3_840, 7_680, 15_360, 18_000, 18_000]),
    ],
)
def test_the_waits_are_those_of_the_defaults(name: str, waits_s: list[float]) -> None:
    found = [BY_NAME[name].waits(number, Random(1)) / 1_000 for number in range(1, len(waits_s) + 1)]
    assert found == waits_s


def test_jitter_stays_below_its_ceiling() -> None:
    chance = Random(2)
    for number, ceiling_s in ((1, 1), (2, 2), (5, 16), (7, 60), (50, 60)):
        found = [BY_NAME["full jitter 60 s"].waits(number, chance) / 1_000 for _ in range(500)]
        assert 0.9 * ceiling_s < max(found) <= ceiling_s
        assert min(found) < 0.1 * ceiling_s
    assert all(100 <= BY_NAME["stamina"].waits(1, chance) <= 1_100 for _ in range(100))
    assert BY_NAME["stamina"].waits(9, chance) == 5_000


def test_restate_pauses_after_seventy_attempts_and_stamina_after_ten_or_after_45_seconds() -> None:
    assert one(BY_NAME["restate"], down_for(30 * HOUR_MS)) == (70, None)
    assert one(BY_NAME["restate"], down_for(HOUR_MS))[1] is not None
    assert one(BY_NAME["stamina"], down_for(HOUR_MS)) == (10, None)
    wasted, done_ms = run(BY_NAME["stamina"], down_for(HOUR_MS), 0, 200, 20_000, 10**9, Random(1))
    assert (wasted, done_ms) == (3, None)


def test_who_reads_the_carrier_wastes_nothing_and_is_not_late() -> None:
    assert one(BY_NAME["full jitter 60 s, carrier"], down_for(HOUR_MS)) == (0, HOUR_MS + 200)


def test_a_task_that_outlives_its_life_is_not_done() -> None:
    never = Link("none", (), (), HOUR_MS)
    for name in ("temporal", "full jitter 60 s", "full jitter 60 s, carrier"):
        assert run(BY_NAME[name], never, 0, 200, 0, HOUR_MS, Random(1))[1] is None


@pytest.mark.parametrize("name", ["temporal", "full jitter 60 s", "full jitter 300 s"])
def test_the_shortcut_through_a_long_gap_counts_and_is_late_as_the_long_way(name: str) -> None:
    """The long way is the same policy told that it has no steady waits."""
    short, gap_ms = BY_NAME[name], 40 * HOUR_MS
    long = Rival(name, short.waits)
    told = {which: [one(which, down_for(gap_ms), seed=seed) for seed in range(60)] for which in (short, long)}
    counts = [statistics.mean(wasted for wasted, _ in told[which]) for which in (short, long)]
    late_s = [statistics.mean((done or 0) - gap_ms for _, done in told[which]) / 1_000 for which in (short, long)]
    assert counts[0] == pytest.approx(counts[1], rel=0.01)
    assert late_s[0] == pytest.approx(late_s[1], rel=0.25, abs=0.3)

"""When a probe is polled, from the entries alone, and what a reading comes to."""

from __future__ import annotations

import pytest

from edge_runtime.base.limits import POLL_ABORTED_MS, POLL_MS_MAX, POLLS_ABORTED_MAX
from edge_runtime.base.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from edge_runtime.judge.polling import (
    TICKS_MS,
    Cadence,
    ReadingView,
    cadence_of,
    count_dues,
    judge_absence,
    judge_reading,
    next_due_age_ms,
    on_tick,
    phase_of,
)
from edge_runtime.objects.bodies import PollResult
from edge_runtime.objects.condition_text import parse

OBJECT = b"o" * 32


def dues(cadence: Cadence, until_ms: int) -> list[int]:
    """Return the due ages up to an age, one step at a time."""
    found, age_ms = [], cadence.since_age_ms
    while (age_ms := next_due_age_ms(cadence, age_ms)) <= until_ms:
        found.append(age_ms)
    return found


def test_a_fixed_cadence_keeps_to_its_phase_whenever_it_is_asked() -> None:
    """Behaviour: 5.1: asked 130 s after the phase, the answer is the phase + 180 s."""
    phase_ms = 17_000
    cadence = Cadence(0, MINUTE_MS, MINUTE_MS, phase_ms)
    assert dues(cadence, 5 * MINUTE_MS) == [phase_ms + n * MINUTE_MS for n in range(5)]
    assert next_due_age_ms(cadence, phase_ms + 130_000) == phase_ms + 180_000
    assert next_due_age_ms(cadence, phase_ms + 180_000) == phase_ms + 240_000


def test_ten_hours_at_one_minute_are_six_hundred_due_times() -> None:
    """Behaviour: 5.2: one of them is the catch-up, 599 are missed."""
    cadence = Cadence(0, MINUTE_MS, MINUTE_MS, 0)
    assert count_dues(cadence, MINUTE_MS, MINUTE_MS + 10 * HOUR_MS) == 600


def test_the_interval_grows_with_the_run_within_its_bounds() -> None:
    """Behaviour: 5.3."""
    cadence = cadence_of(OBJECT, "door", PollResult.NOT_YET, 5_000, MINUTE_MS, HOUR_MS)
    found = dues(cadence, 10 * DAY_MS)
    gaps = [later - earlier for earlier, later in zip(found, found[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert (min(gaps), max(gaps)) == (MINUTE_MS, HOUR_MS)
    assert all(gap <= max(MINUTE_MS, (due - 5_000) // 10) for gap, due in zip(gaps, found, strict=False))
    assert all((due - cadence.phase_ms) % MINUTE_MS == 0 for due in found)


def test_a_new_run_begins_at_the_least_interval() -> None:
    """Behaviour: 5.3."""
    old = cadence_of(OBJECT, "door", PollResult.NOT_YET, 0, MINUTE_MS, HOUR_MS)
    due_ms = next_due_age_ms(old, DAY_MS)
    assert next_due_age_ms(old, due_ms) - due_ms == HOUR_MS
    fresh = cadence_of(OBJECT, "door", PollResult.NOT_YET, DAY_MS, MINUTE_MS, HOUR_MS)
    assert next_due_age_ms(fresh, DAY_MS) - DAY_MS <= MINUTE_MS


@pytest.mark.parametrize(("least_ms", "most_ms"), [(1_000, POLL_MS_MAX), (7_000, 7_000), (60_000, 1_000_000)])
def test_counting_due_times_at_once_agrees_with_counting_them_one_by_one(least_ms: int, most_ms: int) -> None:
    cadence = Cadence(123_456, least_ms, most_ms, 99 % least_ms)
    found = dues(cadence, 3 * DAY_MS)
    for after_ms, until_ms in [(0, 3 * DAY_MS), (200_000, 300_000), (found[3], found[9]), (HOUR_MS, DAY_MS)]:
        expected = len([due for due in found if after_ms < due <= until_ms])
        assert count_dues(cadence, after_ms, until_ms) == expected


def test_counting_ten_years_of_seconds_takes_no_time() -> None:
    cadence = Cadence(0, SECOND_MS, POLL_MS_MAX, 0)
    assert 3_650 < count_dues(cadence, 0, 3_650 * DAY_MS) < 4_200
    steady = Cadence(0, SECOND_MS, SECOND_MS, 0)
    assert count_dues(steady, 0, 3_650 * DAY_MS) == 3_650 * DAY_MS // SECOND_MS


def test_phases_are_spread_by_the_hash_of_the_object() -> None:
    phases = [phase_of(bytes([n]) * 32, "door", MINUTE_MS) for n in range(256)]
    sixths = [sum(1 for phase in phases if phase // 10_000 == sixth) for sixth in range(6)]
    assert min(sixths) > 256 // 6 // 2
    assert phase_of(OBJECT, "door", MINUTE_MS) != phase_of(OBJECT, "window", MINUTE_MS)


def test_polls_share_ticks_and_coarse_ticks_are_fine_ones_too() -> None:
    assert all(coarse % fine == 0 for fine, coarse in zip(TICKS_MS, TICKS_MS[1:], strict=False))
    assert on_tick(61_001, MINUTE_MS) == 75_000
    assert on_tick(75_000, MINUTE_MS) == 75_000
    assert on_tick(61_001, SECOND_MS) == 61_001
    for least_ms in (SECOND_MS, 10 * SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS):
        for life_ms in range(1, 10**8, 1_234_567):
            assert 0 <= on_tick(life_ms, least_ms) - life_ms < max(1, least_ms // 4)


def test_an_absent_source_has_its_own_short_cadence_and_then_the_longest() -> None:
    """Behaviour: 5.4."""
    aborted = cadence_of(OBJECT, "door", PollResult.ABORTED, 0, HOUR_MS, DAY_MS)
    assert (aborted.least_ms, aborted.most_ms) == (POLL_ABORTED_MS, POLL_ABORTED_MS)
    assert cadence_of(OBJECT, "door", PollResult.ABORTED, 0, 2_000, DAY_MS).least_ms == 2_000
    escalated = cadence_of(OBJECT, "door", PollResult.ESCALATED, 0, HOUR_MS, DAY_MS)
    assert (escalated.least_ms, escalated.most_ms) == (DAY_MS, DAY_MS)


def test_absence_is_escalated_once_it_was_found_often_enough_in_a_row() -> None:
    """Behaviour: 5.4."""
    assert judge_absence(None, 1) is PollResult.ABORTED
    assert judge_absence(PollResult.NOT_YET, 100) is PollResult.ABORTED
    assert judge_absence(PollResult.ABORTED, POLLS_ABORTED_MAX - 1) is PollResult.ABORTED
    assert judge_absence(PollResult.ABORTED, POLLS_ABORTED_MAX) is PollResult.ESCALATED
    assert judge_absence(PollResult.ESCALATED, 1) is PollResult.ESCALATED


@pytest.mark.parametrize(
    ("until", "has_changed", "expected"),
    [
        (None, True, PollResult.SATISFIED),
        (None, False, PollResult.NOT_YET),
        ("size > 3", False, PollResult.SATISFIED),
        ("size > 4", True, PollResult.NOT_YET),
        ("colour == 'red'", True, PollResult.NOT_YET),
        ("lines == 1", True, PollResult.NOT_YET),
        ("age >= seconds(9) and not size == 5", False, PollResult.SATISFIED),
        ("has(peer.uplink)", True, PollResult.NOT_YET),
    ],
)
def test_a_reading_ends_the_wait_by_a_change_or_by_the_condition_over_its_fields(
    until: str | None, has_changed: bool, expected: PollResult
) -> None:
    view = ReadingView({"size": 4, "lines": ["one"]}, 9_000)
    condition = None if until is None else parse(until)
    assert judge_reading(condition, view, has_changed) is expected

"""Contact plans: when an attempt is worth it before, in and after a pass that is known give or take."""

from __future__ import annotations

import pytest

from edge_runtime.base.limits import PLAN_PASSES_MAX, PROBE_COST_MS
from edge_runtime.base.units import HOUR_MS, MINUTE_MS
from edge_runtime.judge.plan import Pass, plan_of

EXACT = Pass(HOUR_MS, HOUR_MS + 8 * MINUTE_MS)
NARROW = Pass(HOUR_MS, HOUR_MS + 8 * MINUTE_MS, 5_000)
WIDE = Pass(HOUR_MS, HOUR_MS + 8 * MINUTE_MS, 5 * MINUTE_MS)


@pytest.mark.parametrize(("item", "first_ms"), [(EXACT, HOUR_MS), (NARROW, HOUR_MS + 2_745), (WIDE, 55 * MINUTE_MS)])
def test_before_a_pass_nothing_is_tried(item: Pass, first_ms: int) -> None:
    """Behaviour: 6.1, 19.7."""
    plan = plan_of([item])
    assert plan.opens_ms(0, PROBE_COST_MS) == first_ms
    assert plan.opens_ms(first_ms, PROBE_COST_MS) == first_ms
    assert plan.opens_ms(item.last_ms() - 1, PROBE_COST_MS) == item.last_ms() - 1


def test_inside_a_narrow_bar_attempts_come_closer_and_the_last_is_at_its_end() -> None:
    now_ms, tried = NARROW.first_look_ms(PROBE_COST_MS), []
    while now_ms < HOUR_MS + 5_000:
        tried.append(now_ms)
        now_ms = plan_of([NARROW]).after_failure_ms(now_ms, now_ms, MINUTE_MS, PROBE_COST_MS)
    assert [item - HOUR_MS for item in tried] == [2_745]
    assert now_ms == HOUR_MS + 5_000


def test_an_attempt_that_took_long_says_nothing_of_the_time_after_it_began() -> None:
    first_ms = NARROW.first_look_ms(PROBE_COST_MS)
    late_ms = first_ms + 3_000
    assert plan_of([NARROW]).after_failure_ms(first_ms, late_ms, MINUTE_MS, PROBE_COST_MS) == late_ms + 1


def test_with_a_wide_bar_the_plan_says_when_and_the_prober_how_often() -> None:
    plan = plan_of([WIDE])
    assert plan.after_failure_ms(HOUR_MS, HOUR_MS, 40_000, PROBE_COST_MS) == HOUR_MS + 40_000
    assert plan.after_failure_ms(HOUR_MS + 7 * MINUTE_MS, HOUR_MS + 7 * MINUTE_MS, 40_000, PROBE_COST_MS) == HOUR_MS + 7 * MINUTE_MS + 40_000


def test_a_pass_that_ought_to_be_up_is_probed_around_until_it_is_over() -> None:
    """Behaviour: 19.7."""
    later = Pass(4 * HOUR_MS, 5 * HOUR_MS, 5_000)
    plan = plan_of([later, NARROW])
    up_ms = HOUR_MS + 15_000
    assert plan.after_failure_ms(up_ms, up_ms, 5_000, PROBE_COST_MS) == up_ms + 10_000
    assert plan.after_failure_ms(up_ms, up_ms, 12_000, PROBE_COST_MS) == up_ms + 12_000
    ending_ms = NARROW.end_ms - 5_000
    assert plan.after_failure_ms(ending_ms, ending_ms, 10_000, PROBE_COST_MS) == later.first_look_ms(PROBE_COST_MS)
    assert plan.after_failure_ms(up_ms, up_ms, HOUR_MS, PROBE_COST_MS) == later.first_look_ms(PROBE_COST_MS)


def test_a_plan_that_is_over_is_as_none() -> None:
    plan = plan_of([NARROW])
    assert plan.opens_ms(2 * HOUR_MS, PROBE_COST_MS) == 2 * HOUR_MS
    assert plan.after_failure_ms(2 * HOUR_MS, 2 * HOUR_MS, 7_000, PROBE_COST_MS) == 2 * HOUR_MS + 7_000


def test_passes_over_one_another_are_met_at_the_first_that_allows_it() -> None:
    one, other = Pass(HOUR_MS, 2 * HOUR_MS, 5_000), Pass(HOUR_MS + MINUTE_MS, HOUR_MS + 2 * MINUTE_MS, 5_000)
    assert plan_of([one, other]).opens_ms(0, PROBE_COST_MS) == one.first_look_ms(PROBE_COST_MS)
    assert plan_of([one, other]) == plan_of([other, one])


def test_a_crowd_of_passes_never_stops_the_looks() -> None:
    plan = plan_of([Pass(number * 1_000, number * 1_000 + 500, 10) for number in range(1, 100)])
    now_ms = 0
    for _ in range(99):
        next_ms = plan.after_failure_ms(now_ms, now_ms, 5_000, PROBE_COST_MS)
        assert now_ms < next_ms <= now_ms + 5_000
        now_ms = next_ms


def test_a_plan_is_bounded_and_keeps_the_passes_that_come_first() -> None:
    plan = plan_of([Pass(number * HOUR_MS, number * HOUR_MS + 1) for number in range(PLAN_PASSES_MAX + 5, 0, -1)])
    assert len(plan.passes) == PLAN_PASSES_MAX
    assert plan.passes[0].start_ms == HOUR_MS


def test_in_a_wide_bar_a_short_pass_never_falls_between_two_attempts() -> None:
    """Behaviour: 19.7: who misses it waits for the next pass, and that may be weeks away."""
    short = Pass(HOUR_MS, HOUR_MS + 20_000, 5 * MINUTE_MS)
    plan = plan_of([short])
    first_ms = HOUR_MS - 5 * MINUTE_MS
    before_ms = first_ms - 10_000
    assert plan.after_failure_ms(before_ms - 3_000, before_ms, 40_000, PROBE_COST_MS) == first_ms
    at_ms, starts = first_ms, [first_ms]
    while at_ms < short.last_ms():
        at_ms = plan.after_failure_ms(at_ms, at_ms + 3_000, 40_000, PROBE_COST_MS)
        starts.append(at_ms)
    inside = [start for start in starts if start < short.last_ms()]
    assert max(later - sooner for sooner, later in zip(inside, inside[1:], strict=False)) < 20_000
    assert short.last_ms() - inside[-1] < 20_000

"""When time alone may change what a condition says."""

from __future__ import annotations

import pytest

from edge_runtime.base.moment import Moment, Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from edge_runtime.objects.condition_text import parse
from edge_runtime.objects.conditions import Truth, evaluate
from edge_runtime.objects.due import ByTime, due_of, minute_of_day, next_turn_age_ms

NOON_MS = 20_000 * DAY_MS + 12 * HOUR_MS


def at(age_ms: int, wall_ms: int = NOON_MS, trust: Trust = Trust.NTP) -> ByTime:
    return ByTime(age_ms, Moment(0, wall_ms, trust))


@pytest.mark.parametrize(
    ("text", "age_ms", "due_ms"),
    [
        ("age > hours(2)", 0, 2 * HOUR_MS + 1),
        ("age >= hours(2)", 0, 2 * HOUR_MS),
        ("age == hours(2)", 0, 2 * HOUR_MS),
        ("age > hours(2)", 3 * HOUR_MS, 2 * HOUR_MS + 1),  # a level: it is due since then
        ("age < hours(2)", 0, 0),
        ("age < hours(2)", 3 * HOUR_MS, None),
        ("not age < hours(2)", 0, 2 * HOUR_MS),
        ("age > hours(2) and link == 'up'", 0, 2 * HOUR_MS + 1),
        ("age > hours(2) and link == 'up'", 3 * HOUR_MS, None),  # the link wakes it
        ("age > hours(2) or link == 'up'", 3 * HOUR_MS, 2 * HOUR_MS + 1),
        ("age > hours(1) and age > hours(2)", 0, 2 * HOUR_MS + 1),  # one hour alone decides nothing
        ("age > hours(1) or age > hours(2)", 0, HOUR_MS + 1),
        ("age > hours(2) and age < hours(1)", 0, 2 * HOUR_MS + 1),  # never true: looked at once more, then no more
        ("age > hours(2) and age < hours(1)", 3 * HOUR_MS, None),
        ("link == 'up'", 0, None),
        ("has(uplink) and count(timeout, 3)", 0, None),
    ],
)
def test_an_age_is_due_when_it_may_make_the_condition_true(text: str, age_ms: int, due_ms: int | None) -> None:
    assert due_of(parse(text), at(age_ms)) == due_ms


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        ('within("13:00", "14:00")', HOUR_MS),
        ('within("11:00", "11:30")', 23 * HOUR_MS),
        ('not within("11:00", "13:00")', HOUR_MS),
        ('within("12:01", "12:00")', MINUTE_MS),
        ('within("11:00", "13:00") and link == "up"', 23 * HOUR_MS),  # now only the link is missing
    ],
)
def test_a_window_of_the_day_is_due_when_it_opens(text: str, wait_ms: int) -> None:
    """Behaviour: 4.4."""
    assert due_of(parse(text), at(5_000)) == 5_000 + wait_ms


def test_a_window_of_a_later_day_is_found_by_looking_again() -> None:
    """Behaviour: 4.4."""
    condition = parse('within("22:00", "06:00") and age > hours(80)')
    view, looks = at(0), 0
    while evaluate(condition, view) is not Truth.TRUE:
        due_ms = due_of(condition, view)
        assert due_ms is not None
        assert due_ms > view.age_ms
        view, looks = view.at(due_ms), looks + 1
    assert view.age_ms == 82 * HOUR_MS  # noon and 82 hours: ten in the evening of the fourth day
    assert looks <= 5


def test_a_window_that_is_open_now_is_due_since_now() -> None:
    assert due_of(parse('within("12:00", "13:00")'), at(5_000)) == 5_000
    assert due_of(parse('within("06:00", "06:00")'), at(5_000)) == 5_000


def test_a_clock_that_is_not_trusted_arms_nothing() -> None:
    """Behaviour: 4.11."""
    condition = parse('within("13:00", "14:00")')
    for trust in (Trust.NONE, Trust.RESTORED):
        assert due_of(condition, at(0, NOON_MS, trust)) is None
        assert minute_of_day(NOON_MS, trust) is None
    assert due_of(condition, ByTime(0, None)) is None
    assert due_of(condition, at(0, NOON_MS, Trust.PEER)) == HOUR_MS
    assert minute_of_day(NOON_MS + 61_000, Trust.PEER) == 721


def test_the_next_turn_is_the_first_after_now_of_any_leaf() -> None:
    conditions = (parse('age > hours(2) and link == "up"'), parse('within("11:00", "13:00")'))
    assert next_turn_age_ms(conditions, at(0)) == HOUR_MS
    assert next_turn_age_ms(conditions, at(HOUR_MS, NOON_MS + HOUR_MS)) == 2 * HOUR_MS + 1
    assert next_turn_age_ms(conditions[:1], at(3 * HOUR_MS)) is None
    assert next_turn_age_ms((), at(0)) is None

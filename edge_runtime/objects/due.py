"""When time alone may change what a condition says: the ages at which it is worth another look.

Facts, peers and signals wake what waits for them; the object's age and the time of day announce nothing, so they need
a timer. Source: ours; the trick is Kleene's logic: with every fact unknown, what is true is true by time alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from msgspec import Struct

from ..base.moment import Moment, Trust
from ..base.units import DAY_MS, MINUTE_MS
from .conditions import Age, Condition, Leaf, Operator, Scalar, Truth, Within, evaluate, leaves

# A time of day counts from a peer's word on: a board that is minutes off is still right about day and night.
DAY_TRUST = Trust.PEER


def minute_of_day(wall_ms: int, trust: Trust) -> int | None:
    """Return the minute of the day, 0 .. 1439 UTC; None while the clock is not trusted."""
    return wall_ms // MINUTE_MS % 1440 if trust >= DAY_TRUST else None


class ByTime(Struct, frozen=True):
    """A view in which nothing is known but the time, at an age of the object. `clock` None: no wall clock either."""

    age_ms: int
    clock: Moment | None

    def at(self, age_ms: int) -> ByTime:
        """Return the view at another age, the wall clock moved by as much."""
        if self.clock is None:
            return ByTime(age_ms, None)
        wall_ms = self.clock.wall_ms + age_ms - self.age_ms
        return ByTime(age_ms, Moment(self.clock.boot_ms, wall_ms, self.clock.trust))

    def fact_value(self, name: str, max_age_ms: int | None) -> Scalar | None:
        """Return None: unknown."""
        return None

    def has_capability(self, name: str) -> bool | None:
        """Return None: unknown."""
        return None

    def outcome_count(self, outcome: int) -> int | None:
        """Return None: unknown."""
        return None

    def object_age_ms(self) -> int:
        """Return the age."""
        return self.age_ms

    def minute_of_day(self) -> int | None:
        """Return the minute of the day, None while the clock is not trusted."""
        return None if self.clock is None else minute_of_day(self.clock.wall_ms, self.clock.trust)

    def wall_clock(self) -> tuple[int, Trust]:
        """Return the wall clock and its trust."""
        return (0, Trust.NONE) if self.clock is None else (self.clock.wall_ms, self.clock.trust)

    def has_signal(self, name: str) -> bool | None:
        """Return None: unknown."""
        return None

    def has_advice(self, topic: str) -> bool | None:
        """Return None: unknown."""
        return None

    def knows_peer(self, name: str) -> bool | None:
        """Return None: unknown."""
        return None

    def has_ended(self, object_id: bytes) -> bool | None:
        """Return None: unknown."""
        return None


def turns_of(condition: Condition, view: ByTime) -> list[int]:
    """Return the ages at which a leaf of a condition turns true or false by time alone; past ones may be among them.

    A window of the day turns twice in each day: the next two are named.
    """
    return [age_ms for leaf in leaves(condition) for age_ms in _turns_of_leaf(leaf, view)]


def next_turn_age_ms(conditions: tuple[Condition, ...], view: ByTime) -> int | None:
    """Return the age at which the first of some conditions may say something else by time alone; None for never."""
    found = [turn_ms for item in conditions for turn_ms in turns_of(item, view) if turn_ms > view.age_ms]
    return min(found, default=None)


def first_due_age_ms(turns: list[int], holds_at: Callable[[ByTime], Truth], view: ByTime) -> int | None:
    """Return the age at which something is worth a look because of time; None for never.

    Args:
        turns: ages at which it may change. holds_at: its truth under a view that knows time alone.

    Returns:
        the age at which it came true by time alone if it is (a level: the answer may lie before now), else the next
        age at which it is not false for certain. If it is false at all of them, the last: a window of the day turns
        again after it.
    """
    past = sorted(turn_ms for turn_ms in turns if turn_ms <= view.age_ms)
    if holds_at(view) is Truth.TRUE:
        return next((ms for ms in past if holds_at(view.at(ms)) is Truth.TRUE), view.age_ms)
    future = sorted(turn_ms for turn_ms in turns if turn_ms > view.age_ms)
    return next((ms for ms in future if holds_at(view.at(ms)) is not Truth.FALSE), future[-1] if future else None)


def due_of(condition: Condition, view: ByTime) -> int | None:
    """Return `first_due_age_ms` of one condition."""
    return first_due_age_ms(turns_of(condition, view), lambda at: evaluate(condition, at), view)


def _turns_of_leaf(leaf: Leaf, view: ByTime) -> list[int]:
    match leaf:
        case Age(operator, age_ms):
            return _turns_of_age(operator, age_ms)
        case Within(begin, end):
            clock = view.clock
            if clock is None or clock.trust < DAY_TRUST:
                return []
            day_begin_ms = clock.wall_ms - clock.wall_ms % DAY_MS
            waits = [(day_begin_ms + minute * MINUTE_MS - clock.wall_ms) % DAY_MS or DAY_MS for minute in (begin, end)]
            return [] if begin == end else [view.age_ms + wait_ms for wait_ms in waits]
        case _:
            return []


def _turns_of_age(operator: Operator, age_ms: int) -> list[int]:
    match operator:
        case Operator.GREATER_EQUAL | Operator.LESS:
            return [age_ms]
        case Operator.GREATER | Operator.LESS_EQUAL:
            return [age_ms + 1]
        case Operator.EQUAL | Operator.UNEQUAL:
            return [age_ms, age_ms + 1]
        case _:
            assert_never(operator)

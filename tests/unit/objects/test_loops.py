"""How loops that change nothing are counted and how long they rest."""

from __future__ import annotations

from edge_runtime.base.limits import LOOPS_FREE, STAY_MS_MAX, TRIES_FREE, TRIES_STAY_MS_MAX
from edge_runtime.objects import bodies as b
from edge_runtime.objects.loops import loops_after, repeated, stay_ms, stay_of_tries_ms

SLEEP = b.DormantSealed(b"\xf6", "until x")
WOKEN = b.ReenteredSealed(("x",), b"")


def took(number: int, what: b.Took = b.Took.CONDITION, scope: str = "0") -> b.TookSealed:
    return b.TookSealed(what, b"", f"0/{scope}/until:{number}")


def test_the_least_stay_begins_late_doubles_and_is_bounded() -> None:
    """Behaviour: 3.8."""
    assert stay_ms(LOOPS_FREE - 1) == 0
    assert [stay_ms(LOOPS_FREE + more) for more in range(4)] == [1_000, 2_000, 4_000, 8_000]
    assert stay_ms(10**9) == STAY_MS_MAX
    assert stay_of_tries_ms(TRIES_FREE - 1) == 0 and stay_of_tries_ms(TRIES_FREE) == 1_000
    assert stay_of_tries_ms(10**9) == TRIES_STAY_MS_MAX


def test_turns_that_only_wake_and_sleep_at_once_are_counted_and_progress_begins_anew() -> None:
    """Behaviour: 3.8."""
    assert loops_after(3, 0, [WOKEN, SLEEP]) == 4
    assert loops_after(3, 999, [WOKEN, took(1), SLEEP]) == 4
    assert loops_after(3, 1_000, [WOKEN, took(1), SLEEP]) == 0, "something in the world made it"
    assert loops_after(LOOPS_FREE, 1_500, [WOKEN, took(1), SLEEP]) == LOOPS_FREE + 1, "as soon as the stay let it"
    assert loops_after(9, 0, [WOKEN, took(1, b.Took.INPUT), SLEEP]) == 0
    assert loops_after(9, 0, [b.ReenteredSealed(("resumed by an operator",), b"")]) == 0


def test_a_body_that_goes_round_in_one_turn_counts_each_round_and_tasks_side_by_side_do_not() -> None:
    """Behaviour: 3.8."""
    assert loops_after(0, 0, [took(number) for number in range(10)]) == 10
    assert repeated([took(1, scope=str(number)).path for number in range(10)]) == 0

"""One prober per destination: what a thousand objects that wait for one thing cost."""

from __future__ import annotations

from edge_runtime.base.limits import RAMP_MAX
from edge_runtime.base.units import HOUR_MS, MINUTE_MS
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.judge.plan import Pass, plan_of
from edge_runtime.judge.prober import Destination


def closed(now_ms: int = 0) -> Destination:
    """Return a destination that has just not been reached."""
    destination = Destination()
    destination.start(b"first", 0)
    destination.end(b"first", Outcome.UNREACHABLE, now_ms)
    return destination


def test_a_destination_of_which_nothing_is_known_takes_as_many_as_the_bound() -> None:
    destination = Destination()
    for number in range(RAMP_MAX):
        assert destination.may_start(0)
        destination.start(bytes([number]), 0)
    assert not destination.may_start(0)


def test_a_closed_destination_lets_one_of_a_thousand_probe_when_its_time_has_come() -> None:
    """Behaviour: 6.10."""
    destination = closed()
    assert not destination.may_start(4_999)
    started = []
    for number in range(1_000):
        who = number.to_bytes(2, "big")
        if destination.may_start(5_000):
            destination.start(who, 0)
            started.append(who)
    assert started == [b"\0\0"]
    assert destination.end(started[0], Outcome.UNREACHABLE, 6_000) is False
    assert not destination.may_start(10_999)
    assert destination.may_start(11_000)


def test_probes_that_fail_come_ever_more_rarely_but_never_stop() -> None:
    destination, now_ms, waits = closed(), 0, []
    for _ in range(400):
        waits.append(destination.next_ms - now_ms)
        now_ms = destination.next_ms
        destination.start(b"p", 0)
        destination.end(b"p", Outcome.UNREACHABLE, now_ms)
    assert waits[:4] == [5_000, 5_000, 5_000, 5_000]
    steady = waits[60:]
    assert max(waits) <= 42_426
    assert min(steady) >= 42_426 * 7 // 8
    assert len(set(steady)) > 30, "no step of one length that a periodic pass could escape for ever"


def test_one_fault_met_by_many_in_flight_counts_once() -> None:
    """Behaviour: 7.6."""
    destination = Destination()
    for number in range(RAMP_MAX):
        destination.start(bytes([number]), 0)
    for number in range(RAMP_MAX):
        assert destination.end(bytes([number]), Outcome.UNREACHABLE, 100 + number) is False
    assert destination.failures == 1
    assert destination.next_ms == 5_100
    assert destination.in_flight == 0


def test_a_late_failure_of_another_does_not_end_the_probe() -> None:
    destination = Destination()
    destination.start(b"a", 0)
    destination.start(b"b", 0)
    destination.end(b"a", Outcome.UNREACHABLE, 0)
    destination.start(b"a", 0)
    destination.end(b"b", Outcome.UNREACHABLE, 5_001)
    assert destination.probe == b"a"
    assert not destination.may_start(9_000)


def test_a_probe_that_is_answered_opens_to_one_then_two_then_four() -> None:
    """Behaviour: 4.8, 6.10."""
    destination = closed()
    destination.start(b"probe", 0)
    assert destination.end(b"probe", Outcome.OK, 5_000) is True
    rounds = []
    for number in range(7):
        begun = 0
        while destination.may_start(6_000):
            destination.start(bytes([number, begun]), 0)
            begun += 1
        rounds.append(begun)
        for index in range(begun):
            assert destination.end(bytes([number, index]), Outcome.OK, 6_000) is True
    assert rounds == [1, 2, 4, 8, 16, RAMP_MAX, RAMP_MAX]


def test_a_signal_lets_the_next_probe_start_at_once_and_the_waits_begin_anew() -> None:
    """Behaviour: 6.1."""
    destination = closed()
    for _ in range(8):
        destination.start(b"p", 0)
        destination.end(b"p", Outcome.UNREACHABLE, destination.next_ms)
    assert not destination.is_signalled
    destination.signal()
    assert destination.is_signalled
    assert destination.may_start(0)
    destination.start(b"p", 0)
    assert not destination.may_start(0), "one probe, not a herd"
    destination.end(b"p", Outcome.UNREACHABLE, 0)
    assert destination.next_ms == 5_000
    assert not destination.is_signalled


def test_a_sign_that_comes_while_a_probe_is_under_way_outlives_its_failure() -> None:
    """Behaviour: 6.1."""
    destination = closed()
    destination.start(b"p", 5_000)
    destination.signal()
    destination.end(b"p", Outcome.UNREACHABLE, 8_000)
    assert destination.may_start(8_000), "it began before the sign"
    destination.start(b"p", 8_000)
    destination.end(b"p", Outcome.UNREACHABLE, 9_000)
    assert not destination.may_start(9_000)


def test_a_signal_changes_nothing_for_a_destination_that_answers() -> None:
    destination = Destination(in_flight=3, ramp=3)
    destination.signal()
    assert destination.failures == 0
    assert not destination.may_start(0)


def fail_until(destination: Destination, until_ms: int) -> list[int]:
    """Let probes fail until then; return when they began."""
    began = []
    while (now_ms := destination.next_look_ms(0)) < until_ms:
        destination.start(b"p", now_ms)
        destination.end(b"p", Outcome.UNREACHABLE, now_ms)
        began.append(now_ms)
    return began


def test_a_dearer_attempt_comes_more_rarely() -> None:
    cheap, dear = closed(), closed()
    dear.cost_ms = 300_000
    cheap_count, dear_count = len(fail_until(cheap, 10 * HOUR_MS)), len(fail_until(dear, 10 * HOUR_MS))
    assert 867 < cheap_count < 950, "about one in 40 s"
    assert 8 * dear_count < cheap_count


def test_a_probe_to_which_nothing_came_back_is_no_answer() -> None:
    """Behaviour: 6.2."""
    destination = closed()
    destination.start(b"p", 5_000)
    assert destination.end(b"p", Outcome.TIMEOUT, 6_000) is False
    assert destination.failures == 2
    opened = Destination(in_flight=2, ramp=2)
    assert opened.end(b"x", Outcome.TIMEOUT, 0) is True, "its place is free"
    assert (opened.failures, opened.ramp) == (0, 2)


def test_where_a_sign_is_to_be_expected_time_alone_is_a_safety_look() -> None:
    """Behaviour: 6.1."""
    destination = closed()
    destination.hear_way("down")
    assert len(fail_until(destination, 10 * HOUR_MS)) == 19
    destination.hear_way("up")
    assert destination.may_start(0)
    destination.start(b"p", 0)
    destination.end(b"p", Outcome.OK, 0)
    assert [destination.may_start(0), destination.ramp] == [True, 1]
    destination.ramp = 4
    destination.hear_way("up")
    assert destination.ramp == 4, "it was up already"


def test_what_goes_away_and_was_left_alone_is_met_by_one_attempt_first() -> None:
    """Behaviour: 6.10."""
    destination = closed()
    destination.start(b"p", 5_000)
    destination.end(b"p", Outcome.OK, 5_000)
    for _ in range(40):
        destination.start(b"x", 6_000)
        destination.end(b"x", Outcome.OK, 6_000)
    assert destination.ramp == RAMP_MAX
    destination.start(b"a", 7_000)
    assert destination.may_start(7_000)
    destination.end(b"a", Outcome.OK, 7_000)
    destination.start(b"a", 60_000)
    assert not destination.may_start(60_000)


def test_who_was_to_probe_and_did_not_come_is_gone() -> None:
    destination = closed()
    assert destination.is_next(b"first", 5_000)
    assert not destination.is_next(b"other", 5_000)
    assert destination.is_next(b"other", 15_001)
    destination.claim(b"other", 15_001)
    assert not destination.is_next(b"first", 15_001)


def test_a_planned_destination_is_tried_in_its_passes_only() -> None:
    """Behaviour: 6.1, 19.7."""
    plan = plan_of([Pass(number * 3 * HOUR_MS, number * 3 * HOUR_MS + 8 * MINUTE_MS, 5_000) for number in (1, 2, 3)])
    destination = Destination(plan=plan)
    first_ms = destination.next_look_ms(0)
    assert first_ms == 3 * HOUR_MS - 5_000 + 7_745
    assert not destination.may_start(first_ms - 1)
    assert destination.may_start(first_ms)
    destination.signal()
    assert not destination.may_start(0), "some other link came up"
    destination.start(b"p", first_ms)
    destination.end(b"p", Outcome.UNREACHABLE, first_ms)
    began = fail_until(destination, 6 * HOUR_MS)
    assert began[0] - 3 * HOUR_MS == 5_000, "the end of the error bar"
    assert began[-1] <= 3 * HOUR_MS + 8 * MINUTE_MS + 5_000
    assert destination.next_look_ms(0) == 6 * HOUR_MS + 2_745, "the next look is the next pass"


def test_a_plan_is_read_on_its_own_clock_and_is_as_none_when_it_is_over() -> None:
    destination = Destination(plan=plan_of([Pass(HOUR_MS, 2 * HOUR_MS)]), plan_offset_ms=50 * MINUTE_MS)
    assert destination.next_look_ms(0) == 10 * MINUTE_MS
    assert destination.may_start(80 * MINUTE_MS)

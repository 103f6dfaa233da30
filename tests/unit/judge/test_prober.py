"""One prober per destination: what a thousand objects that wait for one thing cost."""

from __future__ import annotations

from edge_runtime.base.limits import PROBE_MS_MAX, RAMP_MAX
from edge_runtime.judge.prober import Destination


def closed(now_ms: int = 0) -> Destination:
    """Return a destination that has just not been reached."""
    destination = Destination()
    destination.start(b"first")
    destination.end(b"first", True, now_ms)
    return destination


def test_a_destination_of_which_nothing_is_known_takes_as_many_as_the_bound() -> None:
    destination = Destination()
    for number in range(RAMP_MAX):
        assert destination.may_start(0)
        destination.start(bytes([number]))
    assert not destination.may_start(0)


def test_a_closed_destination_lets_one_of_a_thousand_probe_when_its_time_has_come() -> None:
    """Behaviour: 6.10."""
    destination = closed()
    assert not destination.may_start(4_999)
    started = []
    for number in range(1_000):
        who = number.to_bytes(2, "big")
        if destination.may_start(5_000):
            destination.start(who)
            started.append(who)
    assert started == [b"\0\0"]
    assert destination.end(started[0], True, 6_000) is False
    assert not destination.may_start(15_999)
    assert destination.may_start(16_000)


def test_probes_that_fail_come_ever_more_rarely_but_never_stop() -> None:
    destination, now_ms, waits = closed(), 0, []
    for _ in range(12):
        waits.append(destination.next_ms - now_ms)
        now_ms = destination.next_ms
        destination.start(b"p")
        destination.end(b"p", True, now_ms)
    assert waits[:4] == [5_000, 10_000, 20_000, 40_000]
    assert waits[-1] == PROBE_MS_MAX


def test_one_fault_met_by_many_in_flight_counts_once() -> None:
    """Behaviour: 7.6."""
    destination = Destination()
    for number in range(RAMP_MAX):
        destination.start(bytes([number]))
    for number in range(RAMP_MAX):
        assert destination.end(bytes([number]), True, 100 + number) is False
    assert destination.failures == 1
    assert destination.next_ms == 5_100
    assert destination.in_flight == 0


def test_a_late_failure_of_another_does_not_end_the_probe() -> None:
    destination = Destination()
    destination.start(b"a")
    destination.start(b"b")
    destination.end(b"a", True, 0)
    destination.start(b"a")
    destination.end(b"b", True, 5_001)
    assert destination.probe == b"a"
    assert not destination.may_start(9_000)


def test_a_probe_that_is_answered_opens_to_one_then_two_then_four() -> None:
    """Behaviour: 4.8, 6.10."""
    destination = closed()
    destination.start(b"probe")
    assert destination.end(b"probe", False, 5_000) is True
    rounds = []
    for number in range(7):
        begun = 0
        while destination.may_start(6_000):
            destination.start(bytes([number, begun]))
            begun += 1
        rounds.append(begun)
        for index in range(begun):
            assert destination.end(bytes([number, index]), False, 6_000) is True
    assert rounds == [1, 2, 4, 8, 16, RAMP_MAX, RAMP_MAX]


def test_a_signal_lets_the_next_probe_start_at_once_and_the_waits_begin_anew() -> None:
    """Behaviour: 6.1."""
    destination = closed()
    for _ in range(8):
        destination.start(b"p")
        destination.end(b"p", True, destination.next_ms)
    assert destination.next_ms > 1_000_000
    assert not destination.is_signalled
    destination.signal()
    assert destination.is_signalled
    assert destination.may_start(0)
    destination.start(b"p")
    assert not destination.may_start(0), "one probe, not a herd"
    destination.end(b"p", True, 0)
    assert destination.next_ms == 10_000
    assert not destination.is_signalled


def test_a_signal_changes_nothing_for_a_destination_that_answers() -> None:
    destination = Destination(in_flight=3, ramp=3)
    destination.signal()
    assert destination.failures == 0
    assert not destination.may_start(0)

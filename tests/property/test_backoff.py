"""Laws of pacing: bounded, growing, repeatable; and one probe at a time whatever happens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_runtime.base.limits import BACKOFF_MS_MAX, PROBE_MS_FIRST, PROBE_MS_MAX, RAMP_MAX, RTO_MS_MAX, RTO_MS_MIN
from edge_runtime.judge.backoff import Failure, Where, semantic_backoff
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.judge.prober import Destination
from edge_runtime.judge.rto import Rto
from edge_runtime.objects.bodies import HINT_NEVER

outcomes = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.OK])
seeds = st.integers(0, 2**64 - 1)
samples = st.lists(st.integers(0, 600_000), max_size=30)
hints = st.none() | st.integers(-5, 10**9) | st.just(HINT_NEVER)


def rto_of(found: list[int]) -> Rto:
    rto = Rto()
    for sample in found:
        rto = rto.after(sample)
    return rto


@given(outcomes, st.integers(1, 10**6), st.integers(0, 10**12), hints, st.integers(0, 5), samples, seeds)
def test_every_wait_repeats_is_never_in_the_past_and_is_bounded(
    outcome: Outcome, in_a_row: int, age_ms: int, hint_ms: int | None, deaths: int, found: list[int], seed: int
) -> None:
    """Behaviour: 6.9."""
    failure, rto = Failure(outcome, in_a_row, age_ms, hint_ms, deaths), rto_of(found)
    wait = semantic_backoff(failure, rto, seed)
    assert semantic_backoff(failure, rto, seed) == wait
    if wait.until_age_ms is None:
        assert wait.is_on_signal is (wait.where is not Where.NOWHERE)
        return
    wait_ms = wait.until_age_ms - age_ms
    assert wait_ms >= 0
    if outcome is Outcome.BUSY and hint_ms is not None:
        assert wait_ms == hint_ms
    else:
        assert wait_ms <= max(BACKOFF_MS_MAX, PROBE_MS_MAX, RTO_MS_MAX * 3 // 2)
    assert wait.burns_budget is (outcome in (Outcome.TIMEOUT, Outcome.BUSY, Outcome.CRASHED))


@given(
    st.sampled_from([Outcome.TIMEOUT, Outcome.BUSY, Outcome.CRASHED, Outcome.UNREACHABLE]),
    st.integers(1, 10_000),
    samples,
    seeds,
)
def test_the_more_failures_in_a_row_the_longer_the_wait(
    outcome: Outcome, in_a_row: int, found: list[int], seed: int
) -> None:
    """One more failure waits at least as long as jitter could have made the wait before, up to the bound."""
    rto = rto_of(found)

    def wait_ms(times: int, each: int) -> int:
        until_ms = semantic_backoff(Failure(outcome, times, 0), rto, each).until_age_ms
        assert until_ms is not None
        return until_ms

    least, next_least = wait_ms(in_a_row + 1, 0), wait_ms(in_a_row + 2, 0)
    assert least >= wait_ms(in_a_row, seed) or least == next_least, "the bound is reached"
    assert wait_ms(in_a_row, 0) <= least <= next_least


@given(samples, st.integers(0, 100))
def test_the_rto_is_bounded_doubles_and_never_shrinks_by_timeouts(found: list[int], timeouts: int) -> None:
    rto = rto_of(found)
    this_ms, next_ms = rto.timeout_ms(timeouts), rto.timeout_ms(timeouts + 1)
    assert RTO_MS_MIN <= this_ms <= next_ms <= RTO_MS_MAX
    assert next_ms in (2 * this_ms, 2 * this_ms - 1, RTO_MS_MAX)


@given(st.integers(0, 600_000), st.integers(1, 200))
def test_a_steady_destination_is_known_ever_better(sample_ms: int, times: int) -> None:
    rto = rto_of([sample_ms] * times)
    assert rto.base_us() >= rto_of([sample_ms] * (times + 1)).base_us() >= sample_ms * 1_000


class ProbedByMany(RuleBasedStateMachine):
    """Objects that start, end, fail and get signals in any order at one destination."""

    destination: Destination
    now_ms: int
    flying: list[bytes]
    count: int

    @initialize()
    def begin(self) -> None:
        self.destination, self.now_ms, self.flying, self.count = Destination(), 0, [], 0

    @rule(later_ms=st.sampled_from([1, 4_999, 5_000, 60_000, PROBE_MS_MAX]))
    def wait(self, later_ms: int) -> None:
        self.now_ms += later_ms

    @rule(many=st.sampled_from([1, 3, 100]))
    def start(self, many: int) -> None:
        for _ in range(many):
            if not self.destination.may_start(self.now_ms):
                break
            self.count += 1
            who = self.count.to_bytes(4, "big")
            self.destination.start(who, self.now_ms)
            self.flying.append(who)

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 1_000), is_unreachable=st.booleans())
    def end(self, which: int, is_unreachable: bool) -> None:
        who = self.flying.pop(which % len(self.flying))
        failures, probe = self.destination.failures, self.destination.probe
        may = self.destination.end(who, Outcome.UNREACHABLE if is_unreachable else Outcome.OK, self.now_ms)
        assert may is not is_unreachable
        if is_unreachable:
            counts = failures == 0 or who == probe
            assert self.destination.failures == failures + counts
            if counts:
                least_ms = 0 if self.destination.is_sign_new else PROBE_MS_FIRST
                assert least_ms <= self.destination.next_ms - self.now_ms <= PROBE_MS_MAX
        else:
            assert self.destination.failures == 0
            assert not failures or self.destination.ramp == 1

    @rule()
    def signal(self) -> None:
        self.destination.signal()

    @invariant()
    def one_probe_at_a_time(self) -> None:
        destination = self.destination
        assert destination.in_flight == len(self.flying)
        assert 1 <= destination.ramp <= RAMP_MAX
        assert destination.in_flight <= RAMP_MAX + 1
        if destination.probe is not None:
            assert destination.failures
            assert destination.probe in self.flying
            assert not destination.may_start(10**15)

    @invariant()
    def somebody_may_start_one_day(self) -> None:
        destination = self.destination
        if destination.probe is None and destination.failures:
            assert destination.may_start(self.now_ms + PROBE_MS_MAX)


TestProbedByMany = ProbedByMany.TestCase

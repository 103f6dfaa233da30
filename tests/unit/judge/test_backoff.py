"""Semantic backoff: when and where an attempt that did not complete is gone on with."""

from __future__ import annotations

import pytest

from edge_runtime.base.limits import BACKOFF_MS_FIRST, BACKOFF_MS_MAX, PROBE_ALONE_MS_MAX, PROBE_MS_FIRST
from edge_runtime.judge.backoff import (
    Failure,
    Wait,
    Where,
    exponential_ms,
    jittered,
    seed_of,
    semantic_backoff,
)
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.judge.rto import Rto
from edge_runtime.objects.bodies import HINT_NEVER

RTO = Rto().after(600)  # 1,800 ms
AGE_MS = 500_000


def wait(outcome: Outcome, in_a_row: int = 1, *, hint_ms: int | None = None, deaths: int = 0, seed: int = 0) -> Wait:
    return semantic_backoff(Failure(outcome, in_a_row, AGE_MS, hint_ms, deaths), RTO, seed)


def after_ms(found: Wait) -> int:
    assert found.until_age_ms is not None
    return found.until_age_ms - AGE_MS


def test_unreachable_burns_no_budget_and_waits_for_a_sign_beside_the_probers_time() -> None:
    """Behaviour: 6.1."""
    found = [wait(Outcome.UNREACHABLE, times) for times in range(1, 12)]
    assert [after_ms(item) for item in found[:4]] == [5_000, 10_000, 20_000, 40_000]
    assert after_ms(found[-1]) == PROBE_ALONE_MS_MAX
    assert all(item.is_on_signal and not item.burns_budget and item.where is Where.HERE for item in found)
    assert PROBE_MS_FIRST == 5_000


def test_timeouts_and_pushback_are_two_different_series() -> None:
    """Behaviour: 6.2."""
    silent = [wait(Outcome.TIMEOUT, times) for times in range(1, 6)]
    assert [after_ms(item) for item in silent] == [3_600, 7_200, 14_400, 28_800, 57_600]
    asked = [wait(Outcome.BUSY, times, hint_ms=10_000, seed=times) for times in range(1, 6)]
    assert [after_ms(item) for item in asked] == [10_000] * 5
    assert all(item.burns_budget and not item.is_on_signal for item in (*silent, *asked))


def test_a_timeout_is_never_waited_for_less_than_its_rto_nor_for_more_than_half_as_much_again() -> None:
    waits = {after_ms(wait(Outcome.TIMEOUT, seed=seed)) for seed in range(5_000)}
    assert (min(waits), max(waits)) == (3_600, 5_400)


def test_busy_without_a_hint_waits_exponentially_with_jitter() -> None:
    for times in (1, 2, 3, 30, 10**6):
        ceiling_ms = min(BACKOFF_MS_FIRST * 2 ** min(times - 1, 30), BACKOFF_MS_MAX)
        waits = [after_ms(wait(Outcome.BUSY, times, seed=seed)) for seed in range(0, 2_000_000, 1_999)]
        assert ceiling_ms // 2 <= min(waits)
        assert max(waits) <= ceiling_ms
        assert len(set(waits)) > 100


@pytest.mark.parametrize("hint_ms", [HINT_NEVER, HINT_NEVER + 1, -1])
def test_a_hint_that_forbids_or_cannot_be_read_sets_no_timer(hint_ms: int) -> None:
    found = wait(Outcome.BUSY, hint_ms=hint_ms)
    assert (found.until_age_ms, found.is_on_signal, found.where) == (None, True, Where.ELSEWHERE)


def test_a_hint_of_nothing_means_at_once() -> None:
    assert after_ms(wait(Outcome.BUSY, hint_ms=0)) == 0


def test_only_the_first_death_of_a_process_is_not_waited_for() -> None:
    """Behaviour: 6.15."""
    assert after_ms(wait(Outcome.CRASHED, deaths=1)) == 0
    assert after_ms(wait(Outcome.CRASHED, 2, deaths=2)) >= BACKOFF_MS_FIRST
    assert after_ms(wait(Outcome.CRASHED)) >= BACKOFF_MS_FIRST // 2
    assert wait(Outcome.CRASHED).burns_budget


@pytest.mark.parametrize("outcome", [Outcome.INCAPABLE, Outcome.REFUSED])
def test_what_cannot_or_may_not_run_here_sets_no_timer_and_looks_elsewhere(outcome: Outcome) -> None:
    """Behaviour: 6.4, 6.6."""
    found = wait(outcome)
    assert (found.until_age_ms, found.where, found.burns_budget) == (None, Where.ELSEWHERE, False)
    assert found.is_on_signal


@pytest.mark.parametrize("outcome", [Outcome.PARTIAL, Outcome.SLOW])
def test_progress_is_gone_on_with_sooner_than_after_silence(outcome: Outcome) -> None:
    """Behaviour: 6.3 (the wait)."""
    assert after_ms(wait(outcome)) < after_ms(wait(Outcome.TIMEOUT))


@pytest.mark.parametrize("outcome", [Outcome.INVALID, Outcome.EXPIRED, Outcome.FENCED, Outcome.UNKNOWN])
def test_what_is_over_is_never_tried_again_by_itself(outcome: Outcome) -> None:
    """Behaviour: 6.5."""
    found = wait(outcome)
    assert (found.until_age_ms, found.where, found.is_on_signal) == (None, Where.NOWHERE, False)


def test_the_seed_repeats_and_differs_by_object_device_attempt_and_try() -> None:
    """Behaviour: 6.9."""
    base = (b"o" * 32, b"d" * 32, b"a" * 16, 1)
    others = [(b"p" * 32, *base[1:]), (base[0], b"e" * 32, *base[2:]), (*base[:2], b"b" * 16, 1), (*base[:3], 2)]
    seeds = [seed_of(*names) for names in (base, *others)]
    assert len(set(seeds)) == 5
    assert seed_of(*base) == seeds[0]


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.BUSY, Outcome.CRASHED])
def test_one_history_on_two_devices_gives_one_ceiling_and_two_waits(outcome: Outcome) -> None:
    """Behaviour: 6.9: what differs is the jitter, and it repeats on replay."""
    failure = Failure(outcome, 4, AGE_MS)
    seeds = [seed_of(b"o" * 32, device, b"a" * 16, 5) for device in (b"d" * 32, b"e" * 32)]
    waits = [semantic_backoff(failure, RTO, seed) for seed in seeds]
    assert waits == [semantic_backoff(failure, RTO, seed) for seed in seeds]
    assert len({after_ms(found) for found in waits}) == 2
    ceiling_ms = 28_800 * 3 // 2 if outcome is Outcome.TIMEOUT else exponential_ms(4)
    assert all(ceiling_ms // 2 <= after_ms(found) <= ceiling_ms for found in waits)
    assert len({(found.where, found.reason, found.burns_budget) for found in waits}) == 1


def test_jitter_keeps_a_floor_and_never_passes_its_ceiling() -> None:
    for ceiling_ms in (0, 1, 2, 3, 1_000):
        waits = {jittered(ceiling_ms, seed) for seed in range(2_000)}
        assert waits == set(range(ceiling_ms - ceiling_ms // 2, ceiling_ms + 1))


def test_the_exponential_wait_is_bounded() -> None:
    assert [exponential_ms(times) for times in (1, 2, 3)] == [1_000, 2_000, 4_000]
    assert exponential_ms(10**9) == BACKOFF_MS_MAX

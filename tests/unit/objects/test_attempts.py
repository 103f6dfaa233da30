"""What a chain remembers of attempts: per place, over all devices, within bounds."""

from __future__ import annotations

import pytest

from edge_runtime.base.limits import PLACES_MAX
from edge_runtime.objects import bodies as b
from edge_runtime.objects.attempts import (
    DEGRADED,
    SPENDS_AN_ATTEMPT,
    Dimension,
    PlaceMemory,
    Spending,
    StepMemory,
    read_partial,
    write_partial,
)
from edge_runtime.objects.codec import encode, encode_value
from tests.support.histories import executed

OK, PARTIAL, UNREACHABLE, TIMEOUT, BUSY, INVALID, CRASHED = 0, 1, 2, 3, 5, 8, 9
HERE, THERE = b"h" * 32, b"t" * 32


def tried(outcome: int, number: int = 1, **fields: object) -> b.ExecutedSealed:
    body = executed("0/0/s:1", number, outcome, False, **fields).body  # type: ignore[arg-type]
    assert isinstance(body, b.ExecutedSealed)
    return body


def remembered(*tries: b.ExecutedSealed, author: bytes = HERE) -> StepMemory:
    memory = StepMemory(b"a" * 16)
    for age_ms, body in enumerate(tries):
        memory.take(body, author, age_ms)
    return memory


def test_each_peer_has_a_memory_of_its_own() -> None:
    """Behaviour: 6.14: what one did is not held against another."""
    memory = remembered(*[tried(TIMEOUT, peer="bad")] * 3, tried(BUSY, peer="good"))
    assert (memory.places["bad"].in_a_row, memory.places["bad"].silences) == (3, 3)
    assert (memory.places["good"].outcome, memory.places["good"].in_a_row) == (BUSY, 1)


def test_what_a_device_met_on_its_own_is_not_held_against_another() -> None:
    """Behaviours: 6.14, 7.3: a peer's silence and its pushback are the peer's; no way there is the device's."""
    for outcome, is_the_peers in ((TIMEOUT, True), (BUSY, True), (UNREACHABLE, False), (CRASHED, False)):
        place = remembered(tried(outcome, peer="x")).places["x"]
        assert place.concerns(HERE)
        assert place.concerns(THERE) is is_the_peers


def test_a_step_that_names_nobody_has_a_memory_for_each_device() -> None:
    """Behaviour: 6.14."""
    memory = remembered(tried(TIMEOUT), tried(TIMEOUT))
    memory.take(tried(TIMEOUT), THERE, 9)
    assert {name: place.in_a_row for name, place in memory.places.items()} == {HERE.hex(): 2, THERE.hex(): 1}


def test_the_next_unhinted_wait_after_a_hint_starts_at_the_initial_value() -> None:
    """Behaviour: 6.2; gRPC A6."""
    seen = []
    place = PlaceMemory()
    for hint_ms in (None, None, 10_000, 10_000, None, None):
        place.take(tried(BUSY, hint_ms=hint_ms), HERE, 0)
        seen.append(place.in_a_row)
    assert seen == [1, 2, 3, 1, 1, 2], "a hinted wait is as asked, whatever its number"


def test_progress_resets_the_count_and_keeps_what_is_left() -> None:
    """Behaviour: 6.3."""
    first = write_partial(encode_value([1, 2, 3]), encode_value([4, 5]))
    second = write_partial(encode_value([4]), encode_value([5]))
    memory = remembered(tried(TIMEOUT), tried(TIMEOUT), tried(PARTIAL, value=first), tried(PARTIAL, value=second),
                        tried(TIMEOUT))  # fmt: skip
    assert memory.done == [encode_value([1, 2, 3]), encode_value([4])]
    assert memory.rest == encode_value([5])
    assert memory.places[HERE.hex()].in_a_row == 1 and memory.places[HERE.hex()].silences == 1


@pytest.mark.parametrize("value", [b"", b"\xf6", encode([b"\x01"]), encode([b"\x01", 5]), encode([b"\x01", b"\xff"])])
def test_progress_that_says_nothing_sensible_is_no_progress(value: bytes) -> None:
    assert read_partial(value) is None
    memory = remembered(tried(PARTIAL, value=value))
    assert (memory.done, memory.rest) == ([], None)


def test_what_an_observer_in_bad_health_saw_is_no_silence_of_the_peer() -> None:
    """Behaviour: 7.4."""
    memory = remembered(tried(TIMEOUT, peer="x"), tried(TIMEOUT, peer="x", evidence=f"{DEGRADED}: 900 ms late"))
    assert (memory.places["x"].in_a_row, memory.places["x"].silences) == (2, 1)


def test_no_more_places_are_remembered_than_the_bound() -> None:
    memory = remembered(*[tried(TIMEOUT, peer=f"p{n}") for n in range(PLACES_MAX + 3)], tried(TIMEOUT, peer="p5"))
    assert len(memory.places) == PLACES_MAX
    assert list(memory.places)[-1] == "p5" and "p0" not in memory.places


def test_deaths_are_counted_over_all_devices() -> None:
    """Behaviour: 6.15."""
    memory = remembered(tried(CRASHED, deaths=1))
    memory.take(tried(CRASHED, deaths=1), THERE, 1)
    assert (memory.deaths, memory.died_at) == (2, THERE)


def test_an_envelope_counts_attempts_bytes_and_energy_and_names_what_is_used_up() -> None:
    """Behaviour: 6.8."""
    spending = Spending(3, 1_000, 50)
    for outcome in (UNREACHABLE, PARTIAL):
        spending.take(tried(outcome), 1)
    assert spending.exhausted(-1) is None, "what asked nobody for anything spends no attempt"
    for age_ms, outcome in enumerate((TIMEOUT, BUSY, OK)):
        assert spending.exhausted(-1) is None
        spending.take(tried(outcome, bytes_used=300), 2 + age_ms)
    assert spending.exhausted(-1) is Dimension.ATTEMPTS
    assert spending.exhausted(2) is Dimension.ATTEMPTS, "what came in the same ms is not forgiven"
    assert spending.exhausted(3) is None, "an operator's word forgives what was before"
    spending.take(tried(UNREACHABLE, bytes_used=500, energy_mj=60), 9)
    assert spending.exhausted(4) is Dimension.ENERGY
    assert Spending(0, 1_400, 0, spending.tries).exhausted(-1) is Dimension.BYTES


def test_an_object_without_an_envelope_counts_nothing() -> None:
    spending = Spending()
    spending.take(tried(TIMEOUT), 1)
    assert spending.tries == [] and spending.exhausted(-1) is None
    assert INVALID in SPENDS_AN_ATTEMPT


def test_tries_that_reached_nobody_are_no_failures() -> None:
    """Behaviour: 6.1: no budget used."""
    memory = remembered(*[tried(UNREACHABLE, number) for number in range(1, 41)], tried(CRASHED, 41))
    assert (memory.tries, memory.failures) == (41, 1)

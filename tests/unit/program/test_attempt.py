"""What a step knows about its try."""

from __future__ import annotations

import contextvars

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import RESULT_BYTES_MAX, UNIT_PARTS_MAX
from edge_runtime.program.attempt import Attempt, current_attempt, enter_attempt


def test_each_context_has_its_own_attempt_and_none_leaks_out() -> None:
    attempts = [Attempt(id=f"{number:032x}", try_number=number, object="00" * 32) for number in (1, 2)]
    contexts = [contextvars.copy_context() for _ in attempts]
    for context, attempt in zip(contexts, attempts, strict=True):
        context.run(enter_attempt, attempt)
    assert [context.run(current_attempt) for context in contexts] == attempts
    with pytest.raises(UsageError, match="only inside a step"):
        current_attempt()


def test_what_a_try_spends_adds_up_and_is_never_negative() -> None:
    """Behaviour: 6.8."""
    attempt = Attempt(id="0" * 32, try_number=1, object="00" * 32)
    attempt.spend(bytes=10)
    attempt.spend(bytes=5, energy_mj=3)
    assert (attempt.meter.bytes_used, attempt.meter.energy_mj) == (15, 3)
    for wrong in ({"bytes": -1}, {"energy_mj": -1}, {"bytes": 1.5}, {"bytes": True}):
        with pytest.raises(UsageError, match="whole number"):
            attempt.spend(**wrong)  # type: ignore[arg-type]
    assert attempt.meter.bytes_used == 15


def test_progress_is_told_by_units_alone_and_within_its_bounds() -> None:
    """Behaviour: 13.3."""
    with pytest.raises(UsageError, match="units of ctx.swarm"):
        Attempt(id="0" * 32, try_number=1, object="00" * 32).progress(100)
    told: list[tuple[int, bytes]] = []
    attempt = Attempt(id="0" * 32, try_number=1, object="00" * 32, tell=lambda *said: told.append(said))
    for wrong in (-1, 1_001, 0.5, True):
        with pytest.raises(UsageError, match="from 0 to 1000"):
            attempt.progress(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be recorded"):
        attempt.progress(100, object())
    with pytest.raises(UsageError, match="at most"):
        attempt.progress(100, "x" * RESULT_BYTES_MAX)
    assert told == []
    for number in range(UNIT_PARTS_MAX):
        attempt.progress(number, number)
    attempt.progress(999)
    with pytest.raises(UsageError, match="return the rest"):
        attempt.progress(999, "one more")
    assert len(told) == UNIT_PARTS_MAX + 1 and told[-1] == (999, b"")

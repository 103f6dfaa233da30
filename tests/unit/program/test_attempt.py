"""What a step knows about its try."""

from __future__ import annotations

import contextvars

import pytest

from edge_runtime.base.errors import UsageError
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

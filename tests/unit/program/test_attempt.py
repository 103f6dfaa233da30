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

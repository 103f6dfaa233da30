"""The bounds of `Retry`."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import ATTEMPTS_MAX, DORMANCY_MS_MAX
from edge_runtime.program.calls import Retry


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"attempts": 1},
        {"attempts": ATTEMPTS_MAX},
        {"first_ms": 1, "max_ms": 1},
        {"first_ms": DORMANCY_MS_MAX, "max_ms": DORMANCY_MS_MAX},
        {"max_ms": 1},
    ],
)
def test_a_retry_inside_its_bounds_is_taken(given: dict[str, int]) -> None:
    retry = Retry(**given)
    assert {name: getattr(retry, name) for name in given} == given


@pytest.mark.parametrize(
    "given",
    [
        {"attempts": 0},
        {"attempts": ATTEMPTS_MAX + 1},
        {"attempts": True},
        {"attempts": 2.0},
        {"first_ms": 0},
        {"first_ms": DORMANCY_MS_MAX + 1},
        {"first_ms": 10, "max_ms": 9},
        {"max_ms": "1s"},
    ],
)
def test_a_retry_outside_its_bounds_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"Retry\({list(given)[-1]}=.*whole number"):
        Retry(**given)

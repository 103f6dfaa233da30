"""Every body made by `bench_of` is freed after its test, as the node does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.replay_child import free_all


@pytest.fixture(autouse=True)
def _freed() -> Iterator[None]:
    yield
    free_all()

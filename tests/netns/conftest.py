"""The netns level: real processes in network namespaces. It needs root; what lacks it is skipped by name."""

from __future__ import annotations

import pytest

from tests.support.requires import require


@pytest.fixture(scope="session", autouse=True)
def namespaces() -> None:
    require("netns")

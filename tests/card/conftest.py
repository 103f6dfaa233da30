"""All of this level's mounts are in a mount namespace of its own: whoever else makes one copies none of them.

A copy would keep a file system alive that a test has cut and unmounted, and the next mount would get it back, dead.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cards import private_mounts
from tests.support.requires import require


@pytest.fixture(autouse=True)
def _private_mounts() -> Iterator[None]:
    require("card")
    with private_mounts():
        yield

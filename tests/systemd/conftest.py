"""What the booted tests share: roots made once a run. Asking for one of them skips where no machine can be booted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.board import Board, installed
from tests.support.booted import Root, debian, wheelhouse
from tests.support.requires import require


@pytest.fixture(scope="session")
def bare() -> Root:
    """A minimal Debian: systemd and Python with venv, nothing of ours."""
    require("booted")
    return debian()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheels of this tree and of all it depends on, for a machine without a network."""
    require("booted")
    return wheelhouse(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="session")
def device_root(bare: Root, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A Debian on which the daemon is installed."""
    return installed(bare, wheels, tmp_path_factory.mktemp("installed"))


@pytest.fixture
def board(device_root: Root) -> Iterator[Board]:
    """A booted device of the test's own; the daemon is up."""
    with Board(device_root) as board:
        yield board

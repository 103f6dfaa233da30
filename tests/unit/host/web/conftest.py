"""One device with a status page, for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.daemons import Daemon
from tests.support.requires import require
from tests.support.web import APP, OPTIONS


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that serves its page on a free port and holds objects in several statuses."""
    require("module:starlette", "module:uvicorn", "module:prometheus_client")
    folder = tmp_path_factory.mktemp("page") / "drone"
    with Daemon(folder, "--app", APP, "--name", "drone", "--capability", "camera", *OPTIONS) as device:
        device.ask("submit", intent="count", arguments={"number": 7}, name="count-1", wait=True)
        device.ask("submit", intent="patrol", name="patrol-1")
        device.ask("submit", intent="report", arguments={"text": "<b>&"}, name="report-1")
        yield device

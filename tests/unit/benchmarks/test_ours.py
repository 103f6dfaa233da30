"""Our daemon as it is measured: the real one, with few workflows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.dormant import starts
from benchmarks.ours import Daemon, OurSteps
from benchmarks.processes import Unusable
from benchmarks.results import OURS
from edge_runtime.client import BlockingClient


def test_workflows_run_at_both_widths_and_the_daemon_is_gone_after(tmp_path: Path) -> None:
    with Daemon(tmp_path / "state", "workflow:app") as daemon:
        pid, system = daemon.pid, OurSteps(daemon)
        for width in (1, 4):
            row = system.measure(width, 8)
            assert (row.system, row.width) == (OURS, width)
            assert 0 < row.p50_ms <= row.p99_ms
        with BlockingClient(daemon.state) as client:
            shown = client.submit("three", "x", wait=True)
        assert (shown["end"], shown["result"]) == ("completed", "result 3 " + "x" * 50)
    assert not Path(f"/proc/{pid}").exists()


def test_a_sleeper_notes_its_body_and_its_step_once_and_nothing_after_a_kill(tmp_path: Path) -> None:
    log = tmp_path / "starts.log"
    with Daemon(tmp_path / "state", "workflow:app", log) as daemon:
        with BlockingClient(daemon.state) as client:
            client.submit("sleeper", 7)
            while client.ask("status")["objects"]["dormant"] < 1:
                os.sched_yield()
        assert log.read_text() == "body 7\nstep 7\n"
        daemon.kill()
        daemon.start()
        with BlockingClient(daemon.state) as client:
            assert client.ask("status")["objects"]["dormant"] == 1
        assert starts(log) == 2


def test_a_daemon_that_does_not_start_is_said_and_left_nowhere(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(Unusable, match="did not start"), Daemon(tmp_path / "state"):
        pytest.fail("it is taken for ready")

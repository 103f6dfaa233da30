"""A daemon over very many sleepers: what it looks at when it starts, and what it needs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.processes import ROOT, rss_mb
from benchmarks.wake import READINGS, WATCHERS, make_store
from tests.support.daemons import Daemon

OBJECTS = 10_000
OTHERS = READINGS * (WATCHERS + 1)
MEMORY_MB_MAX = 64  # the bar is for 100,000


def test_a_daemon_over_ten_thousand_sleepers_looks_at_none_when_it_starts_and_stays_small(tmp_path: Path) -> None:
    """Behaviours: 3.2, 3.4: start-up must not wake all. Counted; then one fact looks at its three, and no other."""
    make_store(tmp_path / "state", OBJECTS)
    daemon = Daemon(tmp_path / "state", "--app", "benchmarks.wake:app", "--interface", "lo", cwd=ROOT)
    for _ in range(2):
        daemon.start()
        status = daemon.ask("status")
        assert status["objects"]["dormant"] == OBJECTS + OTHERS
        assert status["evaluations"] == 0
        daemon.kill()
    with daemon:
        daemon.ask("fact", name="door.reading", value=1)
        status = daemon.ask("status")
        assert status["evaluations"] == WATCHERS
        assert status["objects"]["dormant"] == OBJECTS + OTHERS - WATCHERS
        assert daemon.process is not None and rss_mb(daemon.process.pid) < MEMORY_MB_MAX

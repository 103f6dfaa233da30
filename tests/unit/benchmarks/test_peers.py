"""The peers' virtual environment and process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.peers import WANTED, Worker, peers_python
from benchmarks.processes import Unusable


def test_peers_are_skipped_with_how_to_get_them_where_nothing_may_be_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(peers, "PEERS", tmp_path / "peers")
    with pytest.raises(Unusable, match="a run without --small makes it"):
        peers_python(may_install=False)
    assert not (tmp_path / "peers").exists()


@pytest.mark.parametrize(("mark", "is_usable"), [(WANTED.read_text(), True), ("dbos==1.0\n", False), (None, False)])
def test_only_a_finished_installation_of_what_is_wanted_now_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mark: str | None, is_usable: bool
) -> None:
    monkeypatch.setattr(peers, "PEERS", tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    if mark is not None:
        (tmp_path / "installed").write_text(mark)
    if is_usable:
        assert peers_python(may_install=False) == tmp_path / "bin" / "python"
    else:
        with pytest.raises(Unusable):
            peers_python(may_install=False)


def test_a_worker_that_ends_says_what_it_died_of(tmp_path: Path) -> None:
    refuse = tmp_path / "python"
    refuse.write_text("#!/bin/sh\necho no engine here >&2\n")
    refuse.chmod(0o755)
    with pytest.raises(Unusable, match="no engine here"), Worker(refuse, tmp_path, "wal"):
        pytest.fail("it is taken for ready")


ECHO = """#!/usr/bin/env python3
import json, sys
print(json.dumps({"is_ready": True}), flush=True)
for line in sys.stdin:
    print(json.dumps({"argv": sys.argv[2:], "heard": json.loads(line)}), flush=True)
"""


def test_a_worker_answers_line_by_line_and_is_gone_after(tmp_path: Path) -> None:
    echo = tmp_path / "python"
    echo.write_text(ECHO.replace("/usr/bin/env python3", sys.executable))
    echo.chmod(0o755)
    with Worker(echo, tmp_path, "wal") as worker:
        pid = worker.pid
        assert worker.ask("measure", width=1, count=2) == {
            "argv": [str(tmp_path), "wal"],
            "heard": {"do": "measure", "width": 1, "count": 2},
        }
    assert not Path(f"/proc/{pid}").exists()

"""Backups that somebody else's state, a busy daemon or a wrong place stand in the way of."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.host.backup import restore_backup, write_backup
from edge_runtime.host.cli.main import main
from edge_runtime.host.doctor.permissions import check_roots, check_state
from edge_runtime.host.local import answer_locally
from edge_runtime.host.root_keys import list_roots
from edge_runtime.node.commands import FleetCreate
from edge_runtime.objects.keys import SigningKey

STRANGER = 65_534


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "a state #1?"
    answer_locally(folder, FleetCreate("field"))
    return folder


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """A folder that we may not look into; for root by being somebody else meanwhile."""
    mode, is_root = folder.stat().st_mode & 0o777, os.geteuid() == 0
    folder.chmod(0)
    if is_root:
        os.seteuid(STRANGER)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(mode)


def test_a_backup_ends_while_the_daemon_commits_between_any_two_steps(state: Path, tmp_path: Path) -> None:
    """Behaviour: 12.5: SQLite's copy begins anew after each commit of another connection, unless it holds a snapshot."""
    steps = 0
    with closing(sqlite3.connect(state / "spool.db", isolation_level=None)) as daemon:
        daemon.execute("PRAGMA journal_mode = WAL")
        daemon.execute("CREATE TABLE filler (bytes BLOB)")
        daemon.executemany("INSERT INTO filler VALUES (zeroblob(1000000))", [()] * 8)

        def commit(done: int, total: int) -> None:
            nonlocal steps
            steps += 1
            assert steps < 100, "begun anew again and again"
            daemon.execute("INSERT INTO filler VALUES (x'00')")

        write_backup(state, tmp_path / "file", commit)
        (count,) = daemon.execute("SELECT count(*) FROM filler").fetchone()
    assert count == 8 + steps > 9
    restore_backup(tmp_path / "file", tmp_path / "restored", is_alone=True)


def test_a_backup_counts_for_the_root_keys_that_are_in_it(state: Path, tmp_path: Path) -> None:
    """Behaviour: 12.5: `doctor` does not go on warning of a key that is in a backup."""
    (before,) = check_roots(state)
    assert "on this device alone" in before.says
    write_backup(state, tmp_path / "file")
    (after,) = check_roots(state)
    assert "each backed up" in after.says and list_roots(state)[0].is_backed_up
    assert [finding.level.value for finding in check_state(state)] == ["ok"], "the mark is the owner's alone"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can back another user's state up")
def test_the_mark_that_root_sets_belongs_to_the_owner_of_the_state(state: Path, tmp_path: Path) -> None:
    for path in (state, *state.rglob("*")):
        os.chown(path, STRANGER, STRANGER)
    write_backup(state, tmp_path / "file")
    assert {path.stat().st_uid for path in (state / "keys").iterdir()} == {STRANGER}
    assert {path.stat().st_uid for path in state.iterdir()} == {STRANGER}, "nothing locks the daemon out"


def test_somebody_elses_state_is_one_clear_line(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who may not look is told so, by every command that opens the state itself."""
    write_backup(state, tmp_path / "file")
    for words in (["backup", "new"], ["restore", str(tmp_path / "file")], ["run"]):
        assert main(["--version"]) == 0  # what is imported late is imported as ourselves
        with closed(state):
            code = main([*words, "--state", str(state)])
        text = capsys.readouterr().err
        assert code in (Exit.FAILED, Exit.USAGE) and text.count("\n") == 1, text
        assert "user that owns" in text or "may not look" in text


def test_a_place_that_takes_no_file_is_one_clear_line(state: Path, tmp_path: Path) -> None:
    for target in (tmp_path / "no" / "file", state / "spool.db" / "file"):
        with pytest.raises(UsageError, match="is no folder: make it"):
            write_backup(state, target)
    with closed(state), pytest.raises(UsageError, match="The backup was not made"):
        write_backup(state, state / "keys" / "file")
    assert SigningKey.from_seed((state / "keys" / "device.key").read_bytes())

"""The reserve, and what is said of a disk that is full or broken."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge_runtime.base.limits import RESERVE_BYTES, ROOM_BYTES_MIN
from edge_runtime.host import storage as under_test
from edge_runtime.host.storage import Disk, Storage
from edge_runtime.node.room import Shortage
from edge_runtime.node.store import StoreFailed

FULL = StoreFailed("database or disk is full", sqlite3.SQLITE_FULL)
BROKEN = StoreFailed("disk I/O error", sqlite3.SQLITE_IOERR)


def free(monkeypatch: pytest.MonkeyPatch, bytes_size: int) -> None:
    monkeypatch.setattr(Storage, "_free", lambda self: bytes_size)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    free(monkeypatch, 10 * (RESERVE_BYTES + ROOM_BYTES_MIN))
    monkeypatch.setattr(under_test, "LOOK_S", 0.0)
    found = Storage(tmp_path)
    found.begin()
    return found


def test_the_reserve_is_held_given_up_when_the_disk_is_full_and_held_again(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behaviour: 18.2."""
    file = tmp_path / "reserve"
    assert file.stat().st_size == RESERVE_BYTES and storage.look_s is None and not storage.has_news
    free(monkeypatch, 0)
    assert storage.fail(FULL), "there is room for what is under way: try again at once"
    assert storage.disk is Disk.FULL and not file.exists() and storage.look_s is not None
    assert [item for item, reason in storage.news() if reason] == [Shortage.DISK] and not storage.has_news
    storage.look()
    assert storage.disk is Disk.FULL
    free(monkeypatch, RESERVE_BYTES + ROOM_BYTES_MIN)
    storage.look()
    assert storage.disk is Disk.ROOM and file.stat().st_size == RESERVE_BYTES
    assert storage.news() == [(Shortage.DISK, "")] and storage.trouble == ""


def test_a_disk_that_is_full_without_a_reserve_left_is_broken_until_a_commit_succeeds(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 0)
    assert storage.fail(FULL) and not storage.fail(FULL)
    assert storage.disk is Disk.BROKEN and "cannot be written" in storage.trouble
    storage.succeed()
    assert storage.disk is Disk.FULL and "full" in storage.trouble


def test_an_error_of_the_disk_does_not_cost_the_reserve_unless_there_is_no_room(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not storage.fail(BROKEN) and storage.disk is Disk.BROKEN
    assert (tmp_path / "reserve").exists()
    storage.succeed()
    free(monkeypatch, 0)
    assert storage.fail(BROKEN) and storage.disk is Disk.FULL, "the journal's index could not grow"


def test_a_disk_that_says_it_is_full_while_it_is_not_is_not_believed_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by writes that fail with ENOSPC on an empty disk: the reserve was held and given up for ever."""
    free(monkeypatch, 10 * (RESERVE_BYTES + ROOM_BYTES_MIN))
    storage = Storage(tmp_path)
    storage.begin()
    assert storage.fail(FULL)
    storage.look()
    assert storage.disk is Disk.FULL, "the next look is a while away"
    assert not storage.fail(FULL) and storage.disk is Disk.BROKEN


def test_a_disk_without_room_for_the_reserve_counts_as_full_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, ROOM_BYTES_MIN)
    storage = Storage(tmp_path)
    storage.begin()
    assert storage.disk is Disk.FULL and not (tmp_path / "reserve").exists()


def test_a_spool_without_a_folder_has_no_reserve_and_is_never_full() -> None:
    storage = Storage()
    storage.begin()
    assert not storage.fail(FULL) and storage.disk is Disk.BROKEN
    storage.succeed()
    assert storage.disk is Disk.ROOM and storage.look_s is None

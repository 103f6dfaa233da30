"""The checks of the disk: mounts as the kernel writes them, room as statvfs tells it, a spool that is damaged."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from edge_runtime.base.units import MIB
from edge_runtime.host.doctor.disk import check_file_system, check_room, check_spool, mount_of, read_mounts
from edge_runtime.host.doctor.finding import Level
from edge_runtime.node.schema import SCHEMA_VERSION

MOUNTINFO = r"""22 1 179:2 / / rw,relatime shared:1 - ext4 /dev/root rw,commit=600
23 22 0:21 / /run rw - tmpfs tmpfs rw
30 22 8:1 / /media/a\040stick rw - vfat /dev/sda1 rw,uid=1000
31 22 8:2 / /data rw - ext4 /dev/sda2 rw,nobarrier
32 22 8:2 / /data/new rw - f2fs /dev/sda3 rw
33 22 0:50 / /net rw - nfs4 server:/x rw
this line makes no sense
"""


@pytest.mark.parametrize(
    ("path", "kind", "level", "says"),
    [
        ("/var/lib/edge-runtime", "ext4", Level.OK, "on ext4 (/)"),
        ("/media/a stick/state", "vfat", Level.ERROR, "no journal"),
        ("/data/state", "ext4", Level.ERROR, "with nobarrier"),
        ("/data/new/state", "f2fs", Level.OK, "on f2fs (/data/new)"),
        ("/net/state", "nfs4", Level.ERROR, "not to be trusted"),
        ("/runner", "ext4", Level.OK, "(/)"),
        ("/run/state", "tmpfs", Level.WARNING, "switched off"),
    ],
)
def test_a_file_system_that_loses_what_was_flushed_is_named(path: str, kind: str, level: Level, says: str) -> None:
    mount = mount_of(Path(path), read_mounts(MOUNTINFO))
    assert mount is not None and mount.kind == kind
    found = check_file_system(mount, Path(path))
    assert found.level is level and says in found.says
    assert bool(found.do) is (level is not Level.OK)


def test_the_disk_of_this_machine_is_told() -> None:
    text = Path("/proc/self/mountinfo").read_text()
    assert mount_of(Path("/proc/self"), read_mounts(text)) is not None
    assert check_file_system(None, Path("/x")).level is Level.WARNING


def disk(free: int, flags: int = 0, files: int = 1_000) -> os.statvfs_result:
    """Return a reading of a disk of 8 GiB in blocks of 4 KiB."""
    return os.statvfs_result((4096, 4096, 2 << 20, free // 4096, free // 4096, 10_000, files, files, flags, 255))


@pytest.mark.parametrize(
    ("reading", "level", "says"),
    [
        (disk(4096 * MIB), Level.OK, "4096 MiB free of 8192 MiB"),
        (disk(100 * MIB), Level.WARNING, "100 MiB free"),
        (disk(3 * MIB), Level.ERROR, "nothing new can be accepted"),
        (disk(4096 * MIB, os.ST_RDONLY), Level.ERROR, "read-only"),
        (disk(4096 * MIB, files=3), Level.ERROR, "3 files more"),
    ],
)
def test_a_full_or_read_only_disk_must_be_put_right(reading: os.statvfs_result, level: Level, says: str) -> None:
    found = check_room(Path("/x"), reading)
    assert found.level is level and says in found.says


def test_a_state_that_is_not_there_says_how_it_is_made(tmp_path: Path) -> None:
    found = check_room(tmp_path / "none")
    assert found.level is Level.ERROR and "init" in found.do
    assert "no spool yet" in check_spool(tmp_path).says


def make_spool(folder: Path, rows: int = 2_000) -> Path:
    file = folder / "spool.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 200,)] * rows)
        connection.execute("CREATE INDEX i ON t (a)")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.close()
    return file


def test_a_whole_spool_is_well_and_a_damaged_one_is_found(tmp_path: Path) -> None:
    """Behaviour: 18.1"""
    file = make_spool(tmp_path)
    assert check_spool(tmp_path).level is Level.OK
    data = bytearray(file.read_bytes())
    data[4096 * 5 : 4096 * 5 + 2_000] = bytes(2_000)
    file.write_bytes(data)
    found = check_spool(tmp_path)
    assert found.level is Level.ERROR and "move spool.db aside" in found.do
    file.write_bytes(b"not a database at all" * 100)
    assert check_spool(tmp_path).level is Level.ERROR


def test_a_spool_of_a_newer_version_is_named_and_a_large_one_is_not_read_for_ever(tmp_path: Path) -> None:
    file = make_spool(tmp_path, 50_000)
    found = check_spool(tmp_path, seconds_max=0.0)
    assert found.level is Level.OK and "too large" in found.says
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    found = check_spool(tmp_path)
    assert found.level is Level.ERROR and "newer" in found.do

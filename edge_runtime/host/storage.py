"""The disk below the spool: a reserve held back for what is under way, and whether a commit succeeds at all.

    there is room --commit fails, disk full--> full: the reserve is given up, nothing new is taken in
    full --room for twice the reserve--> there is room: the reserve is held again
    any --commit fails otherwise, or the reserve is used up, too--> broken: served without a commit
    broken --a commit succeeds--> what it was before

Free bytes are not watched while commits succeed: a full disk says so itself, and the reserve was set aside before.
Source: ours, behaviours 18.2 and 18.4; the reserve is what ext4 keeps back for root, kept by ourselves.
"""

from __future__ import annotations

import os
import sqlite3
import time
from enum import Enum
from pathlib import Path

from ..base.limits import RESERVE_BYTES, ROOM_BYTES_MIN
from ..base.units import MIB
from ..node.room import Shortage
from ..node.store import StoreFailed

NAME = "reserve"
LOOK_S = 5.0  # between two looks at a full disk


class Disk(Enum):
    """How the disk is."""

    ROOM = "there is room"
    FULL = "full"
    BROKEN = "broken"


class Storage:
    """The state of one device's disk; on the node thread only.

    Args:
        folder: the state directory, where the file `reserve` stands; None for a spool without a reserve.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._file = None if folder is None else folder / NAME
        self._is_full = False
        self._broken = ""
        self._look_s = 0.0  # not sooner: a disk that says it is full while it is not would be believed in turns
        self._said: dict[Shortage, str] = {}

    @property
    def disk(self) -> Disk:
        """How the disk is now."""
        return Disk.BROKEN if self._broken else Disk.FULL if self._is_full else Disk.ROOM

    @property
    def look_s(self) -> float | None:
        """How long the thread may wait for events before it looks at the disk again; None for ever."""
        return LOOK_S if self._is_full else None

    @property
    def trouble(self) -> str:
        """What is wrong, for people; empty while there is room."""
        return next(iter(self._reasons().values()), "")

    @property
    def reserve_bytes(self) -> int:
        """How much is set aside now, in the file `reserve`: 0 while the disk is full, and without a folder."""
        return 0 if self._file is None or self._is_full else RESERVE_BYTES

    def begin(self) -> None:
        """Hold the reserve at the start, where there is room for it; else the disk counts as full."""
        if self._file is None:
            return
        if not self._is_held() and not self._hold():
            self._is_full = True
        elif self._free() < ROOM_BYTES_MIN // 2:  # opening the spool needs room, too
            self.give_way()

    def give_way(self) -> bool:
        """Give the reserve up for what is under way; return whether there was one."""
        if self._file is None:
            return False
        self._look_s = time.monotonic() + LOOK_S
        was_held = self._is_held()
        self._is_full = True
        if was_held:
            try:
                self._file.unlink()
            except OSError:
                return False  # read-only: there is no room to be had
        return was_held

    def fail(self, error: StoreFailed) -> bool:
        """Take in a failed commit; return whether it is worth trying again at once."""
        if not self._broken and self._is_about_room(error) and self.give_way():
            return True
        self._broken = str(error)
        return False

    def succeed(self) -> None:
        """A commit succeeded after one that failed."""
        self._broken = ""

    def look(self) -> None:
        """See whether there is room again; cheap while nothing is wrong."""
        if not self._is_full or self._broken or time.monotonic() < self._look_s:
            return
        self._look_s = time.monotonic() + LOOK_S
        self._is_full = not self._hold()

    @property
    def has_news(self) -> bool:
        """Whether `news` has something to tell."""
        return self._said != self._reasons()

    def news(self) -> list[tuple[Shortage, str]]:
        """Return what the node has not been told yet: shortages with their reason, empty where they are over."""
        reasons = self._reasons()
        found = [(item, reasons.get(item, "")) for item in Shortage if reasons.get(item) != self._said.get(item)]
        self._said = reasons
        return found

    def _reasons(self) -> dict[Shortage, str]:
        found: dict[Shortage, str] = {}
        if self._broken:
            found[Shortage.BROKEN] = f"the spool cannot be written: {self._broken}"
        if self._is_full:
            found[Shortage.DISK] = f"the disk is full (intake goes on at {2 * RESERVE_BYTES // MIB} MiB free)"
        return found

    def _is_about_room(self, error: StoreFailed) -> bool:
        # A file that the journal needs cannot grow either: SQLite calls that an I/O error.
        return error.code == sqlite3.SQLITE_FULL or (error.is_io and self._free() < RESERVE_BYTES // 8)

    def _is_held(self) -> bool:
        try:
            return self._file is not None and self._file.stat().st_size >= RESERVE_BYTES
        except OSError:
            return False

    def _free(self) -> int:
        if self._folder is None:
            return 0
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return 0
        return (found.f_bavail if os.geteuid() else found.f_bfree) * found.f_frsize

    def _hold(self) -> bool:
        """Set the reserve aside, if that leaves room; return whether it is."""
        if self._file is None or self._free() < RESERVE_BYTES + ROOM_BYTES_MIN:
            return False
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, RESERVE_BYTES)
            finally:
                os.close(handle)
        except OSError:
            self._file.unlink(missing_ok=True)
            return False
        return True

"""Be told by the kernel what happens in one folder. Own code: the packages for it start a thread, or poll.

Source: inotify(7); Linux `include/uapi/linux/inotify.h`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE = 0x8, 0x40, 0x80, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_ONLYDIR, IN_DONT_FOLLOW = 0x400, 0x800, 0x1000000, 0x2000000
IN_NONBLOCK, IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
READ_BYTES = 64 * 1024  # what is not read now is told by the next event of the loop


class Watch:
    """Calls `on_change` on the loop when something happened in a folder; which file it was is not told.

    Whoever is called looks at the whole folder: events are merged and may overflow, a look is always right.

    Args:
        mask: which events count; the folder's own end always does.

    Raises:
        OSError: the folder is not there, or this user has too many watches (fs.inotify.max_user_watches).
    """

    def __init__(self, folder: Path, mask: int, on_change: Callable[[], None]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._on_change = on_change
        self._handle = libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
        if self._handle < 0:
            raise _error(folder)
        mask |= IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW
        if libc.inotify_add_watch(self._handle, os.fsencode(folder), ctypes.c_uint32(mask)) < 0:
            error = _error(folder)
            os.close(self._handle)
            raise error
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._handle, self._read)

    def _read(self) -> None:
        try:
            os.read(self._handle, READ_BYTES)
        except BlockingIOError:
            return
        self._on_change()

    def close(self) -> None:
        """Watch no more; may be called twice."""
        if self._handle >= 0:
            self._loop.remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1


def _error(folder: Path) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), str(folder))

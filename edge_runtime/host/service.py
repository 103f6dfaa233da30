"""The daemon as systemd sees it: ready, watched, and one line that says how it is.

The watchdog is fed while loop and node thread both make progress: it is the loop that feeds, and it does not while the
node thread has work and ends no turn between two looks. The line is made after a turn, at most each STATUS_EVERY_S, so
that an idle device wakes up for nobody. Outside systemd nothing of this costs anything.

Source: sd_notify(3), systemd.service(5) `WatchdogSec=`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..base.limits import STATUS_LINE_CHARS_MAX
from ..node.effects import Turn
from ..node.events import Called, Event
from .notify import Notifier
from .thread import NodeThread

STATUS_EVERY_S = 3.0


def status_line(counts: Mapping[str, int], contacts: int, free_bytes: int | None, *wrong: str) -> str:
    """Return the line for people.

    Args:
        counts: objects by status. contacts: peers in contact now. free_bytes: on the state's file system; None if it
            does not answer. wrong: what is amiss, each one sentence or more; empty ones are left out.
    """
    objects = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("awake", "attempting", "dormant", "ended"))
    peers = f"{contacts} peer{'' if contacts == 1 else 's'} in contact"
    disk = "disk does not answer" if free_bytes is None else f"{free_bytes / 1e9:.1f} GB free"
    # One line: what follows a line feed would be read as another message.
    return " ".join("; ".join((objects, peers, disk, *filter(None, wrong))).split())[:STATUS_LINE_CHARS_MAX]


class Service:
    """Tells systemd, from the loop. `turned` is the node thread's.

    Args:
        contacts: how many peers are in contact now. hung: how many steps never came back. trouble: what is wrong with
            the disk now; empty if nothing is.

    Attributes:
        refused: why the last reload changed nothing; empty if it did not, or there was none.
    """

    def __init__(
        self, notifier: Notifier, thread: NodeThread, state: Path, contacts: Callable[[], int],
        hung: Callable[[], int], trouble: Callable[[], str],
    ) -> None:  # fmt: skip
        self.refused = ""
        self._notifier = notifier
        self._thread = thread
        self._state = state
        self._contacts = contacts
        self._hung = hung
        self._trouble = trouble
        self._loop = asyncio.get_running_loop()
        self._counts: dict[str, int] = {}
        self._is_due = not notifier.is_heard  # a line is to be made; where nobody reads it none ever is
        if notifier.is_heard:
            thread.on_turn += (self.turned,)
        self._is_counting = False
        self._said = ""
        self._said_s = -STATUS_EVERY_S

    def ready(self) -> None:
        """Say that the daemon answers; from now on the line is kept up to date."""
        self._notifier.send("READY=1", "STATUS=running")
        self.changed()

    def stopping(self) -> None:
        """Say that the daemon ends."""
        self._notifier.send("STOPPING=1", "STATUS=stopping")
        self._is_due = True

    # --- Reading the configuration again ------------------------------------------------------------------------------

    def reloading(self) -> None:
        """Say that it is being read."""
        self._notifier.reloading()

    def reloaded(self, refused: str = "") -> None:
        """Say so once the node has handled what was posted before; `refused`: why all is as it was."""
        self.refused = refused
        # Not sooner: who waits for `systemctl reload` may rely on what is in force then.
        self._thread.post(Called(lambda: self._tell(self._end_reload)))

    def _end_reload(self) -> None:
        self._notifier.send("READY=1")
        self.changed()

    # --- The watchdog -----------------------------------------------------------------------------------------------

    async def feed_watchdog(self) -> None:
        """Feed it while the loop runs and the node thread is idle or makes progress; until cancelled."""
        every_s = self._notifier.watchdog_s()
        if every_s is None:
            return
        seen = -1
        while True:
            turns = self._thread.turns
            if self._thread.failure is None and (self._thread.is_idle or turns != seen):
                self._notifier.send("WATCHDOG=1")
            seen = turns
            await asyncio.sleep(every_s)

    # --- The line ---------------------------------------------------------------------------------------------------

    def turned(self, batch: Sequence[Event], turn: Turn) -> None:
        """Note that a turn has ended: on the node thread, after each commit."""
        node = self._thread.node
        if self._is_counting and node is not None:
            # First of all: whatever turns come while this is on its way are counted once more.
            self._is_counting = self._is_due = False
            try:
                self._tell(self._say, node.answers.counts())
            except sqlite3.Error:
                pass  # a card that fails: what it means for the device is found, and said, by the turns that need it
        elif not self._is_due:
            self._is_due = True
            self._tell(self._arm)

    def changed(self) -> None:
        """Note on the loop that the line may read differently now."""
        if self._trouble():  # of the disk: it may be that no turn ends before it is over
            self._say(self._counts)
        elif not self._is_due:
            self._is_due = True
            self._arm()

    def _arm(self) -> None:
        self._loop.call_later(max(0, self._said_s + STATUS_EVERY_S - self._loop.time()), self._count)

    def _count(self) -> None:
        self._thread.post(Called(self._begin_count))

    def _begin_count(self) -> None:
        # Counted at the turn's end, so that the line holds whatever was handled together with this.
        self._is_counting = True

    def _say(self, counts: dict[str, int]) -> None:
        self._counts, self._said_s = counts, self._loop.time()
        hung = self._hung()
        wrong = (self._trouble(), f"{hung} hung steps" if hung else "", self.refused)
        line = status_line(counts, self._contacts(), free_bytes(self._state), *wrong)
        if line != self._said:
            self._said = line
            self._notifier.send(f"STATUS={line}")

    def _tell(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            pass  # a loop that is closed has nobody to tell it to


def free_bytes(path: Path) -> int | None:
    """Return the room that is left for an ordinary user on a path's file system; None if it cannot be told."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize

"""Both folders as the daemon holds them: made, watched, and begun again after trouble with the disk."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...base.limits import DROP_RETRY_MS_MAX
from ...base.units import SECOND_MS
from ...node.commands import Submit
from ...node.effects import Teller
from ...node.events import Asked, Called, Imported
from ...objects.capsule import Capsule
from ..inquiries import Inquiries
from ..thread import NodeThread
from .inbox import DONE, REFUSED, Inbox
from .inotify import IN_CLOSE_WRITE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO, Watch
from .outbox import Outbox

log = logging.getLogger("edge_runtime")
FOLDER_MODE = 0o770  # the daemon's group may put files in; the state directory above says who gets that far
RETRY_FIRST_S = 1.0

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Drop:
    """The drop folder of one state directory, while the configuration has `[drop]`."""

    def __init__(self, state: Path, thread: NodeThread, inquiries: Inquiries, spawn: Spawn) -> None:
        self._thread = thread
        self._inquiries = inquiries
        self.inbox = Inbox(state / "inbox", self._submit, self._take_capsule)
        self.outbox = Outbox(state / "outbox", self._ask_for_results, self._strike)
        self.taken = self.refused = 0
        self.trouble = ""
        self._tasks = [spawn(self._keep_up(self._watch_inbox)), spawn(self._keep_up(self._watch_outbox))]

    def close(self) -> None:
        """Take and write no more; what is under way is done again at the next start."""
        for task in self._tasks:
            task.cancel()

    def report(self) -> dict[str, Any]:
        """Return what `status` says of it."""
        return {
            "taken": self.taken, "refused": self.refused, "written": self.outbox.written,
            "trouble": self.trouble or None,
        }  # fmt: skip

    def give_results(self, rows: Sequence[dict[str, Any]] | None) -> None:
        """Take what the node says of labelled ends; None: there is one, ask."""
        if rows is None:
            self.outbox.ask_for_more()
        else:
            self.outbox.give(rows)

    async def _keep_up(self, session: Callable[[], Coroutine[Any, Any, None]]) -> None:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                await session()
                wait_s = RETRY_FIRST_S
            except OSError as error:
                trouble = f"the drop folder cannot be used: {error}"
                if trouble != self.trouble:
                    log.error("%s; it is tried again", trouble)
                self.trouble = trouble
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, DROP_RETRY_MS_MAX / SECOND_MS)

    async def _watch_inbox(self) -> None:
        """Look once, then whenever something was put there; returns when the folder itself went away."""
        folder = self.inbox.folder
        await asyncio.to_thread(_make, folder, folder / DONE, folder / REFUSED)
        changed = asyncio.Event()
        watch = Watch(folder, IN_MOVED_TO | IN_CLOSE_WRITE, changed.set)
        try:
            changed.set()  # what was put there while nobody watched
            while folder.is_dir():
                await changed.wait()
                changed.clear()
                taken, is_more = await self.inbox.look()
                self.trouble = ""
                for item in taken:
                    self.taken += item.folder == DONE
                    self.refused += item.folder == REFUSED
                    log.info("drop folder: %s -> %s", item.name, item.answer.get("object") or item.answer.get("error"))
                if is_more:
                    changed.set()
        finally:
            watch.close()

    async def _watch_outbox(self) -> None:
        folder = self.outbox.folder
        await asyncio.to_thread(_make, folder)
        watch = Watch(folder, IN_MOVED_FROM | IN_DELETE, self.outbox.ask_for_more)
        try:
            await self.outbox.run()
        finally:
            watch.close()

    # --- The node -------------------------------------------------------------------------------------------------

    async def _submit(self, command: Submit) -> dict[str, Any]:
        found: dict[str, Any] = await self._inquiries.ask(lambda ticket: Asked(ticket, command))
        return found

    async def _take_capsule(self, capsule: Capsule) -> dict[str, Any]:
        header = capsule.header
        found: dict[str, Any] = await self._inquiries.ask(
            lambda ticket: Imported(
                ticket, header.object, capsule.grants, capsule.entries, header.age_ms, header.age_is_exact
            )
        )
        return found

    def _ask_for_results(self) -> None:
        if self._thread.node is not None:
            self._thread.post(Called(partial(self._thread.node.results.hand_out, Teller.OUTBOX)))

    def _strike(self, object_id: str) -> None:
        if self._thread.node is not None:
            strike = self._thread.node.results.strike
            self._thread.post(Called(partial(strike, bytes.fromhex(object_id), Teller.OUTBOX)))


def _make(*folders: Path) -> None:
    for folder in folders:
        if not folder.is_dir():
            folder.mkdir(mode=FOLDER_MODE)
            os.chmod(folder, FOLDER_MODE)  # whatever the umask says

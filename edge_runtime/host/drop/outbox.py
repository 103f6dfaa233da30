"""`outbox/`: one file for each object with the label that ended, written by rename, at least once.

What waits is listed in the spool (`node.results`) and struck when the file is on the disk: after a crash in between the
same file is written again. A full folder holds the rest back until somebody takes files out.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...base.limits import OUTBOX_FILES_MAX
from .inbox import write_by_rename

SUFFIX = ".json"


class Outbox:
    """One folder.

    Args:
        ask: asks the node for the next results; they come by `give`. strike: takes one off its list.
    """

    def __init__(self, folder: Path, ask: Callable[[], None], strike: Callable[[str], None]) -> None:
        self.folder = folder
        self._ask = ask
        self._strike = strike
        self._rows: asyncio.Queue[Sequence[dict[str, Any]]] = asyncio.Queue()
        self._is_busy = False  # asked, or writing what was answered: another answer would tell the same rows again
        self._is_due = False
        self.written = 0

    def ask_for_more(self) -> None:
        """Something ended, or room was made: ask for what waits, now or when what was asked before is written."""
        self._is_due = self._is_busy
        if not self._is_busy:
            self._is_busy = True
            self._ask()

    def give(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take the node's answer."""
        self._rows.put_nowait(rows)

    async def run(self) -> None:
        """Write what comes, for ever.

        Raises:
            OSError: the folder cannot be written; whoever runs this begins again later, and nothing is lost.
        """
        self._rows = asyncio.Queue()
        self._is_busy = False
        self.ask_for_more()
        while True:
            rows = await self._rows.get()
            room = OUTBOX_FILES_MAX - await asyncio.to_thread(count_files, self.folder)
            for row in rows[: max(0, room)]:
                text = json.dumps(row, ensure_ascii=False, default=str) + "\n"
                await asyncio.to_thread(write_by_rename, self.folder / (row["object"] + SUFFIX), text.encode())
                self._strike(row["object"])
                self.written += 1
            self._is_busy = False
            if self._is_due or 0 < len(rows) <= room:
                self.ask_for_more()  # where there is no room somebody takes files out, and the watch tells


def count_files(folder: Path) -> int:
    """Return how many files wait to be taken out."""
    with os.scandir(folder) as entries:
        return sum(not entry.name.startswith(".") for entry in entries)

"""Results as files: written by rename, struck when they are on the disk, held back while the folder is full."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from edge_runtime.host.drop.outbox import Outbox, count_files

ROW = {"object": "ab" * 32, "end": "completed", "result": 1}
OTHER = {"object": "cd" * 32, "end": "failed", "result": None}


class Spool:
    """What the node does: hands out what is not struck."""

    def __init__(self, folder: Path) -> None:
        self.rows = {str(row["object"]): row for row in (ROW, OTHER)}
        self.asked = 0
        self.struck = asyncio.Event()
        self.outbox = Outbox(folder, self._ask, self._strike)

    def _ask(self) -> None:
        self.asked += 1
        asyncio.get_running_loop().call_soon(lambda: self.outbox.give(tuple(self.rows.values())))

    def _strike(self, object_id: str) -> None:
        assert (self.outbox.folder / f"{object_id}.json").exists(), "on the disk before it is struck"
        del self.rows[object_id]
        self.struck.set()


async def wait_for(condition: asyncio.Event) -> None:
    await asyncio.wait_for(condition.wait(), 10)
    condition.clear()


async def test_each_result_is_a_file_that_is_whole_when_its_name_is_seen(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    task = asyncio.create_task(spool.outbox.run())
    try:
        while spool.rows:
            await wait_for(spool.struck)
        assert json.loads((tmp_path / f"{ROW['object']}.json").read_text()) == ROW
        assert (tmp_path / f"{ROW['object']}.json").stat().st_mode & 0o777 == 0o660
        assert sorted(os.listdir(tmp_path)) == sorted(f"{row['object']}.json" for row in (ROW, OTHER))
        spool.rows[str(ROW["object"])] = ROW  # not struck when the process died: written again
        spool.outbox.ask_for_more()
        await wait_for(spool.struck)
        assert count_files(tmp_path) == 2
    finally:
        task.cancel()


async def test_a_full_folder_holds_results_back_until_files_are_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("edge_runtime.host.drop.outbox.OUTBOX_FILES_MAX", 1)
    spool = Spool(tmp_path)
    task = asyncio.create_task(spool.outbox.run())
    try:
        await wait_for(spool.struck)
        asked = spool.asked
        await asyncio.sleep(0)
        assert count_files(tmp_path) == 1 and len(spool.rows) == 1 and spool.asked == asked, "it does not ask in a circle"
        (name,) = os.listdir(tmp_path)
        os.unlink(tmp_path / name)
        spool.outbox.ask_for_more()  # as the watch does
        await wait_for(spool.struck)
        assert spool.rows == {}
    finally:
        task.cancel()

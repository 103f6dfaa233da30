"""The watch on a folder, on the real kernel."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge_runtime.host.drop.inotify import IN_CLOSE_WRITE, IN_MOVED_TO, Watch

MASK = IN_MOVED_TO | IN_CLOSE_WRITE


async def test_a_rename_into_the_folder_is_told_and_other_things_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    changed = asyncio.Event()
    watch = Watch(folder, MASK, changed.set)
    try:
        (tmp_path / "a").write_text("x")
        (folder / "sub").mkdir()
        assert not changed.is_set()
        (tmp_path / "a").rename(folder / "a")
        await asyncio.wait_for(changed.wait(), 10)
        changed.clear()
        (folder / "b").write_text("x")
        await asyncio.wait_for(changed.wait(), 10)
    finally:
        watch.close()
        watch.close()


async def test_the_end_of_the_folder_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    changed = asyncio.Event()
    watch = Watch(folder, MASK, changed.set)
    try:
        folder.rmdir()
        await asyncio.wait_for(changed.wait(), 10)
    finally:
        watch.close()


async def test_a_folder_that_is_not_there_or_a_link_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Watch(tmp_path / "none", MASK, lambda: None)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError):
        Watch(tmp_path / "link", MASK, lambda: None)

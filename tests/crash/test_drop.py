"""The drop folder of a real daemon: files in, results out, kills in between."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import Daemon, wait_until

APP = "async def note(text): return text\n"
CONFIG = """[[apps]]
module = "notes:note"

[drop]
"""
FILES = 12


@pytest.fixture
def device(tmp_path: Path) -> Daemon:
    (tmp_path / "notes.py").write_text(APP)
    (tmp_path / "config.toml").write_text(CONFIG)
    return Daemon(
        tmp_path / "one", "--interface", "lo", "--config", str(tmp_path / "config.toml"), cwd=tmp_path
    )  # fmt: skip


def drop(device: Daemon, name: str, data: bytes) -> None:
    """Put a file in by rename, as the page asks."""
    temporary = device.folder / "inbox" / f".{name}"
    temporary.write_bytes(data)
    os.rename(temporary, device.folder / "inbox" / name)


def task(text: str) -> bytes:
    return json.dumps({"intent": "note", "arguments": {"text": text}, "labels": ["outbox"]}).encode()


def results(device: Daemon) -> dict[str, Any]:
    files = [file for file in (device.folder / "outbox").iterdir() if not file.name.startswith(".")]
    rows = [json.loads(file.read_text()) for file in files]
    return {row["result"]: row for row in rows}


def test_files_become_objects_and_their_results_become_files(device: Daemon, tmp_path: Path) -> None:
    with device:
        wait_until(lambda: (device.folder / "inbox" / "done").is_dir(), what="the folder")
        drop(device, "hello.json", task("hello"))
        found = wait_until(lambda: results(device).get("hello"), what="its result")
        assert found["end"] == "completed" and found["intent"] == "note"
        answer = json.loads((device.folder / "inbox" / "done" / "hello.json.answer.json").read_text())
        assert answer["object"] == found["object"]
        drop(device, "odd.toml", b'intent = "nobody.does.this"')
        refused = device.folder / "inbox" / "refused" / "odd.toml"
        wait_until(refused.exists, what="the refusal")
        reason = json.loads(refused.with_name("odd.toml.answer.json").read_text())
        assert reason["exit"] == 5 and "No app here" in reason["error"]
        file = tmp_path / "hello.capsule"
        device.run("export", found["object"], "-o", str(file))
        drop(device, "hello.capsule", file.read_bytes())
        done = device.folder / "inbox" / "done" / "hello.capsule.answer.json"
        wait_until(done.exists, what="the capsule")
        assert json.loads(done.read_text())["new"] == 0
        wanted = {"taken": 2, "refused": 1, "written": 1, "trouble": None}
        wait_until(lambda: device.ask("status")["drop"] == wanted, what="the counts")
        labelled = device.run("submit", "note", "--arg", "text=by hand", "--label", "outbox").stdout
        assert "note" in labelled
        wait_until(lambda: "by hand" in results(device), what="a result of a command")
        (tmp_path / "config.toml").write_text(CONFIG.replace("[drop]", ""))
        assert device.process is not None
        os.kill(device.process.pid, signal.SIGHUP)
        wait_until(lambda: device.ask("status")["drop"] is None, what="the end of the folder")
        drop(device, "late.json", task("late"))
        assert device.run("status").stdout
        assert (device.folder / "inbox" / "late.json").exists(), "without [drop] nobody looks"


def test_kills_between_all_steps_lose_no_file_and_double_no_object(device: Daemon) -> None:
    with device:
        wait_until(lambda: (device.folder / "inbox" / "done").is_dir(), what="the folder")
        device.kill()
    inbox = device.folder / "inbox"
    try:
        for number in range(FILES):
            drop(device, f"{number:02}.json", task(f"text {number}"))
            if number % 3 == 2:
                device.start()
                wait_until(lambda: (inbox / "done" / f"{number:02}.json.answer.json").exists(), what="a step further")
                device.kill()
        device.start()
        wait_until(lambda: len(results(device)) == FILES, what="all results")
        rows = [row for row in device.ask("ls") if row["intent"] == "note"]
        assert len(rows) == FILES and {row["end"] for row in rows} == {"completed"}
        wait_until(lambda: not [name for name in os.listdir(inbox) if name.endswith(".json")], what="the last move")
        for file in (device.folder / "outbox").iterdir():
            file.unlink()
        device.kill()
        device.start()
        drop(device, "00.json", task("text 0"))
        wait_until(lambda: not (inbox / "00.json").exists(), what="the file that was dropped again")
        assert len([row for row in device.ask("ls") if row["intent"] == "note"]) == FILES, "it is the same object"
        assert results(device) == {}, "what was struck is not told again"
    finally:
        device.stop()


def test_without_the_section_no_folder_is_made_and_its_code_is_not_loaded(tmp_path: Path) -> None:
    with Daemon(tmp_path / "one", "--interface", "lo") as device:
        assert device.ask("status")["drop"] is None
        assert not (device.folder / "inbox").exists()
        assert device.process is not None
        maps = Path(f"/proc/{device.process.pid}/fd")
        assert not [link for link in maps.iterdir() if "inotify" in os.readlink(link)]

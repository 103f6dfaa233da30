"""Backup and restore of real devices, clones of real cards, and kills between any two steps."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import RESERVE_BYTES
from edge_runtime.host.backup import restore_backup, write_backup
from edge_runtime.host.statedir import HALF_RESTORED
from tests.support.daemons import ROOT, Daemon, make_fleet, wait_until

APP = """
import os
from pathlib import Path
from edge_runtime import App, Context

app = App("work")

def note(name: str) -> str:
    with open(os.environ["NOTES"], "a") as file:
        file.write(name + "\\n")
    return name

@app.intent("work")
async def work(ctx: Context, name: str) -> str:
    await ctx.run("first", note, f"{name}-first")
    await ctx.until("go == True")
    return await ctx.run("second", note, f"{name}-second")
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "work.py").write_text(APP)
    (tmp_path / "notes").touch()
    return tmp_path


def device(place: Path, name: str) -> Daemon:
    return Daemon(
        place / name, "--interface", "lo", "--app", "work:app", cwd=place, env={"NOTES": str(place / "notes")}
    )


def said(daemon: Daemon, *words: str, code: int = 0) -> dict[str, Any]:
    done = daemon.run(*words, "--json", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def done(place: Path) -> list[str]:
    return (place / "notes").read_text().split()


def test_a_backup_of_a_working_daemon_comes_back_in_quarantine_learns_and_does_nothing_twice(place: Path) -> None:
    """Behaviour: 12.5: what was done since the backup is learnt from a peer before anything is written."""
    first, second = device(place, "first"), device(place, "second")
    file = place / "first.backup"
    with first, second:
        make_fleet(first, second)
        wait_until(lambda: any(row["connected"] for row in first.ask("peers")), what="contact")
        first.ask("submit", intent="work", arguments={"name": "a"}, name="a")
        wait_until(lambda: "a-first" in done(place))
        made = said(first, "backup", str(file))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and made["bytes"] == file.stat().st_size
        assert (place / "first" / "reserve").stat().st_size == RESERVE_BYTES == first.ask("status")["storage"]["reserve"]
        with tarfile.open(file) as archive:
            assert not any("reserve" in name for name in archive.getnames()), "what is set aside is left out"
        first.ask("fact", name="go", value=True)
        first.ask("wait", object="a")
        wait_until(lambda: second.ask("show", object=first.ask("show", object="a")["object"])["end"] == "completed")
        first.kill()
        shutil.rmtree(place / "first")
        assert said(first, "restore", str(file))["quarantine"] is True
        second.kill()
        with first:
            first.ask("fact", name="go", value=True)
            status = first.ask("status")
            assert "backup" in status["quarantine"] and "in quarantine" in first.ask("show", object="a")["reason"]
            assert said(first, "submit", "work", "--arg", "name=b", code=Exit.REFUSED)["quarantine"]
            second.start()
            wait_until(lambda: first.ask("status")["quarantine"] is None, what="the end of the quarantine")
            assert first.ask("wait", object="a")["end"] == "completed"
            first.ask("submit", intent="work", arguments={"name": "b"}, wait=True)
    assert done(place) == ["a-first", "a-second", "b-first", "b-second"]


def test_a_copied_card_beside_its_original_is_found_out_and_shown(place: Path) -> None:
    """Behaviours: 12.4, 12.5: two daemons with one key; a peer that meets both names it, and the objects go on."""
    original, peer = device(place, "original"), device(place, "peer")
    with original, peer:
        make_fleet(original, peer)
        original.ask("submit", intent="work", arguments={"name": "a"}, name="a")
        wait_until(lambda: "a-first" in done(place))
        wait_until(lambda: any(row["connected"] for row in original.ask("peers")), what="contact")
        object_id = original.ask("show", object="a")["object"]
        wait_until(lambda: peer.ask("show", object=object_id)["entries"] >= 2)
        original.stop()
        shutil.copytree(place / "original", place / "clone", ignore=shutil.ignore_patterns("control*", "port"))
        peer.stop()
        clone = device(place, "clone")
        with clone:  # apart from the peer both write on
            clone.ask("cancel", object="a")
            wait_until(lambda: clone.ask("show", object="a")["end"] == "cancelled")
        original.start()
        original.ask("signal", object="a", name="hello")
        original.stop()
        peer.start()
        with clone:
            wait_until(lambda: peer.ask("show", object=object_id)["end"] == "cancelled")
        original.start()
        wait_until(lambda: peer.ask("status")["suspects"] == 1, what="the proof")
        (row,) = (row for row in peer.ask("peers") if row["suspect"])
        assert row["device"] == original.ask("status")["device"]
        report = said(peer, "doctor", code=Exit.FAILED)
        assert any(finding["check"] == "twins" and "revoke" in finding["do"] for finding in report["findings"])


def test_alone_a_restored_device_goes_on_at_once(place: Path) -> None:
    """Behaviour: 12.5: an operator's word that nobody else had its objects."""
    first = device(place, "first")
    with first:
        first.ask("submit", intent="work", arguments={"name": "a"}, name="a")
        wait_until(lambda: "a-first" in done(place))
    said(first, "backup", str(place / "b"))
    shutil.rmtree(place / "first")
    assert said(first, "restore", str(place / "b"), "--alone")["quarantine"] is False
    with first:
        first.ask("fact", name="go", value=True)
        assert first.ask("wait", object="a")["end"] == "completed"
    assert done(place) == ["a-first", "a-second"]


def test_nothing_is_ever_overwritten_and_each_refusal_says_what_to_do(place: Path) -> None:
    first = device(place, "first")
    said(first, "init")
    said(first, "backup", str(place / "b"))
    assert "never takes the place" in said(first, "backup", str(place / "b"), code=Exit.USAGE)["error"]
    assert "move the directory" in said(first, "restore", str(place / "b"), code=Exit.REFUSED)["error"]
    assert "nothing to back up" in said(device(place, "none"), "backup", str(place / "c"), code=Exit.NOT_FOUND)["error"]
    other = device(place, "other")
    (place / "junk").write_bytes(b"junk" * 1000)
    assert "no backup" in said(other, "restore", str(place / "junk"), code=Exit.USAGE)["error"]
    with first:
        assert "move the directory" in said(first, "restore", str(place / "b"), code=Exit.REFUSED)["error"]


def test_a_damaged_cut_or_forged_backup_changes_nothing(place: Path) -> None:
    said(device(place, "first"), "init")
    write_backup(place / "first", place / "b")
    whole = (place / "b").read_bytes()
    at = whole.index(b"SQLite format 3") + 100
    damaged = [whole[: len(whole) // 2], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]]
    for number, data in enumerate(damaged):
        (place / "bad").write_bytes(data)
        with pytest.raises(UsageError):
            restore_backup(place / "bad", place / f"into{number}", is_alone=False)
        assert not (place / f"into{number}" / "spool.db").exists()
        assert not list((place / f"into{number}" / "keys").iterdir())
    with tarfile.open(place / "b") as archive:
        names = archive.getnames()
    assert names[:2] == ["backup.json", "spool.db"] and all(".." not in name for name in names)


def test_a_restore_that_is_killed_at_any_moment_is_begun_anew_or_whole(place: Path) -> None:
    """Behaviour: 12.5: power may fail between any two steps."""
    first = device(place, "first")
    said(first, "init")
    write_backup(place / "first", place / "b")
    shutil.rmtree(place / "first")
    words = [sys.executable, "-m", "edge_runtime", "restore", str(place / "b"), "--state", str(place / "first")]
    outcomes: dict[str, int] = {}
    for number in range(1, 200):
        step = f"inject=fsync,rename,renameat,renameat2,unlink,rmdir:signal=KILL:when={number}"
        trace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync,rename,renameat,renameat2,unlink,rmdir",
                 "-e", step]  # fmt: skip
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        ended = subprocess.run([*trace, *words], capture_output=True, text=True, env=env, timeout=60)
        whole = (place / "first" / "spool.db").exists()
        if not whole and (place / "first" / HALF_RESTORED).exists():
            refused = first.run("init", check=False)
            assert refused.returncode != 0 and "cut off" in refused.stderr, "no new device is made over half a one"
        if not whole:
            outcomes["again"] = outcomes.get("again", 0) + 1
            continue
        assert said(first, "fleet", "show", code=Exit.USAGE)["error"].startswith("This device is in no fleet")
        outcomes["whole"] = outcomes.get("whole", 0) + 1
        shutil.rmtree(place / "first")
        if ended.returncode == 0:
            break
    assert outcomes["again"] >= 3 and outcomes["whole"] >= 1, outcomes


def test_a_backup_that_is_killed_leaves_no_half_file(place: Path) -> None:
    first = device(place, "first")
    said(first, "init")
    words = [sys.executable, "-m", "edge_runtime", "backup", str(place / "b"), "--state", str(place / "first")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for delay_s in (0.05, 0.15, 0.25, 0.35):
        process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
        time.sleep(delay_s)  # a kill at some moment, not a wait for one
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        if (place / "b").exists():
            restore_backup(place / "b", place / f"into-{delay_s}", is_alone=True)
            (place / "b").unlink()

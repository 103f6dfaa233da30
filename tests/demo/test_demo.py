"""The demo is run as a person would run it, and its claims are read back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.host.demo.images import make_images

ROOT = Path(__file__).resolve().parents[2]


ARGV = [sys.executable, "-m", "edge_runtime", "demo", "--json"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for what the demo leaves for the moment: with a short name, for sockets are made below it."""
    folder = Path(tempfile.mkdtemp(prefix="demo-test-"))
    yield folder
    shutil.rmtree(folder)


def surroundings(temporary: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}


def run(temporary: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = surroundings(temporary)
    return subprocess.run([*ARGV, *words], capture_output=True, text=True, env=env, timeout=120, check=False)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines that name a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if str(folder) in words:
            found.append(words)
    return found


def test_the_demo_ends_well_and_every_claim_holds(tmp_path: Path, temporary: Path) -> None:
    """Behaviours: 1.5, 11.17, 12.1: killed in the middle, carried by a third, delivered once."""
    images = tmp_path / "images"
    make_images(images)
    done = run(temporary, "--input", str(images))
    assert done.returncode == 0, done.stdout + done.stderr
    *timeline, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert last["ok"] and len(last["checks"]) == 7 and all(last["checks"].values())
    assert last["devices"] == 3 and last["deliveries"] == 1 and last["steps"] == 7 and last["requests"] == 2
    assert last["seconds"] < 60
    assert {line["who"] for line in timeline} == {"all", "base", "drone", "mule"}
    assert not list(temporary.iterdir()) and not processes_of(temporary)


def test_what_is_kept_can_be_looked_at(temporary: Path) -> None:
    kept = temporary / "kept"
    done = run(temporary, "--keep", str(kept))
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"base", "base.log", "base.capsule", "starts.log", "images"} <= {file.name for file in kept.iterdir()}
    again = run(temporary, "--keep", str(kept))
    assert again.returncode == 2 and "not empty" in json.loads(again.stdout)["error"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_ended_early_leaves_no_process_and_no_file(temporary: Path, number: signal.Signals) -> None:
    with subprocess.Popen(ARGV, stdout=subprocess.PIPE, text=True, env=surroundings(temporary)) as demo:
        assert demo.stdout is not None
        assert any("the three met" in line for line in demo.stdout)
        assert len(processes_of(temporary)) == 3
        demo.send_signal(number)
        demo.stdout.read()
        assert demo.wait(30) != 0
    assert not list(temporary.iterdir()) and not processes_of(temporary)


def test_a_folder_without_images_is_refused_with_what_to_do(temporary: Path) -> None:
    done = run(temporary, "--input", str(temporary))
    answer = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 2 and "no image files" in answer["error"]


def test_a_survey_that_fails_ends_the_demo_with_the_reason(tmp_path: Path, temporary: Path) -> None:
    images = tmp_path / "images"
    make_images(images)
    (images / "a.png").symlink_to("/proc/self/mem")  # a file whose reading fails, for root too
    done = run(temporary, "--input", str(images))
    answer = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1 and not answer["ok"] and "a.png" in answer["error"]

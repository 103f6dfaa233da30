"""The demo is run as a person would run it, and its claims are read back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from edge_runtime.host.demo.images import make_images

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "edge_runtime", *words]
    return subprocess.run(argv, capture_output=True, text=True, env=env, timeout=120, cwd=cwd, check=False)


def test_the_demo_ends_well_and_every_claim_holds(tmp_path: Path) -> None:
    """Behaviours: 1.6, 11.17, 12.1: killed in the middle, carried by a third, delivered once."""
    images = tmp_path / "images"
    make_images(images)
    done = run("demo", "--json", "--input", str(images))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["ok"] and all(found["checks"].values())
    assert found["devices"] == 3 and found["deliveries"] == 1 and found["steps"] == 7
    assert found["seconds"] < 60


def test_a_folder_without_images_is_refused_with_what_to_do(tmp_path: Path) -> None:
    done = run("demo", "--json", "--input", str(tmp_path))
    answer = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 2 and "no image files" in answer["error"]

"""Every play in `missions` is performed on virtual time, with the checks that hold when everything is healed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.missions import Mission
from tests.support.plays import Scene, read_scenes, write_scenes

MISSIONS = sorted((Path(__file__).parent / "missions").glob("*.play"))


@pytest.mark.parametrize("path", MISSIONS, ids=lambda path: path.stem)
def test_the_mission_goes_as_it_says(path: Path) -> None:
    mission = Mission()
    scenes = read_scenes(path.read_text())
    happened = [Scene(scene.before, tuple(mission.perform(scene.before))) for scene in scenes]
    mission.end()
    if os.environ.get("EDGE_REWRITE"):
        path.write_text(write_scenes(happened))
    assert write_scenes(happened) == write_scenes(scenes)

"""Every play in `missions` is performed on virtual time, with the checks that hold when everything is healed."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from tests.support.missions import Mission
from tests.support.plays import Scene, read_scenes, write_scenes

MISSIONS = sorted((Path(__file__).parent / "missions").glob("*.play"))
DEATHS = 12  # in one mission
# What a death may leave to a person: a step that kills its process, a gated one that may have happened, and one that
# did not come to its end before custody went where it cannot be done.
FOR_AN_OPERATOR = ("quarantined", "the process died here twice", "unknown whether", "no device with")


@cache
def perform(path: Path, deaths: int = 0) -> tuple[Mission, list[Scene]]:
    """Perform a mission to its end; return it and what happened in each scene."""
    mission = Mission(deaths=deaths)
    happened = [Scene(scene.before, tuple(mission.perform(scene.before))) for scene in read_scenes(path.read_text())]
    mission.end()
    return mission, happened


@pytest.mark.parametrize("path", MISSIONS, ids=lambda path: path.stem)
def test_the_mission_goes_as_it_says(path: Path) -> None:
    said, (_, happened) = path.read_text(), perform(path)
    if os.environ.get("EDGE_REWRITE"):
        path.write_text(write_scenes(happened))
    assert write_scenes(happened) == said


@pytest.mark.wide
@pytest.mark.parametrize("path", MISSIONS, ids=lambda path: path.stem)
def test_processes_that_die_after_commits_leave_ends_and_effects_as_they_are(path: Path) -> None:
    """Behaviour: 15.1 (idempotent), 19.1, 19.5, 19.7. What died again and again in one step waits for an operator."""
    plain, struck = perform(path)[0], perform(path, DEATHS)[0]
    assert struck.died > DEATHS // 2
    for name, end in struck.ends().items():
        assert end == plain.ends()[name] or any(why in end for why in FOR_AN_OPERATOR), name
    assert all(len(attempts) == 1 for attempts in struck.keys_of_effects().values()), "one thing, one key"


def test_there_are_missions() -> None:
    assert len(MISSIONS) >= 3

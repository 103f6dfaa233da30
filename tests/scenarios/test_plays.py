"""Every `*.play` beside this file is performed on virtual time, and must lead to what it says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.plays import CUT, NOTHING, Scene, Theatre, read_scenes, write_scenes

PLAYS = sorted(Path(__file__).parent.glob("*.play"))


@pytest.mark.parametrize("path", PLAYS, ids=lambda path: path.stem)
def test_the_play_leads_to_what_it_says(path: Path) -> None:
    theatre = Theatre()
    scenes = read_scenes(path.read_text())
    happened = [Scene(scene.before, tuple(theatre.perform(scene.before))) for scene in scenes]
    theatre.end()
    if os.environ.get("EDGE_REWRITE"):
        path.write_text(write_scenes(happened))
    assert write_scenes(happened) == write_scenes(scenes)


def test_there_are_plays() -> None:
    assert len(PLAYS) >= 6


def test_a_play_that_says_something_else_is_seen() -> None:
    theatre = Theatre()
    assert theatre.perform(["devices base", "submit base hello intent=greet"]) != [NOTHING]
    assert theatre.perform(["run 1d"]) == [NOTHING]


def test_a_scene_without_its_cut_is_refused() -> None:
    with pytest.raises(ValueError, match=CUT):
        read_scenes("devices base\nrun 1h")

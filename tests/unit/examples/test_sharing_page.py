"""docs/sharing.md: its handlers run as they stand, and its configuration is one."""

from __future__ import annotations

import re
from contextvars import copy_context
from pathlib import Path
from types import ModuleType

from edge_runtime.host.config import read_config
from edge_runtime.program.attempt import Attempt, enter_attempt
from edge_runtime.testing import DevicePlan, World

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "sharing.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def make_page() -> ModuleType:
    module = ModuleType("sharing_page")
    exec(compile("\n".join(blocks("python")), "docs/sharing.md", "exec"), module.__dict__)
    return module


def make_world(*devices: DevicePlan) -> World:
    return World(*devices, apps=[make_page().app])


def test_the_field_is_gone_on_with_where_another_left_it() -> None:
    """Behaviour: 13.3."""
    told: list[int] = []
    done = (["row 0 of f"], ["row 1 of f"])
    attempt = Attempt("0" * 32, 1, "0" * 64, done=done, tell=lambda permille, value: told.append(permille))
    context = copy_context()
    context.run(enter_attempt, attempt)
    rows = context.run(make_page().app.works["survey.field"].function, "f")
    assert rows == [f"row {number} of f" for number in range(10)] and told == list(range(300, 1_001, 100))


def test_the_survey_asks_for_less_and_says_what_it_dropped() -> None:
    """Behaviour: 9.1."""
    world = make_world(DevicePlan("drone"))
    drone = world.device("drone")
    drone.fact("battery.percent", 2)
    drone.submit("survey", {"cells": ["a", "b", "c"]}, name="s")
    assert drone.show("s")["dropped"] == ["c"]
    drone.signal("s", "landed")
    assert drone.show("s")["result"] == "2 cells"


def test_two_devices_search_the_house_between_them() -> None:
    """Behaviour: 13.1."""
    world = make_world(DevicePlan("one", has=("search",)), DevicePlan("two", has=("search",)))
    world.takes("search.room", minutes=5)
    world.link("one", "two", up=True)
    world.run(seconds=1)
    world.device("one").submit("search.house", {"rooms": [f"r{n}" for n in range(10)]}, name="house")
    world.run(minutes=35)
    assert world.device("one").show("house")["result"] == {"searched": 10, "missed": 0}


def test_the_map_is_photographed_by_whoever_has_the_camera() -> None:
    """Behaviour: 10.1, 10.5: one child is still under way when the time is over."""
    world = make_world(DevicePlan("base"), DevicePlan("drone", has=("camera",)))
    base = world.device("base")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    base.submit("map", {"cells": ["a1", "a2"]}, name="whole")
    world.run(minutes=1)
    assert base.show("whole")["result"] == {"pictures": ["picture of a1", "picture of a2"], "missing": []}
    world.link("base", "drone", up=False)
    base.submit("map", {"cells": ["b1"]}, name="alone")
    world.run(hours=3)
    assert base.show("alone")["result"] == {"pictures": [], "missing": ["b1"]}


def test_the_configuration_on_the_page_is_one(tmp_path: Path) -> None:
    """Behaviour: 8.4."""
    file = tmp_path / "config.toml"
    file.write_text(blocks("toml")[0])
    assert [item.subject for item in read_config(file).reservations()] == ["camera"]

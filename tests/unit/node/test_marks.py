"""Every table is marked by what its loss costs, and the marks are true: derived and pacing tables can go at any rest."""

from __future__ import annotations

from typing import Any

from edge_runtime.node.schema import MARKS, Mark
from edge_runtime.testing import DevicePlan, World
from tests.support.world_app import Doings, make_app


def tables(world: World, device: str = "base") -> set[str]:
    rows = world.device(device).store.run("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {row[0] for row in rows if not row[0].startswith("sqlite_")}


def test_every_table_is_marked() -> None:
    """Behaviour: 17.2."""
    assert tables(World("base")) == set(MARKS)


def asleep() -> tuple[World, Doings]:
    """Return a world in which objects sleep for every kind of reason, one of them after failures."""
    doings = Doings()
    doings.failures["yawn"] = ["timeout", "busy"]
    world = World("base", DevicePlan("drone", has=("camera",)), apps=[make_app(doings)], seed=11)
    base = world.device("base")
    base.probes["door"] = {"open": False}
    world.link("base", "drone", up=True)
    world.run(seconds=2)
    base.submit("nap", {"seconds": 3_600}, name="nap")
    base.submit("nap", {"seconds": 1}, name="tired")
    base.submit("guard", name="guard")
    base.submit("ask", {"seconds": 7_200}, name="ask")
    base.submit("watch", name="watch")
    base.submit("until", {"text": 'steady(door.open_==_True,_seconds(60))'}, name="steady")
    base.submit("split", {"cells": 2}, name="split")
    base.submit("greet", name="done")
    world.run(seconds=20)
    world.link("base", "drone", up=False)
    base.submit("shoot", name="offered")
    world.run(seconds=10)
    return world, doings


def lose(world: World, marks: tuple[Mark, ...]) -> None:
    """End the process at rest, empty the tables with these marks, and start a new one."""
    world.crash("base", restart=False)
    for name, mark in MARKS.items():
        if mark in marks:
            world.device("base").store.run(f"DELETE FROM {name}")
    world.restart("base")


def derived(world: World) -> dict[str, list[Any]]:
    """Return the derived tables, each row once and in order."""
    run = world.device("base").store.run
    names = sorted(name for name, mark in MARKS.items() if mark is Mark.DERIVED)
    return {name: sorted(run(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}


def go_on(world: World) -> dict[str, list[tuple[str, str]]]:
    """Let everything come that was waited for; return what each object's history then says was decided."""
    base = world.device("base")
    world.run(minutes=10)
    base.fact("door.open", True)
    base.probes["door"] = {"open": True}
    world.run(minutes=70)
    base.signal("ask", "answer", "yes")
    world.link("base", "drone", up=True)
    world.run(hours=2)
    found: dict[str, list[tuple[str, str]]] = {}
    for row in base.store.run("SELECT DISTINCT name FROM shelf WHERE name != ''").fetchall():
        found[row[0]] = [
            (item["kind"], str(item["body"].get("outcome", item["body"].get("reason", item["body"].get("end", "")))))
            for item in base.trace(row[0])
        ]
    return found


def test_with_derived_and_pacing_tables_gone_the_same_wakes_and_decisions_follow() -> None:
    """Behaviour: 17.2."""
    kept, kept_doings = asleep()
    lost, lost_doings = asleep()
    lose(kept, ())
    lose(lost, (Mark.DERIVED, Mark.PACING))
    for world in (lost, kept):
        world.run(seconds=5)  # what waits for something steady is looked at once after a rebuild, and writes nothing
    assert derived(lost) == derived(kept)
    assert go_on(lost) == go_on(kept)
    assert [name for _, name in lost_doings.done] == [name for _, name in kept_doings.done]

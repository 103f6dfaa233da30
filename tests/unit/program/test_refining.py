"""Refinement in whole worlds: the handler asks for less, the history says so, and nobody widens by himself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from edge_runtime import App, Context, RefinementRefused, UsageError
from edge_runtime.node import commands as c
from edge_runtime.testing import DevicePlan, World
from tests.support.world_checks import WorldChecks


@dataclass
class Area:
    """A field of cells, the most urgent ones first."""

    cells: list[int]
    height_m: int = 30


def make_app() -> App:
    app = App("survey")

    @app.intent("survey", degrades={"area.cells": "subset"})
    async def survey(ctx: Context, area: Area) -> dict[str, Any]:
        battery = await ctx.fact("battery.percent", default=0)
        if battery < 50:
            area = await ctx.refine(Area(area.cells[: int(battery)], area.height_m), reason=f"battery {battery} %")
        if await ctx.fact("wind", default=0) > 10:
            area = await ctx.refine(Area(area.cells, 10), reason="wind", timeout=3_600)
        await ctx.promise("go")
        if await ctx.fact("regret", default=False):
            try:
                area = await ctx.refine(Area(list(range(100)), area.height_m), reason="regret")
            except RefinementRefused as error:
                return {"cells": len(area.cells), "refused": str(error)}
        return {"cells": len(area.cells), "height": area.height_m}

    return app


HUNDRED = {"area": {"cells": list(range(100)), "height_m": 30}}


@pytest.mark.parametrize("arguments", [HUNDRED, HUNDRED["area"]], ids=["by name", "bare"])
def test_a_survey_of_a_hundred_cells_with_battery_for_forty_is_refined_and_says_what_it_dropped(arguments: Any) -> None:
    """Behaviour: 9.1, 9.7."""
    world = World("drone", apps=[make_app()])
    drone = world.device("drone")
    drone.fact("battery.percent", 40)
    made = drone.submit("survey", arguments, name="s")
    shown = drone.show("s")
    assert shown["object"] == made["object"] and shown["dropped"] == list(range(40, 100))
    [refined] = shown["refined"]
    assert refined["reason"] == "battery 40 %" and refined["from"] != refined["to"]
    world.crash("drone")
    world.run(seconds=1)
    drone.signal("s", "go")
    assert drone.show("s")["result"] == {"cells": 40, "height": 30}
    first = drone.trace("s")[0]
    assert first["kind"] == "created" and first["body"]["arguments"] == arguments, "the first intent stays readable"


def test_a_refinement_outside_the_declared_degradations_sleeps_until_the_maker_or_an_operator_allows_it() -> None:
    """Behaviour: 9.2, 9.3: asked of people with the name of the signal; not of an executor that made nothing."""
    world = World("base", DevicePlan("drone", roles=("executor",)), apps=[make_app()])
    base, drone = world.device("base"), world.device("drone")
    checks = WorldChecks(world)
    base.fact("battery.percent", 90)
    base.fact("wind", 20)
    base.submit("survey", HUNDRED, name="s")
    reason = base.show("s")["reason"]
    assert "height_m: not among the declared degradations" in reason
    name = reason.split("signal ")[1].split(" ")[0]
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    with pytest.raises(UsageError, match="made the object, or by an operator"):
        drone.signal("s", name, True)
    base.signal("s", name, True)
    base.signal("s", "go")
    assert base.show("s")["result"] == {"cells": 100, "height": 10}
    checks.heal()
    checks.after_healing()


def test_leave_that_nobody_gives_times_out_and_leave_refused_is_told_to_the_body() -> None:
    """Behaviour: 9.6."""
    world = World("base", apps=[make_app()])
    base = world.device("base")
    base.fact("battery.percent", 90)
    base.fact("wind", 20)
    base.submit("survey", HUNDRED, name="late")
    world.run(hours=2)
    assert base.show("late")["end"] == "failed" and "leave to refine" in base.show("late")["error"]
    base.submit("survey", HUNDRED, name="no")
    name = base.show("no")["reason"].split("signal ")[1].split(" ")[0]
    base.signal("no", name, False)
    assert "leave was refused" in base.show("no")["error"]


def test_there_is_no_way_back_to_what_was_asked_before() -> None:
    """Behaviour: 9.4: A, B, A."""
    world = World("base", apps=[make_app()])
    base = world.device("base")
    base.fact("battery.percent", 40)
    base.fact("regret", True)
    base.submit("survey", HUNDRED, name="s")
    base.signal("s", "go")
    assert base.show("s")["result"] == {"cells": 40, "refused": "it returns to what was asked before and refined away"}


def test_after_a_fork_only_the_ruling_branch_is_refined_and_both_branches_stay() -> None:
    """Behaviour: 9.5: two devices refine differently, then meet."""
    world = World("base", "drone", apps=[make_app()])
    base, drone = world.device("base"), world.device("drone")
    checks = WorldChecks(world)
    base.fact("battery.percent", 90)
    drone.fact("battery.percent", 20)
    world.link("base", "drone", up=True)
    base.ask(c.Hold(""))
    base.submit("survey", HUNDRED, name="s")
    world.run(seconds=5)
    world.link("base", "drone", up=False)
    base.fact("battery.percent", 40)
    base.ask(c.Release(""))
    world.run(seconds=5)
    drone.ask(c.Claim(base.show("s")["object"]))
    assert len(base.show("s")["dropped"]) == 60 and len(drone.show("s")["dropped"]) == 80
    checks.heal()
    checks.after_healing()
    assert {len(device.show("s")["dropped"]) for device in world.devices.values()} == {80}
    assert sum(row["kind"] == "refined" for row in base.trace("s")) == 2

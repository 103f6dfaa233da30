"""When a device looks for units to do, and who may say that one is done."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime import App, Context, UsageError, current_attempt
from edge_runtime.judge.policy import Policy
from edge_runtime.node import events as e
from edge_runtime.node import requests
from edge_runtime.program.swarming import Finding, Swarmed
from edge_runtime.testing import Device, DevicePlan, World

REFUSES = Policy.parse(
    '[[rule]]\nname = "no search"\nwhen = \'step.name == "search"\'\neffect = "reject"\n'
    '[[rule]]\nname = "all"\neffect = "permit"\n'
)


def make_app() -> App:
    app = App("maker")

    @app.intent("sweep")
    async def sweep(ctx: Context) -> Any:
        swarmed = await ctx.swarm("search", ["a"])
        return swarmed.found["a"][0].value

    @app.intent("sweep_three")
    async def sweep_three(ctx: Context) -> Any:
        await ctx.swarm("search", ["a", "b", "c"])
        return await ctx.promise("go")

    return app


def make_searcher(*needs: str) -> App:
    app = App("searcher")

    @app.unit("search", needs=needs)
    def search(unit: str) -> str:
        return f"{unit} is clear"

    return app


def sweeping(world: World) -> Device:
    base = world.device("base")
    world.run(seconds=1)
    base.submit("sweep", name="it")
    world.run(hours=1)
    assert base.show("it")["end"] is None
    return base


def assert_is_done(world: World) -> None:
    world.run(seconds=1)
    assert world.device("base").show("it")["result"] == "a is clear"


def test_units_are_looked_at_by_a_process_that_can_do_them() -> None:
    """Behaviour: 13.2: they were announced before it could."""
    world = World("base", apps=[make_app()])
    base = sweeping(world)
    base.apps = (*base.apps, make_searcher())
    world.crash("base")
    assert_is_done(world)


def test_units_are_looked_at_when_other_apps_are_loaded() -> None:
    world = World("base", apps=[make_app()])
    base = sweeping(world)
    apps = (*base.apps, make_searcher())
    base.post(base.lives, e.Called(lambda: base.node.replace_apps(apps)))
    assert_is_done(world)


def test_units_are_looked_at_when_policy_permits_them() -> None:
    world = World(DevicePlan("base", policy=REFUSES), apps=[make_app(), make_searcher()])
    sweeping(world).set_policy(Policy.default())
    assert_is_done(world)


def test_units_are_looked_at_when_the_device_can_do_them_again() -> None:
    plan = DevicePlan("base", has=("camera",), cannot={"camera": "battery.percent < 20"})
    world = World(plan, apps=[make_app(), make_searcher("camera")])
    world.device("base").fact("battery.percent", 10)
    sweeping(world).fact("battery.percent", 50)
    assert_is_done(world)


def test_a_signal_cannot_pass_for_the_result_of_a_unit() -> None:
    """Behaviour: 13.3, 13.4: who found what is said by the signature of its `unit` alone."""
    base = sweeping(World("base", apps=[make_app()]))
    with pytest.raises(UsageError, match="results of units"):
        base.signal("it", "unit:search", {"unit": "a", "device": b"", "value": b""})


def test_results_of_units_leave_room_for_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A swarm may have as many units as an object holds signals; leave and answers must still reach it."""
    world = World("base", apps=[make_app(), make_searcher()])
    base = world.device("base")
    base.submit("sweep_three", name="it")
    world.run(seconds=1)
    monkeypatch.setattr(requests, "INPUTS_MAX", 3)
    base.signal("it", "go", 7)
    assert base.show("it")["result"] == 7


def make_surveyor() -> App:
    app = App("surveyor")

    @app.unit("search", needs={"search"})
    def search(unit: str) -> list[str]:
        rows = [row for part in current_attempt().done for row in part]
        while len(rows) < 10:
            rows.append(f"{unit}{len(rows)}")
            current_attempt().progress(100 * len(rows), rows[-1:])
        return rows

    return app


def make_watcher() -> App:
    app = App("watcher")

    @app.intent("survey")
    async def survey(ctx: Context) -> Any:
        swarmed = await ctx.swarm("search", ["a"], claim=600)
        return {
            "parts": [(part.device, part.value, part.permille) for part in swarmed.parts["a"]],
            "found": [(finding.device, finding.value) for finding in swarmed.found["a"]],
            "of": len(swarmed.of("a")),
        }

    return app


def test_what_a_lost_device_handed_on_is_where_the_next_one_begins() -> None:
    """Behaviour: 13.2, 13.3: parts are merged, and the body sees by whom they are."""
    plans = ["base", DevicePlan("one", has=("search",)), DevicePlan("two", has=("search",))]
    world = World(*plans, apps=[make_watcher(), make_surveyor()])
    world.takes("search", seconds=500)
    base, one, two = (world.device(name) for name in ("base", "one", "two"))
    base.submit("survey", name="it")
    world.link("base", "one", up=True)
    world.run(seconds=310)
    world.crash("one", restart=False)
    world.link("base", "two", up=True)
    world.run(minutes=30)
    result = base.show("it")["result"]
    rows = [f"a{number}" for number in range(10)]
    assert [device for device, _, _ in result["parts"]] == [one.key.public.hex()] * 6 + [two.key.public.hex()] * 4
    assert [row for _, part, _ in result["parts"] for row in part] == rows, "nothing was done twice"
    assert [permille for _, _, permille in result["parts"]] == list(range(100, 1_001, 100))
    assert result["found"] == [[two.key.public.hex(), rows]] and result["of"] == 11


def test_progress_without_parts_is_recorded_when_it_is_worth_an_entry() -> None:
    app = App("counter")

    @app.unit("search")
    def search(unit: str) -> str:
        for permille in range(1, 1_000):
            current_attempt().progress(permille)
        return "clear"

    world = World("base", apps=[make_app(), app])
    world.takes("search", seconds=500)
    base = world.device("base")
    base.submit("sweep", name="it")
    world.run(seconds=510)
    assert base.show("it")["result"] == "clear"
    said = [record for record in base.trace("it") if record["kind"] == "unit"]
    assert len(said) == 1 + 19 + 1, "the claim, each rise by 50, the result"


def test_units_of_which_devices_found_different_things_are_named() -> None:
    """Behaviour: 13.3."""
    one, two, same = Finding("1", "clear"), Finding("2", "victim"), Finding("3", "clear")
    swarmed = Swarmed({"a": (one, same), "b": (one, same, two), "c": (two,)}, ())
    assert swarmed.contradictions == ("b",) and swarmed.of("c") == (two,) and swarmed.of("d") == ()

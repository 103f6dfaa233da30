"""Nothing that is set aside may be due for ever: a time that has passed and cannot be used is no reason to look."""

from __future__ import annotations

import asyncio

import pytest

from edge_runtime import App, Context
from edge_runtime.base.units import DAY_MS
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node import writing
from edge_runtime.testing import Device, World


def make_app() -> App:
    app = App("hours")

    @app.intent("hourly")
    async def hourly(ctx: Context) -> None:
        while True:
            await asyncio.sleep(3_600)

    return app


@pytest.fixture
def world() -> World:
    return World("base", apps=[make_app()])


def begun(world: World) -> Device:
    base = world.device("base")
    base.submit("hourly", name="it", lifetime_ms=DAY_MS)
    return base


@pytest.mark.parametrize("is_held", [True, False])
def test_what_is_set_aside_and_of_a_newer_version_is_not_due_for_ever_after_its_lifetime(
    world: World, is_held: bool
) -> None:
    """Behaviour: 3.2: whoever cannot read an object cannot end it either."""
    base = begun(world)

    def make_opaque() -> None:
        live = next(base.node.parts.spool.loaded())
        live.state.content.is_opaque = True
        base.node.parts.spool.park(live, "" if is_held else "quarantined")

    base.post(base.lives, e.Called(make_opaque))
    world.run(ms=1)
    base.ask(c.Hold("it"))
    world.run(hours=23)
    turns = world.turns
    world.run(hours=9)
    assert world.turns - turns < 5


def test_an_object_that_is_full_ends_with_its_lifetime(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaviour: 3.6, P8."""
    base = begun(world)
    monkeypatch.setattr(writing, "OBJECT_ENTRIES_MAX", 4)
    world.run(hours=9)
    assert "hard limit" in base.show("it")["reason"]
    turns = world.turns
    world.run(hours=24)
    assert base.show("it")["end"] == "expired" and world.turns - turns < 5

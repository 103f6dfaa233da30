"""A handler that is interrupted: what had happened stays, and what it did not finish is there again."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime import App, Context
from edge_runtime.node import commands as c
from edge_runtime.program.errors import BodyOverran
from edge_runtime.testing import Device, World
from tests.support.world_checks import WorldChecks


class Machine:
    """Interrupts a body the first time it goes on; counts what was done."""

    def __init__(self) -> None:
        self.slices = 0
        self.done = 0

    def go_on(self) -> None:
        self.slices += 1
        if self.slices == 1:
            raise BodyOverran

    def work(self) -> int:
        self.done += 1
        return 5


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def world(machine: Machine) -> World:
    app = App("slow")

    @app.intent("promise")
    async def promise(ctx: Context) -> Any:
        value = await ctx.promise("go")
        machine.go_on()
        return value

    @app.intent("step")
    async def step(ctx: Context) -> Any:
        value = await ctx.run("work", machine.work)
        machine.go_on()
        return value

    world = World("base", apps=[app])
    WorldChecks(world)
    return world


@pytest.fixture
def base(world: World) -> Device:
    return world.device("base")


def test_a_signal_is_taken_again_by_a_body_that_was_interrupted_over_it(base: Device) -> None:
    """Behaviour: 4.5: never lost, and not only because a restart reads the entries anew."""
    base.submit("promise", name="it")
    base.signal("it", "go", 7)
    assert base.show("it")["reason"] == "overran" and base.show("it")["signals_waiting"] == ["go"]
    base.ask(c.Resume("it"))
    assert base.show("it")["result"] == 7


def test_a_steps_outcome_stays_when_the_body_is_interrupted_over_it(
    world: World, base: Device, machine: Machine
) -> None:
    """Behaviour: 1.5: what has run is on record, and does not run again."""
    base.submit("step", name="it")
    world.run(seconds=1)
    shown = base.show("it")
    assert shown["result"] == 5 and (machine.done, shown["attempts"]) == (1, 1)

"""A process that died while steps ran: the next one takes none of them for running, whatever it loaded before."""

from __future__ import annotations

import asyncio

import pytest

from edge_runtime import App, Context
from edge_runtime.node import judgement
from edge_runtime.testing import World

app = App("work")


def step(number: int) -> int:
    """Return the next number."""
    return number + 1


@app.intent("work")
async def work(ctx: Context, number: int) -> int:
    """One step."""
    return await ctx.run("step", step, number)


@pytest.mark.parametrize("is_derived_lost", [False, True])
def test_a_step_that_died_with_its_process_is_run_again(is_derived_lost: bool) -> None:
    """Behaviours: 1.5, 17.2: with the derived tables gone the rebuild loads every object before `Restored`."""
    world = World("one", apps=(app,))
    device = world.device("one")
    world.takes("step", seconds=60)
    made = device.submit("work", 1)["object"]
    world.run(seconds=1)
    world.crash("one", restart=False)
    if is_derived_lost:
        for table in ("shelf", "wakes", "digests"):
            device.store.connection.execute(f"DELETE FROM {table}")
    world.restart("one")
    world.run(minutes=5)
    shown = world.device("one").show(made)
    assert shown["end"] == "completed" and shown["result"] == 2


@app.intent
async def nap(ctx: Context, seconds: int) -> None:
    """Sleep."""
    await asyncio.sleep(seconds)


@app.intent
async def guard(ctx: Context) -> None:
    """Wait for a fact."""
    await ctx.until("door.open == True")


later = App("later")


@later.intent("later")
async def handle_later(ctx: Context) -> None:
    """What is deployed later."""


def test_a_start_looks_at_no_sleeper_and_nothing_due_for_a_day_costs_no_turn() -> None:
    """Behaviours: 3.4, 4.7; start-up must not wake all: counted."""
    world = World("one", apps=(app,))
    device = world.device("one")
    for _ in range(50):
        device.submit("nap", 7 * 86_400)
        device.submit("guard")
        device.submit("absent", needs=["nobody"])
    world.crash("one")
    world.run(minutes=1)
    turns, evaluations = device.turns, device.node.parts.agenda.looks
    assert evaluations == 0
    world.run(hours=24)
    assert (device.turns, device.node.parts.agenda.looks) == (turns, 0)
    device.fact("door.open", True)
    assert device.node.parts.agenda.looks <= 50


def test_places_that_dead_steps_held_are_given_away_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaviour: 1.5: who waited for a place in a full queue is not left to wait for its safety look."""
    monkeypatch.setattr(judgement, "STEPS_IN_FLIGHT_MAX", 2)
    world = World("one", apps=(app,))
    device = world.device("one")
    world.takes("step", minutes=30)
    made = [device.submit("work", number)["object"] for number in range(4)]
    world.run(seconds=1)
    assert [device.show(item)["status"] for item in made] == ["attempting", "attempting", "dormant", "dormant"]
    world.takes("step", seconds=1)
    world.crash("one")
    world.run(minutes=1)
    assert {world.device("one").show(item)["end"] for item in made} == {"completed"}


def test_who_waits_for_an_app_is_looked_at_when_the_apps_are_others_than_before() -> None:
    """Behaviours: 3.4, 4.7: a deployment between two processes is noticed, a restart alone costs nothing."""
    world = World("one", apps=(app,))
    device = world.device("one")
    made = device.submit("later", anyway=True)["object"]
    world.crash("one")
    world.run(minutes=1)
    assert device.node.parts.agenda.looks == 0
    world.crash("one", restart=False)
    device.apps = (app, later)
    world.restart("one")
    world.run(minutes=1)
    assert device.show(made)["end"] == "completed"

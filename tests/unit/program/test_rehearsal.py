"""Recorded histories against other versions of their handlers: what is the same, and what is named as the difference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from edge_runtime import App, Context
from edge_runtime.node import commands as c
from edge_runtime.objects.capsule import Capsule, read_capsule
from edge_runtime.program.rehearsal import Rehearsal, Verdict, rehearse
from edge_runtime.testing import World


def double(number: int) -> int:
    return 2 * number


def app_of(handler: Callable[..., Any]) -> App:
    app = App("trip")
    app.intent("trip")(handler)
    return app


async def first(ctx: Context, cells: int) -> int:
    async with asyncio.TaskGroup() as group:
        found = [group.create_task(ctx.run("double", double, cell)) for cell in range(cells)]
    await asyncio.sleep(60)
    ctx.publish("half", sum(task.result() for task in found))
    extra = await ctx.promise("extra")
    return int(sum(task.result() for task in found) + extra)


async def cosmetic(ctx: Context, cells: int) -> int:
    results = await asyncio.gather(*(ctx.run("double", double, cell) for cell in range(cells)))
    await asyncio.sleep(60)
    ctx.publish("half", sum(results))
    return int(sum(results) + await ctx.promise("extra"))


async def other_step(ctx: Context, cells: int) -> int:
    async with asyncio.TaskGroup() as group:
        found = [group.create_task(ctx.run("treble", double, cell)) for cell in range(cells)]
    await asyncio.sleep(60)
    return sum(task.result() for task in found)


async def other_result(ctx: Context, cells: int) -> int:
    return -1 + await first(ctx, cells)


async def waits_longer(ctx: Context, cells: int) -> int:
    found = await first(ctx, cells)
    await ctx.promise("more")
    return found


async def raises(ctx: Context, cells: int) -> int:
    await first(ctx, cells)
    raise ValueError("a new check")


@pytest.fixture
def world() -> World:
    return World("base", apps=[app_of(first)])


def record(world: World, is_ended: bool = True) -> Capsule:
    base = world.device("base")
    made = base.submit("trip", {"cells": 3}, name="one")
    world.run(minutes=2)
    if is_ended:
        base.signal("one", "extra", 4)
        world.run(seconds=1)
        assert base.show("one")["result"] == 10
    return read_capsule(bytes.fromhex(base.ask(c.Export(made["object"]))["capsule"]))


def play(capsule: Capsule, handler: Callable[..., Any]) -> Rehearsal:
    return rehearse(capsule, app_of(handler).intents)


@pytest.mark.parametrize("is_ended", [True, False])
def test_the_same_handler_replays_as_recorded_and_runs_nothing(world: World, is_ended: bool) -> None:
    """Behaviour: 1.14"""
    capsule = record(world, is_ended)
    found = play(capsule, first)
    assert (found.verdict, found.difference, found.has_ended) == (Verdict.SAME, "", is_ended)
    assert found.resumptions == 3 + 1 + is_ended, "three steps, a timer, a signal"


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (other_step, "treble"),
        (other_result, "another result"),
        (waits_longer, "where the recorded one completed"),
        (raises, "fails where the recorded one completed: ValueError: a new check"),
    ],
)
def test_the_first_difference_of_another_version_is_named(world: World, handler: Callable[..., Any], says: str) -> None:
    """Behaviour: 1.14"""
    found = play(record(world), handler)
    assert found.verdict is Verdict.DIFFERS and says in found.difference, found


def test_what_is_written_in_another_way_and_calls_the_same_is_the_same(world: World) -> None:
    assert play(record(world), cosmetic).verdict is Verdict.SAME, "gather makes its tasks in the same order as a group"


def test_an_object_that_goes_on_is_played_as_far_as_it_is(world: World) -> None:
    capsule = record(world, is_ended=False)
    assert play(capsule, waits_longer).verdict is Verdict.SAME, "what comes after the records may change"
    assert play(capsule, other_step).verdict is Verdict.DIFFERS


def test_without_an_app_or_with_a_grant_missing_it_is_said_so(world: World) -> None:
    capsule = record(world)
    found = rehearse(capsule, {})
    assert found.verdict is Verdict.NO_APP and "'trip'" in found.difference
    bare = Capsule(capsule.header, (), capsule.entries)
    assert play(bare, first).verdict is Verdict.UNREADABLE


def test_an_object_that_was_cancelled_or_failed_replays(world: World) -> None:
    base = world.device("base")
    base.submit("trip", {"cells": 2}, name="stopped")
    world.run(seconds=10)
    base.ask(c.Cancel("stopped"))
    world.run(seconds=1)
    assert base.show("stopped")["end"] == "cancelled"
    capsule = read_capsule(bytes.fromhex(base.ask(c.Export("stopped"))["capsule"]))
    assert play(capsule, first).verdict is Verdict.SAME
    assert play(capsule, other_step).verdict is Verdict.DIFFERS

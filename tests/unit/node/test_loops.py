"""Loops that change nothing rest longer and longer, and are set aside as stuck."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge_runtime import App, Busy, Context, Unreachable
from edge_runtime.base.limits import LOOPS_STUCK
from edge_runtime.base.units import DAY_MS
from edge_runtime.node import commands as c
from edge_runtime.node import sleeping
from edge_runtime.testing import Device, World
from tests.support.world_checks import WorldChecks


def make_app() -> App:
    app = App("loops")

    @app.intent("level")
    async def level(ctx: Context) -> None:
        while True:
            await ctx.until("a == 1")

    @app.intent("fact")
    async def fact(ctx: Context) -> None:
        while True:
            await ctx.until("a == 1")
            ctx.publish("a", await ctx.fact("a"))

    @app.intent("named")
    async def named(ctx: Context) -> None:
        while True:
            await ctx.until("resumed == 1")

    @app.intent("short")
    async def short(ctx: Context) -> None:
        while True:
            await asyncio.sleep(0.01)

    @app.intent("each_minute")
    async def each_minute(ctx: Context) -> int:
        for _ in range(200):
            await asyncio.sleep(60)
        return 200

    @app.intent("many")
    async def many(ctx: Context) -> int:
        await asyncio.gather(*(ctx.until("a == 1") for _ in range(200)))
        return 200

    @app.intent("silent")
    async def silent(ctx: Context) -> None:
        def ask() -> None:
            raise TimeoutError("nobody answers")

        await ctx.run("ask", ask)

    return app


@pytest.fixture
def world() -> World:
    world = World("base", apps=[make_app()])
    WorldChecks(world)
    return world


@pytest.fixture
def base(world: World) -> Device:
    device = world.device("base")
    device.fact("a", 1)
    device.fact("resumed", 1)
    return device


def show(device: Device) -> dict[str, Any]:
    return device.show("it")


@pytest.mark.parametrize("intent", ["level", "fact", "short", "named"])
def test_a_loop_that_changes_nothing_rests_longer_and_is_stuck_in_the_end(
    world: World, base: Device, intent: str
) -> None:
    """Behaviour: 3.8."""
    base.submit(intent, name="it", lifetime_ms=300 * DAY_MS)
    stays: list[int] = []
    for _ in range(2 * LOOPS_STUCK):
        before_ms = world.now_ms
        if show(base)["reason"].startswith("stuck") or base.alarm_ms is None:
            break
        world.run(ms=base.alarm_ms - world.now_ms)
        stays.append(world.now_ms - before_ms)
    assert show(base)["reason"].startswith("stuck: it woke"), stays
    assert stays[-1] > 60_000 and len(stays) >= 8
    entries, turns = show(base)["entries"], world.turns
    assert entries < 60
    assert base.ask(c.List(status="dormant", by="reason"))[0]["reason"].startswith("stuck")
    base.fact("a", 2)
    base.fact("a", 1)
    world.run(days=100)
    assert show(base)["entries"] == entries and world.turns - turns < 12, "nothing but an operator wakes it"
    world.run(days=200)
    assert show(base)["end"] == "expired"


def test_a_stuck_object_is_resumed_or_cancelled_by_an_operator(world: World, base: Device) -> None:
    """Behaviour: 3.8."""
    base.submit("level", name="it")
    world.run(days=1)
    entries = show(base)["entries"]
    assert show(base)["reason"].startswith("stuck")
    world.crash("base")
    base.ask(c.Resume("it"))
    world.run(seconds=1)
    assert show(base)["reason"] == "until a == 1" and show(base)["entries"] > entries
    woken = [row["body"]["triggers"] for row in base.trace("it") if row["kind"] == "reentered"]
    assert ["resumed by an operator"] in woken
    world.run(days=1)
    assert show(base)["reason"].startswith("stuck"), "nothing was mended"
    base.ask(c.Cancel("it"))
    assert show(base)["end"] == "cancelled"


def test_a_body_that_sleeps_for_long_or_waits_for_many_things_at_once_is_no_such_loop(
    world: World, base: Device
) -> None:
    """Behaviour: 3.8."""
    base.submit("many", name="many")
    assert base.show("many")["end"] == "completed"
    base.submit("each_minute", name="it")
    world.run(minutes=200)
    assert show(base)["result"] == 200


def test_a_step_that_never_answers_is_tried_less_and_less_and_is_stuck_in_the_end(
    world: World, base: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behaviour: 3.8: it would be tried each minute, up to the bound on entries."""
    world.takes("ask", ms=5)
    base.submit("silent", name="it", lifetime_ms=120 * DAY_MS)
    world.run(hours=4)
    early = show(base)["attempts"]
    assert 16 < early < 32
    world.run(hours=12)
    assert 10 <= show(base)["attempts"] - early <= 13, "once in an hour"
    monkeypatch.setattr(sleeping, "TRIES_STUCK", show(base)["attempts"])
    world.run(hours=2)
    attempts = show(base)["attempts"]
    assert show(base)["reason"].startswith("stuck: ask was tried")
    world.run(days=30)
    assert show(base)["attempts"] == attempts
    base.ask(c.Resume("it"))
    world.run(hours=1)
    assert show(base)["attempts"] == attempts + 1


def test_what_was_away_for_long_is_asked_again_as_soon_as_it_says() -> None:
    """Behaviour: 6.1, 6.2: tries that reached nobody do not lengthen the wait for what then asks for a second."""
    at_ms: list[int] = []
    app = App("away")

    @app.intent("knock")
    async def knock(ctx: Context) -> None:
        def once() -> None:
            at_ms.append(world.now_ms)
            if len(at_ms) <= 40:
                raise Unreachable("nobody there")
            if len(at_ms) == 41:
                raise Busy("one moment", 1)

        await ctx.run("knock", once)

    world = World("base", apps=[app])
    world.device("base").submit("knock", name="it")
    world.run(days=1)
    assert len(at_ms) == 42 and at_ms[-1] - at_ms[-2] == 1_000

"""Worlds: time, links, crashes and steps as a user's test sees them."""

from __future__ import annotations

import asyncio

import pytest

from edge_runtime import App, Context, UsageError, current_attempt
from edge_runtime.testing import DevicePlan, World

app = App("flight")
seen: list[str] = []


def photograph(cell: int) -> int:
    seen.append(current_attempt().id)
    return cell


async def think(words: str) -> str:
    await asyncio.sleep(0)
    return words.upper()


async def wait_outside() -> None:
    await asyncio.sleep(5)


@app.intent("survey")
async def survey(ctx: Context, cells: int = 1) -> int:
    for cell in range(cells):
        await ctx.run("photograph", photograph, cell, needs=("camera",))
    return cells


@app.intent("weekly")
async def weekly(ctx: Context) -> str:
    for _ in range(7):
        await asyncio.sleep(86_400)
    return await ctx.run("think", think, "rested")


@app.intent("outside")
async def outside(ctx: Context) -> None:
    from edge_runtime import Retry

    await ctx.run("outside", wait_outside, retry=Retry(attempts=1))


def make_world(seed: int = 0) -> World:
    return World("base", DevicePlan("drone", has=("camera",)), apps=[app], seed=seed)


def test_a_task_finds_the_device_that_can_do_it() -> None:
    world = make_world()
    world.device("base").submit("survey", {"cells": 3}, name="survey")
    world.run(hours=1)
    assert world.device("base").show("survey")["reason"] == "no device with camera"
    world.link("base", "drone", up=True)
    world.run(seconds=10)
    shown = world.device("base").show("survey")
    assert (shown["end"], shown["result"], shown["custodian_name"]) == ("completed", 3, "drone")
    assert len(dict.fromkeys(seen)) == 3


def test_a_week_passes_in_a_few_turns() -> None:
    world = make_world()
    world.device("base").submit("weekly", name="rest")
    turns = world.turns
    world.run(days=7, seconds=1)
    assert world.device("base").show("rest")["result"] == "RESTED"
    assert world.turns - turns <= 10


def test_a_step_takes_the_time_that_was_given_and_a_link_its_latency() -> None:
    world = make_world()
    world.takes("photograph", minutes=5)
    world.device("drone").submit("survey", name="survey")
    world.link("base", "drone", up=True, latency_ms=840_000)
    world.run(minutes=4)
    assert world.device("drone").show("survey")["status"] == "attempting"
    world.run(minutes=1)
    assert world.device("drone").show("survey")["end"] == "completed"
    with pytest.raises(UsageError):
        world.device("base").show("survey")
    world.run(hours=2)
    assert world.device("base").show("survey")["end"] == "completed"


def test_a_step_that_is_slower_than_its_limit_times_out() -> None:
    world = make_world()
    world.takes("photograph", hours=1)
    world.device("drone").submit("survey", name="survey")
    world.run(minutes=11)
    assert world.device("drone").show("survey")["steps"][0]["outcome"] == "timeout"


def test_a_step_that_waits_for_the_machine_fails_and_says_what_to_write() -> None:
    world = make_world()
    world.device("base").submit("outside", name="outside")
    world.run()
    assert world.device("base").show("outside")["end"] == "failed"


def test_what_is_under_way_on_a_link_that_goes_down_is_lost() -> None:
    world = make_world()
    world.device("base").submit("weekly", name="rest")
    world.link("base", "drone", up=True, latency_ms=500)
    world.run(ms=400)
    world.link("base", "drone", up=False)
    world.run(hours=1)
    assert world.device("drone").node.parts.adverts.others() == []


def test_a_device_that_is_down_answers_nothing_until_it_is_restarted() -> None:
    world = make_world()
    world.device("base").submit("weekly", name="rest")
    world.crash("base", restart=False)
    with pytest.raises(UsageError, match="is down"):
        world.device("base").show("rest")
    world.run(days=8)
    world.restart("base")
    world.run(days=7)
    assert world.device("base").show("rest")["end"] == "completed"


def test_a_radio_that_is_off_ends_contacts_and_opens_none() -> None:
    from edge_runtime.node import commands as c

    world = make_world()
    base = world.device("base")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    base.ask(c.Radio(False))
    world.run(seconds=1)
    assert not base.node.contacts.by_number and not world.device("drone").node.contacts.by_number
    world.link("base", "drone", up=True)
    base.ask(c.Radio(True))
    world.run(seconds=1)
    assert base.node.contacts.by_number


@pytest.mark.parametrize("other, is_equal", [(7, True), (8, False)])
def test_equal_seeds_give_equal_bytes(other: int, is_equal: bool) -> None:
    found = []
    for seed in (7, other):
        world = make_world(seed)
        world.device("base").submit("survey", {"cells": 2})
        world.link("base", "drone", up=True)
        world.run(hours=1)
        found.append([device.store.run("SELECT raw FROM entries").fetchall() for device in world.devices.values()])
    assert (found[0] == found[1]) is is_equal

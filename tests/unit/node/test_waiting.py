"""What bodies wait for by condition, on whole devices: levels, edges, entries, ends, and sleeps that expire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from edge_runtime import App, Context
from edge_runtime.base.limits import DORMANCY_MS_MAX, FLAP_MS, LEAVES_MAX
from edge_runtime.base.moment import Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS
from edge_runtime.node import commands as c
from edge_runtime.testing import Device, DevicePlan, World
from edge_runtime.testing.device import WALL_START_MS
from tests.support.world_checks import WorldChecks

Body = Callable[[Context], Awaitable[Any]]


def world_of(*bodies: Body, devices: tuple[str, ...] = ("base",)) -> tuple[World, Device]:
    """Return a world whose app has these handlers as intents, named as they are; every turn is checked."""
    app = App("waits")
    for body in bodies:
        app.intent(body.__name__)(body)
    world = World(*devices, apps=[app])
    WorldChecks(world)
    return world, world.device(devices[0])


def submitted(device: Device, body: Body, **fields: Any) -> str:
    device.submit(body.__name__, name="it", **fields)
    return "it"


def kinds(device: Device, kind: str = "") -> list[dict[str, Any]]:
    return [row for row in device.trace("it") if not kind or row["kind"] == kind]


def woken_by(device: Device) -> list[list[str]]:
    return [row["body"]["triggers"] for row in kinds(device, "reentered")]


def ended(device: Device) -> Any:
    shown = device.show("it")
    return shown["result"] if shown["end"] == "completed" else shown["end"] or shown["reason"]


def test_a_flapping_fact_wakes_once() -> None:
    """Behaviour: 4.3."""

    async def swing(ctx: Context) -> None:
        while True:
            await ctx.until("battery.percent >= 40")
            await ctx.until("battery.percent < 40")

    world, device = world_of(swing)
    device.fact("battery.percent", 38)
    submitted(device, swing)
    for value in (39, 40, 39, 40):
        device.fact("battery.percent", value)
        world.run(ms=250)
    assert len(woken_by(device)) == 1
    world.run(ms=FLAP_MS)
    assert len(woken_by(device)) == 1, "when it had calmed down it was 40"
    device.fact("battery.percent", 39)
    world.run()
    assert len(woken_by(device)) == 2


def test_what_is_steady_holds_for_the_whole_time_without_a_break() -> None:
    """Behaviour: 4.3: a link needs a least time up."""

    async def calm(ctx: Context) -> str:
        await ctx.until('steady(link.ground == "up", seconds(5))')
        return "calm"

    world, device = world_of(calm)
    submitted(device, calm)
    for _ in range(4):
        device.fact("link.ground", "up")
        world.run(seconds=4)
        device.fact("link.ground", "down")
        world.run(seconds=4)
    assert (ended(device), woken_by(device)) == ("until steady(link.ground == \"up\", seconds(5))", [])
    device.fact("link.ground", "up")
    world.run(ms=4_999)
    assert device.show("it")["end"] is None
    world.run(ms=1)
    assert ended(device) == "calm"


def test_what_is_steady_goes_on_being_so_over_a_restart() -> None:
    """Behaviour: 3.4."""

    async def calm(ctx: Context) -> str:
        await ctx.until("steady(a == 1, seconds(5))")
        return "calm"

    world, device = world_of(calm)
    submitted(device, calm)
    device.fact("a", 1)
    world.run(seconds=3)
    world.crash("base")
    world.run(seconds=2)
    assert ended(device) == "calm"


@pytest.mark.parametrize("first", ["link", "day"])
def test_all_of_two_reenters_when_the_last_of_them_comes_true_in_either_order(first: str) -> None:
    """Behaviour: 4.4."""

    async def both(ctx: Context) -> str:
        await ctx.until('link.ground == "up" and within("06:00", "20:00")')
        return ctx.now().strftime("%H:%M")

    world, device = world_of(both)
    world.set_clock("base", shift_ms=-(WALL_START_MS % DAY_MS))  # midnight
    submitted(device, both)
    if first == "link":
        device.fact("link.ground", "up")
    world.run(hours=5)
    assert woken_by(device) == []
    world.run(hours=2)
    if first == "day":
        assert woken_by(device) == []
        device.fact("link.ground", "up")
        world.run()
    assert ended(device) == ("06:00" if first == "link" else "07:00")
    assert len(woken_by(device)) == 1


def test_an_event_before_the_wait_does_not_count_and_one_during_it_does() -> None:
    """Behaviour: 4.5."""

    async def land(ctx: Context) -> str:
        await ctx.event("landed")
        return "down"

    world, device = world_of(land)
    assert device.ask(c.Raise("landed"))["woken"] == 0
    submitted(device, land)
    world.run(days=1)
    assert ended(device) == "until event landed"
    assert device.ask(c.Raise("landed"))["woken"] == 1
    assert ended(device) == "down" and woken_by(device) == [["event landed"]]


def test_each_event_ends_one_wait_and_not_the_next_that_begins_by_it() -> None:
    """Behaviour: 4.5."""

    async def twice(ctx: Context) -> int:
        await ctx.event("step")
        await ctx.event("step")
        return 2

    world, device = world_of(twice)
    submitted(device, twice)
    device.ask(c.Raise("step"))
    world.run(hours=1)
    assert device.show("it")["end"] is None
    device.ask(c.Raise("step"))
    assert ended(device) == 2


def test_an_event_and_a_level_meet_in_either_order_while_the_wait_stands() -> None:
    async def low(ctx: Context) -> str:
        await ctx.until("event(landed) and battery.percent < 30")
        return "low"

    for order in ("event first", "level first"):
        world, device = world_of(low)
        device.fact("battery.percent", 50)
        submitted(device, low)
        steps: list[Callable[[], object]] = [
            lambda: device.ask(c.Raise("landed")), lambda: device.fact("battery.percent", 20),
        ]  # fmt: skip
        for step in steps if order == "event first" else steps[::-1]:
            assert device.show("it")["end"] is None
            step()
            world.crash("base")
            world.run(seconds=1)
        assert ended(device) == "low", order


def test_an_event_that_was_acknowledged_is_not_lost_by_a_crash_before_anybody_is_looked_at() -> None:
    """Behaviour: 3.7: the happening is written in the transaction that acknowledges it."""

    async def land(ctx: Context) -> str:
        await ctx.event("landed")
        return "down"

    world, device = world_of(land)
    count = 100  # more than one event looks at
    for number in range(count):
        device.submit("land", name=f"o{number}")
    world.crash("base", at_commit=True)
    assert device.ask(c.Raise("landed")) is None, "it died after its commit, before its answer"
    world.run(seconds=5)
    assert sum(device.show(f"o{number}")["end"] == "completed" for number in range(count)) == count


def test_a_change_of_any_kind_wakes_who_waits_for_changes() -> None:
    async def seen(ctx: Context) -> Any:
        await ctx.until("changed(door)")
        return await ctx.fact("door", "gone")

    for before, after, expected in ((1, 2, 2), (1, "1", "1"), (None, 1, 1), (1, None, "gone")):
        world, device = world_of(seen)
        device.fact("door", before)
        submitted(device, seen)
        device.fact("door", before)
        world.run(hours=1)
        assert device.show("it")["end"] is None
        device.fact("door", after)
        assert ended(device) == expected


def test_a_signal_that_lies_in_the_object_is_a_level_and_never_lost() -> None:
    """Behaviour: 4.5."""

    async def late(ctx: Context) -> str:
        await asyncio.sleep(60)
        await ctx.until("signal(go)")
        return "gone"

    world, device = world_of(late)
    submitted(device, late)
    device.signal("it", "go")
    world.run(minutes=2)
    assert ended(device) == "gone"


def test_a_count_of_outcomes_reenters_at_the_third_and_names_the_three_entries() -> None:
    """Behaviour: 4.2."""

    async def patient(ctx: Context) -> str:
        async def fail() -> None:
            raise TimeoutError("nobody answers")

        task = asyncio.ensure_future(ctx.run("call", fail))
        await ctx.until("count(timeout, 3)")
        task.cancel()
        return "gave up"

    world, device = world_of(patient)
    submitted(device, patient)
    world.run(minutes=5)
    assert ended(device) == "gave up"
    tries = [row["entry"] for row in kinds(device, "executed")]
    assert len(tries) == 3
    assert woken_by(device)[-1] == [f"count(timeout, 3): {', '.join(tries)}"]


@pytest.mark.parametrize("name", ["photo", "executed", "note", "published"])
def test_an_entry_is_waited_for_by_its_kind_or_by_its_name(name: str) -> None:
    """Behaviour: 4.2."""

    async def watch(ctx: Context) -> str:
        async def work() -> None:
            await asyncio.sleep(60)
            await ctx.run("photo", str)
            ctx.publish("note", 1)
            await asyncio.sleep(3_600)

        task = asyncio.ensure_future(work())
        await ctx.until(f"entry({name})")
        task.cancel()
        return str(ctx.age())

    world, device = world_of(watch)
    submitted(device, watch)
    world.run(minutes=2)
    assert ended(device) == "0:01:00"
    entries = [row["entry"] for row in device.trace("it") if row["kind"] in ("executed", "published")]
    [texts] = [texts for texts in woken_by(device) if texts[0].startswith("an entry")]
    assert texts[0].startswith(f"an entry {name}: {entries[0]}")


def test_an_object_waits_for_the_end_of_another_on_this_device() -> None:
    async def nap(ctx: Context) -> None:
        await asyncio.sleep(60)

    async def after(ctx: Context, other: str) -> str:
        await ctx.until(f"done({other!r})")
        return str(ctx.age())

    world, device = world_of(nap, after)
    other = device.submit("nap")["object"]
    device.submit("after", {"other": other}, name="it")
    device.submit("after", {"other": "00" * 32}, name="never")
    world.run(minutes=2)
    assert ended(device) == "0:01:00" and woken_by(device) == [[f"object {other[:12]} ends"]]
    assert device.show("never")["end"] is None, "an object that is not here is unknown"


def test_a_condition_that_holds_already_is_taken_in_the_turn_that_asks() -> None:
    """Behaviour: 3.7, 4.5."""

    async def at_once(ctx: Context) -> str:
        await ctx.until("a == 1")
        return "now"

    world, device = world_of(at_once)
    device.fact("a", 1)
    submitted(device, at_once)
    assert ended(device) == "now" and not kinds(device, "dormant")


def test_what_came_true_while_the_object_was_busy_is_found_before_it_sleeps() -> None:
    """Behaviour: 3.7."""

    async def busy(ctx: Context) -> str:
        await ctx.run("work", str)
        await ctx.until("a == 1")
        return "found"

    world, device = world_of(busy)
    world.takes("work", seconds=10)
    submitted(device, busy)
    world.run(seconds=5)
    device.fact("a", 1)
    world.run(seconds=5)
    assert ended(device) == "found" and not kinds(device, "dormant")


def test_two_triggers_that_hold_together_are_one_reentry_that_lists_both() -> None:
    """Behaviour: 4.12, 1.12."""

    async def two(ctx: Context) -> list[str]:
        order: list[str] = []

        async def wait(condition: str) -> None:
            await ctx.until(condition)
            order.append(condition)

        await asyncio.gather(wait("a == 1"), wait("b == 1"))
        return order

    world, device = world_of(two)
    submitted(device, two)
    device.ask(c.Hold("it"))
    device.fact("b", 1)
    device.fact("a", 1)
    device.ask(c.Release("it"))
    assert ended(device) == ["a == 1", "b == 1"]
    assert woken_by(device) == [["a == 1", "b == 1"]]
    assert len(kinds(device, "took")) == 2


def test_a_wait_without_a_timeout_is_told_when_its_sleep_expires() -> None:
    """Behaviour: 3.5, 3.6."""

    async def forever(ctx: Context) -> str:
        try:
            await ctx.until("a == 1")
        except TimeoutError as error:
            return str(error)
        return "came"

    world, device = world_of(forever)
    submitted(device, forever, lifetime_ms=3 * DORMANCY_MS_MAX)
    assert device.show("it")["expires_in_ms"] == DORMANCY_MS_MAX
    world.run(ms=DORMANCY_MS_MAX - 1)
    assert device.show("it")["end"] is None and woken_by(device) == []
    turns = world.turns
    world.crash("base")  # replay tells it the same
    world.run(ms=1)
    assert world.turns - turns <= 3
    assert "expired" in str(ended(device)) and woken_by(device) == [["expired"]]
    assert [row["body"]["what"] for row in kinds(device, "took")] == ["timer"]


def test_a_longer_timeout_or_sleep_of_its_own_outlasts_the_expiry_and_the_expiry_is_renewed() -> None:
    """Behaviour: 3.5, 3.6."""

    async def patient(ctx: Context) -> str:
        asyncio.ensure_future(asyncio.sleep(100 * 86_400))
        try:
            await ctx.promise("answer", 80 * 86_400)
        except TimeoutError:
            return str(ctx.age().days)
        return "came"

    world, device = world_of(patient)
    submitted(device, patient, lifetime_ms=365 * DAY_MS)
    turns = world.turns
    world.run(days=81)
    assert ended(device) == "80"
    assert woken_by(device)[:2] == [["expired"], ["expired"]]
    assert world.turns - turns <= 6 + 3, "a passed expiry does not spin; after each, what is stored is read again"


def test_the_lifetime_ends_every_sleep() -> None:
    """Behaviour: 3.6."""

    async def forever(ctx: Context) -> None:
        await ctx.promise("nobody")

    world, device = world_of(forever)
    submitted(device, forever, lifetime_ms=HOUR_MS)
    world.run(hours=2)
    assert (ended(device), woken_by(device)) == ("expired", [["expired"]])


def test_a_handler_that_awaits_what_nobody_completes_sleeps_with_a_way_out() -> None:
    """Behaviour: 3.5, P8."""

    async def nothing(ctx: Context) -> None:
        await asyncio.get_running_loop().create_future()

    world, device = world_of(nothing)
    submitted(device, nothing, lifetime_ms=40 * DAY_MS)
    assert device.show("it")["expires_in_ms"] == DORMANCY_MS_MAX
    world.run(days=41)
    assert ended(device) == "expired" and len(kinds(device)) < 8


def test_custody_of_a_sleeper_moves_to_a_device_without_the_fact_and_time_still_counts() -> None:
    """Behaviour: 4.10, 3.4."""

    async def either(ctx: Context) -> str:
        await ctx.until("steady(door.open, seconds(1)) or door.open and has(uplink) or age > hours(2)")
        return str(ctx.age())

    world, device = world_of(either, devices=("base", "drone"))
    device.fact("door.open", False)
    submitted(device, either)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    device.ask(c.Hand("drone", "it"))
    world.run(seconds=5)
    shown = world.device("drone").show("it")
    assert (shown["status"], shown["custodian_name"]) == ("dormant", "drone")
    assert "door.open" in shown["reason"]
    world.run(hours=2, seconds=1)
    assert ended(device) == "2:00:00.001000"


def test_a_wall_time_waits_for_trust_and_an_age_beside_it_does_not() -> None:
    """Behaviour: 4.11, 16.1."""

    async def dawn(ctx: Context) -> str:
        await ctx.until('at("2023-11-15 06:00")')
        return "dawn"

    async def either(ctx: Context) -> str:
        await ctx.until('within("00:00", "23:59") and not within("00:00", "00:01") or age > minutes(5)')
        return str(ctx.age())

    world = World(DevicePlan("base", trust=Trust.NONE), apps=[dawn, either])
    device = world.device("base")
    submitted(device, dawn)
    device.submit("either", name="other")
    world.run(days=2)
    assert device.show("other")["result"] == "0:05:00.001000"
    assert device.show("it")["end"] is None
    world.set_clock("base", trust=Trust.PEER)
    world.run(hours=1)
    assert device.show("it")["end"] is None, "a peer's word is below the trust that it asks for"
    world.set_clock("base", trust=Trust.GPS)
    world.run()
    assert ended(device) == "dawn"


def test_a_clock_that_is_set_moves_the_due_times_of_wall_times_and_no_ages() -> None:
    """Behaviour: 16.1."""

    async def dawn(ctx: Context) -> str:
        await ctx.until('at("2023-11-20 06:00")')
        return str(ctx.age())

    async def nap(ctx: Context) -> str:
        await asyncio.sleep(60)
        return str(ctx.age())

    world, device = world_of(dawn, nap)
    submitted(device, dawn)
    device.submit("nap", name="nap")
    world.run(seconds=30)
    world.set_clock("base", shift_ms=-365 * DAY_MS)
    world.run(days=6)
    assert device.show("it")["end"] is None and device.show("nap")["result"] == "0:01:00"
    world.set_clock("base", shift_ms=0)
    world.run()
    assert device.show("it")["end"] == "completed"


def test_a_fact_read_again_after_it_was_too_old_fires_though_it_says_the_same() -> None:
    """Behaviour: 4.13."""

    async def warm(ctx: Context) -> str:
        await ctx.until("fresh(temperature, seconds(5)) > 30 and go")
        return "warm"

    world, device = world_of(warm)
    device.fact("temperature", 31)
    world.run(seconds=6)
    submitted(device, warm)
    device.fact("go", True)
    world.run(hours=1)
    assert device.show("it")["end"] is None, "it is 6 s old and older"
    device.fact("temperature", 31)
    assert ended(device) == "warm"


@pytest.mark.wide
def test_a_body_that_waits_for_more_than_one_trigger_holds_still_wakes_by_all_of_it() -> None:
    """Behaviour: 3.5."""

    async def many(ctx: Context) -> int:
        await asyncio.gather(*(ctx.until(f"f{number} == 1") for number in range(LEAVES_MAX + 20)))
        return LEAVES_MAX + 20

    world, device = world_of(many)
    submitted(device, many)
    for number in range(LEAVES_MAX + 20):
        device.fact(f"f{number}", 1)
    world.run(minutes=2)
    assert ended(device) == LEAVES_MAX + 20


def test_a_promise_gives_its_default_when_the_sleep_expires() -> None:
    """Behaviour: 3.6."""

    async def ask(ctx: Context) -> Any:
        return await ctx.promise("answer", default="nobody")

    world, device = world_of(ask)
    submitted(device, ask, lifetime_ms=2 * DORMANCY_MS_MAX)
    world.run(ms=DORMANCY_MS_MAX)
    assert ended(device) == "nobody"


def test_a_hold_keeps_a_sleeper_from_waking_and_release_looks_at_what_holds_by_then() -> None:
    """Behaviour: 3.10."""

    async def wait(ctx: Context) -> str:
        await ctx.until("a == 1")
        return "woken"

    world, device = world_of(wait)
    submitted(device, wait)
    assert device.ask(c.Hold("it"))["reached"]
    device.fact("a", 1)
    world.crash("base")
    world.run(hours=1)
    assert device.show("it")["reason"] == "held by an operator" and device.show("it")["attempts"] == 0
    device.ask(c.Release("it"))
    assert ended(device) == "woken"


def test_asking_about_a_sleeper_is_no_turn_of_it() -> None:
    """Behaviour: 3.3."""

    async def wait(ctx: Context) -> None:
        await ctx.until("a == 1 and age > hours(1)")

    world, device = world_of(wait, devices=("base", "drone"))
    submitted(device, wait)
    entries, looks = device.show("it")["entries"], device.node.parts.agenda.looks
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    for command in (c.Show("it"), c.Explain("it"), c.Trace("it"), c.Export("it"), c.List()):
        assert device.ask(command)
    shown = world.device("drone").show("it")
    assert (shown["entries"], device.show("it")["entries"]) == (entries, entries)
    assert device.node.parts.agenda.looks == looks and device.show("it")["status"] == "dormant"

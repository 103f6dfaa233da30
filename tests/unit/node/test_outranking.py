"""An object whose step acts on a vehicle sleeps while somebody else flies, and goes on only by an operator's word."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge_runtime import App, Context
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.testing import Device, DevicePlan, World

FLOWN: list[str] = []


def make_app() -> App:
    """Return an app whose handler flies, and looks around meanwhile."""
    app = App("flying")

    @app.intent("fly")
    async def fly(ctx: Context) -> str:
        await ctx.run("look", FLOWN.append, "look")
        await ctx.run("fly", FLOWN.append, "fly", needs=("mavlink",))
        return "landed"

    return app


@pytest.fixture
def base() -> tuple[World, Device]:
    """A device with a vehicle."""
    FLOWN.clear()
    world = World(DevicePlan("base", has=("mavlink",)), apps=[make_app()])
    return world, world.device("base")


def say(world: World, device: Device, outranked: bool) -> None:
    """Say who flies, as the bridge does."""
    device.inbox.append(e.FactRead("mavlink.outranked", outranked, "mavlink", 15_000))
    world.run()


def test_nothing_flies_before_it_is_known_who_does(base: tuple[World, Device]) -> None:
    world, device = base
    device.submit("fly", name="one")
    world.run(hours=1)
    assert (FLOWN, device.show("one")["reason"]) == (["look"], "who flies is not known")
    say(world, device, False)
    assert (FLOWN, device.show("one")["end"]) == (["look", "fly"], "completed")


def test_while_a_pilot_flies_the_object_sleeps_until_an_operator_resumes_it(base: tuple[World, Device]) -> None:
    world, device = base
    say(world, device, True)
    device.submit("fly", name="one")
    world.run(seconds=1)
    assert device.show("one")["reason"].startswith("outranked")
    say(world, device, False)
    world.crash("base")
    world.run(hours=1)
    say(world, device, False)
    assert (FLOWN, device.show("one")["status"]) == (["look"], "dormant"), "handing back is no word of an operator"
    device.ask(c.Resume("one"))
    world.run(seconds=1)
    assert (FLOWN, device.show("one")["end"]) == (["look", "fly"], "completed")


def test_a_resume_while_the_pilot_still_flies_sets_it_aside_again(base: tuple[World, Device]) -> None:
    world, device = base
    say(world, device, True)
    device.submit("fly", name="one")
    world.run(seconds=1)
    device.ask(c.Resume("one"))
    world.run(seconds=1)
    assert (FLOWN, device.show("one")["reason"].split(":")[0]) == (["look"], "outranked")


@pytest.mark.parametrize(
    ("do", "end"),
    [
        (lambda world, device: device.ask(c.Cancel("one")), "cancelled"),
        (lambda world, device: world.run(days=31), "expired"),
    ],
)
def test_cancel_and_lifetime_end_it_too(
    base: tuple[World, Device], do: Callable[[World, Device], object], end: str
) -> None:
    world, device = base
    say(world, device, True)
    device.submit("fly", name="one")
    world.run(seconds=1)
    do(world, device)
    world.run(seconds=1)
    assert (FLOWN, device.show("one")["end"]) == (["look"], end)


def with_tablet() -> tuple[World, Device, Device]:
    """A device whose pilot flies, with an object that is set aside for it, and an operator's tablet in contact."""
    FLOWN.clear()
    world = World("tablet", DevicePlan("drone", has=("mavlink",)), apps=[make_app()])
    drone = world.device("drone")
    world.link("tablet", "drone", up=True)
    say(world, drone, True)
    drone.submit("fly", name="one")
    world.run(seconds=5)
    assert drone.show("one")["reason"].startswith("outranked")
    return world, drone, world.device("tablet")


def test_an_operator_resumes_it_from_another_device() -> None:
    """Behaviour: 19.1 (row 500)."""
    world, drone, tablet = with_tablet()
    say(world, drone, False)
    tablet.ask(c.Resume("one"))
    world.run(seconds=1)
    assert (FLOWN, drone.show("one")["end"]) == (["look", "fly"], "completed")


def test_an_operator_cancels_it_from_another_device() -> None:
    world, drone, tablet = with_tablet()
    tablet.ask(c.Cancel("one"))
    world.run(seconds=1)
    assert (FLOWN, drone.show("one")["end"]) == (["look"], "cancelled")


def test_a_word_from_before_the_pilot_took_over_resumes_nothing() -> None:
    FLOWN.clear()
    world = World("tablet", DevicePlan("drone", has=("mavlink",)), apps=[make_app()])
    drone, tablet = world.device("drone"), world.device("tablet")
    drone.submit("fly", name="one")
    world.link("tablet", "drone", up=True)
    world.run(seconds=1)
    world.link("tablet", "drone", up=False)
    tablet.ask(c.Resume("one"))
    world.run(seconds=60)
    say(world, drone, True)
    world.run(seconds=1)
    say(world, drone, False)
    world.link("tablet", "drone", up=True)
    world.run(seconds=5)
    assert (FLOWN, drone.show("one")["reason"].split(":")[0]) == (["look"], "outranked")

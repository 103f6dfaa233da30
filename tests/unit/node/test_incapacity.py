"""Negative capability between devices: said once, by the device itself, as long as it is true."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge_runtime import App, Context
from edge_runtime.node import commands as c
from edge_runtime.node.events import Called
from edge_runtime.objects import bodies as b
from edge_runtime.objects.incapacity import Scope
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import make
from edge_runtime.testing import DevicePlan, World
from tests.support.world_app import Doings, make_app
from tests.support.world_checks import WorldChecks


def kinds(world: World, device: str, reference: str) -> list[str]:
    return [row["kind"] for row in world.device(device).trace(reference) if not row["void"]]


def test_a_device_without_a_camera_says_so_once_and_the_object_lives_on_elsewhere() -> None:
    """Behaviour: 8.1."""
    doings = Doings()
    world = World("base", DevicePlan("drone", has=("camera",)), apps=[make_app(doings)])
    base = world.device("base")
    base.submit("shoot", name="s")
    [row] = [row for row in base.trace("s") if row["kind"] == "cannot"]
    assert row["body"]["subject"] == "camera" and row["device"] == base.key.public.hex()
    world.run(days=2)
    assert kinds(world, "base", "s").count("cannot") == 1
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert base.show("s")["end"] == "completed" and kinds(world, "base", "s").count("cannot") == 1


def test_a_device_whose_battery_is_low_refuses_on_the_wire_and_nothing_is_appended() -> None:
    """Behaviour: 8.2: an offer under way when the denial began; afterwards the hello keeps others from offering."""
    doings = Doings()
    drone = DevicePlan("drone", has=("camera",), cannot={"camera": "battery.percent < 20"})
    world = World("base", drone, apps=[make_app(doings)])
    base = world.device("base")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    world.link("base", "drone", up=False)
    base.submit("shoot", name="s")
    assert base.show("s")["reason"].startswith("offered to drone")
    world.device("drone").fact("battery.percent", 10)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert base.show("s")["reason"] == "no device with camera" and not doings.done
    before = kinds(world, "base", "s")
    assert before.count("cannot") == 1, "base spoke of itself; the drone refused on the wire"
    for _ in range(3):
        world.link("base", "drone", up=False)
        world.run(seconds=5)
        world.link("base", "drone", up=True)
        world.run(seconds=5)
    assert kinds(world, "base", "s") == before, "what the drone's hello denies is not offered"
    world.device("drone").fact("battery.percent", 80)
    world.run(seconds=5)
    assert base.show("s")["end"] == "completed"


def test_a_denial_counts_only_while_its_condition_holds() -> None:
    """Behaviour: 8.4: on the device itself, too: the step runs as soon as the fact changes."""
    doings = Doings()
    drone = DevicePlan("drone", has=("camera",), cannot={"camera": "battery.percent < 20"})
    world = World(drone, apps=[make_app(doings)])
    device = world.device("drone")
    device.fact("battery.percent", 10)
    device.submit("shoot", name="s")
    world.run(hours=1)
    assert device.show("s")["status"] == "dormant" and not doings.done
    [row] = [row for row in device.trace("s") if row["kind"] == "cannot"]
    assert row["body"]["condition"], "what it holds under is in the record"
    device.fact("battery.percent", 30)
    world.run(seconds=1)
    assert device.show("s")["end"] == "completed"


def test_a_newer_advert_of_a_device_makes_its_earlier_denials_void() -> None:
    """Behaviour: 8.3, and 8.7: before it said anything the device was as good as any."""
    doings = Doings()
    world = World("base", DevicePlan("drone", has=("camera",)), apps=[make_app(doings)])
    base, drone = world.device("base"), world.device("drone")
    base.submit("shoot", name="s")
    live = base.node.parts.spool.find(bytes.fromhex(base.show("s")["object"]))
    assert live is not None
    capacity = base.node.custody.capacity
    assert capacity.excluded(live, ("camera",), 0) == (base.key.public,)
    assert capacity.excluded(live, ("uplink",), 0) == ()
    counter = capacity.counters()[base.key.public]
    base.node.parts.settings = replace(base.node.parts.settings, capabilities=("camera",))
    base.node.replace_apps(base.apps)
    assert capacity.counters()[base.key.public] == counter + 1
    assert capacity.excluded(live, ("camera",), 0) == ()
    assert drone.is_up


@pytest.mark.parametrize(
    ("signer", "about", "scope", "binds"),
    [
        ("drone", "drone", Scope.DEVICE, True),
        ("mule", "drone", Scope.DEVICE, False),
        ("mule", "mule", Scope.FLEET, False),
        ("base", "base", Scope.FLEET, True),
    ],
)
def test_only_a_device_speaks_for_itself_and_only_an_operator_for_the_fleet(
    signer: str, about: str, scope: Scope, binds: bool
) -> None:
    """Behaviour: 8.5: anything else is kept as evidence, and the object is offered all the same."""
    doings = Doings()
    plans = [DevicePlan("drone", has=("camera",), roles=("executor",)), DevicePlan("mule", roles=("executor",))]
    world = World("base", *plans, apps=[make_app(doings)])
    base = world.device("base")
    checks = WorldChecks(world)
    world.link("base", "drone", up=True)
    world.link("base", "mule", up=True)
    world.run(seconds=1)
    world.link("base", "drone", up=False)
    base.ask(c.Hold(""))
    base.submit("shoot", name="s")
    world.run(seconds=1)
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    device = world.device(signer)
    body = b.CannotSealed(world.device(about).key.public, "camera", int(scope), "said so", b"", 0, 0)

    object_id = bytes.fromhex(base.show("s")["object"])

    def say() -> None:
        live = device.node.parts.spool.find(object_id)
        assert live is not None
        device.node.parts.pen.write_input(live, make(Kind.CANNOT, b.Empty(), body))
        device.node.turner.go_on(live)

    device.post(device.lives, Called(say))
    world.run(seconds=5)
    base.ask(c.Release(""))
    world.run(seconds=5)
    assert (base.show("s")["end"] is None) is binds
    assert "cannot" in kinds(world, "base", "s")
    checks.heal()


def test_an_object_whose_intent_no_app_here_has_says_so_and_is_kept() -> None:
    """Behaviour: 1.8."""
    app = App("other")

    @app.intent("rare")
    async def rare(ctx: Context) -> str:
        return "done"

    world = World("base", DevicePlan("lab", apps=(app,)), apps=[])
    base = world.device("base")
    base.submit("rare", name="r", anyway=True)
    [row] = [row for row in base.trace("r") if row["kind"] == "cannot"]
    assert row["body"]["subject"] == "rare"
    world.link("base", "lab", up=True)
    world.run(seconds=5)
    assert base.show("r")["result"] == "done"

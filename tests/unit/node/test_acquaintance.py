"""Whom peers meet: told in contacts, transitive, and of no more weight than the order of candidates."""

from __future__ import annotations

from edge_runtime import App, Context
from edge_runtime.base.limits import ACQUAINTANCES_MAX, MET_TOLD_MAX
from edge_runtime.judge.encounters import PPB, through
from edge_runtime.node.acquaintance import Acquaintance
from edge_runtime.node.messages import MET_HINT_BYTES, Likely, Met, encode_message
from edge_runtime.testing import Device, DevicePlan, World

app = App("camera")


@app.intent("photograph")
async def photograph(ctx: Context) -> str:
    """Take one picture where that can be done."""
    return await ctx.run("shoot", lambda: "picture", needs={"camera"})


def make_world() -> World:
    cameras = [DevicePlan(name, has=("camera",)) for name in ("near", "far")]
    return World("base", DevicePlan("truck", roles=("relay",)), *cameras, apps=[app])


def meet(world: World, one: str, other: str, *, times: int = 1) -> None:
    for _ in range(times):
        world.link(one, other, up=True)
        world.run(seconds=5)
        world.link(one, other, up=False)
        world.run(minutes=30)


def known(device: Device) -> Acquaintance:
    return device.node.hearing.acquaintance


def key(world: World, name: str) -> bytes:
    return world.device(name).key.public


def offered_to(world: World, base: Device) -> str:
    rows = [row for row in base.trace("it") if row["kind"] == "offered"]
    names = {device.key.public.hex(): name for name, device in world.devices.items()}
    return names[rows[0]["body"]["to"]]


def test_a_device_that_a_peer_meets_is_likely_through_it() -> None:
    """Golden vector G8, in whole devices: max(old, P(a,b) P(b,c) 0.9)."""
    world = make_world()
    meet(world, "truck", "far", times=3)
    base = world.device("base")
    assert known(base).likelihood_ppb(key(world, "far")) == 0
    world.link("base", "truck", up=True)
    world.run(ms=50)
    told_ppb = known(world.device("truck")).likelihood_ppb(key(world, "far"))
    assert told_ppb > 900_000_000
    to_truck_ppb = known(base).likelihood_ppb(key(world, "truck"))
    far_ppb = known(base).likelihood_ppb(key(world, "far"))
    assert far_ppb == through(0, to_truck_ppb, told_ppb) > 400_000_000
    world.link("base", "truck", up=False)
    world.run(hours=6)
    base.fact("anything", 1)
    assert 0 < known(base).likelihood_ppb(key(world, "far")) < far_ppb * 3 // 4, "it ages"


def test_an_object_is_offered_to_whom_the_carrier_meets() -> None:
    """Page "Carrying for others": contact history decides whom a scarce copy, here custody, goes to."""
    world = make_world()
    meet(world, "base", "near")
    world.run(hours=20)
    meet(world, "truck", "far", times=3)
    meet(world, "base", "truck")
    base = world.device("base")
    base.submit("photograph", name="it")
    world.run(seconds=1)
    assert offered_to(world, base) == "far"
    meet(world, "base", "truck")
    meet(world, "truck", "far")
    meet(world, "base", "truck")
    assert base.show("it")["result"] == "picture"


def test_a_lie_changes_the_order_of_those_out_of_contact_and_nothing_else() -> None:
    """What a peer says counts through that peer alone, and until it says otherwise."""
    world = make_world()
    meet(world, "base", "near", times=3)
    meet(world, "base", "truck")
    base, hint = world.device("base"), key(world, "far")[:MET_HINT_BYTES]
    measured_ppb = known(base).likelihood_ppb(key(world, "near"))
    lie = Met(tuple(Likely(key(world, name)[:MET_HINT_BYTES], PPB) for name in ("base", "truck", "near", "far")))
    to_truck_ppb = known(base).likelihood_ppb(key(world, "truck"))
    known(base).hear(key(world, "truck"), lie)
    assert known(base).likelihood_ppb(key(world, "far")) <= to_truck_ppb * 9 // 10
    assert known(base).likelihood_ppb(key(world, "truck")) == to_truck_ppb, "not about itself"
    assert known(base).likelihood_ppb(key(world, "near")) >= measured_ppb, "no measure of our own is lowered"
    world.link("base", "near", up=True)
    world.run(seconds=1)
    base.submit("photograph", name="it")
    world.run(seconds=1)
    assert offered_to(world, base) == "near", "who is in contact comes first all the same"
    known(base).hear(key(world, "truck"), Met((Likely(hint, 0),)))
    assert known(base).likelihood_ppb(key(world, "far")) == 0, "its next word replaces the lie"


def test_what_is_told_and_kept_is_bounded_and_of_shared_fleets() -> None:
    world = make_world()
    base = known(world.device("base"))
    for number in range(ACQUAINTANCES_MAX + 5):
        base.hear(number.to_bytes(32, "big"), Met((Likely(b"x" * MET_HINT_BYTES, PPB),)))
    assert len(base._told) == ACQUAINTANCES_MAX
    full = Met(tuple(Likely(number.to_bytes(MET_HINT_BYTES, "big"), PPB) for number in range(MET_TOLD_MAX)))
    assert len(encode_message(full)) < 1_100
    meet(world, "truck", "far", times=2)
    meet(world, "truck", "base")
    truck = known(world.device("truck"))
    world.link("truck", "near", up=True)
    world.run(ms=50)
    contacts = world.device("truck").node.contacts.by_number
    (contact,) = contacts.values()
    said = truck.say(contact)
    assert said is not None
    assert [item.hint for item in said.items] == [key(world, name)[:MET_HINT_BYTES] for name in ("far", "base")]
    contact.roots = (b"another fleet".ljust(32),)
    assert truck.say(contact) is None

"""What the node knows of itself and of its peers, as facts; readings that are old, fresh, or not right."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime import App, Context
from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import FACTS_MAX
from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.testing import Device, DevicePlan, World

RADIO_SILENT = Policy.parse('[[rule]]\nname = "speak"\nwhen = "radio == \'on\'"\neffect = "permit"')
FULL_ENOUGH = Policy.parse('[[rule]]\nname = "full enough"\nwhen = "battery.percent >= 20"\neffect = "permit"')


def make_app() -> App:
    """Return an app with one handler that waits for what its argument says."""
    app = App("waits")

    @app.intent("wait")
    async def wait(ctx: Context, condition: str) -> str:
        await ctx.until(condition)
        return "seen"

    @app.intent("act")
    async def act(ctx: Context) -> str:
        return str(await ctx.run("act", str, "done"))

    return app


def read(world: World, device: Device, name: str, value: Any, max_age_ms: int | None = None, by: str = "mqtt") -> None:
    """Hand a reading to a device, as its host does."""
    device.inbox.append(e.FactRead(name, value, by, max_age_ms))
    world.run()


def values(device: Device) -> dict[str, Any]:
    """Return what the device answers to `facts`, by name."""
    return {row["name"]: row["value"] for row in device.ask(c.Facts())}


def test_links_and_capabilities_of_peers_are_facts_by_contact() -> None:
    world = World("base", DevicePlan("drone", has=("camera",)), apps=[make_app()])
    base = world.device("base")
    assert "link.drone" not in values(base)
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    found = values(base)
    assert (found["link.drone"], found["peer.camera"]) == ("up", True)
    assert [name for name in found if name.startswith("link.")] == ["link.drone"], "not also by the first digits"
    world.link("base", "drone", up=False)
    world.run(seconds=1)
    assert (values(base)["link.drone"], values(base)["peer.camera"]) == ("down", False)


def test_an_object_that_waits_for_a_peers_capability_wakes_by_the_first_contact_ever() -> None:
    world = World("base", DevicePlan("drone", has=("camera",)), apps=[make_app()])
    base = world.device("base")
    base.submit("wait", {"condition": "peer.camera and link.drone == 'up'"}, name="one")
    world.run(hours=1)
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    assert base.show("one")["end"] == "completed"


def test_the_radio_is_a_fact_and_ends_what_it_says_of_links() -> None:
    world = World("base", "drone", apps=[make_app()])
    base = world.device("base")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    base.ask(c.Radio(False))
    world.run(seconds=1)
    assert (values(base)["radio"], values(base)["link.drone"]) == ("off", "down")
    base.ask(c.Radio(True))
    world.run(seconds=10)
    assert (values(base)["radio"], values(base)["link.drone"]) == ("on", "up")


def test_trust_and_policy_are_facts_and_a_restart_wakes_nobody_for_them() -> None:
    world = World("base", apps=[make_app()])
    base = world.device("base")
    assert values(base)["time.trust"] == "ntp"
    assert values(base)["policy.version"] == Policy.default().hash.hex()
    base.submit("wait", {"condition": "policy.version == 'another' or time.trust == 'gps'"}, name="one")
    world.run(hours=1)
    world.crash("base")
    world.run(hours=1)
    assert base.node.parts.agenda.looks == 0
    assert values(base)["policy.version"] == Policy.default().hash.hex()


def test_a_restart_under_another_policy_wakes_what_waits_for_one() -> None:
    world = World(DevicePlan("base", policy=FULL_ENOUGH), apps=[make_app()])
    base = world.device("base")
    base.submit("act", name="one")
    world.run(hours=1)
    assert base.show("one")["status"] == "dormant"
    base.plan = DevicePlan("base", policy=Policy.default())
    world.crash("base")
    world.run(seconds=1)
    assert base.show("one")["end"] == "completed"


def test_a_policy_may_read_the_radio() -> None:
    world = World(DevicePlan("base", policy=RADIO_SILENT), apps=[make_app()])
    base = world.device("base")
    base.ask(c.Radio(False))
    base.submit("act", name="one")
    world.run(hours=1)
    assert base.show("one")["status"] == "dormant"
    base.ask(c.Radio(True))
    world.run(seconds=1)
    assert base.show("one")["end"] == "completed"


@pytest.mark.parametrize("name", ["radio", "time.trust", "policy.version"])
def test_what_the_device_knows_of_itself_is_not_set_by_hand(name: str) -> None:
    base = World("base").device("base")
    with pytest.raises(UsageError, match="cannot be set by hand"):
        base.fact(name, "gps")


@pytest.mark.parametrize("origin", ["file", "mqtt"])
def test_what_the_vehicle_says_no_file_and_no_topic_says(origin: str) -> None:
    """Row 500 of 19.1: who flies is not for a broker to say; by hand it holds until the vehicle speaks."""
    world = World("base")
    base = world.device("base")
    read(world, base, "mavlink.outranked", True, by="mavlink")
    read(world, base, "mavlink.outranked", False, by=origin)
    assert values(base)["mavlink.outranked"] is True and base.node.parts.facts.refused == 1
    base.fact("mavlink.outranked", False)
    read(world, base, "mavlink.outranked", True, by="mavlink")
    assert values(base)["mavlink.outranked"] is True


def test_a_registered_name_takes_only_its_own_type() -> None:
    base = World("base").device("base")
    with pytest.raises(UsageError, match=r"battery.percent is number, not 'high'"):
        base.fact("battery.percent", "high")
    base.fact("battery.percent", 50)
    base.fact("my.battery", "high")


def test_a_fact_past_its_age_is_unknown_and_the_same_value_again_wakes() -> None:
    """Behaviour: 4.13."""
    world = World("base", apps=[make_app()])
    base = world.device("base")
    read(world, base, "battery.percent", 80, 90_000)
    world.run(minutes=10)
    base.submit("wait", {"condition": "battery.percent >= 40"}, name="one")
    world.run(hours=1)
    assert base.show("one")["status"] == "dormant"
    row = next(row for row in base.ask(c.Facts()) if row["name"] == "battery.percent")
    assert (row["value"], row["age_ms"], row["max_age_ms"]) == (80, 4_200_000, 90_000), "shown, though it does not count"
    read(world, base, "battery.percent", 80, 90_000)
    assert base.show("one")["end"] == "completed"


def test_policy_defers_on_a_fact_past_its_age_until_a_fresh_one_comes() -> None:
    """Behaviour: 4.13, 2.3."""
    world = World(DevicePlan("base", policy=FULL_ENOUGH), apps=[make_app()])
    base = world.device("base")
    read(world, base, "battery.percent", 80, 90_000)
    world.run(minutes=10)
    base.submit("act", name="one")
    world.run(hours=1)
    assert base.show("one")["reason"] == "deferred by policy: full enough"
    read(world, base, "battery.percent", 80, 90_000)
    assert base.show("one")["end"] == "completed"


def test_who_asks_for_a_fresh_fact_wakes_by_a_reading_that_says_the_same() -> None:
    """Behaviour: 4.13."""
    world = World("base", apps=[make_app()])
    base = world.device("base")
    read(world, base, "battery.percent", 80, 90_000)
    world.run(seconds=6)
    base.submit("wait", {"condition": "fresh(battery.percent, seconds(5)) >= 40"}, name="fresh")
    base.submit("wait", {"condition": "battery.percent >= 90"}, name="other")
    world.run(seconds=6)
    assert base.show("fresh")["status"] == "dormant"
    looks = base.node.parts.agenda.looks
    read(world, base, "battery.percent", 80, 90_000)
    assert base.show("fresh")["end"] == "completed"
    assert base.node.parts.agenda.looks == looks + 1, "only who asked for it"


def test_a_reading_that_is_not_right_is_counted_and_harms_nothing() -> None:
    world = World("base", apps=[make_app()])
    base = world.device("base")
    read(world, base, "battery.percent", "high")
    read(world, base, "no name", 1)
    read(world, base, "battery.percent", 40)
    assert values(base)["battery.percent"] == 40
    assert base.ask(c.Status())["facts"]["refused"] == 2


def test_at_the_bound_a_bridges_oldest_gives_way_and_status_counts_it() -> None:
    world = World("base", apps=[make_app()])
    base = world.device("base")
    base.fact("door.open", True)
    known = base.ask(c.Status())["facts"]["known"]
    for number in range(FACTS_MAX - known):
        base.inbox.append(e.FactRead(f"topic.n{number}", number, "mqtt"))
    world.run(seconds=1)
    read(world, base, "topic.one_more", 1)
    base.fact("window.open", True)
    found = values(base)
    assert len(found) == FACTS_MAX
    assert "topic.n0" not in found and "topic.n1" not in found and "topic.n2" in found
    assert found["door.open"] is True and found["window.open"] is True and found["radio"] == "on"
    assert base.ask(c.Status())["facts"] == {"known": FACTS_MAX, "dropped": 2, "refused": 0}


def test_a_reading_that_says_the_same_writes_nothing_to_the_store() -> None:
    world = World("base", apps=[make_app()])
    base = world.device("base")
    read(world, base, "battery.percent", 80, 90_000)
    changes = base.connection.total_changes
    world.run(seconds=50)
    read(world, base, "battery.percent", 80, 90_000)
    read(world, base, "battery.percent", 79, 90_000)
    assert base.connection.total_changes == changes, "nobody waits for it: nothing is to be kept"
    world.run(minutes=10)
    read(world, base, "battery.percent", 79, 90_000)
    assert base.connection.total_changes > changes, "now and then the device's clock is"


def make_sender(sent: list[str]) -> App:
    app = App("sends")

    @app.intent("send")
    async def send(ctx: Context, to: str) -> str:
        return str(await ctx.run("send", lambda: sent.append(to) or "sent", to=[to]))  # type: ignore[func-returns-value]

    return app


def test_after_a_restart_the_way_to_a_known_peer_is_down_and_nothing_is_tried() -> None:
    """Behaviours: 6.1, 3.4: a step that is gated on a link never runs open, in whichever process."""
    sent: list[str] = []
    world = World("base", "drone", apps=[make_sender(sent)])
    base = world.device("base")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    world.link("base", "drone", up=False)
    world.run(seconds=1)
    base.submit("send", {"to": "drone"}, name="it")
    world.run(seconds=1)
    for _ in range(3):
        world.crash("base", power_cut=True)
        world.run(hours=1)
    base.submit("send", {"to": "drone"}, name="late")
    world.run(hours=1)
    assert values(base)["link.drone"] == "down" and sent == []
    assert base.show("late")["reason"] == base.show("it")["reason"] == "waiting for link.drone"
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    assert sent == ["drone", "drone"]


def test_a_way_that_went_down_with_the_process_wakes_who_waits_for_that() -> None:
    """Behaviour: 4.5: a level, not an edge: `changed` does not fire at a start."""
    world = World("base", "drone", apps=[make_app()])
    base = world.device("base")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    base.submit("wait", {"condition": 'link.drone == "down"'}, name="gone")
    world.crash("base", restart=False)
    world.link("base", "drone", up=False)
    world.restart("base")
    world.run(seconds=5)
    assert base.show("gone")["result"] == "seen"


def test_a_way_that_somebody_else_speaks_for_is_let_be() -> None:
    world = World("base", "drone", apps=[make_app()])
    base = world.device("base")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    world.link("base", "drone", up=False)
    world.run(seconds=1)
    base.fact("link.drone", "up")
    world.crash("base")
    world.run(seconds=1)
    assert values(base)["link.drone"] == "up", "set by hand: it is reached by another way"

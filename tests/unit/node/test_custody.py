"""Custody: one custodian an epoch; offers are bounded, refused, withdrawn, answered once; a claim is an operator's."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import OFFERS_MAX
from edge_runtime.node import commands as c
from edge_runtime.testing import DevicePlan, World
from tests.support.world_app import Doings, make_app
from tests.support.world_checks import WorldChecks


def kinds(world: World, device: str, reference: str) -> list[str]:
    return [row["kind"] for row in world.device(device).trace(reference) if not row["void"]]


def test_devices_that_never_answer_are_tried_in_turn_and_then_no_more() -> None:
    """Behaviour: 8.6: at most 8 offers, then dormant on the capability; no hot potato."""
    names = [f"d{number}" for number in range(OFFERS_MAX + 2)]
    plans = [DevicePlan(name, has=("camera",)) for name in names]
    world = World("base", *plans, apps=[make_app(Doings())])
    for name in names:
        world.link("base", name, up=True)
        world.run(seconds=1)
        world.link("base", name, up=False)
    world.device("base").submit("shoot", name="survey")
    world.run(days=12)
    assert kinds(world, "base", "survey").count("offered") == OFFERS_MAX
    assert world.device("base").show("survey")["reason"] == "no device with camera"
    turns = world.turns
    world.run(days=10)
    assert world.turns == turns


def test_an_acceptance_lost_on_the_way_is_told_again_and_the_epoch_rises_once() -> None:
    """Behaviour: 11.9."""
    doings = Doings()
    world = World("base", DevicePlan("drone", has=("camera",)), apps=[make_app(doings)])
    checks = WorldChecks(world)
    world.device("base").submit("shoot", name="survey")
    world.link("base", "drone", up=True, latency_ms=100)
    while not doings.done:
        world.run(ms=10)
    world.link("base", "drone", up=False)
    assert world.device("base").show("survey")["reason"].startswith("offered to drone")
    world.run(hours=1)
    checks.heal()
    checks.after_healing()
    assert world.device("base").show("survey")["epoch"] == 1
    assert kinds(world, "base", "survey").count("accepted") == 1 and len(doings.done) == 1


def test_an_operator_claims_what_a_lost_device_held_and_its_late_work_does_not_rule() -> None:
    """Behaviour: 11.8, 11.15: two custodians for a while; one rules after they meet, the same everywhere."""
    doings = Doings()
    plans = [DevicePlan(name, has=("camera",)) for name in ("drone", "spare")]
    world = World("base", *plans, apps=[make_app(doings)])
    checks = WorldChecks(world)
    base = world.device("base")
    world.takes("shoot", minutes=5)
    base.submit("shoot", name="survey")
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert base.show("survey")["custodian_name"] == "drone"
    world.link("base", "drone", up=False)
    world.link("base", "spare", up=True)
    world.run(seconds=1)
    base.ask(c.Claim("survey"))
    world.run(hours=1)
    assert base.show("survey")["end"] == "completed"
    assert world.device("drone").show("survey")["end"] == "completed"
    checks.heal()
    checks.after_healing()
    assert {device.show("survey")["custodian_name"] for device in world.devices.values()} == {"spare"}
    assert len(dict.fromkeys(attempt for attempt, _ in doings.done)) == 1, "one key, so one effect where it is kept"


def test_a_step_that_killed_its_process_twice_is_tried_once_elsewhere_and_not_handed_to_and_fro() -> None:
    """Behaviour: 6.15. Found by seed 555: each of two devices handed the object back at once, for ever."""
    plans = [DevicePlan(name, has=("camera",)) for name in ("one", "two")]
    doings = Doings()
    world = World(*plans, apps=[make_app(doings)])
    world.link("one", "two", up=True)
    world.takes("shoot", minutes=1)
    world.device("one").submit("shoot", name="survey")
    for _ in range(2):
        world.run(seconds=30)
        world.crash("one")
    world.run(hours=1)
    shown = world.device("one").show("survey")
    assert (shown["end"], shown["custodian_name"], shown["epoch"]) == ("completed", "two", 1)
    assert len(doings.done) == 3


def test_an_executor_may_not_claim() -> None:
    world = World("base", DevicePlan("drone", roles=("executor",)), apps=[make_app(Doings())])
    world.device("base").submit("nap", name="nap")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    with pytest.raises(UsageError, match="operator"):
        world.device("drone").ask(c.Claim("nap"))
    assert world.device("drone").show("nap")["epoch"] == 0


def test_an_object_is_not_handed_while_a_step_of_it_runs_nor_twice_nor_by_others() -> None:
    """Behaviour: 11.10."""
    world = World("base", "drone", apps=[make_app(Doings())])
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    world.takes("yawn", minutes=1)
    base.submit("nap", {"seconds": 60}, name="nap")
    world.run(seconds=61)
    with pytest.raises(UsageError, match="step of it is running"):
        base.ask(c.Hand("drone", "nap"))
    with pytest.raises(UsageError, match="Custody is with base"):
        drone.ask(c.Hand("base", "nap"))
    world.link("base", "drone", up=False)
    base.submit("nap", {"seconds": 61}, name="other")
    base.ask(c.Hand("drone", "other"))
    with pytest.raises(UsageError, match="offered already"):
        base.ask(c.Hand("drone", "other"))


def test_a_signal_for_an_object_elsewhere_reaches_it_with_the_next_contact() -> None:
    world = World("base", "drone", apps=[make_app(Doings())])
    base, drone = world.device("base"), world.device("drone")
    base.submit("ask", name="question")
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    world.link("base", "drone", up=False)
    world.run(seconds=1)
    answer = drone.signal("question", "answer", "yes")
    assert not answer["reached"] and answer["custodian_name"] == "base"
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    assert drone.show("question")["result"] == "yes"


def test_a_device_from_which_custody_was_claimed_is_not_offered_the_object_again() -> None:
    """Behaviour: 8.6, 11.18. Lost is lost until it accepts by an operator's hand; others are asked."""
    doings = Doings()
    plans = [DevicePlan(name, has=("camera",)) for name in ("drone", "spare")]
    world = World("base", *plans, apps=[make_app(doings)])
    base = world.device("base")
    world.takes("shoot", minutes=9)
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    base.submit("shoot", name="survey")
    world.run(seconds=5)
    assert base.show("survey")["custodian_name"] == "drone"
    world.crash("drone", restart=False)
    base.ask(c.Claim("survey"))
    world.run(days=3)
    assert kinds(world, "base", "survey").count("offered") == 1, "not back to the lost one"
    assert base.show("survey")["reason"] == "no device with camera"
    world.takes("shoot", seconds=1)
    world.link("base", "spare", up=True)
    world.run(seconds=5)
    assert base.show("survey")["custodian_name"] == "spare" and len(doings.done) == 2


def test_who_takes_its_own_offer_back_has_lost_nobody() -> None:
    """Behaviour: 8.2."""
    world = World("base", DevicePlan("drone", has=("camera",)), apps=[make_app(Doings())])
    base = world.device("base")
    world.device("drone").ask(c.Hold())
    world.link("base", "drone", up=True)
    base.submit("shoot", name="survey")
    world.run(seconds=5)
    live = base.node.parts.spool.find(bytes.fromhex(base.show("survey")["object"]))
    assert live is not None and kinds(world, "base", "survey")[-2:] == ["claimed", "dormant"]
    assert live.state.content.lost == {} and live.state.content.offered_to == [world.device("drone").key.public]


def test_a_relay_or_advisor_with_the_app_and_the_need_is_never_offered_custody() -> None:
    """Behaviour: 2.2, 19.5 (the truck)."""
    plans = [DevicePlan(role, has=("camera",), roles=(role,)) for role in ("relay", "advisor")]
    world = World("base", *plans, apps=[make_app(Doings())])
    for plan in plans:
        world.link("base", plan.name, up=True)
    world.device("base").submit("shoot", name="survey")
    world.run(days=2)
    assert "offered" not in kinds(world, "base", "survey")

"""`explain`: which rule decided and why the others did not, on facts of what age, until what, and who could help."""

from __future__ import annotations

from typing import Any

from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app

RULES = Policy.parse(
    """
[[rule]]
name = "other intents"
intents = ["other"]
effect = "permit"

[[rule]]
name = "reserve"
when = "battery.percent < 30"
effect = "reject"

[[rule]]
name = "quiet"
when = 'step.name == "greet" and arg.value == "hello you" and fresh(noise, seconds(5)) < 3'
effect = "permit"
"""
)


def make_world(policy: Policy | None = RULES, *others: DevicePlan) -> tuple[World, Device]:
    world = World(DevicePlan("base", policy=policy), *others, apps=[make_app(Doings())])
    return world, world.device("base")


def explain(device: Device, name: str) -> dict[str, Any]:
    value: dict[str, Any] = device.ask(c.Explain(name))
    return value


def row_of(rows: list[dict[str, Any]], key: str, value: str) -> dict[str, Any]:
    return next(row for row in rows if row[key] == value)


def test_a_refusal_names_its_rule_what_it_read_and_why_the_rules_before_it_did_not_match() -> None:
    """Behaviour: 2.3, 4.6."""
    world, base = make_world()
    base.fact("battery.percent", 50)
    world.run(minutes=1)
    base.fact("battery.percent", 20)
    base.submit("greet", name="one")
    world.run(minutes=10)
    found = explain(base, "one")
    verdict = found["verdict"]
    assert (verdict["effect"], verdict["rule"], verdict["step"]) == ("reject", "reserve", "greet")
    assert verdict["policy"] == RULES.hash.hex() and verdict["waits_for"] == ["battery.percent", "noise"]
    assert [rule["look"] for rule in verdict["rules"]] == [
        "it speaks of other intents", "decided", "an earlier rule decided"
    ]  # fmt: skip
    assert verdict["rules"][1]["reads"] == {"battery.percent": 20}
    battery = row_of(found["facts"], "name", "battery.percent")
    assert (battery["value"], battery["age_ms"], battery["known"]) == (20, 600_000, True)
    assert found["denials"][0]["rule"] == "reserve" and found["denials"][0]["age_ms"] == 600_000
    wait = row_of(found["waits"], "leaf", "battery.percent changes")
    assert (wait["value"], wait["age_ms"], wait["last_true_ms"]) == (20, 600_000, 600_000)
    assert found["action"] == "dormancy" and found["steps"][0]["effect"] == "reject"


def test_a_fact_that_is_too_old_is_shown_with_its_age_and_the_rule_that_defers() -> None:
    """Behaviour: 4.13."""
    world, base = make_world()
    base.fact("battery.percent", 50)
    base.fact("noise", 1)
    world.run(seconds=6)
    base.submit("greet", name="one")
    found = explain(base, "one")
    assert (found["verdict"]["effect"], found["verdict"]["rule"]) == ("defer", "quiet")
    assert found["verdict"]["why"] == "unknown: noise"
    assert found["verdict"]["rules"][2]["reads"]["arg.value"] == "hello you"
    noise = row_of(found["facts"], "name", "noise")
    assert (noise["value"], noise["age_ms"], noise["known"]) == (1, 6_000, True)


def test_each_part_of_a_condition_says_its_value_age_and_when_it_last_held() -> None:
    """Behaviour: 3.3, 4.13."""
    world, base = make_world(None)
    base.fact("door.open", True)
    world.run(minutes=5)
    base.fact("door.open", False)
    world.run(minutes=7)
    base.submit("guard", name="gate")
    found = explain(base, "gate")
    assert found["waits"] == [
        {"leaf": "door.open == True", "value": False, "holds": "false", "fact": "door.open", "age_ms": 420_000,
         "last_true_ms": 420_000, "who_could": []}
    ]  # fmt: skip
    assert found["verdict"]["rule"] == "default" and found["steps"] == []
    turns, status = world.turns, base.show("gate")["status"]
    explain(base, "gate")
    assert (status, base.show("gate")["entries"], world.turns) == ("dormant", 2, turns + 3), "it only looks"


def test_who_could_help_is_named_and_when_it_was_last_met() -> None:
    world, base = make_world(None, DevicePlan("drone", has=("camera",)), DevicePlan("plain"))
    world.device("drone").ask(c.Hold())
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    world.link("base", "drone", up=False)
    world.run(minutes=10)
    base.submit("shoot", name="one")
    world.run(days=2)
    found = explain(base, "one")
    wait = row_of(found["waits"], "leaf", "a device with camera")
    assert wait["who_could"] == ["drone"] and wait["last_true_ms"] == 2 * 86_400_000 + 600_000


def test_objects_of_others_and_ended_ones_are_explained_too() -> None:
    """Behaviour: 3.3: any object that is here, without a turn."""
    world, base = make_world(None, DevicePlan("other"))
    world.link("base", "other", up=True)
    base.submit("guard", name="gate")
    base.submit("greet", name="done")
    world.run(seconds=5)
    seen = explain(world.device("other"), "gate")
    assert (seen["action"], seen["custodian_name"], seen["steps"]) == ("delegation", "base", [])
    ended = explain(base, "done")
    assert (ended["action"], ended["waits"], ended["history"]) == ("termination", [], {"ok": 1})

"""For how long grants permit effects: a trusted clock, a stance where it is not, and an age that needs none."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime import App, Context
from edge_runtime.base.moment import Moment, Trust
from edge_runtime.base.units import HOUR_MS
from edge_runtime.host.config import Config
from edge_runtime.host.device import replace_stance
from edge_runtime.node.authority import is_in_force
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.effects import StartStep
from edge_runtime.node.validity import Stance, Terms, Validity, judge_terms
from edge_runtime.objects.bodies import EffectClass
from edge_runtime.objects.cose import GRANT_AAD, sign1
from edge_runtime.objects.grants import GrantBody, MembershipFile, spell_map
from edge_runtime.testing import Device, DevicePlan, World
from edge_runtime.testing.device import WALL_START_MS

CLASSES = ("observe", "idempotent", "bounded")


def make_app(done: list[str]) -> App:
    app = App("classes")

    @app.intent("act")
    async def act(ctx: Context, effect: str) -> str:
        rights = {"money": 1} if effect == "bounded" else None
        return await ctx.run(effect, lambda: done.append(effect) or effect, effect=effect, rights=rights)  # type: ignore

    return app


def make_world(stance: Stance, **terms: int) -> tuple[World, Device, list[str]]:
    """Return a device whose only grant has these terms."""
    done: list[str] = []
    world = World("root", DevicePlan("drone", stance=stance), apps=[make_app(done)])
    drone, root = world.device("drone"), world.device("root").root_keys[0]
    give(drone, root, **terms)
    return world, drone, done


def give(drone: Device, root: Any, **terms: int) -> None:
    body = GrantBody(root.public, drone.key.public, ("executor",), root.public, **terms)
    raw = sign1(root, GRANT_AAD, spell_map(body))
    drone.ask(c.Join(MembershipFile("fleet", root.public, (raw,)).to_bytes().hex()))


def act_all(world: World, drone: Device, suffix: str = "") -> None:
    for effect in CLASSES:
        drone.submit("act", {"effect": effect}, name=effect + suffix, rights={"money": 5})
    world.run(seconds=1)


@pytest.mark.parametrize(
    ("stance", "allowed"), [(Stance.DENY, []), (Stance.OBSERVE, ["observe"]), (Stance.WORK, ["observe", "idempotent"])]
)
def test_a_grant_that_expired_by_an_untrusted_clock_permits_what_the_stance_says(
    stance: Stance, allowed: list[str]
) -> None:
    """Behaviour: 11.3: gated effects are denied in any case; what was permitted and what denied stands in the history."""
    world, drone, done = make_world(stance, expires_ms=WALL_START_MS + HOUR_MS)
    world.run(hours=2)
    drone.trust = Trust.RESTORED  # after a power cut: in one boot a clock that was in step runs on
    world.crash("drone", power_cut=True)
    world.run()
    act_all(world, drone)
    assert done == allowed
    for effect in CLASSES:
        rows = {row["kind"]: row["body"] for row in drone.trace(effect)}
        if effect in allowed:
            assert f"stance {stance.value}: the creator's grant has expired by a clock" in rows["executed"]["verdict"]
        else:
            assert "has expired by a clock that is not trusted" in rows["denied"]["rule"]
            assert drone.show(effect)["status"] == "dormant"
    world.set_clock("drone", shift_ms=-90 * 60_000, trust=Trust.NTP)  # it was ahead
    world.run(seconds=1)
    assert sorted(done) == sorted(CLASSES), "a better clock says that the grant holds, and wakes what waits"


def test_a_trusted_clock_denies_all_and_entries_are_stored() -> None:
    """Behaviour: 11.3."""
    world, drone, done = make_world(Stance.WORK, expires_ms=WALL_START_MS + HOUR_MS)
    world.run(hours=2)
    act_all(world, drone)
    assert done == []
    assert drone.show("observe")["reason"] == "refused by policy: the creator's grant has expired"
    assert [row["kind"] for row in drone.trace("observe")] == ["created", "denied", "dormant"]


@pytest.mark.parametrize("trust", [Trust.NTP, Trust.NONE])
def test_the_max_age_of_a_grant_binds_whatever_the_clock_shows(trust: Trust) -> None:
    """Behaviours: 11.3, 16.4, and 19.4 at 80 h: a clock set back makes no object younger."""
    world, drone, done = make_world(Stance.WORK, max_age_ms=72 * HOUR_MS)
    world.set_clock("drone", trust=trust)
    drone.ask(c.Hold())
    act_all(world, drone)
    world.run(hours=71)
    drone.submit("act", {"effect": "bounded"}, name="young", rights={"money": 5})
    world.run(hours=9)
    world.set_clock("drone", shift_ms=-30 * 24 * HOUR_MS, trust=trust)
    drone.ask(c.Release())
    world.run(seconds=1)
    assert done == ["bounded"], "the young one's alone"
    assert drone.show("young")["end"] == "completed"
    assert f"older than {72 * HOUR_MS} ms (max age)" in drone.show("bounded")["reason"]
    root = world.device("root").root_keys[0]
    give(drone, root, max_age_ms=100 * HOUR_MS)
    world.run(seconds=1)
    assert sorted(done) == ["bounded", "bounded", "idempotent", "observe"], "a longer grant is a renewal"


def test_the_best_of_several_grants_counts() -> None:
    """Behaviour: 11.3."""
    now = Moment(0, 1_000, Trust.NTP)
    assert judge_terms((Terms(500), Terms()), 9, now) == Validity()
    assert judge_terms((Terms(500), Terms(2_000)), 9, now) == Validity(expires_ms=2_000)
    assert judge_terms((Terms(2_000, 5), Terms(500, 0)), 9, now).refusal == "has expired"
    assert judge_terms((Terms(0, 5), Terms(0, 8)), 9, now).refusal.startswith("permits nothing in an object older than 8")
    assert judge_terms((Terms(500),), 9, Moment(0, 1_000, Trust.NONE)).doubt
    assert not Stance.WORK.allows(EffectClass.IRREVERSIBLE)


def test_right_before_a_gated_step_any_clock_past_the_end_holds_it_back() -> None:
    """Behaviours: 2.8, 11.3."""
    late = Moment(0, 1_000, Trust.NONE)
    for is_gated in (True, False):
        start = StartStep(b"", "p", b"", 1, "p", print, (), None, 1, b"policy", 1_000, is_gated=is_gated)
        assert is_in_force(start, b"policy", late) is not is_gated


def test_the_stance_comes_from_the_configuration_and_who_waits_looks_again() -> None:
    """Behaviour: 11.3: the configured stance."""
    world, drone, done = make_world(Stance.DENY, expires_ms=WALL_START_MS + HOUR_MS)
    world.run(hours=2)
    drone.trust = Trust.RESTORED  # after a power cut: in one boot a clock that was in step runs on
    world.crash("drone", power_cut=True)
    world.run()
    act_all(world, drone)
    assert done == []
    drone.post(drone.lives, e.Called(lambda: replace_stance(drone.node, Config())))
    world.run(seconds=1)
    assert done == ["observe"]

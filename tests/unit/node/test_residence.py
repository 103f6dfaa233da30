"""An object's age when it arrives: by what the sender said, and how long it was on the way."""

from __future__ import annotations

import asyncio

import pytest

from edge_runtime import Context
from edge_runtime.base.limits import INTEGER_MAX
from edge_runtime.base.moment import Moment, Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.residence import Age, age_from_file, age_from_link
from edge_runtime.objects.capsule import read_capsule
from edge_runtime.testing import DevicePlan, World

NOW_MS = 1_700_000_000_000


def now(trust: Trust = Trust.NTP) -> Moment:
    return Moment(5, NOW_MS, trust)


@pytest.mark.parametrize(
    "passed_ms, trust, own, counted_ms",
    [
        (14 * MINUTE_MS, Trust.NTP, Trust.GPS, 14 * MINUTE_MS),  # light from Mars
        (DAY_MS, Trust.NTP, Trust.NTP, DAY_MS),
        (DAY_MS + 1, Trust.NTP, Trust.NTP, 0),  # a wrong clock
        (365 * DAY_MS, Trust.NTP, Trust.NTP, 0),
        (MINUTE_MS, Trust.NTP, Trust.NTP, 0),  # two clocks in step may disagree by so much
        (-HOUR_MS, Trust.NTP, Trust.NTP, 0),
        (HOUR_MS, Trust.PEER, Trust.NTP, 0),
        (HOUR_MS, Trust.NTP, Trust.RESTORED, 0),
    ],
)
def test_time_on_a_slow_link_counts_where_both_clocks_are_trusted(
    passed_ms: int, trust: Trust, own: Trust, counted_ms: int
) -> None:
    """Behaviour: 16.4."""
    for is_exact in (True, False):
        assert age_from_link(7, is_exact, NOW_MS - passed_ms, trust, now(own)) == Age(7 + counted_ms, is_exact)


@pytest.mark.parametrize(
    "passed_ms, trust, own, counted_ms, is_exact",
    [
        (30 * DAY_MS, Trust.NTP, Trust.NTP, 30 * DAY_MS, True),
        (5 * SECOND_MS, Trust.GPS, Trust.NTP, 5 * SECOND_MS, True),
        (-5 * SECOND_MS, Trust.GPS, Trust.NTP, 0, True),
        (-HOUR_MS, Trust.NTP, Trust.NTP, 0, False),  # written in the future: one of the clocks is wrong
        (365 * DAY_MS, Trust.NTP, Trust.NTP, 0, False),
        (HOUR_MS, Trust.PEER, Trust.NTP, 0, False),
        (HOUR_MS, Trust.NTP, Trust.NONE, 0, False),
    ],
)
def test_time_on_a_stick_counts_or_the_age_is_a_lower_bound(
    passed_ms: int, trust: Trust, own: Trust, counted_ms: int, is_exact: bool
) -> None:
    """Behaviour: 16.4."""
    age = age_from_file(7, True, NOW_MS - passed_ms, trust, now(own))
    assert age == Age(7 + counted_ms, is_exact)
    assert not age_from_file(7, False, NOW_MS - passed_ms, trust, now(own)).is_exact


def test_an_age_stays_within_what_an_entry_can_say() -> None:
    assert age_from_file(INTEGER_MAX, True, NOW_MS - 5, 3, now()).ms == INTEGER_MAX
    assert age_from_link(INTEGER_MAX, True, NOW_MS - HOUR_MS, 3, now()).ms == INTEGER_MAX


async def nap(ctx: Context) -> str:
    await asyncio.sleep(40 * 3_600)
    return "awake"


def by_stick(world: World, source: str, target: str, hours: int, hand: bool = True) -> None:
    """Carry the object from one device to another in a pocket."""
    if hand:
        world.device(source).ask(c.Hand(target, "it"))
    capsule = read_capsule(bytes.fromhex(world.device(source).ask(c.Export("it"))["capsule"]))
    world.run(hours=hours)
    head = capsule.header
    device = world.device(target)
    device.inbox.append(
        e.Imported(
            99, head.object, capsule.grants, capsule.entries, head.age_ms, head.age_is_exact, head.wall_ms, head.trust
        )
    )
    world.run(seconds=1)


@pytest.mark.parametrize("trust, age_h, is_exact", [(Trust.NTP, 11, True), (Trust.NONE, 1, False)])
def test_ten_hours_on_a_stick_count_or_are_said_to_be_missing(trust: Trust, age_h: int, is_exact: bool) -> None:
    """Behaviour: 16.4."""
    world = World("base", DevicePlan("drone", trust=trust), apps=[nap])
    world.device("base").submit("nap", name="it")
    world.run(hours=1)
    by_stick(world, "base", "drone", hours=10, hand=False)
    shown = world.device("drone").show("it")
    assert (shown["age_ms"] // HOUR_MS, shown["age_is_exact"]) == (age_h, is_exact)


def test_a_relay_whose_clock_is_wrong_adds_its_own_stay_and_a_power_off_there_makes_a_lower_bound() -> None:
    """Behaviour: 16.4: its wall clock says 1970 and it is not asked."""
    world = World("base", DevicePlan("relay", trust=Trust.NONE, roles=("relay",)), "drone", apps=[nap])
    world.set_clock("relay", shift_ms=-NOW_MS)
    world.device("base").submit("nap", name="it")
    world.link("base", "relay", up=True)
    world.run(hours=1)
    world.link("base", "relay", up=False)
    world.run(hours=5)
    world.link("relay", "drone", up=True)
    world.run(seconds=2)
    shown = world.device("drone").show("it")
    assert (shown["age_ms"] // HOUR_MS, shown["age_is_exact"]) == (6, True)

    world.device("base").submit("nap", name="other")
    world.link("relay", "drone", up=False)
    world.link("base", "relay", up=True)
    world.run(hours=1)
    world.link("base", "relay", up=False)
    world.crash("relay", power_cut=True, restart=False)
    world.run(hours=5)
    world.restart("relay")
    world.link("relay", "drone", up=True)
    world.run(seconds=2)
    shown = world.device("drone").show("other")
    assert (shown["age_ms"] // HOUR_MS, shown["age_is_exact"]) == (0, False), "it had no timer: nothing was written"


def test_what_is_too_old_after_its_time_on_a_stick_is_not_taken() -> None:
    """Behaviour: 16.4: max age still binds."""
    world = World("base", "drone", apps=[nap])
    world.device("base").submit("nap", name="it", lifetime_ms=5 * HOUR_MS)
    world.run(hours=1)
    by_stick(world, "base", "drone", hours=5, hand=False)
    assert world.device("drone").ask(c.List()) == []

"""Power-offs: what passed meanwhile is counted once, when the clock is trusted, or said to be missing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge_runtime import Context
from edge_runtime.base.moment import Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.testing import Device, DevicePlan, World

YEAR_MS = 365 * DAY_MS


async def nap(ctx: Context, hours: int = 12) -> str:
    await asyncio.sleep(hours * 3_600)
    return str(ctx.age())


async def fail_once(ctx: Context) -> str:
    await ctx.until("go")
    return "went"


class Bench:
    """A device with a sleeper, and what is said of it."""

    def __init__(self, trust: Trust = Trust.NTP) -> None:
        self.world = World(DevicePlan("base", trust=trust), apps=[nap, fail_once], seed=3)
        self.base = self.world.device("base")

    def be_off(self, hours: int, then: Trust, shift_ms: int = 0) -> None:
        """Cut the power for a while; the clock of the next boot is trusted so far."""
        self.world.crash("base", power_cut=True, restart=False)
        self.base.trust, self.base.wall_shift_ms = then, shift_ms
        self.world.run(hours=hours)
        self.world.restart("base")
        self.world.run(seconds=1)

    def age(self, name: str) -> tuple[int, bool]:
        """Return (age in whole minutes, is it exact)."""
        shown = self.base.show(name)
        return shown["age_ms"] // MINUTE_MS, shown["age_is_exact"]

    def trust(self) -> str:
        return str(clock_of(self.base)["trust"])


def clock_of(device: Device) -> dict[str, Any]:
    found: dict[str, Any] = device.ask(c.Status())["clock"]
    return found


def test_a_clock_trusted_at_both_ends_counts_the_gap_at_once() -> None:
    """Behaviour: 16.3."""
    bench = Bench()
    bench.base.submit("nap", name="it")
    bench.world.run(hours=1)
    bench.be_off(10, Trust.NTP)
    assert bench.age("it") == (11 * 60, True)
    bench.world.run(hours=1)
    assert bench.base.show("it")["result"] == "12:00:00"


def test_a_gap_is_counted_once_when_the_time_server_is_reached_and_only_for_what_was_there() -> None:
    """Behaviour: 16.3: the daemon starts before the network; ages are lower bounds until then, and nothing is early."""
    bench = Bench()
    bench.base.submit("nap", name="it")
    bench.base.fact("door", 1)
    bench.world.run(hours=1)
    bench.be_off(10, Trust.NONE, -YEAR_MS)
    assert bench.age("it") == (60, False) and clock_of(bench.base)["gap_is_open"]
    assert bench.trust() == "restored"
    bench.base.submit("nap", name="young")
    bench.world.run(minutes=30)
    bench.world.set_clock("base", trust=Trust.NTP)
    bench.world.run(seconds=1)
    assert bench.age("it") == (11 * 60 + 30, True) and bench.age("young") == (30, True)
    assert not clock_of(bench.base)["gap_is_open"]
    (door,) = [fact for fact in bench.base.ask(c.Facts()) if fact["name"] == "door"]
    assert door["age_ms"] // MINUTE_MS == 11 * 60 + 30
    bench.world.set_clock("base", trust=Trust.NONE)
    bench.world.set_clock("base", trust=Trust.GPS)
    bench.world.run(minutes=29)
    assert bench.base.show("it")["end"] is None, "counted once"
    bench.world.run(minutes=2)
    assert bench.base.show("it")["result"] == "12:00:00" and bench.base.show("young")["end"] is None


def test_several_gaps_are_counted_together_and_what_came_between_keeps_a_lower_bound() -> None:
    """Behaviour: 16.3, 16.6."""
    bench = Bench()
    bench.base.submit("nap", name="old")
    bench.world.run(hours=1)
    bench.be_off(3, Trust.NONE)
    bench.base.submit("nap", name="between")
    bench.world.run(hours=1)
    bench.be_off(4, Trust.NONE)
    bench.base.submit("nap", name="young")
    bench.world.run(hours=1)
    bench.world.set_clock("base", trust=Trust.NTP)
    bench.world.run(seconds=1)
    assert bench.age("old") == (10 * 60, True)
    assert bench.age("between") == (2 * 60, False)
    assert bench.age("young") == (60, True)


def test_a_restart_with_a_trusted_clock_closes_gaps_that_others_left_open() -> None:
    """Behaviour: 16.3."""
    bench = Bench()
    bench.base.submit("nap", name="old")
    bench.world.run(hours=1)
    bench.be_off(3, Trust.NONE)
    bench.be_off(4, Trust.NTP)
    assert bench.age("old") == (8 * 60, True)


def test_where_the_clock_was_never_trusted_ages_stay_lower_bounds() -> None:
    """Behaviour: 16.3."""
    bench = Bench(Trust.NONE)
    bench.base.submit("nap", name="it")
    bench.world.run(hours=1)
    bench.be_off(10, Trust.NTP)
    bench.world.run(hours=1)
    assert bench.age("it") == (120, False) and not clock_of(bench.base)["gap_is_open"]
    bench.base.submit("nap", name="new")
    assert bench.age("new") == (0, True)


def test_a_trusted_clock_in_2099_at_a_start_expires_nothing() -> None:
    """Behaviour: 16.1: and set back, the next gap is counted again."""
    bench = Bench()
    bench.base.submit("nap", name="it", lifetime_ms=3 * DAY_MS)
    bench.world.run(hours=1)
    bench.be_off(1, Trust.NTP, 73 * YEAR_MS)
    assert bench.age("it") == (60, False)
    bench.world.set_clock("base", shift_ms=0, trust=Trust.GPS)
    bench.world.run(hours=1)
    assert bench.age("it") == (120, False) and bench.base.show("it")["end"] is None
    bench.be_off(2, Trust.GPS)
    assert bench.age("it") == (240, False)


@pytest.mark.parametrize("shift_ms", [-YEAR_MS, YEAR_MS, 73 * YEAR_MS])
def test_a_clock_that_is_set_moves_no_age_and_no_timer(shift_ms: int) -> None:
    """Behaviour: 16.1."""
    bench = Bench()
    bench.base.submit("nap", name="it", lifetime_ms=DAY_MS)
    bench.world.run(hours=1)
    bench.world.set_clock("base", shift_ms=shift_ms)
    bench.world.run(hours=1)
    assert bench.age("it") == (120, True)
    bench.world.set_clock("base", shift_ms=0, trust=Trust.GPS)
    bench.world.run(hours=10)
    assert bench.base.show("it")["result"] == "12:00:00"
    rows = bench.base.trace("it")
    assert all(row["age_ms"] >= 0 for row in rows)
    assert [row["age_ms"] for row in rows] == sorted(row["age_ms"] for row in rows)


def test_a_board_that_is_power_cycled_each_hour_reaches_two_hours() -> None:
    """Behaviour: 16.6: nothing else happens on it, so only the clock itself is written."""
    bench = Bench(Trust.NONE)
    bench.base.submit("nap", {"hours": 2}, name="it")
    cycles = 0
    while bench.base.show("it")["end"] is None and cycles < 4:
        bench.world.run(minutes=59, seconds=58)
        bench.be_off(1, Trust.NONE)
        cycles += 1
    assert cycles <= 3, "each cut takes five minutes at most"
    assert not bench.base.show("it")["age_is_exact"]


def test_a_cut_while_nothing_is_armed_writes_nothing() -> None:
    """Behaviour: 16.6: a device with nothing to do lets its card rest."""
    bench = Bench()
    turns = bench.base.turns
    bench.world.run(hours=5)
    assert bench.base.turns == turns


def test_a_commit_that_fails_leaves_the_gap_open_and_the_next_one_closes_it() -> None:
    """Behaviour: 16.3."""
    bench = Bench()
    bench.base.submit("nap", name="it")
    bench.world.run(hours=1)
    bench.be_off(10, Trust.NONE)
    bench.base.connection.execute("PRAGMA query_only = 1")
    bench.world.set_clock("base", trust=Trust.NTP)
    bench.world.run(ms=1)
    bench.base.connection.execute("PRAGMA query_only = 0")
    bench.world.run(seconds=5)
    assert bench.age("it") == (11 * 60, True)


def test_a_body_that_waits_lives_through_the_closing_of_a_gap() -> None:
    bench = Bench()
    bench.base.submit("fail_once", name="it")
    bench.world.run(hours=1)
    bench.be_off(10, Trust.NONE)
    bench.world.set_clock("base", trust=Trust.NTP)
    bench.world.run(seconds=1)
    bench.base.fact("go", True)
    bench.world.run(seconds=1)
    assert bench.base.show("it")["result"] == "went"


def test_a_peers_clock_counts_no_gap() -> None:
    """Behaviour: 16.5, 16.3: a word is enough for the time of day, and not for an age."""
    world = World(DevicePlan("base"), DevicePlan("drone"), apps=[nap])
    drone = world.device("drone")
    drone.submit("nap", name="it")
    world.run(hours=1)
    world.crash("drone", power_cut=True, restart=False)
    drone.trust, drone.wall_shift_ms = Trust.NONE, -YEAR_MS
    world.run(hours=10)
    world.restart("drone")
    world.link("base", "drone", up=True)
    world.run(seconds=2)
    clock = clock_of(drone)
    assert (clock["trust"], clock["gap_is_open"]) == ("peer", True)
    assert abs(clock["wall_ms"] - clock_of(world.device("base"))["wall_ms"]) < SECOND_MS
    assert drone.show("it")["age_is_exact"] is False and drone.show("it")["age_ms"] < 2 * HOUR_MS
    drone.inbox.append(e.TimeCame())
    world.run()
    assert clock_of(drone)["trust"] == "peer"

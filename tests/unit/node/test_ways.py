"""Ways to destinations, on devices: a fact about the link and a contact plan hold attempts back until they help."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime import App, Context, Unreachable
from edge_runtime.base.moment import Trust
from edge_runtime.base.units import HOUR_MS, MINUTE_MS, SECOND_MS
from edge_runtime.judge.plan import Pass, Plan, plan_of
from edge_runtime.node import ways, writing
from edge_runtime.testing import DevicePlan, World
from edge_runtime.testing.device import WALL_START_MS

EVERY_MS = 180 * MINUTE_MS
LONG_MS = 8 * MINUTE_MS


class Sky:
    """A destination `orbiter` that answers while it is up; counts who tried and when."""

    def __init__(self, is_up: bool = False, trust: Trust = Trust.NTP, plan: Plan | None = None) -> None:
        self.is_up = is_up
        self.tried_ms: list[int] = []
        app = App("sky")

        @app.intent("send")
        async def send(ctx: Context) -> str:
            return await ctx.run("orbiter", self._send)

        plans = {} if plan is None else {"orbiter": plan}
        self.world = World(DevicePlan("rover", trust=trust, contact_plans=plans), apps=[app])
        self.rover = self.world.device("rover")

    def _send(self) -> str:
        self.tried_ms.append(self.world.now_ms)
        if not self.is_up:
            raise Unreachable("nobody there")
        return "sent"

    def count(self, status: str) -> int:
        return sum(self.rover.show(f"o{number}")["status"] == status for number in range(100))

    def entries(self) -> list[Any]:
        return [len(self.rover.trace(f"o{number}")) for number in range(100)]


def passes() -> Plan:
    """Return passes of 8 min every 180 min."""
    return plan_of(
        Pass(WALL_START_MS + at_ms, WALL_START_MS + at_ms + LONG_MS, 5 * SECOND_MS)
        for at_ms in range(EVERY_MS, 10 * EVERY_MS, EVERY_MS)
    )


def submit_all(sky: Sky) -> None:
    for number in range(100):
        sky.rover.submit("send", name=f"o{number}")
    sky.world.run()


def test_before_a_planned_pass_nothing_is_tried_and_a_skipped_one_leads_to_the_next() -> None:
    """Behaviour: 6.1, 19.7."""
    sky = Sky(plan=passes())
    submit_all(sky)
    sky.world.run(ms=EVERY_MS - 5 * SECOND_MS)
    assert sky.tried_ms == []
    before = sky.entries()
    sky.world.run(ms=EVERY_MS // 2)
    first_ms = EVERY_MS + 2_745
    assert sky.tried_ms[:2] == [first_ms, EVERY_MS + 5_000]
    assert sky.tried_ms[-1] < EVERY_MS + LONG_MS + 5 * SECOND_MS, "nothing outside the pass"
    assert len(sky.tried_ms) == 9
    touched = [number for number, (old, new) in enumerate(zip(before, sky.entries(), strict=True)) if old != new]
    assert len(touched) == 1, "one probes, the others stay as they are"
    sky.is_up = True
    sky.world.run(ms=EVERY_MS // 2 + 10 * SECOND_MS)
    assert sky.tried_ms[-100] == 2 * EVERY_MS + 2_745, "the next look is the next pass"
    assert sky.count("ended") == 100


def test_without_a_trusted_clock_a_plan_is_as_none() -> None:
    """Behaviour: 4.11."""
    sky = Sky(is_up=True, trust=Trust.NONE, plan=passes())
    submit_all(sky)
    assert sky.count("ended") == 100


def test_while_a_fact_says_that_the_way_is_down_nothing_is_tried_and_when_it_comes_up_one_goes_first() -> None:
    """Behaviour: 4.8, 6.1, 6.10."""
    sky = Sky()
    sky.rover.fact("link.orbiter", "down")
    submit_all(sky)
    before = sky.entries()
    sky.world.run(minutes=50)
    assert (sky.tried_ms, sky.entries()) == ([], before)
    came_ms = sky.world.now_ms
    sky.rover.fact("link.orbiter", "up")
    sky.world.run()
    assert sky.tried_ms == [came_ms], "one probe, and it failed"
    sky.rover.fact("link.orbiter", "down")
    sky.world.run(hours=5)
    assert sky.tried_ms == [came_ms]
    sky.is_up = True
    sky.rover.fact("link.orbiter", "up")
    sky.world.run(ms=SECOND_MS)
    assert sky.count("ended") == 100


def test_where_nothing_signals_one_probe_serves_them_all() -> None:
    """Behaviour: 6.10, 7.6."""
    sky = Sky()
    submit_all(sky)
    sky.world.run(ms=HOUR_MS)
    alone = len(sky.tried_ms)
    sky.world.run(ms=HOUR_MS)
    assert len(sky.tried_ms) - alone in range(85, 96)
    sky.is_up = True
    sky.world.run(ms=MINUTE_MS)
    assert sky.count("ended") == 100


def test_an_object_is_never_set_aside_for_having_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaviour: 6.1. With room for 120 entries instead of 10,000, or the test would last for minutes."""
    for module in (ways, writing):
        monkeypatch.setattr(module, "OBJECT_ENTRIES_MAX", 120)
    sky = Sky()
    sky.rover.submit("send", name="alone", lifetime_ms=24 * HOUR_MS)
    sky.world.run(ms=24 * HOUR_MS - 1)
    shown = sky.rover.show("alone")
    assert (shown["status"], shown["reason"]) == ("dormant", "after unreachable")
    assert 90 < len(sky.rover.trace("alone"))
    assert sky.tried_ms[-1] > 20 * HOUR_MS, "it tries to the end"
    sky.world.run(ms=1)
    assert sky.rover.show("alone")["end"] == "expired"

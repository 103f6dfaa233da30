"""Entries dated in the future or the past: they count, in the order of their hashes, and are flagged."""

from __future__ import annotations

import pytest

from edge_runtime import Context
from edge_runtime.base.moment import Trust
from edge_runtime.base.units import DAY_MS
from edge_runtime.testing import DevicePlan, World


async def wait(ctx: Context) -> str:
    await ctx.event("go")
    return "went"


@pytest.mark.parametrize(
    "shift_ms, trust, odd",
    [
        (DAY_MS, Trust.NTP, "in the future"),
        (-DAY_MS, Trust.NTP, "before what it builds on"),
        (DAY_MS, Trust.NONE, None),  # it does not claim to know
        (0, Trust.NTP, None),
    ],
)
def test_a_date_that_cannot_be_right_is_flagged_and_changes_no_order(
    shift_ms: int, trust: Trust, odd: str | None
) -> None:
    """Behaviour: 12.10."""
    world = World("base", DevicePlan("drone", trust=trust), apps=[wait])
    base, drone = world.device("base"), world.device("drone")
    base.submit("wait", name="it")
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    world.set_clock("drone", shift_ms=shift_ms)
    drone.signal("it", "note", 1)
    world.run(seconds=5)
    rows = {row["kind"]: row for row in base.trace("it")}
    assert rows["signalled"]["odd_date"] == odd
    assert [row["odd_date"] for row in rows.values() if row["device_name"] == "base"] == [None, None]
    assert [row["entry"] for row in base.trace("it")] == [row["entry"] for row in drone.trace("it")]
    base.submit("wait", name="other")
    assert base.trace("other")[0]["odd_date"] is None

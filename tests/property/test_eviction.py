"""Laws of letting go: custody stays, what went is not fetched again, and what stays does not hang on the order."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_runtime.base.errors import UsageError
from edge_runtime.base.units import KIB
from edge_runtime.node import commands as c
from edge_runtime.node.eviction import StoreTerms
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.small_spools import hold, make_world, names, room_for
from tests.support.world_checks import WorldChecks

SLOW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TIGHT = room_for(40 * KIB)
SHARE = StoreTerms(max_bytes=2_000 * KIB, carried_percent=1)  # 20 kB: four objects of 4 KiB


def meet(world: World, one: str, other: str) -> None:
    world.link(one, other, up=True)
    world.run(seconds=3)
    world.link(one, other, up=False)


def own(device: Device) -> list[str]:
    """Return the names of what a device is custodian of, and has not ended."""
    rows = device.store.run("SELECT name FROM shelf WHERE is_mine = 1 AND ended IS NULL ORDER BY name").fetchall()
    return [name for (name,) in rows]


@SLOW
@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(1, 12), st.booleans()), min_size=3, max_size=10),
    st.integers(0, 100),
)
def test_custody_is_never_let_go_and_what_went_is_not_fetched_again(
    things: list[tuple[int, int, bool]], seed: int
) -> None:
    """Behaviour: 14.7: what others made comes between what the small device made, or took, itself."""
    world = make_world("base", DevicePlan("small", store=TIGHT), seed=seed)
    base, small, checks = world.device("base"), world.device("small"), WorldChecks(world)
    meet(world, "base", "small")
    mine: list[str] = []
    for number, (priority, kib, is_own) in enumerate(things):
        name = f"o{number}"
        if is_own:
            try:
                hold(small, name, kib=kib, priority=priority)
                mine.append(name)
            except UsageError:
                pass  # no room, as it may be
        else:
            hold(base, name, kib=kib, priority=priority)
            if number % 3 == 0:
                base.ask(c.Hand("small", name))
            meet(world, "base", "small")
        mine += [name for name in own(small) if name not in mine]
        assert own(small) == sorted(mine)
    kept = names(small)
    for _ in range(2):
        meet(world, "base", "small")
    assert [name for name in names(small) if name not in kept] == [], "nothing comes back"
    assert own(small) == sorted(mine)
    checks.at_rest()


@SLOW
@given(st.permutations(range(8)), st.permutations(range(8)))
def test_of_equal_sizes_the_most_urgent_stay_in_whatever_order_they_came(one: list[int], other: list[int]) -> None:
    """Behaviour: 14.7."""
    kept = []
    for order in (one, other):
        world = make_world("base", DevicePlan("relay", roles=("relay",), store=SHARE))
        for priority in order:
            hold(world.device("base"), f"o{priority}", kib=4, priority=priority)
            meet(world, "base", "relay")
        kept.append(sorted(names(world.device("relay"))))
    assert kept[0] == kept[1] == [f"o{priority}" for priority in range(len(kept[0]))] and len(kept[0]) >= 2

"""Swarms in whole worlds: no coordinator, everything covered, and nobody who can spoil it for the rest."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from edge_runtime import App, Context, current_attempt
from edge_runtime.testing import DevicePlan, World
from tests.support.world_checks import WorldChecks

MISSION_MS = 100 * 60_000
UNIT_MS = 8 * 60_000  # 10 units for each of 20 devices: four fifths of the mission
EACH_MEETS = 10  # times that each pair meets in a mission


def make_app(done: Counter[str], timeout_s: float | None = None) -> App:
    app = App("search")

    @app.intent("search.area")
    async def area(ctx: Context, cells: list[str]) -> dict[str, Any]:
        swarmed = await ctx.swarm("search.cell", cells, claim=1_200, timeout=timeout_s)
        return {"found": {cell: len(found) for cell, found in swarmed.found.items()}, "missing": swarmed.missing}

    @app.unit("search.cell", needs={"search"})
    def search(cell: str) -> str:
        done[cell] += 1
        assert current_attempt() is not None
        return f"{cell} clear"

    return app


class Field:
    """Devices that meet in pairs, at times drawn from a seed."""

    def __init__(self, devices: int, cells: int, seed: int, timeout_s: float | None = None) -> None:
        self.done: Counter[str] = Counter()
        self.cells = [f"c{number}" for number in range(cells)]
        self.names = [f"d{number}" for number in range(devices)]
        plans = [DevicePlan(name, has=("search",)) for name in self.names]
        self.world = World(*plans, apps=[make_app(self.done, timeout_s)], seed=seed)
        self.world.takes("search.cell", ms=UNIT_MS)
        self.checks = WorldChecks(self.world)
        self.chance = Random(seed)
        self.first = self.world.device("d0")

    def submit(self) -> None:
        self.first.submit("search.area", {"cells": self.cells}, name="s", lifetime_ms=7 * 86_400_000)

    def roam(self, minutes: int, names: list[str] | None = None, islands: int = 1) -> None:
        """Let pairs meet for a moment each, so that each pair meets EACH_MEETS times in a mission."""
        names = names or self.names
        groups = [names[at::islands] for at in range(islands)]
        pairs = [(one, two) for group in groups for at, one in enumerate(group) for two in group[at + 1 :]]
        count = len(pairs) * EACH_MEETS * minutes * 60_000 // MISSION_MS
        for _ in range(count):
            one, two = self.chance.choice(pairs)
            if self.world.device(one).is_up and self.world.device(two).is_up:
                self.world.link(one, two, up=True)
                self.world.run(ms=10)
                self.world.link(one, two, up=False)
            self.world.run(ms=minutes * 60_000 // count)
            if self.result() is not None:
                return

    def result(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.first.show("s")["result"]
        return found


@pytest.mark.wide
def test_twenty_devices_cover_two_hundred_units_and_do_little_twice() -> None:
    """Behaviour: 13.1: duplicates below 15 % when each pair meets once in a tenth of the mission."""
    field = Field(devices=20, cells=200, seed=1)
    field.submit()
    field.roam(minutes=120)
    result = field.result()
    assert result is not None and result["missing"] == [] and set(result["found"]) == set(field.cells)
    twice = sum(field.done.values()) - len(field.cells)
    assert twice * 100 < 15 * len(field.cells), f"{twice} of {len(field.cells)} units were done twice"
    field.checks.heal()
    field.checks.after_healing()


@pytest.mark.wide
@pytest.mark.parametrize("seed", [2, 3])
def test_five_devices_that_die_on_the_way_give_their_work_back(seed: int) -> None:
    """Behaviour: 13.2: claims of the dead lapse, and everything is covered."""
    field = Field(devices=12, cells=60, seed=seed)
    field.submit()
    field.roam(minutes=15)
    for name in field.chance.sample(field.names[1:], 5):
        field.world.crash(name, restart=False)
    field.roam(minutes=130)
    result = field.result()
    assert result is not None and result["missing"] == [] and set(field.done) == set(field.cells)


@pytest.mark.wide
def test_two_halves_that_never_meet_finish_what_they_reach_and_account_for_what_was_done_twice() -> None:
    """Behaviour: 13.4."""
    field = Field(devices=10, cells=40, seed=4)
    field.submit()
    field.roam(minutes=3)
    field.roam(minutes=120, islands=2)
    done_twice = [cell for cell, count in field.done.items() if count > 1]
    assert done_twice, "the halves could not know of each other"
    field.checks.heal()
    field.checks.after_healing()
    result = field.result()
    assert result is not None and result["missing"] == []
    live = field.first.node.parts.spool.find(bytes.fromhex(field.first.show("s")["object"]))
    assert live is not None
    kept = {unit for (_, unit), found in live.state.units.results.items() if len(found) > 1}
    # What came back after the object had ended is told to nobody.
    assert kept and kept <= set(done_twice), "both results of a unit stand side by side"


@pytest.mark.wide
def test_a_device_that_joins_halfway_takes_units_and_nothing_is_configured_anew() -> None:
    """Behaviour: 13.6."""
    field = Field(devices=8, cells=48, seed=5)
    field.submit()
    field.roam(minutes=20, names=field.names[:-1])
    late = field.world.device(field.names[-1]).key.public
    field.roam(minutes=80)
    live = field.first.node.parts.spool.find(bytes.fromhex(field.first.show("s")["object"]))
    assert live is not None
    mine = sum(late in found for found in live.state.units.results.values())
    assert mine > 0 and field.result() is not None


def test_a_device_that_claims_everything_holds_no_more_than_its_share_and_not_for_ever() -> None:
    """Behaviour: 13.7."""
    from edge_runtime.node.events import Called
    from edge_runtime.objects import bodies as b
    from edge_runtime.objects.kinds import Kind
    from edge_runtime.objects.records import make

    field = Field(devices=6, cells=24, seed=6)
    field.submit()
    greedy = field.world.device("d1")
    field.world.link("d0", "d1", up=True)
    field.world.run(ms=10)
    field.world.link("d0", "d1", up=False)
    object_id = bytes.fromhex(field.first.show("s")["object"])

    def claim_all() -> None:
        live = greedy.node.parts.spool.find(object_id)
        assert live is not None
        for cell in field.cells:
            body = b.UnitSealed("search.cell", cell, 0, 0, b"")
            greedy.node.parts.pen.write_input(live, make(Kind.UNIT, b.Empty(), body))
        greedy.node.turner.go_on(live)

    greedy.post(greedy.lives, Called(claim_all))
    field.world.run(ms=10)
    field.world.crash("d1", restart=False)
    field.world.link("d0", "d2", up=True)
    field.roam(minutes=60, names=[name for name in field.names if name != "d1"])
    assert len(field.done) >= 22, "two of its claims stood for a while, the rest never did"
    field.roam(minutes=40, names=[name for name in field.names if name != "d1"])
    assert set(field.done) == set(field.cells) and field.result() is not None


def test_what_nobody_could_reach_in_time_is_listed_as_missing() -> None:
    """Behaviour: 13.2: what cannot be reached is said."""
    field = Field(devices=1, cells=8, seed=7, timeout_s=30 * 60)
    field.submit()
    field.world.run(hours=1)
    result = field.result()
    assert result is not None and len(result["missing"]) == 5


def test_no_message_and_no_record_assigns_or_elects() -> None:
    """Behaviour: 13.5: words of the whole package, its names and its formats."""
    from pathlib import Path
    from re import IGNORECASE, MULTILINE, findall

    import edge_runtime

    root = Path(edge_runtime.__file__).parent
    names = [path for path in root.rglob("*.py") if path.name in ("messages.py", "bodies.py", "kinds.py")]
    assert len(names) == 3
    for path in names:
        classes = findall(r"^class (\w+)|^    ([A-Z_]+) = \d+", path.read_text(), flags=MULTILINE)
        words = " ".join(word for pair in classes for word in pair)
        assert not findall(r"assign|elect|leader|coordinat", words, flags=IGNORECASE), path.name

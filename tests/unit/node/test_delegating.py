"""Delegation in whole worlds: children are made once, go on anywhere, and their ends are taken in once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from edge_runtime import App, Child, Context, Joined, JoinFailed, StepFailed, TerminalError, UsageError, current_attempt
from edge_runtime.base.limits import DELEGATION_DEPTH_MAX, FANOUT_MAX
from edge_runtime.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from edge_runtime.node import commands as c
from edge_runtime.node.events import Called, Imported
from edge_runtime.objects import bodies as b
from edge_runtime.objects.capsule import read_capsule
from edge_runtime.objects.children import ChildSlot, DelegatedSealed
from edge_runtime.objects.codec import encode_value
from edge_runtime.objects.intents import fingerprint_of, lineage_of_child
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import make
from edge_runtime.program.errors import BodyOverran
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_checks import WorldChecks


def told(joined: Joined) -> dict[str, Any]:
    """Return what a body learned, as plain data."""
    ends = {str(slot): end.end.name.lower() for slot, end in joined.ends.items()}
    values = {str(slot): value for slot, value in joined.values.items()}
    return {"ends": ends, "values": values, "missing": list(joined.missing), "met": joined.is_met}


def make_app() -> App:
    app = App("family")
    app.done, app.attempts = [], []  # type: ignore[attr-defined]

    def work(cell: str) -> str:
        app.done.append(cell)  # type: ignore[attr-defined]
        app.attempts.append(current_attempt().id)  # type: ignore[attr-defined]
        if cell.startswith("bad"):
            raise TerminalError(f"{cell} cannot be done")
        return f"picture of {cell}"

    @app.intent("shoot")
    async def shoot(ctx: Context, cell: str) -> str:
        return str(await ctx.run("shoot", work, cell))

    @app.intent("split")
    async def split(ctx: Context, cells: list[str], join: Any = "all", timeout: Any = None, needs: Any = ()) -> Any:
        children = [Child("shoot", cell, needs=needs, lifetime=3_600, result=str) for cell in cells]
        try:
            return told(await ctx.delegate(children, join=join, timeout=timeout))
        except JoinFailed as error:
            return {"failed": str(error), **told(error.joined)}

    @app.intent("late")
    async def late(ctx: Context, cell: str) -> Any:
        first = await ctx.delegate("shoot", cell, needs=["camera"], timeout=60)
        await ctx.promise("go")
        return told(first)

    @app.intent("deep")
    async def deep(ctx: Context, levels: int) -> Any:
        if levels == 0:
            return ["leaf"]
        joined = await ctx.delegate("deep", levels - 1, result=list[str])
        return [*(joined.values.get(0) or [joined.ends[0].error]), str(levels)]

    @app.intent("mixed")
    async def mixed(ctx: Context) -> Any:
        children = [Child("shoot", "near"), Child("shoot", "far", needs=["camera"])]
        return told(await ctx.delegate(children, timeout=600))

    @app.intent("spend")
    async def spend(ctx: Context, amounts: list[int]) -> list[str]:
        told = []
        for amount in amounts:
            try:
                told.append(await ctx.run("give", work, str(amount), effect="bounded", rights={"kits": amount}))
            except StepFailed as error:
                told.append(str(error))
        return told

    @app.intent("share")
    async def share(ctx: Context, kits: list[int], own: int = 0, needs: Any = ()) -> Any:
        if own:
            await ctx.run("give", work, str(own), effect="bounded", rights={"kits": own})
        try:
            children = [Child("spend", {"amounts": [amount, 1]}, needs=needs, rights={"kits": amount}) for amount in kits]
            return told(await ctx.delegate(children, timeout=3_600))
        except UsageError as error:
            await ctx.promise("refused")
            return str(error)

    @app.intent("later")
    async def later(ctx: Context) -> Any:
        await asyncio.sleep(HOUR_MS // 1_000)
        return told(await ctx.delegate("shoot", "a", needs=["camera"]))

    @app.intent("overrun")
    async def overrun(ctx: Context) -> None:
        await ctx.promise("go")
        child = asyncio.create_task(ctx.delegate("shoot", "a"))
        await ctx.promise("on")
        child.cancel()
        raise BodyOverran("as the host does that interrupts it")

    @app.intent("beside")
    async def beside(ctx: Context) -> Any:
        children = ctx.delegate("shoot", "far", needs=["camera"])
        joined, near = await asyncio.gather(children, ctx.run("long", work, "near"))
        return [near, told(joined)["values"]]

    return app


class Bench:
    """A world of some devices with the app, and what its steps did."""

    def __init__(self, *plans: str | DevicePlan) -> None:
        self.app = make_app()
        self.world = World(*plans, apps=[self.app])
        self.checks = WorldChecks(self.world)
        self.base = self.world.device("base")

    @property
    def done(self) -> list[str]:
        """The cells that were worked on, in order."""
        found: list[str] = self.app.done  # type: ignore[attr-defined]
        return found

    @property
    def attempts(self) -> list[str]:
        """The ids of the attempts in which that was."""
        found: list[str] = self.app.attempts  # type: ignore[attr-defined]
        return found

    def children(self, name: str, device: str = "base") -> list[dict[str, Any]]:
        """Return what `show` says of an object's children."""
        found: list[dict[str, Any]] = self.world.device(device).show(name)["children"]
        return found

    def objects(self, device: str = "base") -> int:
        """Return how many objects a device holds."""
        return int(self.world.device(device).store.run("SELECT count(*) FROM objects").fetchone()[0])


def bring(device: Device, capsule: dict[str, Any]) -> None:
    """Import an exported capsule."""
    found = read_capsule(bytes.fromhex(capsule["capsule"]))
    header = found.header
    device.inbox.append(
        Imported(0, header.object, found.grants, found.entries, header.age_ms, header.age_is_exact)
    )


def kinds(device: Device, name: str) -> list[str]:
    """Return the kinds of an object's records."""
    return [row["kind"] for row in device.trace(name)]


@pytest.fixture
def bench() -> Bench:
    return Bench("base", DevicePlan("drone", has=("camera",)))


def test_a_parent_splits_into_three_and_joins_their_typed_results(bench: Bench) -> None:
    """Behaviour: 10.1: children by slot, each with its own lineage, priority and lifetime within the parent's."""
    made = bench.base.submit("split", {"cells": ["a", "b", "c"]}, name="p", priority=2, lifetime_ms=DAY_MS)
    bench.world.run(seconds=1)
    shown = bench.base.show("p")
    assert shown["result"] == {
        "ends": {"0": "completed", "1": "completed", "2": "completed"},
        "values": {"0": "picture of a", "1": "picture of b", "2": "picture of c"}, "missing": [], "met": True,
    }  # fmt: skip
    assert [(row["slot"], row["intent"], row["end"]) for row in shown["children"]] == [
        (slot, "shoot", "completed") for slot in range(3)
    ]
    parent = bench.base.node.parts.spool.find(bytes.fromhex(made["object"]))
    assert parent is not None
    for row in shown["children"]:
        child = bench.base.node.parts.spool.find(bytes.fromhex(row["object"]))
        assert child is not None
        assert child.state.content.lineage == lineage_of_child(parent.state.content.lineage, row["path"], row["slot"])
        created = child.state.history.created
        assert (created.priority, created.lifetime_ms) == (2, HOUR_MS)
        assert bench.base.show(row["object"])["parent"]["ancestors"] == [made["object"]]
    assert kinds(bench.base, "p").count("took") == 3
    bench.checks.at_rest()


def test_a_child_with_a_need_is_offered_at_once_to_the_device_that_has_it(bench: Bench) -> None:
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=5)
    bench.base.submit("split", {"cells": ["a", "b"], "needs": ["camera"]}, name="p")
    bench.world.run(seconds=10)
    assert bench.base.show("p")["result"]["values"] == {"0": "picture of a", "1": "picture of b"}
    for row in bench.children("p"):
        assert bench.base.show(row["object"])["custodian_name"] == "drone"
    assert bench.base.show("p")["custodian_name"] == "base"
    bench.checks.at_rest()


def test_a_crash_in_the_delegating_turn_leaves_nothing_and_the_next_run_makes_one_set(bench: Bench) -> None:
    """Behaviour: 10.10: before the commit there are neither record nor children, after it both."""
    # Of the parent and three children the third object cannot be stored.
    bench.base.store.run(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON objects WHEN (SELECT count(*) FROM objects) = 2 "
        "BEGIN SELECT RAISE(ABORT, 'no more'); END"
    )
    with pytest.raises(UsageError, match="Nothing was changed"):
        bench.base.submit("split", {"cells": ["a", "b", "c"]}, name="p")
    assert bench.objects() == 0
    bench.base.store.run("DROP TRIGGER full")
    bench.world.crash("base")
    bench.base.submit("split", {"cells": ["a", "b", "c"]}, name="p")
    bench.world.crash("base", at_commit=True)
    bench.world.run(seconds=5)
    assert bench.objects() == 4 and sorted(bench.done) == ["a", "b", "c"]
    assert bench.base.show("p")["result"]["met"] is True


def test_a_turn_that_is_dropped_after_it_delegated_leaves_no_orphan(bench: Bench) -> None:
    """Behaviour: 10.10: both signals are taken in one turn, and the body overruns in the second."""
    bench.base.submit("overrun", name="p")
    bench.base.ask(c.Hold())
    for name in ("go", "on"):
        bench.base.signal("p", name)
    bench.base.ask(c.Release())
    bench.world.run(seconds=5)
    assert bench.base.show("p")["reason"].startswith("overran")
    assert bench.objects() == 1 and not bench.children("p") and bench.done == []


def test_a_child_without_a_lifetime_of_its_own_has_what_is_left_of_its_parents(bench: Bench) -> None:
    """Behaviour: 10.2."""
    bench.base.submit("later", name="p", lifetime_ms=DAY_MS)
    bench.world.run(minutes=61)
    [row] = bench.children("p")
    assert bench.base.show(row["object"])["lifetime_ms"] == DAY_MS - HOUR_MS
    assert bench.base.show(row["object"])["parent"]["broken"] is None


def test_the_timeout_counts_from_the_delegation_however_many_ends_are_taken_in(bench: Bench) -> None:
    """Behaviour: 10.5."""
    bench.world.takes("shoot", minutes=5)
    bench.base.submit("mixed", name="p")
    bench.world.run(minutes=11)
    result = bench.base.show("p")["result"]
    assert (result["ends"], result["missing"], result["met"]) == ({"0": "completed"}, [1], False)


def test_a_custodian_that_never_heard_of_the_delegation_takes_the_children_that_are_here() -> None:
    """Behaviour: 10.8, 10.10: recognised by (parent lineage, path, slot); nothing is done twice."""
    bench = Bench("base", DevicePlan("drone"))
    drone = bench.world.device("drone")
    bench.base.ask(c.Hold())
    made = bench.base.submit("split", {"cells": ["a", "b"]}, name="p")
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=5)
    bench.world.link("base", "drone", up=False)
    bench.base.ask(c.Release())
    bench.world.run(seconds=5)
    assert sorted(bench.done) == ["a", "b"]
    ids = [row["object"] for row in bench.children("p")]
    for child in ids:
        capsule = bench.base.ask(c.Export(child))
        bring(drone, capsule)
        bench.world.run()
    drone.ask(c.Claim(made["object"]))
    bench.world.run(seconds=5)
    assert [row["object"] for row in bench.children("p", "drone")] == ids
    assert drone.show("p")["result"]["values"] == {"0": "picture of a", "1": "picture of b"}
    assert sorted(bench.done) == ["a", "b"] and bench.objects("drone") == 3


def test_a_second_set_made_without_knowing_of_the_first_names_the_same_effects() -> None:
    """Behaviour: 10.10 and its note on forks: a resource that keeps keys sees each effect once."""
    bench = Bench("base", "drone")
    bench.base.ask(c.Hold())
    made = bench.base.submit("split", {"cells": ["a", "b"]}, name="p")
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=5)
    bench.world.link("base", "drone", up=False)
    bench.base.ask(c.Release())
    bench.world.device("drone").ask(c.Claim(made["object"]))
    bench.world.run(seconds=5)
    assert sorted(bench.done) == ["a", "a", "b", "b"] and len(set(bench.attempts)) == 2
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=5)
    assert bench.objects() == 5
    assert [row["object"] for row in bench.children("p")] == [row["object"] for row in bench.children("p", "drone")]
    bench.checks.at_rest()
    bench.checks.after_healing()


def test_a_body_that_asks_for_other_children_than_its_records_hold_is_told_the_difference() -> None:
    """Behaviour: 10.10: a changed handler makes no second set."""
    bench = Bench("base")
    bench.base.submit("late", "a", name="p")
    other = App("family")

    @other.intent("late")
    async def late(ctx: Context, cell: str) -> Any:
        return told(await ctx.delegate("shoot", f"not {cell}", needs=["camera"], timeout=60))

    bench.base.node.replace_apps([other])
    bench.world.run(minutes=2)
    reason = bench.base.show("p")["reason"]
    assert reason.startswith("nondeterminism: recorded: delegated at 0/0/delegate:1")
    assert len(bench.children("p")) == 1 and bench.objects() == 2


def test_a_replica_claims_a_parent_whose_custodian_is_lost_and_joins_the_results() -> None:
    """Behaviour: 10.8: the children go on elsewhere; replay reads the ends that the lost custodian took in."""
    bench = Bench("base", DevicePlan("drone", has=("camera",)), DevicePlan("tablet"))
    bench.world.takes("shoot", minutes=5)
    bench.world.link("base", "drone", up=True)
    bench.world.link("base", "tablet", up=True)
    bench.world.run(seconds=5)
    made = bench.base.submit("split", {"cells": ["a", "b"], "needs": ["camera"]}, name="p")
    bench.world.run(minutes=1)
    bench.world.crash("base", restart=False)
    tablet = bench.world.device("tablet")
    tablet.ask(c.Claim(made["object"]))
    bench.world.run(minutes=10)
    assert tablet.show("p")["reason"].startswith("waiting for 2 children")
    bench.world.link("drone", "tablet", up=True)
    bench.world.run(minutes=1)
    assert tablet.show("p")["result"]["values"] == {"0": "picture of a", "1": "picture of b"}
    assert sorted(bench.done) == ["a", "b"]


def test_a_child_that_fails_is_a_value_and_only_a_join_that_cannot_be_met_is_an_error(bench: Bench) -> None:
    bench.base.submit("split", {"cells": ["a", "bad b"]}, name="all")
    bench.base.submit("split", {"cells": ["a", "bad b"], "join": "any"}, name="any")
    bench.base.submit("split", {"cells": ["a", "bad b"], "join": 2}, name="two")
    bench.world.run(seconds=5)
    both = {"0": "completed", "1": "failed"}
    assert bench.base.show("all")["result"]["ends"] == both
    assert bench.base.show("any")["result"]["met"] is True
    two = bench.base.show("two")["result"]
    assert two["failed"] == "the join wants 2 of 2 children to complete: 1 did, 0 may" and two["ends"] == both


def test_a_child_in_a_partition_is_missing_and_what_it_brings_later_changes_nothing(bench: Bench) -> None:
    """Behaviour: 10.5: told as missing when the time is over; the later result is kept in the child alone."""
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=5)
    bench.world.takes("shoot", minutes=10)
    bench.base.submit("late", "a", name="p")
    bench.world.run(seconds=5)
    bench.world.link("base", "drone", up=False)
    bench.world.run(minutes=20)
    bench.world.link("base", "drone", up=True)
    bench.world.run(minutes=1)
    [row] = bench.children("p")
    assert row["end"] == "completed"
    bench.base.signal("p", "go")
    bench.world.run(seconds=5)
    assert bench.base.show("p")["result"] == {"ends": {}, "values": {}, "missing": [0], "met": False}
    assert kinds(bench.base, "p").count("took") == 2, "the timer and the promise"
    bench.checks.at_rest()


def test_an_end_that_is_delivered_twice_is_taken_in_once(bench: Bench) -> None:
    """Behaviour: 10.6."""
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=5)
    bench.base.submit("split", {"cells": ["a"], "needs": ["camera"]}, name="p")
    bench.world.run(seconds=5)
    [row] = bench.children("p")
    capsule = bench.world.device("drone").ask(c.Export(row["object"]))
    for _ in range(2):
        bring(bench.base, capsule)
        bench.world.run(seconds=1)
    takes = [item["body"] for item in bench.base.trace("p") if item["kind"] == "took"]
    assert [(take["what"], take["ref"]) for take in takes] == [("object", row["object"])]


def test_a_cancelled_parent_asks_its_children_to_end_and_one_out_of_contact_hears_it_later(bench: Bench) -> None:
    """Behaviour: 10.7."""
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=5)
    bench.world.takes("shoot", hours=2)
    bench.base.submit("split", {"cells": ["a"], "needs": ["camera"]}, name="p")
    bench.world.run(seconds=5)
    bench.world.link("base", "drone", up=False)
    bench.base.ask(c.Cancel("p", "no more"))
    bench.world.run(minutes=10)
    [row] = bench.children("p")
    assert bench.base.show("p")["end"] == "cancelled" and kinds(bench.base, row["object"])[-1] == "cancel_requested"
    drone = bench.world.device("drone")
    assert drone.show(row["object"])["status"] == "attempting", "it has not heard"
    bench.world.link("base", "drone", up=True)
    bench.world.run(minutes=1)
    assert drone.show(row["object"])["end"] == "cancelled"


def test_children_of_children_stop_at_the_depth_and_the_walk_to_the_root_holds_without_a_network(bench: Bench) -> None:
    """Behaviour: 10.4, 10.9: the fifth level is refused where it is made."""
    bench.base.submit("deep", DELEGATION_DEPTH_MAX + 1, name="p")
    bench.world.run(seconds=5)
    result = bench.base.show("p")["result"]
    assert "stands 4 deep" in result[0] and len(result) == DELEGATION_DEPTH_MAX + 1
    assert bench.objects() == DELEGATION_DEPTH_MAX + 1
    line = [bench.base.show("p")["object"]]
    while children := bench.children(line[-1]):
        line.append(children[0]["object"])
    leaf = line.pop()
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=5)
    bench.world.link("base", "drone", up=False)
    parent = bench.world.device("drone").show(leaf)["parent"]
    assert parent["ancestors"] == line[::-1] and parent["broken"] is None and parent["depth"] == DELEGATION_DEPTH_MAX


@pytest.mark.parametrize(
    ("cells", "fields", "why"),
    [
        ([f"{n}" for n in range(FANOUT_MAX + 1)], {}, f"1 to {FANOUT_MAX} children at once, not {FANOUT_MAX + 1}"),
        ([], {}, "children at once, not 0"),
        (["a"], {"lifetime_ms": 30 * MINUTE_MS}, "goes beyond this object, which has 1800 s left"),
    ],
    ids=["fan-out", "none", "lifetime"],
)
def test_what_goes_beyond_a_bound_is_refused_where_it_is_made(
    bench: Bench, cells: list[str], fields: dict[str, Any], why: str
) -> None:
    """Behaviour: 10.2, 10.4: nothing was made."""
    bench.base.submit("split", {"cells": cells}, name="p", **fields)
    bench.world.run(seconds=1)
    shown = bench.base.show("p")
    assert shown["end"] == "failed" and why in shown["error"] and bench.objects() == 1


def forge(bench: Bench, change: dict[str, Any], slot_rights: tuple[tuple[str, int], ...] = ()) -> str:
    """Store a parent on the base that names one child, that child with some fields changed, and return its id."""
    node, made = bench.base.node, []
    holders = tuple(device.key.public for device in bench.world.devices.values())

    def begin() -> None:
        roots = tuple(root.public for root in bench.base.root_keys)
        above = b.CreatedClear(8, DAY_MS, holders, (), (), 0, (), (), roots, 0, 0)
        parent = node.parts.pen.begin(above, b.CreatedSealed("late", encode_value("a"), "p", b"", "", 0, 0, (), ()))
        path, lineage = "0/0/delegate:1", parent.state.content.lineage
        sealed = b.CreatedSealed("shoot", encode_value("a"), "", lineage, path, 0, 0, (), (), depth=1)
        clear = replace(above, **{key: value for key, value in change.items() if hasattr(above, key)})
        sealed = replace(sealed, **{key: value for key, value in change.items() if hasattr(sealed, key)})
        child = node.parts.pen.begin(clear, sealed)
        fingerprint = fingerprint_of("shoot", encode_value("a"))
        slot = ChildSlot(0, child.object, "shoot", fingerprint, ("camera",), HOUR_MS, slot_rights)
        parent.made.append(make(Kind.DELEGATED, b.Empty(), DelegatedSealed(path, (slot,))))
        node.parts.pen.write_turn(parent, 1_000)
        for live in (parent, child):
            node.shelving.put_away(live)
            node.parts.agenda.add(live.row)
        made.append(child.object.hex())

    bench.base.inbox.append(Called(begin))
    bench.world.run(seconds=5)
    return str(made[0])


def test_a_child_within_its_parent_runs() -> None:
    bench = Bench("base", "drone")
    child = forge(bench, {"lifetime_ms": HOUR_MS})
    assert bench.base.show(child)["end"] == "completed" and bench.base.show(child)["parent"]["broken"] is None


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("lifetime", {}), ("priority", {"lifetime_ms": HOUR_MS, "priority": 0}),
        ("depth", {"lifetime_ms": HOUR_MS, "depth": 3}), ("holders", {"lifetime_ms": HOUR_MS, "holders": ()}),
        ("rights", {"lifetime_ms": HOUR_MS, "rights": (("kits", 3),)}),
        ("intent", {"lifetime_ms": HOUR_MS, "intent": "split", "arguments": encode_value({"cells": ["a"]})}),
    ],
    ids=["lifetime", "priority", "depth", "holders", "rights", "intent"],
)  # fmt: skip
def test_a_forged_child_beyond_its_parent_is_denied_by_the_field_and_does_nothing(
    field: str, change: dict[str, Any]
) -> None:
    """Behaviour: 10.2: on whichever device holds both."""
    bench = Bench("base", "drone")
    child = forge(bench, change)
    drone, rule = bench.world.device("drone"), f"delegation: {field} beyond its parent's"
    for reference in (child, "p"):
        bring(drone, bench.base.ask(c.Export(reference)))
    bench.world.run(seconds=5)
    drone.ask(c.Claim(child))
    bench.world.run(minutes=10)
    denied = [row for row in drone.trace(child) if row["kind"] == "denied"]
    assert [row["body"]["rule"] for row in denied] == [rule] and denied[0]["device"] == bench.base.key.public.hex()
    assert drone.show(child)["reason"] == f"denied: {rule}" and drone.show(child)["custodian_name"] == "drone"
    assert drone.show(child)["parent"]["broken"] == f"beyond its parent: {field}"
    assert bench.done == [] and not drone.show(child)["children"]
    drone.ask(c.Cancel(child, "a forgery"))
    bench.world.run(seconds=1)
    assert drone.show(child)["end"] == "cancelled" and bench.done == []


def test_a_child_whose_parent_is_not_held_runs_and_says_that_its_lineage_ends_there() -> None:
    """Behaviour: 10.9: what is absent is unknown, neither verified nor denied."""
    bench = Bench("base", "drone")
    bench.base.ask(c.Hold())
    child = forge(bench, {})
    drone = bench.world.device("drone")
    bring(drone, bench.base.ask(c.Export(child)))
    bench.world.run(seconds=1)
    drone.ask(c.Claim(child))
    bench.world.run(seconds=5)
    shown = drone.show(child)
    assert shown["end"] == "completed"
    assert (shown["parent"]["ancestors"], shown["parent"]["broken"]) == ([], "its parent is not held here")


def test_a_forged_child_whose_parent_is_heard_of_late_goes_no_further() -> None:
    """Behaviour: 10.2: the parent comes while a step of the child runs; its result changes nothing."""
    bench = Bench("base", "drone")
    bench.base.ask(c.Hold())
    child = forge(bench, {})
    drone = bench.world.device("drone")
    bench.world.takes("shoot", minutes=1)
    bring(drone, bench.base.ask(c.Export(child)))
    bench.world.run(seconds=1)
    drone.ask(c.Claim(child))
    bench.world.run(seconds=1)
    assert drone.show(child)["status"] == "attempting"
    bring(drone, bench.base.ask(c.Export("p")))
    bench.world.run(minutes=2)
    shown = drone.show(child)
    assert shown["end"] is None and shown["reason"] == "denied: delegation: lifetime beyond its parent's"


@pytest.mark.parametrize("join", ["some", 0, 2, True, 1.5])
def test_a_join_rule_that_is_none_is_refused(bench: Bench, join: Any) -> None:
    bench.base.submit("split", {"cells": ["a"], "join": join}, name="p")
    bench.world.run(seconds=1)
    assert "is no join rule" in bench.base.show("p")["error"]


def test_a_child_ends_while_a_step_of_its_parent_runs_and_is_taken_in_then(bench: Bench) -> None:
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=5)
    bench.world.takes("long", minutes=9)
    bench.base.submit("beside", name="p")
    bench.world.run(minutes=1)
    assert kinds(bench.base, "p").count("took") == 1 and bench.base.show("p")["status"] == "attempting"
    bench.world.run(minutes=10)
    assert bench.base.show("p")["result"] == ["picture of near", {"0": "picture of far"}]


def test_a_parent_is_replayed_where_its_children_are_not_held_and_says_the_same() -> None:
    """Behaviour: 10.8: the ends that the body saw stand in the parent's own history."""
    bench = Bench("base", DevicePlan("drone"))
    bench.base.submit("late", "a", name="other")
    bench.base.submit("split", {"cells": ["a", "bad b"]}, name="p")
    bench.world.run(seconds=5)
    capsule = bench.base.ask(c.Export("p"))
    drone = bench.world.device("drone")
    bring(drone, capsule)
    bench.world.run(seconds=1)
    assert bench.objects("drone") == 1
    live = drone.node.parts.spool.find(bytes.fromhex(drone.show("p")["object"]))
    assert live is not None
    intent = drone.node.parts.intent_of(live)
    assert intent is not None
    body = drone.node.turner._open_body(live, intent, drone.node.judgement.world(live, intent, 0))
    assert body.ended is not None and body.take_made() == []
    assert getattr(body.ended, "value", None) == live.state.content.finish.value  # type: ignore[union-attr]
    live.body = None
    body.free()


def test_the_derived_rows_of_a_family_are_rebuilt(bench: Bench) -> None:
    bench.base.submit("deep", 2, name="p")
    bench.world.run(seconds=5)
    before = bench.base.store.run("SELECT * FROM families ORDER BY 1, 2").fetchall()
    assert len(before) == 3
    with bench.base.store.transaction():
        bench.base.node.rebuild()
    assert bench.base.store.run("SELECT * FROM families ORDER BY 1, 2").fetchall() == before


# --- Rights ------------------------------------------------------------------------------------------------------------


def kits(device: Device, reference: str) -> dict[str, int]:
    (row,) = device.show(reference)["rights"]
    return {word: row[word] for word in row if word != "name" and row[word]}


def test_rights_move_to_children_in_the_commit_that_makes_them_and_never_come_back() -> None:
    """Behaviours: 10.3, 15.8: moved, not copied; a child spends its own and no more."""
    bench = Bench("base")
    bench.base.submit("share", {"kits": [3, 2], "own": 4}, name="p", rights={"kits": 10})
    bench.world.run(seconds=5)
    shown = bench.base.show("p")
    assert shown["result"]["values"] == {
        "0": ["picture of 3", "refused: rights: 1 kits asked, 0 left"],
        "1": ["picture of 2", "refused: rights: 1 kits asked, 0 left"],
    }
    assert kits(bench.base, "p") == {"granted": 10, "left": 1, "spent": 4, "delegated": 5}
    for child, amount in zip(shown["children"], (3, 2), strict=True):
        assert kits(bench.base, child["object"]) == {"granted": amount, "spent": amount}
        assert bench.base.show(child["object"])["parent"]["broken"] is None


@pytest.mark.parametrize(("shares", "own"), [([6, 5], 0), ([5, 4], 2), ([11], 0)])
def test_more_rights_than_are_left_are_refused_and_nothing_is_made(shares: list[int], own: int) -> None:
    """Behaviour: 10.3: the sum of all counts; the refusal is recorded, so that a replay meets the same."""
    bench = Bench("base")
    bench.base.submit("share", {"kits": shares, "own": own}, name="p", rights={"kits": 10})
    bench.world.run(seconds=5)
    bench.world.crash("base")
    bench.base.signal("p", "refused")
    bench.world.run(seconds=5)
    assert bench.base.show("p")["result"] == f"delegate: rights: {sum(shares)} kits asked, {10 - own} left; no child was made"
    assert bench.objects() == 1 and kits(bench.base, "p").get("left") == 10 - own


def test_a_childs_rights_go_with_it_to_another_device() -> None:
    """Behaviours: 10.3, 19.1 at 400 s."""
    bench = Bench("base", DevicePlan("drone", has=("camera",)))
    bench.base.submit("share", {"kits": [7], "needs": ["camera"]}, name="p", rights={"kits": 24})
    bench.world.link("base", "drone", up=True)
    bench.world.run(minutes=1)
    shown = bench.base.show("p")
    child = shown["children"][0]["object"]
    assert bench.base.show(child)["custodian_name"] == "drone"
    assert kits(bench.base, child) == {"granted": 7, "spent": 7} and kits(bench.base, "p") == {
        "granted": 24, "left": 17, "delegated": 7,
    }  # fmt: skip


def test_a_parent_that_gives_more_than_it_has_gives_nothing() -> None:
    """Behaviours: 10.2, 10.3: a custodian that forges `delegated` makes no right; the child is denied by the field."""
    bench = Bench("base", "drone")
    child = forge(bench, {"lifetime_ms": HOUR_MS, "rights": (("kits", 3),)}, slot_rights=(("kits", 3),))
    assert bench.base.show(child)["end"] is None
    assert bench.base.show(child)["reason"] == "denied: delegation: rights beyond its parent's"

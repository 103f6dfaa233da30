"""A spool with a limit: what goes first, what never goes, what is refused then, and that room comes back."""

from __future__ import annotations

import sqlite3

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import (
    ENDED_KEPT_MS_DEFAULT, HANDED_KEPT_MS, INTEGER_MAX, VACUUM_PAGES_KEPT, VACUUM_PAGES_MAX,
)  # fmt: skip
from edge_runtime.base.units import DAY_MS, HOUR_MS, KIB
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.effects import Teller
from edge_runtime.node.eviction import StoreTerms
from edge_runtime.node.store import Store
from edge_runtime.objects import bodies as b
from edge_runtime.objects.entries import Draft, seal
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import make
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.small_spools import KEEPS_ALL, SMALL, gone, hold, make_world, names, pass_days
from tests.support.world_checks import WorldChecks


def carrier(terms: StoreTerms = SMALL, **fields: object) -> World:
    """Return a world in which `relay` carries what `base` makes."""
    return make_world("base", DevicePlan("relay", roles=("relay",), store=terms, **fields))  # type: ignore[arg-type]


def meet(world: World, one: str = "base", other: str = "relay", seconds: int = 5) -> None:
    world.link(one, other, up=True)
    world.run(seconds=seconds)
    world.link(one, other, up=False)


def accept_and_say_no_more(giver: Device, taker: Device) -> None:
    """Give one device the other's acceptance of the only object, and nothing that follows it."""
    live = giver.node.parts.spool.find_row(1)
    assert live is not None
    history = live.state.history
    accepted = make(Kind.ACCEPTED, b.AcceptedClear(history.view.tip, history.view.number))
    grant = taker.node.parts.members.grant_under(history.created.roots)
    assert grant is not None
    draft = Draft(
        live.object, tuple(history.heads), grant[0], bytes(8), 999_999, history.height_over(history.heads),
        history.view.number, 0, taker.trust, giver.node.parts.spool.age_ms(live), True, (accepted,),
    )  # fmt: skip
    raws = (taker.node.parts.members.grant_bytes(grant[0]),)
    with giver.store.transaction():
        taken = giver.node.intake.take(live.object, raws, (seal(taker.key, draft),), 0, True)
        assert taken.new == 1
        giver.node.turner.go_on(live)


def fill(world: World, name: str = "base") -> list[str]:
    """Submit until it is refused; return the names that were taken."""
    device, taken = world.device(name), list[str]()
    for number in range(100):
        try:
            hold(device, f"o{number}")
        except UsageError as error:
            assert error.exit is Exit.REFUSED
            return taken
        taken.append(f"o{number}")
        world.run()
    raise AssertionError("it is never full")


def test_the_file_of_a_new_spool_can_shrink(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Set before the journal is a log: after it, SQLite keeps it off and does not say so."""
    store = Store.open(sqlite3.connect(str(tmp_path / "spool.db"), isolation_level=None))
    assert store.run("PRAGMA auto_vacuum").fetchone() == (2,)
    assert store.run("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_full_spool_refuses_submissions_and_lets_what_runs_finish() -> None:
    """Behaviour: 14.7, 18.2."""
    world = make_world(DevicePlan("base", store=SMALL))
    base, checks = world.device("base"), WorldChecks(world)
    taken = fill(world)
    assert len(taken) >= 3 and names(base) == taken and gone(base) == []
    with pytest.raises(UsageError, match=r"\[store\] max_bytes.*cancel") as refused:
        hold(base, "more")
    assert refused.value.exit is Exit.REFUSED and names(base) == taken
    used = base.ask(c.Status())["bytes"]
    assert used["used"] > used["limit"] - used["reserve"]
    base.signal(taken[0], "go")
    assert base.show(taken[0])["end"] == "completed", "what runs may use the reserve"
    checks.at_rest()


def test_a_full_spool_takes_in_again_when_something_ended_and_its_time_is_over() -> None:
    world = make_world(DevicePlan("base", store=SMALL))
    base = world.device("base")
    taken = fill(world)
    base.ask(c.Cancel(taken[1]))
    world.run(minutes=1)
    assert base.show(taken[1])["end"] == "cancelled", "it is kept: its retention is not over"
    with pytest.raises(UsageError):
        hold(base, "more")
    pass_days(world, base, 7)
    assert taken[1] not in names(base) and gone(base) == ["ended, past its retention"]
    assert hold(base, "more")["status"] == "dormant"


def test_what_has_ended_goes_after_seven_days_and_leaves_its_signed_end() -> None:
    """Behaviour: 14.7."""
    world = make_world("base")
    base, checks = world.device("base"), WorldChecks(world)
    hold(base, "short", intent="finish")
    hold(base, "long")
    shown = base.show("short")
    assert shown["end"] == "completed"
    world.run(ms=ENDED_KEPT_MS_DEFAULT - HOUR_MS)
    assert names(base) == ["short", "long"]
    base.ask(c.Status())
    assert names(base) == ["short", "long"]
    world.run(hours=2)
    base.ask(c.Status())
    assert names(base) == ["long"]
    left = base.node.parts.eviction.tombstones.find(bytes.fromhex(shown["object"]))
    assert left is not None and left.ended == 0 and left.terminated
    with pytest.raises(UsageError, match="short.*past its retention.*completed") as missing:
        base.show("short")
    assert missing.value.exit is Exit.NOT_FOUND
    checks.at_rest()


def test_a_name_whose_object_ended_and_went_is_not_used_for_a_second_one() -> None:
    world = make_world("base")
    base = world.device("base")
    hold(base, "daily", intent="finish")
    pass_days(world, base, 8)
    with pytest.raises(UsageError, match="Choose another name") as refused:
        hold(base, "daily", intent="finish")
    assert refused.value.exit is Exit.REFUSED


def test_ended_objects_beyond_their_share_go_oldest_first() -> None:
    world = make_world(DevicePlan("base", store=StoreTerms(max_bytes=512 * KIB, ended_percent=10)))
    base = world.device("base")
    for number in range(8):
        hold(base, f"o{number}", intent="finish")
        world.run(seconds=1)
    assert names(base) == ["o5", "o6", "o7"] or names(base) == ["o4", "o5", "o6", "o7"]
    assert set(gone(base)) == {"ended, beyond its share"}
    assert base.ask(c.Status())["bytes"]["ended"] <= 512 * KIB // 10


def test_what_is_past_its_lifetime_goes_first_then_what_ended_then_what_is_least_urgent() -> None:
    """Behaviour: 14.7."""
    world = carrier(KEEPS_ALL)
    base, relay = world.device("base"), world.device("relay")
    for name, fields in (
        ("expired", {"lifetime_ms": DAY_MS}), ("ended", {"intent": "finish", "lifetime_ms": 300 * DAY_MS}),
        ("idle", {"priority": 15}), ("late", {"priority": 3, "lifetime_ms": 200 * DAY_MS}),
        ("soon", {"priority": 3}), ("urgent", {"priority": 0}),
    ):  # fmt: skip
        hold(base, name, **{"lifetime_ms": 100 * DAY_MS, **fields})  # type: ignore[arg-type]
    meet(world)
    assert len(names(relay)) == 6
    eviction = relay.node.parts.eviction
    eviction._next_sweep_ms = 1 << 60  # nothing goes for its time alone: the order is what is looked at
    world.run(days=8)
    called = {bytes.fromhex(relay.show(name)["object"]): name for name in names(relay)}
    eviction.replace(StoreTerms(1, ended_percent=100, carried_percent=100))
    with relay.store.transaction():
        order = [called[note.object] for note in eviction.tend(True)]
    assert order == ["expired", "ended", "idle", "late", "soon", "urgent"]


def test_a_relay_lets_the_least_urgent_go_and_fetches_nothing_again() -> None:
    """Behaviour: 14.7, 19.7."""
    world = carrier()
    base, relay, checks = world.device("base"), world.device("relay"), WorldChecks(world)
    for number in range(8):
        hold(base, f"o{number}", priority=number)
    meet(world)
    kept = names(relay)
    assert sorted(kept) == [f"o{number}" for number in range(len(kept))] and 2 <= len(kept) < 8
    assert set(gone(relay)) == {"carried, for room"} and len(gone(relay)) == 8 - len(kept)
    bytes_in = []
    for _ in range(3):
        meet(world)
        bytes_in.append(relay.store.run("SELECT bytes_in FROM contacts ORDER BY n DESC LIMIT 1").fetchone()[0])
    assert names(relay) == kept and max(bytes_in) < 2 * KIB, "equal stores say little"
    hold(base, "new", priority=0)
    meet(world)
    assert "new" in names(relay) and len(names(relay)) <= len(kept)
    checks.at_rest()


def test_what_is_carried_for_others_has_a_share_of_its_own() -> None:
    world = carrier(StoreTerms(max_bytes=1_024 * KIB, carried_percent=5))
    for number in range(8):
        hold(world.device("base"), f"o{number}", priority=number)
    meet(world)
    status = world.device("relay").ask(c.Status())
    assert status["bytes"]["carried"] <= 1_024 * KIB * 5 // 100 and status["bytes"]["own"] == 0
    assert status["bytes"]["tombstones"] > 0 and status["bytes"]["blobs"] == 0
    (row,) = status["carried_for"]
    assert (row["name"], row["objects"]) == ("base", len(names(world.device("relay"))))
    assert set(gone(world.device("relay"))) == {"carried, beyond its share"}


def test_custody_handed_over_is_kept_until_the_new_custodian_is_heard() -> None:
    """Behaviour: 11.11: also if the new custodian drops it; here all that it writes after its acceptance is lost."""
    world = make_world("base", "drone", "third")
    base, drone, third = (world.device(name) for name in ("base", "drone", "third"))
    for one in ("drone", "third"):
        meet(world, "base", one)
    meet(world, "drone", "third")
    hold(base, "given", priority=15)
    base.ask(c.Hand("drone", "given"))
    meet(world, "base", "drone")
    drone.ask(c.Hand("third", "given"))
    accept_and_say_no_more(drone, third)
    assert drone.show("given")["custodian_name"] == "third"
    row = drone.store.run("SELECT object, pin_ms FROM shelf").fetchone()
    assert row[1] > drone.node.parts.timeline.life_ms
    eviction = drone.node.parts.eviction
    eviction.replace(StoreTerms(1, ended_percent=100, carried_percent=0))
    with drone.store.transaction():
        assert eviction.tend(True) == [] and names(drone) == ["given"]
    world.run(ms=HANDED_KEPT_MS + HOUR_MS)
    drone.fact("x", 1)
    assert names(drone) == [] and gone(drone) == ["carried, beyond its share"]


def test_custody_of_which_the_new_custodian_has_written_since_may_go() -> None:
    """Behaviour: 11.11."""
    world = make_world("base", "drone", "third")
    base, drone, third = (world.device(name) for name in ("base", "drone", "third"))
    for one in ("drone", "third"):
        meet(world, "base", one)
    meet(world, "drone", "third")
    hold(base, "given")
    base.ask(c.Hand("drone", "given"))
    meet(world, "base", "drone")
    drone.ask(c.Hand("third", "given"))
    meet(world, "drone", "third")
    assert drone.show("given")["custodian_name"] == "third" and third.show("given")["status"] == "dormant"
    third.signal("given", "go")
    meet(world, "drone", "third")
    assert drone.store.run("SELECT pin_ms FROM shelf").fetchone() == (0,)


def test_a_child_that_ended_stays_while_its_parent_here_has_not() -> None:
    world = make_world(DevicePlan("base", has=("camera",)))
    base = world.device("base")
    base.submit("split", {"cells": 2, "seconds": 20 * 86_400}, name="job")
    world.run(seconds=1)
    base_rows = base.store.run("SELECT count(*) FROM shelf").fetchone()[0]
    assert base_rows == 3 and base.show("job")["end"] == "completed"
    pass_days(world, base, 8)
    assert names(base) == []


def test_free_pages_go_back_to_the_disk_in_slices_and_then_nothing_ticks() -> None:
    """Behaviour: 18.5."""
    world = make_world("base")
    base = world.device("base")
    for number in range(80):
        hold(base, f"o{number}", intent="finish")
    world.run(seconds=1)
    before = base.ask(c.Status())["bytes"]["file"]
    slices: list[int] = []
    world.watchers.append(lambda device, events, turn: slices.append(base.store.run("PRAGMA page_count").fetchone()[0]))
    pass_days(world, base, 8)
    after = base.ask(c.Status())["bytes"]
    assert after["file"] < before // 2 and names(base) == []
    free = base.store.run("PRAGMA freelist_count").fetchone()[0]
    assert free <= VACUUM_PAGES_KEPT
    assert max(a - b for a, b in zip(slices, slices[1:], strict=False)) <= VACUUM_PAGES_MAX + 1
    world.run(minutes=15)  # what is stored is read again once a week
    turns, changes = world.turns, base.connection.total_changes
    world.run(hours=3)
    assert world.turns == turns, "an idle device does nothing"
    assert base.connection.total_changes == changes, "and writes nothing"


def test_other_terms_count_at_once() -> None:
    world = carrier(KEEPS_ALL)
    for number in range(8):
        hold(world.device("base"), f"o{number}", priority=number)
    meet(world)
    relay = world.device("relay")
    assert len(names(relay)) == 8
    relay.node.parts.eviction.replace(SMALL)
    world.run(seconds=1)
    relay.fact("x", 1)
    world.run(seconds=1)
    assert len(names(relay)) < 8


@pytest.mark.parametrize("to", Teller)
def test_an_end_that_is_still_to_be_told_stays_until_it_is(to: Teller) -> None:
    world = make_world("base")
    base = world.device("base")
    base.inbox.append(e.Called(lambda: base.node.results.watch("out", to)))
    world.run(seconds=1)
    made = hold(base, "told", labels=["out"])
    base.signal("told", "go")
    world.run(seconds=1)
    pass_days(world, base, ENDED_KEPT_MS_DEFAULT // DAY_MS + 2)
    assert names(base) == ["told"], "its retention is over, and nobody has it yet"
    base.inbox.append(e.Called(lambda: base.node.results.strike(bytes.fromhex(made["object"]), to)))
    pass_days(world, base, 1)
    assert names(base) == []


def test_an_offer_that_never_ends_does_no_harm_to_whom_it_is_made() -> None:
    """Behaviour: 14.7: the largest age there is, said to a device that can take nothing now, fits its store."""
    world = make_world("base", "drone")
    base, drone = world.device("base"), world.device("drone")
    world.run(hours=2)
    hold(base, "it", kib=1)
    live = base.node.parts.spool.find_row(1)
    assert live is not None
    offered = make(Kind.OFFERED, b.OfferedClear(drone.key.public, live.state.history.view.number + 1, INTEGER_MAX, ""))
    drone.node.returning.begin("a test")
    with base.store.transaction():
        live.made.append(offered)
        base.node.parts.pen.write_turn(live, base.node.parts.spool.age_ms(live))
    meet(world, "base", "drone")
    assert names(drone) == ["it"] and drone.store.run("SELECT pin_ms FROM shelf").fetchone()[0] == INTEGER_MAX


def test_what_goes_first_of_what_is_carried_is_found_without_a_look_at_all_of_it() -> None:
    """Behaviour: 14.7: at 100,000 objects a full spool would else sort them for each event."""
    run = Store.open(sqlite3.connect(":memory:", isolation_level=None)).run
    order = "class DESC, deadline_ms DESC, bytes DESC, object DESC"
    plan = run(
        f"EXPLAIN QUERY PLAN SELECT object FROM shelf WHERE is_mine = 0 AND origin != x'' ORDER BY {order}"
    ).fetchall()
    assert "shelf_carried" in plan[0][3], plan

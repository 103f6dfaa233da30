"""Stored entries are read again in slices when nothing else is to be done, and what is damaged is found before its use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from edge_runtime.base.limits import SCRUB_EVERY_MS, SCRUB_IDLE_MS, SCRUB_SAVE_SLICES, SCRUB_SLICE_BYTES
from edge_runtime.base.units import DAY_MS
from edge_runtime.node import commands as c
from edge_runtime.node import scrubbing
from edge_runtime.node.scrubbing import REACHED, Scrub
from edge_runtime.testing import Device, World
from tests.support.world_app import Doings, make_app

WEEK_DAYS = SCRUB_EVERY_MS // DAY_MS


def flip_a_bit(device: Device, name: str) -> None:
    """Damage the last entry of an object in the store; what the device holds in memory stays as it was."""
    live = device.node.parts.spool.find(bytes.fromhex(device.show(name)["object"]))
    assert live is not None
    run = device.store.run
    at, raw = run("SELECT at, raw FROM entries WHERE object = ? ORDER BY at DESC LIMIT 1", (live.row,)).fetchone()
    run("UPDATE entries SET raw = ? WHERE at = ?", (raw[:9] + bytes([raw[9] ^ 1]) + raw[10:], at))


def make_world(objects: int = 3) -> tuple[World, Device]:
    world = World("base", apps=[make_app(Doings())])
    base = world.device("base")
    for number in range(objects):
        base.submit("ask", {"seconds": 10**7}, name=f"n{number}", lifetime_ms=100 * DAY_MS)
    return world, base


def test_a_device_to_which_nothing_happens_is_not_woken_to_read_and_the_first_event_after_a_week_begins_it() -> None:
    """Behaviour: 18.3: the alarm stands for slices only, and falls silent when all is read."""
    world, base = make_world()
    world.run(days=WEEK_DAYS + 1)
    assert base.node.scrub.next_ms() is None
    base.signal("n0", "note", 1)
    life_ms = base.node.parts.timeline.life_ms
    assert base.node.scrub.next_ms() == life_ms + SCRUB_IDLE_MS
    assert base.ask(c.Status())["scrub"] == {"checked_ms_ago": None, "is_under_way": True, "problem": None}
    world.run(minutes=30)
    assert base.node.scrub.next_ms() is None
    told = base.ask(c.Status())["scrub"]
    assert not told["is_under_way"] and told["problem"] is None and 0 < told["checked_ms_ago"] <= 30 * 60_000
    world.run(days=WEEK_DAYS - 1)
    base.signal("n0", "note", 2)
    assert base.node.scrub.next_ms() is None, "not sooner than after a week"


def test_a_start_reads_nothing_even_where_a_look_is_overdue() -> None:
    world, base = make_world()
    world.run(days=3 * WEEK_DAYS)
    world.crash("base")
    world.run(seconds=60)
    base.ask(c.Status())
    assert base.node.scrub.report()["checked_ms_ago"] is None
    world.run(minutes=15)
    assert base.node.scrub.report()["checked_ms_ago"] is not None


def test_an_object_damaged_at_rest_is_set_aside_before_anybody_asks_for_it() -> None:
    """Behaviour: 18.3: the others are read to the end in the same pass, and go on."""
    world, base = make_world()
    world.run(days=WEEK_DAYS + 1)
    flip_a_bit(base, "n1")
    base.ask(c.Status())
    world.run(minutes=30)
    assert [row["name"] for row in base.ask(c.Status())["quarantined"]] == ["n1"]
    assert base.node.scrub.report()["checked_ms_ago"] is not None
    base.signal("n2", "answer", "on")
    world.run(seconds=1)
    assert base.show("n2")["result"] == "on"


def slices(world: World, base: Device) -> Iterator[int]:
    """Let a pass go on until its end, and yield how far it is after each slice."""
    for _ in range(10_000):
        due_ms = base.node.scrub.next_ms()
        if due_ms is None:
            return
        world.run(ms=max(1, due_ms - base.node.parts.timeline.life_ms))
        yield base.node.scrub._at
    raise AssertionError("it never ends")


def fill(base: Device, objects: int) -> None:
    for number in range(objects):
        base.submit("ask", {"seconds": 10**7}, name=f"large{number}", lifetime_ms=100 * DAY_MS)
        base.signal(f"large{number}", "note", "x" * 15_000)


def test_a_pass_is_cut_into_slices_and_writes_nothing_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaviour: 18.5."""
    world, base = make_world()
    fill(base, 40)
    size = base.store.run("SELECT sum(length(raw)) FROM entries").fetchone()[0]
    world.run(days=WEEK_DAYS + 1)
    base.ask(c.Status())
    changes = base.store.connection.total_changes
    seen: list[int] = []
    monkeypatch.setattr(scrubbing, "hash256", lambda raw, real=scrubbing.hash256: (seen.append(len(raw)), real(raw))[1])
    before, count, most = 0, 0, 0
    for _ in slices(world, base):
        count, most, before = count + 1, max(most, sum(seen) - before), sum(seen)
    assert sum(seen) == size, "each entry was read once"
    assert count >= size // SCRUB_SLICE_BYTES and most < SCRUB_SLICE_BYTES + 64 * 1_024
    assert base.store.connection.total_changes - changes <= 8, "where it ended, and the clock"


def test_a_pass_that_a_power_cut_interrupts_goes_on_where_it_was_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubbing, "SCRUB_SAVE_SLICES", 2)
    assert SCRUB_SAVE_SLICES > 2
    world, base = make_world()
    fill(base, 40)
    world.run(days=WEEK_DAYS + 1)
    base.ask(c.Status())
    going = slices(world, base)
    reached = [next(going) for _ in range(3)]
    world.crash("base", power_cut=True)
    world.run(seconds=1)
    assert 0 < base.store.get_meta(REACHED) == base.node.scrub._at == reached[1]
    base.ask(c.Status())
    again = list(slices(world, base))
    assert min(again[:-1]) > reached[1] and again[-1] == 0, "on from there, and the next pass from the beginning"
    assert base.node.scrub.report()["checked_ms_ago"] is not None and base.store.get_meta(REACHED) == 0


def test_pages_that_all_need_are_said_once_and_the_device_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaviour: 18.3: nobody but the look needed them, so nothing stops for it."""
    world, base = make_world()
    world.run(days=WEEK_DAYS + 1)
    base.ask(c.Status())
    looks: list[int] = []

    def fail(self: Scrub) -> bool:
        looks.append(1)
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    monkeypatch.setattr(Scrub, "_read_slice", fail)
    world.run(hours=5)
    assert looks == [1]
    told = base.ask(c.Status())["scrub"]
    assert "malformed" in told["problem"] and not told["is_under_way"] and told["checked_ms_ago"] is None
    base.signal("n2", "answer", "on")
    world.run(seconds=1)
    assert base.show("n2")["result"] == "on"

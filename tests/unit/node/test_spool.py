"""What a peer says of an object's age (only the custodian's own turns count), and what is kept in memory."""

from __future__ import annotations

import asyncio

import pytest

from edge_runtime import App, Context
from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import INTEGER_MAX
from edge_runtime.base.moment import Trust
from edge_runtime.node import commands as c
from edge_runtime.node import spool
from edge_runtime.objects.entries import Draft, Entry, seal
from edge_runtime.objects.records import Record
from edge_runtime.testing import Device, World
from tests.support.histories import learned, signalled


def written_by(liar: Device, object_id: bytes, record: Record) -> Entry:
    """Return an entry of a member over the object's first one, claiming the greatest age there is."""
    parts = liar.node.parts
    _, _, grant = parts.members.current_fleet()
    draft = Draft(
        object_id, (object_id,), grant, b"liarboot", 900, 1, 0, 0, Trust.NONE, INTEGER_MAX, True, (record,)
    )
    return seal(parts.members.key, draft)


@pytest.mark.parametrize("record", [learned("0/0/x:1"), signalled("go")], ids=["void turn", "signal"])
def test_a_member_that_lies_about_the_age_cannot_expire_an_object(record: Record) -> None:
    """Behaviours: 12.10, 12.13: what has no effect does not age the object, and a signal does not either."""
    world = World("one", "two")
    world.link("one", "two", up=True)
    world.run(seconds=1)
    one, two = world.device("one"), world.device("two")
    made = one.ask(c.Submit("later", needs=["nobody"]))["object"]
    world.run(seconds=1)
    object_id = bytes.fromhex(made)
    entry = written_by(two, object_id, record)
    store = one.node.parts.store
    with store.transaction():
        taken = one.node.intake.take(object_id, (), [entry], 0, True)
        assert taken.new == 1 and taken.live is not None
        one.node.turner.go_on(taken.live)
    world.run(seconds=5)
    shown = one.show(made)
    assert shown["status"] == "dormant" and shown["age_ms"] < 60_000, shown


def test_more_heads_than_an_entry_may_name_do_not_stop_the_custodian() -> None:
    """Behaviour: 12.13: forty signals written apart are forty heads; an entry names sixteen of them."""
    world = World("one", "two")
    world.link("one", "two", up=True)
    world.run(seconds=1)
    one, two = world.device("one"), world.device("two")
    made = one.ask(c.Submit("later", needs=["nobody"]))["object"]
    world.run(seconds=1)
    object_id = bytes.fromhex(made)
    entries = []
    for number in range(40):
        parts = two.node.parts
        _, _, grant = parts.members.current_fleet()
        draft = Draft(
            object_id, (object_id,), grant, b"manyboot", 900 + number, 1, 0, 0, Trust.NONE, 0, True,
            (signalled(f"s{number}"),),
        )  # fmt: skip
        entries.append(seal(parts.members.key, draft))
    with one.node.parts.store.transaction():
        taken = one.node.intake.take(object_id, (), entries, 0, True)
        assert taken.new == 40
    assert len(one.show(made)["heads"]) > 16
    hand = one.ask(c.Hand(to="two", object=made))
    assert hand["offered"] == 1 and "offered to two" in one.show(made)["reason"]


def test_an_object_that_cannot_be_read_here_sleeps_when_it_is_claimed() -> None:
    """Behaviour: 12.11: content sealed for others shows as withheld; custody of it makes no busy loop."""
    world = World("one", "two")
    world.link("one", "two", up=True)
    world.run(seconds=1)
    one, two = world.device("one"), world.device("two")
    made = two.ask(c.Submit("later", needs=["nobody"]))["object"]
    world.run(seconds=1)
    live = one.node.parts.spool.find(bytes.fromhex(made))
    assert live is not None
    parts = two.node.parts
    _, _, grant = parts.members.current_fleet()
    heads = tuple(live.state.history.heads)
    sealed = Record(learned("0/0/x:1").kind, learned("0/0/x:1").clear, b"\x01" + b"s" * 40)
    height = live.state.history.height_over(heads)
    draft = Draft(live.object, heads, grant, b"sealboot", 900, height, 0, 0, Trust.NONE, 0, True, (sealed,))
    with one.node.parts.store.transaction():
        one.node.intake.take(live.object, (), [seal(parts.members.key, draft)], 0, True)
    one.ask(c.Claim(made))
    assert "cannot read" in one.show(made)["reason"]
    due_ms = one.node.alarm_boot_ms()
    assert due_ms is None or due_ms > world.now_ms + 1_000


def test_the_cache_drops_what_sleeps_longest_and_keeps_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("cache")

    @app.intent("runs")
    async def runs(ctx: Context) -> int:
        return await ctx.run("long", int, 1)

    @app.intent("sleeps")
    async def sleeps(ctx: Context) -> None:
        await asyncio.sleep(3_600)

    monkeypatch.setattr(spool, "STATE_CACHE_BYTES_MAX", 10 * 6_000)
    world = World("one", apps=[app])
    world.takes("long", hours=1)
    one = world.device("one")
    running = one.submit("runs")["object"]
    sleeping = [one.submit("sleeps")["object"] for _ in range(40)]
    loaded = [live.object.hex() for live in one.node.parts.spool.loaded()]
    assert running in loaded and sleeping[0] not in loaded and sleeping[-1] in loaded
    assert 2 <= len(loaded) <= 20
    assert one.show(sleeping[0])["status"] == "dormant"


def test_meta_and_derived_rows_in_memory_are_dropped_with_what_was_rolled_back() -> None:
    """Behaviour: 18.1: after a failed event nothing of it counts, in memory neither."""
    world = World("one")
    one = world.device("one")
    store = one.node.parts.store
    assert store.get_meta("held", 0) == 0
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.set_meta("held", 1)
        raise ZeroDivisionError
    assert store.get_meta("held", 0) == 0
    made = one.ask(c.Submit("later", needs=["nobody"]))["object"]
    with pytest.raises(UsageError):
        one.ask(c.Hand(to="nobody", object=made))
    one.signal(made, "a")
    live = one.node.parts.spool.find(bytes.fromhex(made))
    assert live is not None and live.shelved is not None
    kept = store.run("SELECT * FROM shelf WHERE object = ?", (live.row,)).fetchone()
    assert kept == live.shelved.row

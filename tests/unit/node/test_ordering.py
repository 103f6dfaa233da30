"""What goes first in a contact that may end at any moment: receipts of custody, then by priority, deadline and size."""

from __future__ import annotations

from collections.abc import Sequence

from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.effects import Send, Turn
from edge_runtime.node.messages import Entries, decode_message
from edge_runtime.node.ordering import BATCH_BYTES, RECEIPT, REST, batch_of, rank_of
from edge_runtime.node.spool import Live
from edge_runtime.objects.entries import reopen
from edge_runtime.objects.kinds import Kind
from edge_runtime.testing import Device, World
from tests.support.small_spools import hold, make_world


def handed_over(kib: int = 1) -> tuple[World, Device, Device]:
    """Return a world in which `drone` has accepted what `base` gave, and died before it could say so."""
    world = make_world("base", "drone")
    base, drone = world.device("base"), world.device("drone")
    world.link("base", "drone", up=True)
    world.run(seconds=2)
    hold(base, "given", kib=kib, priority=15)
    world.run(seconds=2)
    world.link("base", "drone", up=False)
    base.ask(c.Hand("drone", "given"))
    world.link("base", "drone", up=True)
    drone_has_accepted = False
    for _ in range(200):
        world.run(ms=1)
        shown = drone.show("given")
        if shown["custodian_name"] == "drone":
            world.link("base", "drone", up=False)
            drone_has_accepted = True
            break
    assert drone_has_accepted
    return world, base, drone


def live_of(device: Device, name: str) -> Live:
    live = device.node.parts.spool.find(bytes.fromhex(device.show(name)["object"]))
    assert live is not None
    return live


def test_receipts_of_custody_go_before_what_is_more_urgent_and_larger() -> None:
    """Behaviour: 14.13, 19.7."""
    world, base, drone = handed_over()
    assert base.show("given")["reason"].startswith("offered to drone")
    hold(drone, "urgent", kib=14, priority=0)
    hold(drone, "later", kib=1, priority=9)
    hold(drone, "sooner", kib=1, priority=9, lifetime_ms=10_000_000)
    sent: list[tuple[str, list[int]]] = []
    called = {live_of(drone, name).object: name for name in ("given", "urgent", "later", "sooner")}

    def watch(device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        for effect in turn.effects if device is drone else ():
            for message in map(decode_message, effect.messages) if isinstance(effect, Send) else ():
                if isinstance(message, Entries):
                    kinds = [record.kind for raw in message.entries for record in reopen(raw).records]
                    sent.append((called[message.object], kinds))

    world.watchers.append(watch)
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    assert sent[0][0] == "given" and Kind.ACCEPTED in sent[0][1]
    rest = [name for name, _ in sent if name != "given"]
    assert rest == ["urgent", "sooner", "later"]
    assert base.show("given")["custodian_name"] == "drone"


def test_a_receipt_is_the_entries_up_to_the_acceptance_and_no_more() -> None:
    """Behaviour: 14.13: what is cut after it is a valid prefix."""
    world, base, drone = handed_over()
    drone.signal("given", "go")
    live = live_of(drone, "given")
    known = tuple(live_of(base, "given").state.history.heads)
    rank = rank_of(live, known, 5)
    assert rank[0] == RECEIPT
    batch, left = batch_of(live, rank, known)
    assert batch[-1].id == live.state.history.view.act and left == (REST, *rank[1:])
    heads = (batch[-1].id,)
    assert rank_of(live, heads, 5)[0] == REST, "it is told"
    rest, nothing = batch_of(live, left, heads)
    ids = [entry.id for entry in (*batch, *rest)]
    assert nothing is None and ids == [entry.id for entry in live.state.history.after(known)]


def test_a_receipt_behind_more_than_one_message_waits_for_its_turn() -> None:
    world, base, drone = handed_over()
    for number in range(6):
        drone.signal("given", f"s{number}", "x" * 12_000)
    live = live_of(drone, "given")
    live.state.history.view.act  # the acceptance stands before the signals: here a claim comes after them
    drone.ask(c.Claim("given"))
    rank = rank_of(live, (), 5)
    assert live.state.history.bytes_size > BATCH_BYTES and rank[0] in (RECEIPT, REST)
    batch, left = batch_of(live, (RECEIPT, *rank[1:]), ())
    if live.state.history.view.act != live.object:
        sizes = 0
        for entry in live.state.history.after(()):
            sizes += len(entry.raw)
            if entry.id == live.state.history.view.act:
                break
        assert (batch == []) == (sizes > BATCH_BYTES) and left == (REST, *rank[1:])


def test_an_object_that_was_never_handed_over_has_no_receipt() -> None:
    world = make_world("base")
    base = world.device("base")
    hold(base, "own", kib=1)
    assert rank_of(live_of(base, "own"), (), 7)[0] == REST

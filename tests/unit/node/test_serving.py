"""While nothing can be written: questions are answered, peers get what is here, and nothing of it stays."""

from __future__ import annotations

from functools import partial
from typing import Any

from edge_runtime.base.errors import Exit
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node import messages as m
from edge_runtime.node.effects import Answer, Send
from edge_runtime.node.room import Shortage
from edge_runtime.node.serving import READING, say_broken, serve
from edge_runtime.testing import Device, World
from tests.support.world_app import Doings, make_app

WHY = "the spool cannot be written"


def broken(world: World, name: str) -> Device:
    device = world.device(name)
    say_broken(device.node, partial(device.node.hearing.say_room, Shortage.BROKEN, WHY))
    return device


def answers(device: Device, *commands: Any) -> list[Answer]:
    events = [e.Asked(number, command) for number, command in enumerate(commands)]
    turn, kept = serve(device.node, events, device.read_moment, WHY)
    assert kept == []
    return [effect for effect in turn.effects if isinstance(effect, Answer)]


def dump(device: Device) -> list[str]:
    return list(device.store.connection.iterdump())


def test_questions_are_answered_and_changes_refused() -> None:
    """Behaviour: 18.4."""
    world = World("base", apps=[make_app(Doings())])
    world.device("base").submit("ask", name="question")
    base = broken(world, "base")
    before = dump(base)
    shown, refused, status = answers(base, c.Show("question"), c.Signal("question", "answer", 1), c.Status())
    assert shown.value["status"] == "dormant" and status.value["storage"]["reason"] == WHY
    assert refused.error is not None and refused.error.exit is Exit.REFUSED and WHY in refused.error.message
    (missing,) = answers(base, c.Show("nobody"))
    assert missing.error is not None and missing.error.exit is Exit.NOT_FOUND
    assert dump(base) == before


def test_a_peer_gets_what_is_here_and_what_it_brings_is_not_stored() -> None:
    """Behaviour: 18.4: serving and advertising go on; an offer is refused."""
    world = World("base", "peer", apps=[make_app(Doings())])
    made = world.device("base").submit("ask", name="question")["object"]
    base, peer = broken(world, "base"), world.device("peer")
    before = dump(base)
    grants = peer.node.membership().grants
    opened = e.ContactOpened(7, peer.key.public, grants, "lan", "peer", True)
    want = e.Heard(7, m.Want((m.Head(bytes.fromhex(made), ()),)))
    turn, kept = serve(base.node, [opened, want, e.TimeCame()], base.read_moment, WHY)
    assert kept == [e.TimeCame()]
    sent = [m.decode_message(data) for effect in turn.effects if isinstance(effect, Send) for data in effect.messages]
    assert {m.Hello, m.Adverts, m.Denied, m.Entries} <= {type(message) for message in sent}
    assert next(message.subjects for message in sent if isinstance(message, m.Denied)), "nothing is to be offered"
    other = peer.submit("ask", name="other")["object"]
    live = peer.node.parts.spool.find(bytes.fromhex(other))
    assert live is not None
    entries = tuple(placed.entry for placed in live.state.history.placed.values())
    message = m.Entries(live.object, (), tuple(entry.raw for entry in entries), 0, True, 0, 0)
    serve(base.node, [e.Heard(7, message, entries)], base.read_moment, WHY)
    assert dump(base) == before and base.ask(c.List())[0]["object"] == made and len(base.ask(c.List())) == 1


def test_every_command_that_only_reads_is_answered() -> None:
    world = World("base", apps=[make_app(Doings())])
    world.device("base").submit("ask", name="question")
    base = broken(world, "base")
    commands = [kind("question") if kind in (c.Show, c.Wait, c.Trace, c.Explain, c.Export) else kind() for kind in READING]
    found = answers(base, *commands)
    assert len(found) == len(READING) - 1, "`wait` is answered when the object has ended"
    assert [answer.error for answer in found] == [None] * len(found)

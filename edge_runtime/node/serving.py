"""What a device does while nothing can be written: it answers questions, keeps contacts up and gives what it holds.

All of it happens inside a transaction that is rolled back. Nothing is said that would rest on a commit: an event that
appends anything is dropped with its effects. What must not be lost waits with the caller.

Source: ours, behaviour 18.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base.errors import Exit, UsageError
from ..base.foreign import contained
from ..base.moment import Moment
from . import commands as c
from . import events as e
from . import messages as m
from .asking import Refused
from .effects import Answer, Close, Effect, Note, Send, Turn
from .node import Node

READING = (
    c.Show, c.Wait, c.List, c.Trace, c.Explain, c.Facts, c.Peers, c.Contacts, c.Status, c.Apps, c.FleetShow, c.Export,
)  # fmt: skip
# What peers may say without anything being written here; the rest is told again in the next contact.
HEARD = (m.Hello, m.Heads, m.Want, m.Denied, m.Entries)


def serve(
    node: Node, events: Sequence[e.Event], read_moment: Callable[[], Moment], why: str
) -> tuple[Turn, list[e.Event]]:
    """Handle what needs no commit; return (turn, events that wait for one).

    Args:
        why: what is wrong with the store, for who asks for something that would be written.
    """
    total = Turn()
    kept: list[e.Event] = []
    store, contacts = node.parts.store, node.contacts
    known = dict.fromkeys(contacts.by_number)
    changes = store.connection.total_changes
    with contained() as caught, store.reading():
        for event in events:
            if _must_wait(event):
                kept.append(event)
                continue
            total.effects.extend(_serve_one(node, event, read_moment(), why))
    if caught.error is not None:
        total.effects.clear()  # reading fails, too: whoever asked hangs up or asks again
    if store.connection.total_changes != changes:
        node.forget_memory()
        for number, contact in contacts.by_number.items():
            if number not in known:
                contact.row = 0  # it was never written: its end changes no row
    return total, kept


def say_broken(node: Node, say: Callable[[], None]) -> Turn:
    """Let the node say to its peers that it takes in nothing; nothing is written."""
    node.parts.effects = []
    with contained(), node.parts.store.reading():
        say()
    return Turn(effects=_sayable(node.parts.effects))


def _must_wait(event: e.Event) -> bool:
    return not isinstance(
        event,
        (e.Asked, e.AskerGone, e.Imported, e.FleetMade, e.Inviting, e.Enrolling, e.ContactOpened, e.ContactEnded,
         e.Heard, e.Drained),
    )  # fmt: skip


def _serve_one(node: Node, event: e.Event, moment: Moment, why: str) -> list[Effect]:
    parts = node.parts
    parts.timeline.advance(moment)
    parts.effects, parts.appended = [], []
    with contained() as caught:
        match event:
            case e.Asked(ticket, command) if not isinstance(command, READING):
                return [_refusal(ticket, why)]
            case e.Imported(ticket) | e.FleetMade(ticket) | e.Inviting(ticket) | e.Enrolling(ticket):
                return [_refusal(ticket, why)]
            case e.Asked(ticket, command):
                node.asking.answer(ticket, command)
            case e.AskerGone(ticket):
                node.asking.forget(ticket)
            case e.ContactOpened():
                node.hearing.open_contact(event)
            case e.ContactEnded():
                node.hearing.end_contact(event)
            case e.Drained():
                node.contacts.hear_drained(event)
            case e.Heard(message=message) if isinstance(message, HEARD):
                node.hearing.hear(event)
                for object_id, offer, offerer, reason in node.custody.refusals:
                    node.contacts.refuse(object_id, offer, offerer, reason)
                node.custody.refusals.clear()
            case _:
                pass
    match caught.error:
        case Refused() as refused:
            return [Answer(refused.ticket, error=refused.error)]
        case None if not parts.appended:
            return _sayable(parts.effects)
        case error:
            what = "it would write" if error is None else f"{type(error).__name__}: {error}"
            return [_refusal(event.ticket, f"{why}; {what[:200]}")] if isinstance(event, e.Asked) else []


def _sayable(effects: Sequence[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, (Answer, Send, Close, Note))]


def _refusal(ticket: int, why: str) -> Answer:
    text = f"Nothing can be stored now: {why}. Nothing was changed; what is asked is answered from what is here."
    return Answer(ticket, error=UsageError(text, Exit.REFUSED, storage=why))

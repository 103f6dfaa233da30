"""Recorded histories played against the handlers that are here now: what would a new version break?

Nothing runs but the body: steps, signals and readings come from the records. The first call that differs is named, as
the device that goes on with the object would name it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import assert_never

from msgspec import Struct

from ..base.errors import PeerError
from ..objects import bodies as b
from ..objects.capsule import Capsule
from ..objects.content import Finish
from ..objects.entries import Entry
from ..objects.fold import ObjectState
from ..objects.grants import Role, verify_grant
from ..objects.history import roots_of_first
from .app import Intent
from .calls import Again, Cancelled, Completed, Delegated, Failed, Start
from .driver import Body
from .errors import Nondeterminism


class Verdict(Enum):
    """What came of it."""

    SAME = "same"
    DIFFERS = "differs"
    NO_APP = "no app"  # none that was loaded offers the intent
    UNREADABLE = "unreadable"  # its entries do not make an object, or its content is sealed


class Rehearsal(Struct, frozen=True):
    """One object played again.

    Attributes:
        object: its id. intent: empty where it cannot be read. has_ended: else the body is played as far as it is.
        difference: for people, empty for the same. resumptions: recorded ones that the body took in this run.
    """

    object: bytes
    verdict: Verdict
    intent: str = ""
    has_ended: bool = False
    difference: str = ""
    resumptions: int = 0


class _Past:
    """A world of which nothing is known: a body that asks it goes on beyond what was recorded."""

    def fact(self, name: str) -> None:
        return None

    def advice(self, topic: str) -> bytes:
        return b""

    def state_get(self, name: str) -> None:
        return None

    def child_end(self, path: str, slots: tuple[int, ...]) -> tuple[bytes, bytes]:
        raise PeerError("history", "an end of a child that was not recorded is asked for")

    def missing_rights(self, made: Sequence[Delegated]) -> str:
        return ""


def rehearse(capsule: Capsule, intents: Mapping[str, Intent]) -> Rehearsal:
    """Play an object's last run against its handler. Raises nothing that a history or a handler can cause.

    Args:
        capsule: verified entries, and the grants under which they were written. Whose fleet it is does not matter.
        intents: the handlers that are here, by intent.
    """
    object_id = capsule.header.object
    try:
        state = _fold(capsule)
    except PeerError as error:
        return Rehearsal(object_id, Verdict.UNREADABLE, difference=str(error))
    content = state.content
    if content.is_opaque:
        return Rehearsal(object_id, Verdict.UNREADABLE, difference="its content cannot be read here")
    intent, finish = intents.get(content.intent), content.finish
    if intent is None:
        what = f"no app that was loaded offers {content.intent!r}"
        return Rehearsal(object_id, Verdict.NO_APP, content.intent, finish is not None, what)
    depth = 0 if content.origin is None else content.origin.depth
    holder = state.history.view.holder
    start = Start(object_id, content.lineage, holder, state.history.created.lifetime_ms, depth)
    body = Body(intent, start, content.script)
    try:
        body.replay(_Past())
        difference = _difference_of(body, finish)
    except Nondeterminism as error:
        difference = str(error)
    except PeerError as error:
        difference = f"the handler goes on beyond the records: {error}"
    finally:
        body.free()
    verdict = Verdict.DIFFERS if difference else Verdict.SAME
    count = len(content.script.resumptions)
    return Rehearsal(object_id, verdict, content.intent, finish is not None, difference, count)


def _fold(capsule: Capsule) -> ObjectState:
    """Return the object's state.

    Raises:
        PeerError: an entry stands under no grant of the capsule, or does not fit.
    """
    grants = {grant.id: grant for grant in map(verify_grant, capsule.grants)}
    roots = roots_of_first(capsule.entries[0])

    def roles_of(entry: Entry) -> tuple[Role, ...]:
        grant = grants.get(entry.grant)
        is_good = grant is not None and grant.body.audience == entry.author and grant.body.fleet in roots
        if grant is None or not is_good:
            raise PeerError("grant", f"entry {entry.id.hex()[:16]} stands under no grant of the capsule")
        return grant.roles

    state = ObjectState(capsule.entries[0], roles_of(capsule.entries[0]))
    for entry in capsule.entries[1:]:
        state.add(entry, roles_of(entry))
    return state


def _difference_of(body: Body, finish: Finish | None) -> str:
    """Compare how the body ended with how the object did; an object that goes on says nothing about it."""
    if finish is None:
        return "" if body.ended is None else "the handler ends where the recorded one waits"
    if finish.end not in (b.End.COMPLETED, b.End.FAILED):
        return ""  # ended from outside: the body may not even have heard of it
    match body.ended:
        case Completed(value) if finish.end is b.End.COMPLETED:
            return "" if value == finish.value else "the handler returns another result"
        case Completed():
            return f"the handler completes where the recorded one failed ({finish.error_type}: {finish.error[:200]})"
        case Failed(error, _, _) if finish.end is b.End.COMPLETED:
            return f"the handler fails where the recorded one completed: {error[:200]}"
        case Failed() | Cancelled():
            return "" if finish.end is b.End.FAILED else "the handler is cancelled where the recorded one completed"
        case Again():
            return "the handler begins a new run where the recorded one ended"
        case None:
            waits = [call.path for call in body.steps()] + [wait.path for wait in body.input_waits()]
            more = f" for {waits[0]}" if waits else ""
            # Such as a budget that was spent: the runtime ended it, not the body.
            return f"the handler waits{more} where the recorded one completed" if finish.end is b.End.COMPLETED else ""
        case _:
            assert_never(body.ended)

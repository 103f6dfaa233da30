"""One turn, one transaction: each event in a savepoint, one commit, and only then anything is said.

The same function drives a device's node thread, the plays and the simulation.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from ..base.errors import Exit, PeerError, UsageError
from ..base.foreign import contained
from ..base.limits import QUARANTINED_PER_TURN_MAX, TURN_EVENTS_MAX, TURN_MS_MAX
from ..base.moment import Moment
from .asking import Refused
from .effects import Answer, Effect, Turn
from .events import Asked, Enrolling, Event, FleetMade, Imported, Inviting
from .node import Node
from .quarantine import salvage
from .store import Quarantined, SpoolDamaged, StoreFailed, describe, is_damage


def run_turn(
    node: Node, events: Sequence[Event], read_moment: Callable[[], Moment], must_write: bool = False
) -> tuple[Turn, int]:
    """Handle as many of the events as fit one turn, commit, and return (turn, how many were handled).

    A refused request changes nothing and is answered. An event that raises anything else is rolled back alone, its
    objects are set aside, and the rest of the turn goes on. `must_write` commits something even so, to see if it can.

    Raises:
        SpoolDamaged: memory cannot be read anew after a failed commit; the process must end.
        StoreFailed: the commit failed. Nothing was said and memory is dropped; the caller keeps the events, performs
            nothing, and tries again or stops taking custody.
    """
    notes: list[Effect] = []
    for _ in range(QUARANTINED_PER_TURN_MAX):
        try:
            turn, handled = _run(node, events, read_moment, must_write)
        except Quarantined as damaged:
            node.forget_memory()
            row, store = damaged.object_row, node.parts.store
            found = salvage(store, row)
            with store.transaction():
                notes.append(node.quarantine.set_aside(row, damaged.reason, found))
        else:
            turn.effects[:0] = notes
            return turn, handled
    raise StoreFailed(f"more than {QUARANTINED_PER_TURN_MAX} objects are damaged", sqlite3.SQLITE_CORRUPT)


def _run(
    node: Node, events: Sequence[Event], read_moment: Callable[[], Moment], must_write: bool
) -> tuple[Turn, int]:  # fmt: skip
    total = Turn()
    handled = 0
    begun = read_moment()
    connection = node.parts.store.connection
    changes = connection.total_changes
    try:
        with node.parts.store.transaction():
            for event in events[:TURN_EVENTS_MAX]:
                moment = read_moment()
                if handled and moment.boot_ms - begun.boot_ms > TURN_MS_MAX:
                    break
                turn = _handle_one(node, event, moment)
                handled += 1
                total.appends += turn.appends
                total.effects.extend(turn.effects)
            node.settle_clock()
            # A sensor that says the same again is no reason to write to a card.
            if must_write or connection.total_changes != changes or node.parts.timeline.is_far_ahead:
                node.parts.timeline.save()
            total.alarm_boot_ms = node.alarm_boot_ms()
    except StoreFailed:
        try:
            node.forget_memory()
        except sqlite3.DatabaseError as error:
            raise SpoolDamaged(describe(error)) from error
        raise
    node.parts.eviction.write_back()
    return total, handled


def _handle_one(node: Node, event: Event, moment: Moment) -> Turn:
    run = node.parts.store.run
    run("SAVEPOINT event")
    turn = Turn()
    with contained() as caught:
        turn = node.handle(event, moment)
    match caught.error:
        case None:
            run("RELEASE event")
            return turn
        case Refused() as refused:
            touched = _touched(node)
            _undo(node)
            node.forget_memory(touched)
            return Turn(effects=[Answer(refused.ticket, error=refused.error)])
        case Quarantined() as damaged:
            raise damaged  # not the event's fault: the turn is run again without that object
        case sqlite3.DatabaseError() as error if isinstance(error, sqlite3.OperationalError) or is_damage(error):
            raise error  # the disk, not the object: the whole turn fails
        case error:
            # A bug in one object's turn must not stop the others: it is rolled back alone and set aside.
            touched = _touched(node)
            _undo(node)
            what = f"{type(error).__name__}: {error}"
            effects = node.recover(touched, what)
            if isinstance(event, (Asked, Imported, FleetMade, Inviting, Enrolling)):
                # What peers send is checked where it comes in: bytes of ours that break the rules changed on the disk.
                cause = "stored bytes that are damaged" if isinstance(error, PeerError) else "a mistake in the daemon"
                text = f"This failed by {cause} ({what[:300]}). Nothing was changed."
                effects.append(Answer(event.ticket, error=UsageError(text, Exit.FAILED)))
            return Turn(effects=effects)


def _undo(node: Node) -> None:
    node.parts.store.run("ROLLBACK TO event")
    node.parts.store.run("RELEASE event")


def _touched(node: Node) -> list[bytes]:
    """Return the objects that the event reached, whose memory may differ from the store now."""
    found = {**node.parts.touched, **node.parts.spool.changed}
    for live, _ in node.parts.appended:
        found[live.object] = None
    for live in node.parts.spool.loaded():
        if live.made:
            found[live.object] = None
    return list(found)

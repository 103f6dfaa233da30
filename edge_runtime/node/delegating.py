"""Children on this device: made in the turn that delegates, taken in when they end, told of their parent's cancelling.

A child is found again by its lineage, H(parent's lineage, path, slot): whoever runs the parent again, from a replica
that has not heard of the delegation, takes the children that are here instead of making a second set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..base.errors import UsageError
from ..objects import bodies as b
from ..objects.children import ChildSlot, DelegatedSealed
from ..objects.codec import encode_value
from ..objects.fold import ObjectState
from ..objects.intents import fingerprint_of, lineage_of_child
from ..objects.kinds import Kind
from ..objects.lineage import excess, rights_of, walk
from ..objects.records import make, read_sealed
from ..objects.rights import summed
from ..objects.script import Resumed, Resumption
from ..objects.triggers import Done, Trigger
from ..program.calls import Birth, Delegated
from ..program.driver import Body
from .effects import Note, Stage
from .parts import Parts
from .spool import Live

CANCEL_REASON = "its parent was cancelled"


class Delegating:
    """Makes and follows the children of the objects that this device turns."""

    def __init__(self, parts: Parts, put_away: Callable[[Live], None]) -> None:
        self.parts = parts
        self.put_away = put_away

    # --- Making ---------------------------------------------------------------------------------------------------

    def record(self, live: Live, made: Delegated, age_ms: int) -> None:
        """Seal the children's first entries, and record them in the parent's turn; `send_off` stores them with it."""
        slots = tuple(self._make_child(live, made.path, birth, age_ms) for birth in made.births)
        live.made.append(make(Kind.DELEGATED, b.Empty(), DelegatedSealed(made.path, slots)))
        self.parts.note(Stage.JUDGED, live, action="delegation", reason=", ".join(item.intent for item in slots)[:200])

    def send_off(self, live: Live) -> None:
        """Store the children of the turn that was written, and look at each when this event is over."""
        born, live.born = live.born, []
        for entry, roles in born:
            child = self.parts.pen.keep_first(entry, roles)
            self.parts.note(Stage.ENTERED, child, intent=child.state.content.intent)
            self.put_away(child)
            self.parts.agenda.add(child.row)

    def _make_child(self, live: Live, path: str, birth: Birth, age_ms: int) -> ChildSlot:
        above = live.state.history.created
        lineage = lineage_of_child(live.state.content.lineage, path, birth.slot)
        had = _made_before(self.parts, live, lineage, birth)
        rest_ms = above.lifetime_ms - age_ms
        lifetime_ms = min(birth.lifetime_ms or rest_ms, rest_ms)
        if had is not None:
            return ChildSlot(
                birth.slot, had.object, birth.intent, birth.fingerprint, birth.needs, lifetime_ms, birth.rights
            )
        moment, origin = self.parts.timeline.moment, live.state.content.origin
        clear = b.CreatedClear(
            above.priority, lifetime_ms, above.holders, above.readers, birth.needs,
            above.recovery_ms, above.may_signal, above.may_cancel, above.roots, moment.wall_ms, int(moment.trust),
        )  # fmt: skip
        found = self.parts.intents.get(birth.intent)
        try:
            degrades = () if found is None else found[1].degradations(birth.arguments)
        except UsageError:
            degrades = ()  # the arguments are none of this handler's: the child fails, and says so
        sealed = b.CreatedSealed(
            birth.intent, birth.arguments, "", live.state.content.lineage, path, birth.slot, 0,
            live.state.content.labels, degrades, depth=1 + (0 if origin is None else origin.depth), rights=birth.rights,
        )  # fmt: skip
        entry, roles = self.parts.pen.seal_first(clear, sealed)
        live.born.append((entry, roles))
        return ChildSlot(
            birth.slot, entry.id, birth.intent, birth.fingerprint, birth.needs, lifetime_ms, birth.rights
        )

    # --- Waiting --------------------------------------------------------------------------------------------------

    def resumption(self, live: Live, body: Body, age_ms: int) -> tuple[b.TookSealed, Resumption] | None:
        """Return the end of a child as what resumes the body: of the first wait, the first slot."""
        for wait in body.child_waits():
            found = first_ended(self.parts, live, wait.call, wait.slots)
            if found is not None:
                took = b.TookSealed(b.Took.OBJECT, found[1].object, wait.path)
                return took, Resumption(Resumed.OBJECT, wait.path, age_ms, self.parts.wall_ms)
        return None

    def leaves(self, live: Live, body: Body) -> tuple[list[Trigger], list[str]]:
        """Return what ends a sleep that waits for children, and why it sleeps."""
        leaves: list[Trigger] = []
        reasons: list[str] = []
        for wait in body.child_waits():
            slots = [item for item in slots_of(live, wait.call) if item.slot in wait.slots]
            leaves.extend(Done(item.child) for item in slots)
            intents = ", ".join(dict.fromkeys(item.intent for item in slots))
            reasons.append(f"waiting for {len(slots)} {'child' if len(slots) == 1 else 'children'}: {intents}")
        return leaves, reasons

    # --- Ending ---------------------------------------------------------------------------------------------------

    def spread_cancel(self, live: Live) -> None:
        """Ask the children that are held here to end; whoever has not heard goes on until its own lifetime is over."""
        for path in live.state.content.children:
            for item in slots_of(live, path):
                child = self.parts.spool.find(item.child)
                if child is None or child.state.history.view.has_ended or child.state.cancels:
                    continue
                named = child.state.history.created.may_cancel
                if named and self.parts.device not in named:
                    continue  # it would be void there
                record = make(Kind.CANCEL_REQUESTED, b.Empty(), b.CancelSealed(CANCEL_REASON))
                self.parts.pen.write_input(child, record)
                self.put_away(child)
                self.parts.agenda.add(child.row)

    # --- Scope ----------------------------------------------------------------------------------------------------

    def why_beyond(self, live: Live) -> str:
        """Return the field in which a child goes beyond a parent that is held here; empty if it is within."""
        origin = live.state.content.origin
        if origin is None:
            return ""
        parent = _parent_of(self.parts, live.state)
        return "" if parent is None else excess(parent, live.state)

    def deny(self, live: Live, field: str) -> str:
        """Say in a child that goes beyond its parent that nothing of it runs, once; return why it sleeps."""
        rule = f"delegation: {field} beyond its parent's"
        if all(had.rule != rule for had in live.state.content.denials.get("", ())):
            live.made.append(make(Kind.DENIED, b.Empty(), b.DeniedSealed("", False, rule, bytes(16), "")))
            self.parts.effects.append(Note(Stage.JUDGED, live.object, {"denied": rule, "path": ""}, is_info=True))
        return f"denied: {rule}"


def missing_rights(parts: Parts, live: Live, made: Sequence[Delegated]) -> str:
    """Return which rights of children to be made are missing, empty if none is.

    Children that an earlier custodian made have theirs already.
    """
    above = live.state.content.lineage
    asked = [
        right for item in made for birth in item.births if birth.rights
        and _made_before(parts, live, lineage_of_child(above, item.path, birth.slot), birth) is None
        for right in birth.rights
    ]  # fmt: skip
    return live.state.content.rights.why_not(summed(asked), live.made)


def _made_before(parts: Parts, live: Live, lineage: bytes, birth: Birth) -> Live | None:
    """Return the child that fills a slot already, made by a custodian of whose turn this device has not heard."""
    for child in family(parts, lineage):
        content = child.state.content
        is_same = fingerprint_of(content.intent, content.arguments) == birth.fingerprint
        if is_same and rights_of(child.state) == birth.rights and not excess(live.state, child.state):
            return child
    return None


def note_family(parts: Parts, live: Live) -> None:
    """Let an object with a parent or children be found by its lineage; called after every change of it."""
    content = live.state.content
    if content.origin is not None or content.children:
        parts.store.run("INSERT OR IGNORE INTO families VALUES (?, ?)", (content.lineage, live.row))


def family(parts: Parts, lineage: bytes) -> list[Live]:
    """Return the objects of a lineage that have a parent or children, lowest id first."""
    rows = parts.store.run("SELECT object FROM families WHERE lineage = ?", (lineage,)).fetchall()
    found = [live for (row,) in rows if (live := parts.spool.find_row(row)) is not None]
    return sorted((live for live in found if live.state.content.lineage == lineage), key=lambda live: live.object)


def slots_of(live: Live, path: str) -> tuple[ChildSlot, ...]:
    """Return the children that were made at a path, those of this turn too."""
    delegation = live.state.content.children.get(path)
    if delegation is not None:
        return delegation.slots
    bodies = [read_sealed(record) for record in live.made if record.kind == Kind.DELEGATED]
    return next((body.slots for body in bodies if isinstance(body, DelegatedSealed) and body.path == path), ())


def first_ended(parts: Parts, live: Live, path: str, slots: tuple[int, ...]) -> tuple[int, Live] | None:
    """Return the first of some slots whose child has ended, as far as this device has heard."""
    for item in slots_of(live, path):
        child = parts.spool.find(item.child) if item.slot in slots else None
        if child is not None and child.state.content.finish is not None:
            return item.slot, child
    return None


def child_end(parts: Parts, live: Live, path: str, slots: tuple[int, ...]) -> tuple[bytes, bytes]:
    """Return how the first child of some slots that has ended did, as a body reads it (`program.calls.World`)."""
    found = first_ended(parts, live, path, slots)
    assert found is not None, "asked in the turn that took its end"
    finish = found[1].state.content.finish
    assert finish is not None
    return encode_value([found[0], int(finish.end), finish.error, finish.error_type]), finish.value


def family_rows(parts: Parts, live: Live) -> dict[str, Any]:
    """Return parent and children of an object for people: ids, slots, and whether the lineage holds up to its root."""
    content = live.state.content
    children = []
    for path, delegation in content.children.items():
        for item in delegation.slots:
            child = parts.spool.find(item.child)
            finish = None if child is None else child.state.content.finish
            children.append(
                {"path": path, "slot": item.slot, "object": item.child.hex(), "intent": item.intent,
                 "end": None if finish is None else finish.end.name.lower(), "is_held": child is not None}
            )  # fmt: skip
    if content.origin is None:
        return {"parent": None, "children": children}
    found = walk(live.state, lambda state: _parent_of(parts, state))
    parent = {
        "object": found.ancestors[0].hex() if found.ancestors else None, "lineage": content.origin.parent.hex(),
        "path": content.origin.path, "slot": content.origin.slot, "depth": content.origin.depth,
        "ancestors": [item.hex() for item in found.ancestors], "broken": found.broken or None,
    }  # fmt: skip
    return {"parent": parent, "children": children}


def _parent_of(parts: Parts, child: ObjectState) -> ObjectState | None:
    """Return the parent of a child, as far as it is held here; of several of its lineage one that names the child."""
    origin = child.content.origin
    assert origin is not None, "only a child has a parent"
    found = [live.state for live in family(parts, origin.parent)]
    if not found:
        unnamed = parts.spool.find(origin.parent)  # its lineage is its id; it may not have delegated as far as is known
        return None if unnamed is None else unnamed.state
    for state in found:
        delegation = state.content.children.get(origin.path)
        if delegation is not None and any(item.child == child.object for item in delegation.slots):
            return state
    return found[0]

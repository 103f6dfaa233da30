"""Is this object the child that it says it is: the walk from a leaf to its root, by signed entries alone.

Each entry was verified with its grant chain up to the fleet's root key when it was taken in, so the walk needs no
network. What a child may not have more of than its parent is compared field by field.

Source: ours, `docs/format.md` (Children); the shape is that of certificate path validation (RFC 5280 section 6).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ..base.limits import DELEGATION_DEPTH_MAX
from .bodies import Amounts, CreatedSealed
from .children import ChildSlot
from .fold import ObjectState
from .records import read_sealed
from .rights import summed


class Walk(Struct, frozen=True):
    """What a walk found.

    Attributes:
        ancestors: ids, the parent first, as far as each names the one below it.
        broken: why it ended before the root, empty if it did not.
    """

    ancestors: tuple[bytes, ...]
    broken: str


def excess(parent: ObjectState, child: ObjectState) -> str:
    """Return the field in which a child goes beyond its parent; empty where it is within.

    A parent whose `delegated` is not here yet is compared as far as it is known.
    """
    origin = child.content.origin
    assert origin is not None, "only a child is compared"
    above, below = parent.history.created, child.history.created
    depth = 0 if parent.content.origin is None else parent.content.origin.depth
    slot = _slot_of(parent, child)
    checks = (
        ("depth", origin.depth == depth + 1),
        ("roots", set(below.roots) <= set(above.roots)),
        ("holders", _is_within(below.holders, above.holders)),
        ("readers", _is_within(below.readers, above.readers)),
        ("priority", below.priority >= above.priority),  # 0 is the most urgent
        ("lifetime", below.lifetime_ms <= _lifetime_most_ms(parent, child)),
        ("rights", _has_its_rights(parent, child, slot)),
        ("intent", slot is None or slot.intent == child.content.intent),
    )
    return next((field for field, is_within in checks if not is_within), "")


def walk(child: ObjectState, find: Callable[[ObjectState], ObjectState | None]) -> Walk:
    """Walk from an object up to the one that no parent made.

    Args:
        find: returns the parent of a child, as far as it is held here.
    """
    found: list[bytes] = []
    below = child
    while below.content.origin is not None:
        above = find(below)
        if above is None:
            return Walk(tuple(found), "its parent is not held here")
        beyond = excess(above, below)
        if beyond:
            return Walk(tuple(found), f"beyond its parent: {beyond}")
        if _slot_of(above, below) is None:
            return Walk(tuple(found), "its parent does not name it")
        found.append(above.object)
        below = above
        if len(found) > DELEGATION_DEPTH_MAX:
            return Walk(tuple(found), "beyond its parent: depth")
    return Walk(tuple(found), "")


def _slot_of(parent: ObjectState, child: ObjectState) -> ChildSlot | None:
    """Return the slot in which a parent names a child; None if it does not (yet)."""
    origin = child.content.origin
    delegation = None if origin is None else parent.content.children.get(origin.path)
    if origin is None or delegation is None:
        return None
    named = (item for item in delegation.slots if (item.slot, item.child) == (origin.slot, child.object))
    return next(named, None)


def rights_of(child: ObjectState) -> Amounts:
    """Return the rights that an object says it began with."""
    body = read_sealed(child.history.placed[child.object].entry.records[0])
    return body.rights if isinstance(body, CreatedSealed) else ()


def _has_its_rights(parent: ObjectState, child: ObjectState, slot: ChildSlot | None) -> bool:
    """Say whether a child's rights are those that its parent gave it.

    Until the parent's record is here they are within what the parent began with. A later custodian that takes a child
    over names the rights that an earlier one gave; they are among those that the change of custody froze.
    """
    begun, origin = rights_of(child), child.content.origin
    delegation = None if origin is None else parent.content.children.get(origin.path)
    if delegation is None:
        granted = parent.content.rights.granted
        return all(amount <= granted.get(name, 0) for name, amount in summed(begun))
    if slot is None:
        return not begun
    is_taken_over = delegation.author != child.history.placed[child.object].entry.author
    return begun == slot.rights and (slot.slot not in delegation.short or is_taken_over)


def _lifetime_most_ms(parent: ObjectState, child: ObjectState) -> int:
    """Return how long a child may live at most: what its parent had left when it made the child.

    A child that was taken over by a later custodian of its parent is older than the record that names it.
    """
    origin, whole_ms = child.content.origin, parent.history.created.lifetime_ms
    delegation = None if origin is None else parent.content.children.get(origin.path)
    maker = child.history.placed[child.object].entry.author
    return whole_ms if delegation is None or delegation.author != maker else whole_ms - delegation.age_ms


def _is_within(below: tuple[bytes, ...], above: tuple[bytes, ...]) -> bool:
    """Say whether a list names no more than another; an empty one names everybody."""
    return not above or (bool(below) and set(below) <= set(above))

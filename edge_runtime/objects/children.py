"""Children: objects that a body made, recognised by (lineage of the parent, path of the call, slot).

`delegated` on the parent's chain and the children's first entries are one transaction of the parent's custodian. A
child is an object like any other: it has its own custody, history and end. Source: ours, `docs/format.md` (Children).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from ..base.limits import FANOUT_MAX, LIFETIME_MS_MAX
from .bodies import Amounts, Body, Hash, Name, Names, Path, ShortHash, Unsigned
from .codec import encode


class ChildSlot(Body, frozen=True):
    """One child: which object fills the slot, and what it was asked for.

    `fingerprint` is that of the call of `intent` with its arguments; `lifetime_ms` is within what the parent has left.
    `rights` are the child's from then on, and no longer the parent's.
    """

    slot: Unsigned
    child: Hash
    intent: Name
    fingerprint: ShortHash
    needs: Names
    lifetime_ms: Annotated[int, Meta(ge=1, le=LIFETIME_MS_MAX)]
    rights: Amounts = ()


class DelegatedSealed(Body, frozen=True):
    """The body made children at a call path; each slot stands once."""

    path: Path
    slots: Annotated[tuple[ChildSlot, ...], Meta(min_length=1, max_length=FANOUT_MAX)]

    def asked(self) -> bytes:
        """Return what a replay compares: see `spell_asked`."""
        return spell_asked([(item.slot, item.intent, item.fingerprint, item.needs, item.rights) for item in self.slots])


def spell_asked(slots: Sequence[tuple[int, str, bytes, tuple[str, ...], Amounts]]) -> bytes:
    """Return the canonical bytes of what a body asks for: (slot, intent, fingerprint, needs, rights) of each child."""
    return encode(
        [
            [slot, intent, fingerprint, list(needs), [list(item) for item in rights]]
            for slot, intent, fingerprint, needs, rights in slots
        ]
    )


class Delegation(Struct, frozen=True):
    """One `delegated` of the ruling chain, the parent's age at its entry, and who wrote it.

    `short`: slots whose rights the parent did not have; none were moved to them.
    """

    slots: tuple[ChildSlot, ...]
    age_ms: int
    author: bytes
    short: tuple[int, ...] = ()


class Origin(Struct, frozen=True):
    """Where a child comes from: its parent's lineage, the call's path, its slot, and how many parents are above it."""

    parent: bytes
    path: str
    slot: int
    depth: int

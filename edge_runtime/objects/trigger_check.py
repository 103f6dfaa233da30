"""Whether the trigger in a `dormant` record may stand there: what every reader must agree on."""

from __future__ import annotations

from typing import Any

from ..base.errors import PeerError
from ..base.limits import CONDITION_DEPTH_MAX, TRIGGER_NODES_MAX
from .codec import decode
from .triggers import KIND_LAST, from_tree


def check_trigger(data: bytes) -> None:
    """Check the canonical CBOR of a trigger's tree; null is one that only the expiry ends.

    A leaf of a later version is let be: it is never true here, and the turn counts for all devices alike. Its bounds
    are those of any tree.

    Raises:
        PeerError: malformed, too deep or too large: the entry is void for whoever can read it.
    """
    tree = decode(data)
    if tree is None:
        return
    try:
        from_tree(tree)
    except PeerError:
        if not _is_of_later_version(tree):
            raise


def _is_of_later_version(tree: Any) -> bool:
    """Say whether a bounded tree has a leaf whose number this version does not know."""
    todo, seen, is_later = [(tree, 1)], 0, False
    while todo:
        node, depth = todo.pop()
        seen += 1
        if depth > CONDITION_DEPTH_MAX or seen > TRIGGER_NODES_MAX:
            return False
        match node:
            case [9 | 10, list() as items]:
                todo.extend((item, depth + 1) for item in items)
            case [11, item]:
                todo.append((item, depth + 1))
            case [int() as kind, *_] if type(kind) is int and kind > KIND_LAST:
                is_later = True
            case [int() as kind, *_] if type(kind) is int and kind > 0:
                pass
            case _:
                return False
    return is_later

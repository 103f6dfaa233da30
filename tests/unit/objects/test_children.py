"""Children in the fold: what a `delegated` leaves behind, and how deep and wide a family may be."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge_runtime.base.limits import DELEGATION_DEPTH_MAX, FANOUT_MAX
from edge_runtime.objects import bodies as b
from edge_runtime.objects.children import ChildSlot, DelegatedSealed, Delegation, Origin, spell_asked
from edge_runtime.objects.codec import encode
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.lineage import walk
from edge_runtime.objects.records import PLAIN, Record, make, read_sealed
from tests.support.histories import MEMBER, created, entry_on, first_entry, key

ONE = key(1)
PATH = "0/0/delegate:1"


def slot(number: int, child: bytes = b"c" * 32) -> ChildSlot:
    """Return one child of a `delegated`."""
    return ChildSlot(number, child, "shoot", b"f" * 16, ("camera",), 60_000)


def child_of(parent: bytes, depth: int = 1) -> Record:
    """Return the `created` of a child in slot 0."""
    plain = created()
    body = read_sealed(plain)
    assert isinstance(body, b.CreatedSealed)
    sealed = replace(body, intent="shoot", parent=parent, path=PATH, slot=0)
    array = [depth if name == "depth" else getattr(sealed, name) for name in sealed.__struct_fields__]
    return Record(int(Kind.CREATED), plain.clear, PLAIN + encode(array))


def test_a_delegation_is_remembered_by_its_path_and_read_at_replay_as_what_was_asked() -> None:
    """Behaviour: 10.1, 10.10."""
    state = ObjectState(first_entry(ONE), MEMBER)
    delegated = make(Kind.DELEGATED, b.Empty(), DelegatedSealed(PATH, (slot(0), slot(7))))
    state.add(entry_on(state.history, ONE, delegated, age_ms=5), MEMBER)
    assert state.content.children == {PATH: Delegation((slot(0), slot(7)), 5, ONE.public)}
    asked = spell_asked([(0, "shoot", b"f" * 16, ("camera",), ()), (7, "shoot", b"f" * 16, ("camera",), ())])
    assert state.content.script.learned == {PATH: asked}


@pytest.mark.parametrize("depth", [0, 1, DELEGATION_DEPTH_MAX])
def test_a_child_knows_its_place(depth: int) -> None:
    state = ObjectState(first_entry(ONE, child_of(b"p" * 32, depth)), MEMBER)
    assert state.content.origin == Origin(b"p" * 32, PATH, 0, depth)
    assert not state.history.placed[state.object].void


def test_a_child_that_stands_deeper_is_malformed_and_void_on_every_device() -> None:
    """Behaviour: 10.2, 10.4."""
    state = ObjectState(first_entry(ONE, child_of(b"p" * 32, DELEGATION_DEPTH_MAX + 1)), MEMBER)
    assert state.history.placed[state.object].void == "malformed: kind 64" and state.content.origin is None


def test_a_delegation_of_more_children_than_may_be_is_malformed_and_void() -> None:
    """Behaviour: 10.4."""
    slots = [[0, b"c" * 32, "shoot", b"f" * 16, [], 1]] * (FANOUT_MAX + 1)
    record = Record(int(Kind.DELEGATED), b"\x80", PLAIN + encode([PATH, slots]))
    state = ObjectState(first_entry(ONE), MEMBER)
    assert state.add(entry_on(state.history, ONE, record), MEMBER).void == "malformed: kind 72"
    with pytest.raises(ValueError, match="DelegatedSealed"):
        make(Kind.DELEGATED, b.Empty(), DelegatedSealed(PATH, tuple(slot(n) for n in range(FANOUT_MAX + 1))))


def test_the_walk_ends_where_a_parent_is_absent_or_does_not_name_the_child() -> None:
    """Behaviour: 10.9."""
    parent = ObjectState(first_entry(ONE), MEMBER)
    child = ObjectState(first_entry(ONE, child_of(parent.object)), MEMBER)
    assert walk(child, lambda below: None).broken == "its parent is not held here"
    assert walk(child, lambda below: parent).broken == "its parent does not name it"
    delegated = make(Kind.DELEGATED, b.Empty(), DelegatedSealed(PATH, (slot(0, child.object),)))
    parent.add(entry_on(parent.history, ONE, delegated), MEMBER)
    found = walk(child, lambda below: parent)
    assert (found.ancestors, found.broken) == ((parent.object,), "")
    assert walk(parent, lambda below: None).ancestors == ()

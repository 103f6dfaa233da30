"""What a member may write into a record as bytes that are no value: the entry is void, and nothing raises."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.base.limits import CBOR_DEPTH_MAX
from edge_runtime.objects import bodies as b
from edge_runtime.objects.codec import encode_value
from edge_runtime.objects.entries import reopen
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.history import Placed
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import Record, make
from edge_runtime.objects.units import Said
from tests.support.histories import MEMBER, ROOT, created, entry_on, first_entry, key

CUSTODIAN, MEMBER_TWO = key(1), key(2)
# Not CBOR; one too long by a byte; cut short; nothing.
GARBAGE = [b"\xff", b"\x18\x01", b"\x82\x01", b""]


def begun() -> ObjectState:
    return ObjectState(first_entry(CUSTODIAN, created()), MEMBER)


def heard(state: ObjectState, author: Any, record: Record) -> Placed:
    """Add what another device has signed: read from its bytes."""
    return state.add(reopen(entry_on(state.history, author, record).raw), MEMBER)


def unit(value: bytes) -> Record:
    return make(Kind.UNIT, b.Empty(), b.UnitSealed("search", "a", int(Said.RESULT), 1_000, value))


@pytest.mark.parametrize("value", GARBAGE)
def test_a_signal_whose_value_is_none_is_void(value: bytes) -> None:
    """Else the custodian meets it when it resumes the body, and sets the object aside."""
    state = begun()
    placed = heard(state, MEMBER_TWO, make(Kind.SIGNALLED, b.Empty(), b.SignalledSealed("go", value)))
    assert placed.void == f"malformed: kind {int(Kind.SIGNALLED)}" and state.untaken() == []


@pytest.mark.parametrize("value", GARBAGE[:-1])
def test_a_result_of_a_unit_whose_value_is_none_is_void(value: bytes) -> None:
    """Behaviour: 13.3: it is no result, and the unit stays open."""
    state = begun()
    assert heard(state, MEMBER_TWO, unit(value)).void == f"malformed: kind {int(Kind.UNIT)}"
    assert not state.units.results and state.untaken() == []


def test_a_result_as_deep_as_a_value_may_be_is_one() -> None:
    value: Any = 1
    for _ in range(CBOR_DEPTH_MAX):
        value = [value]
    state = begun()
    assert heard(state, MEMBER_TWO, unit(encode_value(value))).void == ""
    assert [item.name for item in state.untaken()] == ["unit:search"]


@pytest.mark.parametrize("arguments", GARBAGE)
def test_a_refinement_to_no_arguments_is_void(arguments: bytes) -> None:
    state = begun()
    record = make(Kind.REFINED, b.Empty(), state.content.asked.record("0/0/refine:1", arguments, ""))
    assert heard(state, CUSTODIAN, record).void == f"malformed: kind {int(Kind.REFINED)}"
    assert state.content.asked.now == encode_value(None)


@pytest.mark.parametrize("arguments", GARBAGE)
def test_an_object_that_begins_with_no_arguments_is_void(arguments: bytes) -> None:
    sealed = b.CreatedSealed("thing", arguments, "", b"", "", 0, 0, ())
    clear = b.CreatedClear(8, 10_000_000, (), (), (), 0, (), (), (ROOT.public,), 0, 0)
    first = reopen(first_entry(CUSTODIAN, make(Kind.CREATED, clear, sealed)).raw)
    state = ObjectState(first, MEMBER)
    assert state.history.placed[first.id].void == f"malformed: kind {int(Kind.CREATED)}"

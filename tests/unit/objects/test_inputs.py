"""What devices put into an object: each no more than its share reaches a body, whatever came first."""

from __future__ import annotations

from itertools import permutations

import pytest

from edge_runtime.objects import bodies as b
from edge_runtime.objects import inputs
from edge_runtime.objects.entries import Entry
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import Record, make
from tests.support.histories import MEMBER, accepted, entry_on, first_entry, key, offered, signalled

ONE, TWO, THREE = key(1), key(2), key(3)


def unit(said: int, name: str, value: bytes = b"\x01") -> Record:
    return make(Kind.UNIT, b.Empty(), b.UnitSealed("search", name, said, 500, value))


def start() -> ObjectState:
    return ObjectState(first_entry(ONE), MEMBER)


def names(state: ObjectState) -> list[str]:
    return sorted(item.name for item in state.untaken())


def test_a_device_that_floods_an_object_reaches_its_body_up_to_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page 3: peers' inputs are bounded by author; what is beyond is kept, carried, and taken by nobody."""
    monkeypatch.setattr(inputs, "SIGNALS_EACH_MAX", 3)
    state = start()
    for number in range(10):
        state.add(entry_on(state.history, TWO, signalled(f"two{number}")), MEMBER)
    state.add(entry_on(state.history, THREE, signalled("three")), MEMBER)
    for number in range(5):
        state.add(entry_on(state.history, ONE, signalled(f"one{number}")), MEMBER)
    assert names(state) == ["one0", "one1", "one2", "one3", "one4", "three", "two0", "two1", "two2"]
    assert len(state.inputs) == 16 and len(state.history) == 17


def test_the_share_is_the_same_set_in_whatever_order_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Property P3: also where an author says much beside its own words, in parallel."""
    monkeypatch.setattr(inputs, "SIGNALS_EACH_MAX", 2)
    first = first_entry(ONE)
    told: list[Entry] = [
        entry_on(ObjectState(first, MEMBER).history, TWO, signalled(f"two{number}")) for number in range(4)
    ]
    found = []
    for order in permutations(told):
        state = ObjectState(first, MEMBER)
        for entry in order:
            state.add(entry, MEMBER)
        found.append((names(state), state.content_bytes()))
    assert len(found[0][0]) == 2 and all(item == found[0] for item in found)


def test_who_has_custody_or_made_the_object_has_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "SIGNALS_EACH_MAX", 1)
    state = start()
    state.add(entry_on(state.history, TWO, signalled("before")), MEMBER)
    state.add(entry_on(state.history, ONE, offered(TWO, 1)), MEMBER)
    state.add(entry_on(state.history, TWO, accepted(state.history.view.tip, 1), epoch=1), MEMBER)
    for number in range(3):
        state.add(entry_on(state.history, TWO, signalled(f"own{number}")), MEMBER)
        state.add(entry_on(state.history, ONE, signalled(f"maker{number}")), MEMBER)
        state.add(entry_on(state.history, THREE, signalled(f"three{number}")), MEMBER)
    assert names(state) == ["before", "maker0", "maker1", "maker2", "own0", "own1", "own2", "three0"]


def test_of_each_unit_one_result_of_a_device_and_some_parts_reach_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaviour: 13.7: nor does one that invents units fill up the object of another."""
    monkeypatch.setattr(inputs, "UNIT_PARTS_MAX", 2)
    monkeypatch.setattr(inputs, "UNIT_SIGNALS_EACH_MAX", 6)
    state = start()
    for _ in range(4):
        state.add(entry_on(state.history, TWO, unit(2, "a"), unit(1, "a")), MEMBER)
    assert len(state.untaken()) == 1 + 2
    for number in range(10):
        state.add(entry_on(state.history, TWO, unit(2, f"invented{number}")), MEMBER)
    assert len(state.untaken()) == 6
    state.add(entry_on(state.history, THREE, unit(2, "a")), MEMBER)
    assert len(state.untaken()) == 7, "another device has its own share"

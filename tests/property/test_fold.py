"""Laws of histories: the fold does not depend on the order of arrival, and incremental equals from scratch."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects.fold import ObjectState
from tests.support.histories import MEMBER, fold_in_order, random_history

seeds = st.integers(0, 2**32)


@settings(max_examples=120, deadline=None)
@given(seeds, seeds, seeds)
def test_devices_with_the_same_entries_fold_to_equal_bytes(history: int, one: int, other: int) -> None:
    """Behaviours: 12.3, 12.13, 11.15; property P3."""
    entries = random_history(history)
    left, right = fold_in_order(entries, random.Random(one)), fold_in_order(entries, random.Random(other))
    assert left.envelope_bytes() == right.envelope_bytes()
    assert left.content_bytes() == right.content_bytes()


@settings(max_examples=60, deadline=None)
@given(seeds, seeds)
def test_adding_one_by_one_equals_folding_the_ruling_chain_at_the_end(history: int, order: int) -> None:
    """An O(1) append and a refold are the same function."""
    state = fold_in_order(random_history(history), random.Random(order))
    before = state.content_bytes()
    state._refold()
    assert state.content_bytes() == before


@settings(max_examples=60, deadline=None)
@given(seeds, seeds)
def test_no_operation_changes_a_byte_of_an_entry_that_is_there(history: int, order: int) -> None:
    """Property P1; behaviour 1.1: earlier entries keep their bytes."""
    entries = random_history(history)
    known: dict[bytes, bytes] = {}
    first = next(entry for entry in entries if entry.is_first)
    state = ObjectState(first, MEMBER)
    waiting = [entry for entry in entries if not entry.is_first]
    chance = random.Random(order)
    while waiting:
        entry = chance.choice([item for item in waiting if not state.history.missing(item)])
        waiting.remove(entry)
        state.add(entry, MEMBER)
        for entry_id, placed in state.history.placed.items():
            assert known.setdefault(entry_id, placed.entry.raw) == placed.entry.raw


@settings(max_examples=60, deadline=None)
@given(seeds, seeds)
def test_the_ruling_chain_is_one_line_of_turns_that_are_not_void(history: int, order: int) -> None:
    """One custodian per epoch, each turn by the one who held custody then."""
    state = fold_in_order(random_history(history), random.Random(order))
    chain = state.history.chain()
    assert chain[0].is_first and chain[-1].id == state.history.view.tip
    for before, entry in zip(chain, chain[1:], strict=False):
        placed = state.history.placed[entry.id]
        assert not placed.void and placed.previous == before.id and not entry.is_input
        assert placed.view.holder == entry.author or placed.view.is_frozen
    assert state.history.view.number >= state.history.view.epoch

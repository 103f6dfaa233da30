"""Laws of the fold: no order of arrival shows in it, and one more entry equals folding everything anew."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects.bodies import OUTCOME_INVALID, ExecutedSealed
from edge_runtime.objects.entries import Entry
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import read_sealed
from tests.support.histories import (
    GRANT,
    Replica,
    everything_of,
    first_entry,
    fold,
    histories,
    key,
    learned,
    roles_of,
    shuffled,
)

orders = st.randoms(use_true_random=False)


@settings(max_examples=300, deadline=None)
@given(histories(), orders, orders)
def test_devices_with_the_same_entries_fold_to_equal_bytes(
    entries: list[Entry], one: random.Random, other: random.Random
) -> None:
    """Behaviours: 12.3, 12.13, 11.15; all of the state, not the two byte strings alone."""
    left, right = fold(shuffled(entries, one)), fold(shuffled(entries, other))
    assert left.envelope_bytes() == right.envelope_bytes()
    assert left.content_bytes() == right.content_bytes()
    assert everything_of(left) == everything_of(right)


@settings(max_examples=150, deadline=None)
@given(histories(), orders)
def test_one_more_entry_equals_folding_everything_anew(entries: list[Entry], order: random.Random) -> None:
    """Behaviour: 12.6: the quick way and the long way are one function, after every single entry."""
    delivered = shuffled(entries, order)
    state = ObjectState(delivered[0], roles_of(delivered[0]))
    for count, entry in enumerate(delivered[1:], start=2):
        state.add(entry, roles_of(entry))
        quick = (state.content, state.content_bytes())
        state._refold()
        assert (state.content, state.content_bytes()) == quick
        assert count == len(state.history)


@settings(max_examples=60, deadline=None)
@given(histories(), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12), orders)
def test_devices_that_gossip_in_any_pairs_end_up_with_the_same_state(
    entries: list[Entry], pairs: list[tuple[int, int]], order: random.Random
) -> None:
    """Behaviour: 12.3: what each heard first, and from whom, does not show."""
    first = entries[0]
    devices = [Replica(key(9), ObjectState(first, roles_of(first)), GRANT) for _ in range(4)]
    # Each device begins with a part of the history that is closed under parents: a prefix of some causal order.
    for device in devices:
        mine = shuffled(entries, order)
        device.hear(mine[: order.randrange(len(mine)) + 1])
    devices[0].hear(entries)
    ring = [(n, (n + 1) % 4) for n in range(4)]
    for one, other in [*pairs, *ring]:
        devices[other].hear([placed.entry for placed in devices[one].state.history.placed.values()])
    found = [everything_of(device.state) for device in devices]
    assert all(state == found[0] for state in found[1:])


@settings(max_examples=100, deadline=None)
@given(histories(), orders)
def test_no_operation_changes_a_byte_of_an_entry_that_is_there(entries: list[Entry], order: random.Random) -> None:
    """Behaviours: 12.1, 12.3, 1.1: histories only grow; void entries and losing branches stay in them."""
    known: dict[bytes, bytes] = {}
    delivered = shuffled(entries, order)
    state = ObjectState(delivered[0], roles_of(delivered[0]))
    for entry in delivered[1:]:
        state.add(entry, roles_of(entry))
        assert entry.id in state.history
        for entry_id, placed in state.history.placed.items():
            assert known.setdefault(entry_id, placed.entry.raw) == placed.entry.raw
    assert len(state.history) == len(entries)
    assert state.history.bytes_size == sum(len(entry.raw) for entry in entries)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_each_signal_with_effect_is_there_once_and_taken_or_not(entries: list[Entry]) -> None:
    """Nothing that was said to an object is lost or doubled, whatever its branches do."""
    state = fold(entries)
    counts = Counter(item.ref for item in state.inputs)
    assert all(count == 1 for count in counts.values())
    taken = state.content.taken
    assert [item.ref for item in state.untaken()] == [item.ref for item in state.inputs if item.ref not in taken]
    assert state.inputs == sorted(state.inputs, key=lambda item: (item.height, item.ref))


class Counting(ObjectState):
    """Counts how often everything was folded anew."""

    refolds = 0

    def _refold(self) -> None:
        self.refolds += 1
        super()._refold()


def test_a_thousand_turns_in_a_row_fold_once_each() -> None:
    """Behaviour: 12.6: appending is O(1); only another ruling branch folds anew."""
    first = first_entry(key(1))
    state = Counting(first, roles_of(first))
    replica = Replica(key(1), state)
    for number in range(1_000):
        replica.write(learned(f"0/0/x:{number}", number))
    assert state.refolds == 1, "that of the first entry"
    assert len(state.content.script.learned) == 1_000


@settings(max_examples=200, deadline=None)
@given(histories(), orders)
def test_a_fingerprint_found_invalid_on_any_branch_stays_so(entries: list[Entry], order: random.Random) -> None:
    """Behaviour: 6.5, property P7: the set only grows, and no order of arrival shows in it."""
    delivered = shuffled(entries, order)
    state = ObjectState(delivered[0], roles_of(delivered[0]))
    had: dict[bytes, None] = {}
    for entry in delivered[1:]:
        placed = state.add(entry, roles_of(entry))
        assert all(fingerprint in state.invalid for fingerprint in had)
        if not placed.void:
            for record in entry.records:
                body = read_sealed(record) if record.kind == Kind.EXECUTED else None
                if isinstance(body, ExecutedSealed) and body.outcome == OUTCOME_INVALID:
                    had[body.fingerprint] = None
    assert sorted(state.invalid) == sorted(had)

"""Two writers with one key are found by what they sign, in whatever pieces it comes, and at a bounded cost."""

from __future__ import annotations

import random

import pytest

from edge_runtime.node.twins import find_twin
from edge_runtime.objects.entries import Entry
from edge_runtime.objects.history import History, Placed
from tests.support.histories import MEMBER, entry_on, first_entry, key, signalled

ONE, TWO = key(1), key(2)


def past_of(history: History, entry: Entry) -> set[bytes]:
    past, left = set[bytes](), list(entry.parents)
    while left:
        item = left.pop()
        if item not in past:
            past.add(item)
            left.extend(history.placed[item].entry.parents)
    return past


def are_in_a_row(history: History, author: bytes) -> bool:
    """Say by the definition whether of each two entries of an author one is in the other's past."""
    own = [placed.entry for placed in history.placed.values() if placed.entry.author == author]
    return all(
        one.id in past_of(history, other) or other.id in past_of(history, one)
        for at, one in enumerate(own) for other in own[at + 1 :]
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_whatever_comes_in_whatever_batches_two_writers_are_found_exactly_where_there_are_two(seed: int) -> None:
    """Behaviour: 12.4: held against the definition on random histories, entries of one delivery placed before any."""
    chance = random.Random(seed)
    history = History(first_entry(ONE), MEMBER)
    last: dict[bytes, Entry] = {}
    found: set[bytes] = set()
    is_honest = seed % 2 == 0
    for number in range(12):
        batch: list[Entry] = []
        for step in range(chance.randint(1, 4)):
            writer = chance.choice((ONE, TWO))
            parents = chance.sample(list(history.heads), chance.randint(1, len(history.heads)))
            if chance.random() < 0.5:
                parents = [chance.choice(list(history.placed))]
            if is_honest and writer.public in last:
                parents = list(dict.fromkeys([*parents, last[writer.public].id]))
            entry = entry_on(history, writer, signalled(f"s{number}-{step}"), parents=tuple(sorted(parents)))
            history.add(entry, MEMBER)
            last[writer.public] = entry
            batch.append(entry)
        if 2 <= len(history.heads) <= 16:
            found.update(entry.author for entry in batch if find_twin(history, entry) is not None)
        else:
            return  # nothing is said there, so the entries of this batch are held against nothing
        for writer in (ONE, TWO):
            if writer.public in found:
                assert not are_in_a_row(history, writer.public)
        if not found:
            assert are_in_a_row(history, TWO.public)


class Counted(dict[bytes, Placed]):
    """A history's entries that counts how often one is looked up."""

    looks = 0

    def __getitem__(self, entry_id: bytes) -> Placed:
        self.looks += 1
        return super().__getitem__(entry_id)


def test_a_long_delivery_beside_another_branch_costs_each_entry_little() -> None:
    """Behaviour: 12.4: a look into all of the past for each pair of entries held a device up for minutes."""
    history = History(first_entry(ONE), MEMBER)
    first = (history.object,)
    history.add(entry_on(history, ONE, signalled("aside"), parents=first), MEMBER)
    chain: list[Entry] = []
    for number in range(300):
        parents = (chain[-1].id,) if chain else first
        chain.append(entry_on(history, TWO, signalled(f"s{number}"), parents=parents))
        history.add(chain[-1], MEMBER)
    history.placed = counted = Counted(history.placed)
    assert all(find_twin(history, entry) is None for entry in chain)
    assert counted.looks < 10 * len(chain)

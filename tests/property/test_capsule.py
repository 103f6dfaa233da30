"""Laws of capsules: they read back as written, and every damage is refused and names the first bad entry."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.base.errors import PeerError
from edge_runtime.objects.capsule import FORMAT_NAME, Header, read_capsule, write_capsule
from edge_runtime.objects.entries import Entry
from tests.support import cbor_strict
from tests.support.cbor_strict import OURS
from tests.support.histories import (
    entry_on,
    everything_of,
    first_entry,
    fold,
    histories,
    key,
    learned,
    random_history,
    shuffled,
)

small = histories(8)


def header_of(entries: list[Entry], count: int | None = None) -> Header:
    return Header(FORMAT_NAME, entries[0].id, len(entries) if count is None else count, 7, False, 9, 3)


def written(entries: list[Entry], grants: tuple[bytes, ...] = (b"grant", b"")) -> bytes:
    return write_capsule(header_of(entries), grants, [entry.raw for entry in entries])


def refusal(data: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        read_capsule(data)
    assert len(str(caught.value)) < 300, "an error's text is bounded"
    return str(caught.value)


def spans(data: bytes) -> list[tuple[int, int]]:
    """Return where the content of each entry's byte string lies."""
    found, at = [], 0
    for number in range(len(data)):
        if at == len(data):
            break
        major, _, argument, after = cbor_strict._head(data, at)
        if number >= 2:
            assert major == cbor_strict.BYTES
            found.append((after, after + argument))
            at = after + argument
        else:
            at = cbor_strict._item(data, at, OURS, 1)[1]
    return found


@settings(max_examples=60, deadline=None)
@given(histories(), st.randoms(use_true_random=False), st.lists(st.binary(max_size=40), max_size=3))
def test_a_capsule_reads_back_and_folds_to_the_same_state(
    entries: list[Entry], order: object, more: list[bytes]
) -> None:
    """Behaviours: 1.6, 12.6: a device may lose everything but this file."""
    delivered = shuffled(entries, order)  # type: ignore[arg-type]
    capsule = read_capsule(written(delivered, tuple(more)))
    assert [entry.raw for entry in capsule.entries] == [entry.raw for entry in delivered]
    assert capsule.header == header_of(entries) and capsule.grants == tuple(more)
    state = fold(list(capsule.entries))
    assert everything_of(state) == everything_of(fold(entries)) and list(capsule.heads) == state.history.heads


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6))
def test_a_capsule_cut_at_any_byte_is_refused_whole(seed: int) -> None:
    """Behaviours: 12.1, 12.2: the header says how many entries follow."""
    data = written(random_history(seed, 4))
    for length in range(len(data)):
        assert "cut short" in refusal(data[:length])


@settings(max_examples=150, deadline=None)
@given(small, st.data())
def test_any_bit_of_an_entry_that_is_flipped_names_that_entry(entries: list[Entry], data: st.DataObject) -> None:
    """Behaviour: 12.1."""
    whole = written(entries)
    number = data.draw(st.integers(0, len(entries) - 1))
    start, end = spans(whole)[number]
    bit = data.draw(st.integers(8 * start, 8 * end - 1))
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    text = refusal(bytes(changed))
    assert re.search(rf"entry {number + 1}\b", text), text


@settings(max_examples=150, deadline=None)
@given(small, st.data())
def test_any_flipped_bit_is_refused_or_changes_only_what_informs(entries: list[Entry], data: st.DataObject) -> None:
    """The header's age, clock and trust inform, and a grant is checked where it is used; no entry ever changes."""
    whole = written(entries)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        capsule = read_capsule(bytes(changed))
    except PeerError:
        return
    assert [entry.raw for entry in capsule.entries] == [entry.raw for entry in entries]
    assert capsule.header.object == entries[0].id and capsule.header.entries == len(entries)
    assert bit // 8 < spans(whole)[0][0]


@settings(max_examples=150, deadline=None)
@given(histories(15), st.data())
def test_an_entry_removed_swapped_doubled_or_put_in_names_the_first_bad_one(
    entries: list[Entry], data: st.DataObject
) -> None:
    """Behaviour: 12.1; a tail that is gone together with its count is the stated limit (12.2)."""
    whole = len(entries)
    at = data.draw(st.integers(0, whole - 1))
    foreign = first_entry(key(7)) if at == 0 else entry_on(fold([first_entry(key(7))]).history, key(7), learned("p"))
    match data.draw(st.sampled_from(["removed", "swapped", "doubled", "put in"])):
        case "removed":
            items = entries[:at] + entries[at + 1 :]
            first_bad = next((n for n, e in enumerate(items) if e.is_first != (n == 0) or _lacks(items, n)), None)
        case "swapped":
            other = data.draw(st.integers(0, whole - 1))
            items = list(entries)
            items[at], items[other] = items[other], items[at]
            first_bad = next((n for n, e in enumerate(items) if e.is_first != (n == 0) or _lacks(items, n)), None)
        case "doubled":
            items = entries[: at + 1] + [entries[at]] + entries[at + 1 :]
            first_bad = at + 1
        case _:
            items = entries[:at] + [foreign] + entries[at:]
            first_bad = at
    data_bytes = write_capsule(header_of(entries, len(items)), (), [entry.raw for entry in items])
    if first_bad is not None:
        assert re.search(rf"entry {first_bad + 1}\b", refusal(data_bytes))
    elif items:  # another causal order of the same entries, or heads that are gone with their count
        heads = read_capsule(data_bytes).heads
        assert set(heads) <= {entry.id for entry in entries}


def _lacks(items: list[Entry], number: int) -> bool:
    known = {entry.id for entry in items[:number]}
    return any(parent not in known for parent in items[number].parents)


def test_a_tail_that_is_cut_off_with_its_count_cannot_be_seen_here() -> None:
    """Behaviour: 12.2, the stated limit: `valid up to head H`; only somebody with a later head exposes it."""
    entries = random_history(3, 10)
    shorter = entries[:-2]
    capsule = read_capsule(write_capsule(header_of(shorter), (), [entry.raw for entry in shorter]))
    assert list(capsule.heads) == fold(shorter).history.heads
    lacking = fold(entries).history.after(list(capsule.heads))
    assert {entry.id for entry in lacking} >= {entry.id for entry in entries[-2:]}

"""Capsules: round trip, and each way in which a file can be damaged."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.objects.capsule import FORMAT_NAME, Capsule, Header, read_capsule, write_capsule
from edge_runtime.objects.fold import ObjectState
from tests.support.histories import MEMBER, entry_on, first_entry, key, learned, signalled

ONE = key(1)


def sample() -> tuple[bytes, ObjectState]:
    state = ObjectState(first_entry(ONE), MEMBER)
    for number in range(4):
        state.add(entry_on(state.history, ONE, learned(f"0/0/a:{number}", number)), MEMBER)
    state.add(entry_on(state.history, key(2), signalled("go")), MEMBER)
    entries = [placed.entry for placed in state.history.placed.values()]
    header = Header(FORMAT_NAME, state.object, len(entries), 5, True, 9, 0)
    return write_capsule(header, [b"grant"], [entry.raw for entry in entries]), state


def refusal(data: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        read_capsule(data)
    return str(caught.value)


def test_a_capsule_reads_back_as_what_was_written() -> None:
    """Behaviour: 12.6, 1.6: a device may lose everything but the object."""
    data, state = sample()
    told: list[int] = []
    capsule: Capsule = read_capsule(data, told.append)
    assert len(told) == len(capsule.entries) and told == sorted(told) and 0 < told[-1] < len(data)
    assert capsule.heads == tuple(state.history.heads) and capsule.grants == (b"grant",)
    assert [entry.id for entry in capsule.entries] == list(state.history.placed)


def test_a_capsule_cut_anywhere_is_refused_whole() -> None:
    """Behaviour: 12.2 within a file: the header says how many entries there are."""
    data, _ = sample()
    for length in range(len(data)):
        assert refusal(data[:length])


def test_any_changed_byte_is_refused() -> None:
    """Behaviour: 12.1. (Bytes of the header that only inform, such as the age, may differ.)"""
    data, _ = sample()
    start = data.index(b"\x45grant")
    for at in range(start, len(data)):
        if data[at : at + 1] in b"grant" and at < start + 6:
            continue
        changed = bytearray(data)
        changed[at] ^= 1
        assert refusal(bytes(changed))


def test_the_first_bad_entry_is_named() -> None:
    """Behaviour: 12.1: an entry that was removed, swapped or of another object is found and named."""
    data, state = sample()
    raws = [placed.entry.raw for placed in state.history.placed.values()]
    header = Header(FORMAT_NAME, state.object, 5, 5, True, 9, 0)
    assert "entry 3" in refusal(write_capsule(header, [], [raws[0], raws[1], raws[3], raws[4], raws[5]]))
    assert "entry 2" in refusal(write_capsule(header, [], [raws[0], raws[2], raws[1], raws[3], raws[4]]))
    other = first_entry(key(5))
    assert "entry 1" in refusal(write_capsule(header, [], [other.raw, *raws[1:5]]))


def test_a_later_format_is_named() -> None:
    data, state = sample()
    header = Header("edge-runtime/2", state.object, 1, 0, True, 0, 0)
    assert "edge-runtime/2" in refusal(write_capsule(header, [], [first_entry(ONE).raw]))

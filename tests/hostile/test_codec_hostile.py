"""Hostile bytes against the codec: 100,000 mutations, head bombs, tag bombs; one clear refusal, bounded cost.

Both decoders must agree on every input: what they accept, with which value, and what they refuse.
"""

from __future__ import annotations

import os
import random
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import ENTRY_BYTES_MAX
from edge_runtime.base.units import MIB
from edge_runtime.objects import codec
from tests.support import cbor_strict
from tests.support.cbor_strict import OURS, USER, Profile

MUTATIONS = 100_000
ADDRESS_SPACE_BYTES = 64 * MIB  # what the whole run may add; one honoured length head would ask for more
PEAK_BYTES_MAX = 24 * MIB  # 64 KiB of one-byte items makes 64 Ki Python objects and no more

# What a decoder may stumble over: widest lengths, indefinite lengths, tags, simple values, floats.
NASTY = (
    [
        bytes([major << 5 | detail]) + b"\xff" * (1 << (detail - 24))
        for major in range(8)
        for detail in (24, 25, 26, 27)
    ]
    + [bytes([major << 5 | detail]) for major in range(8) for detail in (0, 23, 28, 31)]
    + [
        bytes.fromhex(head)
        for head in "c0 c1 c2 c3 c4 c5 d81c d81d00 d819 d90100 d81e82 d823 d824 d825 d9d9f7".split()
    ]
    + [
        bytes.fromhex(head)
        for head in "f97e00 f97c00 f98000 fa3f800000 fb3ff0000000000000 f7 f818 a201010102".split()
    ]
    + [b"\x63\xed\xa0\x80", b"\x61\xff", b"\x62\xc0\x80", b"\x18\x17", b"\x19\x00\xff"]
)


def entry_shaped(rng: random.Random) -> Any:
    """A value of the shape that travels: payload of an entry, with records and inner byte strings."""
    clear = codec.encode(
        {0: rng.randrange(1000), 3: "survey", 4: [rng.randbytes(32)], 7: None, 9: {"a": True}}
    )
    result = codec.encode_value({"cells": [1.5, -3, 2**60, "ä"], "ok": True, "at": rng.random()})
    parents = sorted(rng.randbytes(32) for _ in range(rng.randrange(3)))
    records = [[rng.randrange(300), clear, rng.choice([None, result])] for _ in range(rng.randrange(1, 4))]
    moment = [rng.randrange(2**41), rng.randrange(5), rng.randrange(2**32)]
    return [1, rng.choice([None, rng.randbytes(32)]), parents, rng.randbytes(32), rng.randbytes(32)] + [
        rng.randbytes(8), rng.randrange(2**33), len(parents), rng.randrange(3), moment, records
    ]  # fmt: skip


def user_shaped(rng: random.Random) -> Any:
    """A value of the shape that users record: nested maps, negative integers, floats of each width."""
    numbers = [rng.random(), 0.5, -0.0, 3.4e38, 65504.0, 5.960464477539063e-08, -(2**63), 2**64 - 1]
    return {
        "pose": rng.sample(numbers, 4),
        "cells": {n: [n, str(n)] for n in range(rng.randrange(6))},
        "é": None,
    }


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return the bytes with one to three small damages."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(out)) if out else 0
        choice = rng.randrange(8)
        if choice == 0 and out:
            out[at] ^= 1 << rng.randrange(8)
        elif choice == 1 and out:
            out[at] = rng.randrange(256)
        elif choice == 2:
            out[at:at] = rng.choice(NASTY)
        elif choice == 3 and out:
            out[at : at + rng.randrange(1, 5)] = rng.choice(NASTY)
        elif choice == 4:
            del out[at : at + rng.randrange(1, 9)]
        elif choice == 5:
            del out[at:]
        elif choice == 6:
            out[at:at] = out[at : at + rng.randrange(1, 40)]
        else:
            start = rng.randrange(len(other))
            out[at : at + rng.randrange(40)] = other[start : start + rng.randrange(40)]
    return bytes(out)


def read(decode: Callable[[], Any], refusal: type[Exception]) -> tuple[bool, str]:
    """Return (accepted, value down to type and sign of zero); any error but the refusal fails the test."""
    try:
        return True, repr(decode())
    except refusal:
        return False, ""


def both_agree(data: bytes) -> int:
    """Assert that both decoders say the same under both profiles; return how many accepted."""
    accepted = 0
    pairs: list[tuple[Callable[[bytes], Any], Profile]] = [(codec.decode, OURS), (codec.decode_value, USER)]
    for decode, profile in pairs:
        first = read(partial(decode, data), PeerError)
        second = read(partial(cbor_strict.decode, data, profile), cbor_strict.Refused)
        assert first == second, f"the decoders differ on {data.hex()}"
        accepted += first[0]
    return accepted


@contextmanager
def address_space_bounded(extra_bytes: int) -> Iterator[None]:
    """Let this process grow by so much and no more: a larger allocation fails on the spot."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as pages:
        now = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + extra_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_both_decoders_agree_on_a_hundred_thousand_damaged_encodings() -> None:
    seed = int(os.environ.get("EDGE_FUZZ_SEED", "8949"))
    rng = random.Random(seed)
    whole = [codec.encode(entry_shaped(rng)) for _ in range(50)]
    whole += [codec.encode_value(user_shaped(rng)) for _ in range(50)]
    assert all(both_agree(data) for data in whole), "the undamaged encodings are accepted"
    accepted, began = 0, time.perf_counter()
    with address_space_bounded(ADDRESS_SPACE_BYTES):
        for number in range(MUTATIONS):
            if number % 10 == 0:
                data = rng.randbytes(rng.randrange(40))
            else:
                data = mutate(rng.choice(whole), rng.choice(whole), rng)
            accepted += both_agree(data) > 0
    print(f"seed {seed}: {MUTATIONS} inputs, {accepted} accepted, {time.perf_counter() - began:.1f} s")
    # Damage inside a byte string leaves a valid encoding; were none or all accepted, this would be no test.
    assert 0.02 * MUTATIONS < accepted < 0.7 * MUTATIONS


def _peak_bytes(data: bytes) -> int:
    """Bytes that Python allocated at most while both of our decoders read the input."""
    tracemalloc.start()
    try:
        for decode in (codec.decode, codec.decode_value):
            read(partial(decode, data), PeerError)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("major", [2, 3, 4, 5], ids=["bytes", "text", "array", "map"])
@pytest.mark.parametrize("length", [2**16, 2**20, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_length_that_the_input_cannot_hold_allocates_nothing(major: int, length: int) -> None:
    data = bytes([major << 5 | 27]) + length.to_bytes(8, "big") + b"\x00" * 100
    short = bytes([major << 5 | 26]) + length.to_bytes(8, "big")[-4:] + b"\x00" * 100
    for hostile in (data, short, b"\x9a\x10\x00\x00\x00" * 15 + data):
        assert both_agree(hostile) == 0
        assert _peak_bytes(hostile) < MIB


@pytest.mark.parametrize(
    "item", [b"\x00", b"\x20", b"\x40", b"\x60", b"\x80", b"\xa0", b"\xf6", b"\x81", b"\xc1", b"\xff"]
)
def test_an_input_of_the_largest_size_costs_a_bounded_amount(item: bytes) -> None:
    count = ENTRY_BYTES_MAX - 3
    data = b"\x99" + count.to_bytes(2, "big") + item * count
    both_agree(data)
    assert _peak_bytes(data) < PEAK_BYTES_MAX


def test_shared_references_are_refused_before_they_multiply() -> None:
    # Each level is an array of 200 references to the level before: one visit of all takes 200 ** 15 steps.
    bomb = b"\x8f" + b"\xd8\x1c\x98\xc8" + b"\x00" * 200
    for level in range(14):
        bomb += b"\xd8\x1c\x98\xc8" + (b"\xd8\x1d" + bytes([level])) * 200
    assert len(bomb) < ENTRY_BYTES_MAX
    assert both_agree(bomb) == 0


@pytest.mark.parametrize(
    ("tag", "content"),
    [
        (0, b"\x74" + b"2026-11-24T00:00:00Z"),
        (1, b"\x00"),
        (2, b"\x41\x01"),
        (3, b"\x41\x01"),
        (4, b"\x82\x00\x01"),
        (5, b"\x82\x00\x01"),
        (30, b"\x82\x01\x02"),
        (35, b"\x66(a+)+$"),
        (36, b"\x68A: b\n\nc\n"),
        (37, b"\x50" + bytes(16)),
        (100, b"\x00"),
        (258, b"\x81\x00"),
        (260, b"\x44" + bytes(4)),
        (43000, b"\x82\xf9\x3c\x00\xf9\x3c\x00"),
        (55799, b"\x00"),
        (99999, b"\x00"),
    ],
    ids=lambda part: str(part) if isinstance(part, int) else "",
)
def test_a_tag_is_refused_before_what_it_tags_is_read(tag: int, content: bytes) -> None:
    head = bytes([0xC0 | tag]) if tag < 24 else b"\xda" + tag.to_bytes(4, "big")
    for data in (head + content, b"\xa1" + head + content + b"\x00"):
        assert both_agree(data) == 0
    # Cut right after the head: were the content read first, the refusal would speak of the missing bytes.
    reached: list[int] = []

    class Spy(codec._NoTags):
        def __getitem__(self, number: int) -> Any:
            reached.append(number)
            return super().__getitem__(number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "_NO_TAGS", Spy())
        assert both_agree(head) == 0
    assert set(reached) == {tag}


def test_a_large_integer_hidden_in_a_key_is_refused() -> None:
    # cbor2 spells 2 ** 70 with a tag, so that the comparison of spellings alone would let it pass.
    assert both_agree(bytes.fromhex("a1c24940000000000000000001")) == 0
    assert both_agree(b"\xa1\xc2\x59\xf0\x00" + b"\xff" * 0xF000 + b"\x00") == 0
    assert both_agree(bytes.fromhex("a11bffffffffffffffff01")) == 1, "a user's key may have 64 bits, ours 63"


def test_the_refusal_does_not_carry_the_peers_bytes() -> None:
    with pytest.raises(PeerError) as caught:
        codec.decode(b"\xa2" + b"\x66secret\x01" + b"\x66secret\x02")
    assert caught.value.reason == "encoding"
    assert "secret" not in str(caught.value)

"""Entries: what `verify` accepts, and every kind of bytes that it refuses."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from nacl.signing import SigningKey

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import ENTRY_BYTES_MAX, ENTRY_RECORDS_MAX
from edge_runtime.base.moment import Trust
from edge_runtime.objects.codec import decode, encode
from edge_runtime.objects.cose import ENTRY_AAD, GRANT_AAD, sign1, split1
from edge_runtime.objects.entries import Draft, Entry, reopen, seal, verify
from edge_runtime.objects.fold import ObjectState
from tests.support import cbor_strict
from tests.support.cbor_strict import OURS
from tests.support.histories import (
    MEMBER,
    ROOT,
    created,
    entry_id_of,
    entry_on,
    first_entry,
    key,
    learned,
    signalled,
)

ONE = key(1)


def refused(raw: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        verify(raw)
    return caught.value.reason


def resigned(entry: Entry, change: object) -> bytes:
    """Return the entry with its fields changed and signed anew: only the rule itself can refuse it."""
    fields = decode(split1(entry.raw)[0])
    change(fields)  # type: ignore[operator]
    return sign1(ONE, ENTRY_AAD, encode(fields))


def test_what_was_sealed_verifies_to_the_same_entry_with_the_hash_as_id() -> None:
    entry = first_entry(ONE)
    assert verify(entry.raw) == entry == reopen(entry.raw)
    assert entry.id == entry.object == entry_id_of(entry.raw)


def test_every_flipped_bit_is_refused() -> None:
    """Behaviour: 12.1; property: any flipped bit of an entry is refused."""
    raw = first_entry(ONE).raw
    for at in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[at] ^= 1 << bit
            with pytest.raises(PeerError):
                verify(bytes(changed))


def test_a_signature_of_another_purpose_does_not_count() -> None:
    payload, _ = split1(first_entry(ONE).raw)
    assert refused(sign1(ONE, GRANT_AAD, payload)) == "signature"


def test_bytes_over_the_bound_are_refused_before_they_are_read() -> None:
    """Behaviour: 12.12."""
    assert refused(b"\x00" * (ENTRY_BYTES_MAX + 1)) == "oversize"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("later version", lambda f: f.__setitem__(0, 2)),
        ("object in a first entry", lambda f: f.__setitem__(1, b"o" * 32)),
        ("parent in a first entry", lambda f: f.__setitem__(2, [b"p" * 32])),
        ("short author", lambda f: f.__setitem__(3, b"a" * 31)),
        ("height of a first entry", lambda f: f.__setitem__(7, 1)),
        ("epoch of a first entry", lambda f: f.__setitem__(8, 1)),
        ("trust beyond the list", lambda f: f[9].__setitem__(1, 5)),
        ("a flag that is no flag", lambda f: f[9].__setitem__(3, 2)),
        ("a boolean for a number", lambda f: f.__setitem__(6, True)),
        ("no records", lambda f: f.__setitem__(10, [])),
        ("a kind of neither range", lambda f: f[10][0].__setitem__(0, 0)),
        ("created not first", lambda f: f[10].insert(0, [67, b"\x80", None])),
        ("inputs and turns mixed", lambda f: f[10].append([1, b"\x80", None])),
        ("a clear part of another shape", lambda f: f[10][0].__setitem__(1, b"\x80")),
        ("one field more", lambda f: f.append(0)),
    ],
)
def test_a_well_signed_entry_out_of_shape_is_refused(name: str, change: object) -> None:
    """Behaviour: 12.12: what intake refuses follows from the bytes alone."""
    assert refused(resigned(first_entry(ONE), change)) in {"version", "entry", "record", "signature"}, name


def test_parents_must_ascend_and_be_few() -> None:
    state = ObjectState(first_entry(ONE), MEMBER)
    entry = entry_on(state.history, ONE, learned("0/0/a:1"))
    assert refused(resigned(entry, lambda f: f.__setitem__(2, [b"b" * 32, b"a" * 32]))) == "entry"
    assert refused(resigned(entry, lambda f: f.__setitem__(2, [bytes([n]) * 32 for n in range(17)]))) == "entry"


def test_a_draft_out_of_bounds_is_not_sealed() -> None:
    draft = Draft(None, (), b"g" * 32, b"b" * 8, 0, 0, 0, 0, Trust.NONE, 0, True, (created(), *[learned("p")] * 64))
    with pytest.raises(ValueError, match=str(ENTRY_RECORDS_MAX + 1)):
        seal(ONE, draft)


def test_an_entry_cannot_be_made_by_hand() -> None:
    entry = first_entry(ONE)
    with pytest.raises(AssertionError):
        Entry(*(getattr(entry, name) for name in entry.__slots__[:-1]), object())  # type: ignore[arg-type]


def test_inputs_and_turns_are_told_apart() -> None:
    state = ObjectState(first_entry(ONE), MEMBER)
    assert entry_on(state.history, ONE, signalled("a")).is_input
    assert not entry_on(state.history, ONE, learned("p")).is_input


def test_an_entry_spelled_by_hand_from_the_page_is_what_seal_makes() -> None:
    """`docs/format.md`, byte for byte, with another encoder, another signer and the hash of the standard library."""
    seed, public = b"\x01" * 32, bytes(SigningKey(b"\x01" * 32).verify_key)
    clear = [8, 10_000_000, [], [], ["camera"], 0, [], [], [ROOT.public], 0, 0]
    sealed = ["thing", b"\xf6", "", b"", "", 0, 0, [], [], 0, 0, 0, []]
    record = [64, cbor_strict.encode(clear, OURS), b"\x00" + cbor_strict.encode(sealed, OURS)]
    time = [1_700_000_000_000, 3, 17, 0]
    fields = [1, None, [], public, b"g" * 32, b"boot0000", 5, 0, 0, time, [record]]
    payload = cbor_strict.encode(fields, OURS)
    signed = cbor_strict.encode(["Signature1", b"\xa1\x01\x27", b"edge-runtime/1", payload], OURS)
    raw = cbor_strict.encode([b"\xa1\x01\x27", {}, payload, SigningKey(seed).sign(signed).signature], OURS)
    draft = Draft(
        None, (), b"g" * 32, b"boot0000", 5, 0, 0, 1_700_000_000_000, Trust.NTP, 17, False,
        (created(needs=("camera",)),),
    )  # fmt: skip
    entry = seal(key(1), draft)
    assert entry.raw == raw and entry.id == blake2b(raw, digest_size=32).digest()
    # Golden: from the first release on ids never change.
    assert entry.id.hex() == "71e17b5dee68419f022d33e234d39531e1f018c4754dd11221b48b74a6b43934"

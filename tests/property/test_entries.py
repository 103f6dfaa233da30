"""Laws of entries: what is sealed verifies, one spelling of it exists, and no bit of it can be another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import ERROR_TEXT_BYTES_MAX, INTEGER_MAX
from edge_runtime.base.moment import Trust
from edge_runtime.objects import bodies as b
from edge_runtime.objects.cose import ENTRY_AAD, PROTECTED, sign1, split1
from edge_runtime.objects.entries import Draft, Entry, reopen, seal, verify
from edge_runtime.objects.kinds import Kind, is_input
from edge_runtime.objects.records import Record, make
from tests.support import cbor_strict
from tests.support.cbor_strict import OURS
from tests.support.histories import created, dormant, executed, key, learned, offered, published, signalled

numbers = st.one_of(st.integers(0, 300), st.integers(0, INTEGER_MAX))
hashes = st.binary(min_size=32, max_size=32)
words = st.text(max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | words | st.binary(max_size=60),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
turns = st.one_of(
    st.builds(learned, st.text(min_size=1, max_size=50), values),
    st.builds(published, st.text(min_size=1, max_size=50), values),
    st.builds(executed, st.text(min_size=1, max_size=50), numbers, st.integers(0, 12), st.booleans(), numbers),
    st.builds(dormant, words),
    st.builds(offered, st.builds(key, st.integers(1, 9)), numbers, numbers),
    st.builds(
        lambda kind, value, sealed: Record(kind, cbor_strict.encode(value, OURS), sealed),
        st.integers(100, 1023),
        st.lists(numbers, max_size=3),
        st.none() | st.binary(max_size=50),
    ),
)
inputs = st.one_of(
    st.builds(signalled, st.text(min_size=1, max_size=50), values),
    st.builds(lambda kind, sealed: Record(kind, b"\x80", sealed), st.integers(8, 63), st.none() | st.binary()),
)


rest: dict[str, st.SearchStrategy[Any]] = {
    "grant": hashes, "boot": st.binary(min_size=8, max_size=8), "sequence": numbers, "wall_ms": numbers,
    "trust": st.sampled_from(Trust), "age_ms": numbers, "age_is_exact": st.booleans(),
}  # fmt: skip
later = st.builds(
    Draft,
    object=hashes,
    parents=st.lists(hashes, min_size=1, max_size=16, unique=True).map(tuple),
    height=st.integers(1, INTEGER_MAX),
    epoch=numbers,
    records=(st.lists(turns, min_size=1, max_size=6) | st.lists(inputs, min_size=1, max_size=6)).map(tuple),
    **rest,
)
first = st.builds(
    Draft,
    object=st.none(),
    parents=st.just(()),
    height=st.just(0),
    epoch=st.just(0),
    records=st.lists(turns, max_size=4).map(lambda more: (created(), *more)),
    **rest,
)
drafts = first | later


@settings(max_examples=300, deadline=None)
@given(drafts, st.integers(1, 9))
def test_what_is_sealed_verifies_to_the_same_entry(draft: Draft, author: int) -> None:
    entry = seal(key(author), draft)
    assert verify(entry.raw) == entry == reopen(entry.raw)
    assert (entry.author, entry.parents) == (key(author).public, tuple(sorted(draft.parents)))
    assert entry.object == (draft.object or entry.id) and entry.is_first == (not draft.parents)
    assert entry.is_input == is_input(draft.records[0].kind)
    same = ("grant", "boot", "sequence", "height", "epoch", "wall_ms", "trust", "age_ms", "age_is_exact", "records")
    assert all(getattr(entry, name) == getattr(draft, name) for name in same)


@settings(max_examples=300, deadline=None)
@given(drafts, st.data())
def test_any_flipped_bit_of_an_entry_is_refused(draft: Draft, data: st.DataObject) -> None:
    """Behaviour: 12.1."""
    raw = seal(key(1), draft).raw
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PeerError):
        verify(bytes(changed))


@settings(max_examples=200, deadline=None)
@given(drafts, st.data())
def test_an_entry_cut_or_lengthened_anywhere_is_refused(draft: Draft, data: st.DataObject) -> None:
    """Behaviour: 12.1."""
    raw = seal(key(1), draft).raw
    with pytest.raises(PeerError):
        verify(raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(PeerError):
        verify(raw + data.draw(st.binary(min_size=1, max_size=9)))


class Speller:
    """Spells CBOR canonically but for one head, which it makes one size longer than needed."""

    def __init__(self, longer: int) -> None:
        self.longer = longer
        self.heads = 0

    def spell(self, value: Any) -> bytes:
        if value is None:
            return self.counted(b"\xf6")
        if isinstance(value, int):
            return self.head(0, value)
        if isinstance(value, bytes):
            return self.head(2, len(value)) + value
        if isinstance(value, str):
            return self.head(3, len(value.encode())) + value.encode()
        if isinstance(value, dict):
            return self.head(5, 0)
        return self.head(4, len(value)) + b"".join(self.spell(item) for item in value)

    def counted(self, spelled: bytes) -> bytes:
        self.heads += 1
        return b"\xf8\x16" if self.heads - 1 == self.longer else spelled

    def head(self, major: int, number: int) -> bytes:
        width = next(w for w, limit in enumerate((24, 1 << 8, 1 << 16, 1 << 32, 1 << 64)) if number < limit)
        width += self.heads == self.longer
        self.heads += 1
        if width == 0:
            return bytes((major << 5 | number,))
        if width == 5:
            return b"\xff"  # no longer head exists; this is none at all
        return bytes((major << 5 | 23 + width,)) + number.to_bytes(1 << width - 1, "big")


@settings(max_examples=60, deadline=None)
@given(drafts)
def test_no_other_spelling_of_an_entry_is_accepted(draft: Draft) -> None:
    """One spelling, one id: a longer head anywhere in envelope or payload is refused, signed or not."""
    raw = seal(key(1), draft).raw
    payload, signature = split1(raw)
    assert Speller(-1).spell(cbor_strict.decode(payload, OURS)) == payload, "the speller itself is right"
    for longer in range(5):
        envelope = Speller(longer).spell([PROTECTED, {}, payload, signature])
        with pytest.raises(PeerError) as caught:
            verify(envelope)
        assert caught.value.reason == "encoding"
    counter = Speller(-1)
    counter.spell(cbor_strict.decode(payload, OURS))
    for longer in range(counter.heads):
        respelled = Speller(longer).spell(cbor_strict.decode(payload, OURS))
        with pytest.raises(PeerError) as caught:
            verify(sign1(key(1), ENTRY_AAD, respelled))
        assert caught.value.reason == "encoding"


@settings(max_examples=60, deadline=None)
@given(later, st.integers(2, 9))
def test_another_device_cannot_sign_in_an_authors_name(draft: Draft, other: int) -> None:
    payload, _ = split1(seal(key(1), draft).raw)
    with pytest.raises(PeerError, match="signature"):
        verify(sign1(key(other), ENTRY_AAD, payload))


BEYOND: list[tuple[Kind, b.Body, b.Body | None]] = [
    (Kind.LEARNED, b.Empty(), b.LearnedSealed("", b"")),
    (Kind.LEARNED, b.Empty(), b.LearnedSealed("p" * 513, b"")),
    (Kind.PUBLISHED, b.Empty(), b.PublishedSealed("p", "n" * 129, b"")),
    (Kind.CANCEL_REQUESTED, b.Empty(), b.CancelSealed("r" * (ERROR_TEXT_BYTES_MAX + 1))),
    (Kind.SIGNALLED, b.Empty(), b.SignalledSealed("n", b"\x00" * (16 * 1024 + 1))),
    (Kind.DORMANT, b.DormantClear(0), b.DormantSealed(b"\x00" * (48 * 1024 + 1), "")),
    (Kind.DORMANT, b.DormantClear(-1), b.DormantSealed(b"", "")),
    (Kind.OFFERED, b.OfferedClear(b"short", 1, 1, ""), None),
    (Kind.CLAIMED, b.ClaimedClear(INTEGER_MAX + 1, ""), None),
    (Kind.HOLDING, b.HoldingClear(3), None),
    (Kind.TOOK, b.Empty(), b.TookSealed(9, b"", "")),
    (Kind.AGAIN, b.Empty(), b.AgainSealed(True, b"")),
    (Kind.REENTERED, b.Empty(), b.ReenteredSealed((1,), b"")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("kind", "clear", "sealed"), BEYOND, ids=lambda value: type(value).__name__)
def test_what_others_would_void_is_not_signed_here(kind: Kind, clear: b.Body, sealed: b.Body | None) -> None:
    """A body that counts for its author and for nobody else would part them for ever (12.3)."""
    with pytest.raises(ValueError, match=type(clear).__name__ if sealed is None else "Sealed|Clear"):
        make(kind, clear, sealed)


@pytest.mark.parametrize(
    "change",
    [
        {"height": -1}, {"epoch": INTEGER_MAX + 1}, {"age_ms": -1}, {"wall_ms": 2**63}, {"sequence": -5},
        {"height": 0}, {"object": None}, {"object": b"short"}, {"parents": ()}, {"parents": (b"p" * 32,) * 2},
        {"parents": (b"p",)}, {"grant": b""}, {"boot": b"123456789"}, {"records": ()},
        {"records": (learned("p"), signalled("s"))}, {"records": (learned("p"), created())},
        {"parents": tuple(bytes((n,)) * 32 for n in range(17))},
    ],
)  # fmt: skip
def test_a_draft_that_verify_would_refuse_is_not_signed(change: dict[str, object]) -> None:
    """Holding an `Entry` proves that it was checked, whichever of the two functions made it."""
    fields: dict[str, object] = {
        "object": b"o" * 32, "parents": (b"p" * 32,), "grant": b"g" * 32, "boot": b"b" * 8, "sequence": 0, "height": 1,
        "epoch": 0, "wall_ms": 0, "trust": Trust.NONE, "age_ms": 0, "age_is_exact": True, "records": (learned("p"),),
    }  # fmt: skip
    assert isinstance(seal(key(1), Draft(**fields)), Entry)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        seal(key(1), Draft(**{**fields, **change}))  # type: ignore[arg-type]

"""Records: typed bodies over bytes that any relay may carry."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.objects import bodies as b
from edge_runtime.objects.children import ChildSlot, DelegatedSealed
from edge_runtime.objects.codec import encode
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import PLAIN, SHAPES, Record, check_record, make, read_clear, read_sealed
from tests.support.histories import (
    accepted,
    advised,
    again,
    cancel_requested,
    claimed,
    created,
    dormant,
    executed,
    holding,
    key,
    learned,
    offered,
    published,
    signalled,
    terminated,
    took,
)

SAMPLES = [
    created(needs=("camera",)), signalled("go", [1, "ä"]), advised("way", {"a": 1}, b"t" * 32), cancel_requested(), holding(1), took(b"ref"), learned("p"),
    executed("p"), dormant(), published("n", 1), offered(key(2), 1), accepted(b"o" * 32, 1), claimed(1), again(1),
    terminated(),
    make(Kind.REENTERED, b.Empty(), b.ReenteredSealed(("age reaches 2 h",), b"d" * 16)),
    make(Kind.ATTEMPTED, b.Empty(), b.AttemptedSealed(b"a" * 16, "p", b"f" * 16, 4, "valve", "ok")),
    make(Kind.CANNOT, b.Empty(), b.CannotSealed(b"d" * 32, "camera", 0, "no lens", b"", 0, 3)),
    make(Kind.UNIT, b.Empty(), b.UnitSealed("search", "b17", 2, 1_000, b"\x01")),
    make(Kind.REFINED, b.Empty(), b.RefinedSealed("p", b"b" * 16, b"a" * 16, b"\x80", "battery")),
    make(
        Kind.DELEGATED, b.Empty(),
        DelegatedSealed("p", (ChildSlot(0, b"c" * 32, "shoot", b"f" * 16, ("camera",), 60_000, (("kits", 3),)),)),
    ),
    make(Kind.DENIED, b.Empty(), b.DeniedSealed("p", True, "rule", b"h" * 16, "peer")),
    make(Kind.POLLED, b.Empty(), b.PolledSealed("p", "disk", 2, b"", b"c", 1, 2, 3, b"", 4, 5, False, "gone")),
]  # fmt: skip


def fresh(record: Record) -> Record:
    """Return the record as it comes from outside: without the body that its author still has."""
    return check_record([record.kind, record.clear, record.sealed])


def test_there_is_a_sample_of_every_kind_with_fields() -> None:
    assert sorted(record.kind for record in SAMPLES) == sorted(SHAPES)


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: Kind(record.kind).name)
def test_a_record_reads_back_as_what_its_author_meant(record: Record) -> None:
    again_here = fresh(record)
    assert again_here == record and again_here.body is None
    assert read_clear(again_here) == read_clear(record)
    assert read_sealed(again_here) == record.body == read_sealed(record)
    assert (record.sealed is None) == (SHAPES[record.kind][1] is None)


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: Kind(record.kind).name)
def test_each_body_is_an_array_of_its_fields_and_of_no_more_and_no_fewer(record: Record) -> None:
    for data, shape in ((record.clear, SHAPES[record.kind][0]), ((record.sealed or b"")[1:], SHAPES[record.kind][1])):
        if shape is not None:
            assert data[0] == 0x80 | len(shape.__struct_fields__)
    longer = bytes([record.clear[0] + 1]) + record.clear[1:] + b"\x00"
    with pytest.raises(PeerError):
        check_record([record.kind, longer, record.sealed])
    if record.sealed is not None and record.sealed != PLAIN + b"\x80":
        longer = PLAIN + bytes([record.sealed[1] + 1]) + record.sealed[2:] + b"\x00"
        with pytest.raises(PeerError):
            read_sealed(check_record([record.kind, record.clear, longer]))


@pytest.mark.parametrize(
    "item",
    [
        [1, b"\x80"], [1, b"\x80", None, 0], ["1", b"\x80", None], [True, b"\x80", None], [1, "", None],
        [1, None, None],
        [1, b"\x80", "sealed"], [0, b"\x80", None], [1024, b"\x80", None], {}, 7, None, b"",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_record_is_refused(item: object) -> None:
    with pytest.raises(PeerError) as caught:
        check_record(item)
    assert caught.value.reason == "record"


@pytest.mark.parametrize(
    "clear", [b"", b"\x81\x00", b"\x98\x00", b"\x80\x00", b"\x9f\xff", b"\xa0", b"\xf6"], ids=bytes.hex
)
def test_a_clear_part_in_another_spelling_is_refused(clear: bytes) -> None:
    """Behaviour: 12.12; the clear part is checked on every relay."""
    with pytest.raises(PeerError):
        check_record([int(Kind.LEARNED), clear, None])


@pytest.mark.parametrize("kind", [6, 63, 64 + 400, 1023])
def test_the_clear_part_of_a_kind_that_is_not_known_is_any_one_item(kind: int) -> None:
    """Behaviour: 1.8: carried, and still in one spelling."""
    record = check_record([kind, encode({"new": [1]}), b"anything"])
    assert read_clear(record) is None and read_sealed(record) is None
    with pytest.raises(PeerError):
        check_record([kind, b"\x18\x01", None])


@pytest.mark.parametrize("kind", [Kind.HOLDING, Kind.OFFERED, Kind.ACCEPTED, Kind.CLAIMED])
def test_a_kind_that_is_wholly_clear_has_no_sealed_part(kind: Kind) -> None:
    """Else bytes could ride along that nobody reads."""
    record = next(record for record in SAMPLES if record.kind == kind)
    with pytest.raises(PeerError, match="wholly clear"):
        check_record([record.kind, record.clear, PLAIN])


@pytest.mark.parametrize("sealed", [None, b"", b"\x01ciphertext", b"\xff"])
def test_a_sealed_part_under_another_scheme_is_withheld_and_not_malformed(sealed: bytes | None) -> None:
    """Behaviour: 12.11."""
    assert read_sealed(check_record([int(Kind.LEARNED), b"\x80", sealed])) is None


@pytest.mark.parametrize(
    "spelled", [b"", b"\x80", b"\x82\x61p", b"\x82\x41p\x40", b"\x82\x61p\x40\x00", b"\x82\x78\x01p\x40"]
)
def test_a_malformed_sealed_part_passes_intake_and_is_told_to_readers(spelled: bytes) -> None:
    """Behaviour: 12.13: only readers can tell, so it is kept, and void."""
    record = check_record([int(Kind.LEARNED), b"\x80", PLAIN + spelled])
    with pytest.raises(PeerError):
        read_sealed(record)

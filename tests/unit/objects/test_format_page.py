"""docs/format.md lists every kind with its number and fields, and every message: the page is the contract."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.node import messages as m
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import SHAPES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "format.md").read_text()


def test_every_kind_stands_on_the_page_with_its_number_and_fields_in_order() -> None:
    for kind in Kind:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| {int(kind)} | `{kind.name.lower()}` |"))
        for shape in SHAPES.get(kind, ()):
            assert shape is None or not shape.__struct_fields__ or ", ".join(shape.__struct_fields__) in row


def test_every_message_stands_on_the_page_with_its_number() -> None:
    for message in (m.Hello, m.Adverts, m.Heads, m.Want, m.Entries, m.Refuse):
        number, name = message.__struct_config__.tag, message.__name__.lower()
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| {number} | {name} |"))
        for field in message.__struct_fields__:
            assert field in row


def test_numbers_never_change() -> None:
    """The numbers are a contract: this list only grows."""
    assert {kind.name: int(kind) for kind in Kind} == {
        "SIGNALLED": 1, "ADVISED": 2, "CANCEL_REQUESTED": 3, "CANNOT": 4, "UNIT": 5, "REVOKED": 6, "HOLDING": 7,
        "CREATED": 64, "REENTERED": 65, "TOOK": 66, "LEARNED": 67, "ATTEMPTED": 68, "EXECUTED": 69, "DENIED": 70,
        "REFINED": 71, "DELEGATED": 72, "DORMANT": 73, "POLLED": 74, "PUBLISHED": 75, "OFFERED": 76, "ACCEPTED": 77,
        "CLAIMED": 78, "CHECKPOINTED": 79, "AGAIN": 80, "TERMINATED": 81,
    }  # fmt: skip

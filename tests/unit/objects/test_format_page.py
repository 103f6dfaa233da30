"""docs/format.md is the contract for other implementations: every table and number on it is that of the code."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct, inspect

from edge_runtime.base import limits
from edge_runtime.base.limits import INTEGER_MAX
from edge_runtime.base.moment import Trust
from edge_runtime.host import channel
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.node import messages as m
from edge_runtime.objects import bodies as b
from edge_runtime.objects.capsule import FORMAT_NAME, Header
from edge_runtime.objects.cose import ADVERT_AAD, ENTRY_AAD, GRANT_AAD, PROTECTED, REVOCATION_AAD
from edge_runtime.objects.entries import FORMAT_VERSION
from edge_runtime.objects.grants import Advert, GrantBody, Role
from edge_runtime.objects.history import History
from edge_runtime.objects.kinds import INPUT_FIRST, INPUT_LAST, TURN_FIRST, TURN_LAST, Kind, is_input
from edge_runtime.objects.records import SHAPES
from edge_runtime.objects.revocations import RevocationBody, Revoked
from tests.support.histories import fold, random_history

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "format.md").read_text()
WORDS = " ".join(PAGE.split())
MESSAGES = (m.Hello, m.Adverts, m.Heads, m.Want, m.Entries, m.Refuse, m.Denied, m.Revocations, m.Gone, m.Ended, m.Met)


def extent(least: int | None, most: int | None) -> str:
    """Return how the page writes a bound on a length or a number of items."""
    match least or 0, most:
        case 0, None:
            return ""
        case low, None:
            return f" ≥ {low}"
        case 0, high:
            return f" ≤ {high}"
        case low, high:
            return f" {low}…{high}"


def type_text(kind: inspect.Type) -> str:
    """Return how the page writes the type of a field."""
    match kind:
        case inspect.IntType(ge=0, le=high):
            return "uint" if high == INTEGER_MAX else f"uint ≤ {high}"
        case inspect.IntType(ge=low, le=high):
            return f"uint {low}…{high}"
        case inspect.BoolType():
            return "bool"
        case inspect.BytesType(min_length=low, max_length=high) if low == high and low is not None:
            return f"bytes[{low}]"
        case inspect.BytesType(min_length=low, max_length=high):
            return "bytes" + extent(low, high)
        case inspect.StrType(min_length=low, max_length=high):
            return "text" + extent(low, high)
        case inspect.VarTupleType(item_type=item, min_length=low, max_length=high):
            return f"[{type_text(item)} …]" + extent(low, high)
        case inspect.TupleType(item_types=items):
            return "[" + ", ".join(type_text(item) for item in items) + "]"
        case inspect.UnionType(types=types):
            return " or ".join(type_text(item) for item in types)
        case inspect.NoneType():
            return "null"
        case inspect.StructType(fields=fields):
            return "[" + ", ".join(f"{field.name} {type_text(field.type)}" for field in fields) + "]"
    raise AssertionError(f"the page has no word for {kind}")


def fields_text(shape: type[Struct] | None) -> str:
    """Return how the page writes the fields of a Struct, in order."""
    if shape is None:
        return "–"
    found = inspect.type_info(shape)
    assert isinstance(found, inspect.StructType)
    return ", ".join(f"`{field.name}` {type_text(field.type)}" for field in found.fields) or "(empty)"


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str, *first_cells: str) -> list[str]:
    return [line for line in section(title).splitlines() if re.match(r"\| \d", line)]


def test_the_table_of_kinds_is_that_of_the_code_row_by_row() -> None:
    expected = []
    for kind in Kind:
        shape = SHAPES.get(kind)
        parts = ("opaque", "opaque") if shape is None else tuple(map(fields_text, shape))
        word = "input" if is_input(kind) else "turn"
        expected.append(f"| {int(kind)} | `{kind.name.lower()}` | {word} | {parts[0]} | {parts[1]} |")
    assert rows("Kinds") == expected


def test_the_table_of_messages_is_that_of_the_code_row_by_row() -> None:
    expected = [
        f"| {shape.__struct_config__.tag} | `{shape.__name__.lower()}` | {fields_text(shape)} |" for shape in MESSAGES
    ]
    assert rows("Contact") == expected


@pytest.mark.parametrize(
    ("title", "shape"),
    [("Grants and adverts", GrantBody), ("Grants and adverts", Advert), ("Revocations", RevocationBody), ("Capsule", Header)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_maps_have_the_fields_of_the_code(title: str, shape: type[Struct]) -> None:
    found = inspect.type_info(shape)
    assert isinstance(found, inspect.StructType)
    for field in found.fields:
        needed = "always" if field.required else "left out if empty or 0"
        assert f"| `{field.name}` | {type_text(field.type)} | {needed} |" in section(title), field.name


@pytest.mark.parametrize("numbers", [Trust, Outcome, b.EffectClass, b.End, b.Took, b.PollResult, m.Refusal, Revoked], ids=lambda e: e.__name__)
def test_every_numbered_word_stands_on_the_page(numbers: type[Trust]) -> None:
    for member in numbers:
        assert f"{int(member)} {member.name.lower().replace('_', ' ')}" in WORDS, member


def test_the_outcomes_that_the_fold_knows_are_those_of_the_judge() -> None:
    assert max(Outcome) == b.OUTCOME_LAST


@pytest.mark.parametrize(
    "word",
    [
        f"Version {FORMAT_VERSION}.", PROTECTED.hex(),
        *(f"`{aad.decode()}`" for aad in (ENTRY_AAD, GRANT_AAD, ADVERT_AAD, REVOCATION_AAD)),
        f"{INPUT_FIRST} … {INPUT_LAST}", f"{TURN_FIRST} … {TURN_LAST}", f'"{FORMAT_NAME}"',
        f"`{channel.PROLOGUE.decode()}`", f"`{channel.CERTIFICATE_PREFIX.decode()}`",
        f"{limits.ENTRY_BYTES_MAX} bytes", f"at most {limits.ENTRY_PARENTS_MAX}", f"1 … {limits.ENTRY_RECORDS_MAX}",
        f"depth at most {limits.CBOR_DEPTH_MAX}", f"{limits.GRANT_BYTES_MAX} bytes", f"{limits.ADVERT_BYTES_MAX} bytes",
        f"{limits.REVOCATION_BYTES_MAX} bytes", f"{limits.OBJECT_ENTRIES_MAX} entries", f"{limits.FRAME_BYTES_MAX} bytes", f"{limits.MESSAGE_BYTES_MAX} bytes",
        *(f"`{role.value}`" for role in Role),
    ],
)  # fmt: skip
def test_each_constant_stands_on_the_page(word: str) -> None:
    assert word in WORDS


def test_every_reason_for_which_an_entry_is_void_stands_on_the_page() -> None:
    """The reasons are part of the envelope state, which is byte-equal everywhere."""
    found = {}
    for seed in range(300):
        history: History = fold(random_history(seed)).history
        for placed in history.placed.values():
            found[placed.void.split(":")[0]] = None
    for reason in found:
        assert not reason or f"`{reason}" in section("Void"), reason
    assert len(found) > 12


def test_numbers_never_change() -> None:
    """The numbers are a contract: this list only grows."""
    assert {kind.name: int(kind) for kind in Kind} == {
        "SIGNALLED": 1, "ADVISED": 2, "CANCEL_REQUESTED": 3, "CANNOT": 4, "UNIT": 5, "REVOKED": 6, "HOLDING": 7,
        "CREATED": 64, "REENTERED": 65, "TOOK": 66, "LEARNED": 67, "ATTEMPTED": 68, "EXECUTED": 69, "DENIED": 70,
        "REFINED": 71, "DELEGATED": 72, "DORMANT": 73, "POLLED": 74, "PUBLISHED": 75, "OFFERED": 76, "ACCEPTED": 77,
        "CLAIMED": 78, "CHECKPOINTED": 79, "AGAIN": 80, "TERMINATED": 81,
    }  # fmt: skip


def test_the_page_says_no_type_that_it_cannot_write() -> None:
    """The writer of types above is itself shown on a small case: a type that it garbled would agree with itself."""

    class Small(msgspec.Struct):
        a: b.Hash
        c: b.Names
        d: b.Unsigned | None

    assert fields_text(Small) == "`a` bytes[32], `c` [text 1…128 …] ≤ 64, `d` uint or null"

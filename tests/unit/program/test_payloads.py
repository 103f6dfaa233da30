"""Users' values as bytes and back."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.base.errors import UsageError
from edge_runtime.program.payloads import (
    PayloadTooLarge,
    decode_payload,
    encode_payload,
    resolve_hints,
    result_type_of,
)


class Colour(enum.Enum):
    """An enum of text."""

    RED = "red"


class Level(enum.IntEnum):
    """An enum of numbers."""

    HIGH = 2


@dataclass(frozen=True)
class Cell:
    """A dataclass."""

    row: int
    image: bytes = b""


class Area(msgspec.Struct):
    """A Struct that holds the others."""

    cells: list[Cell]
    colour: Colour
    level: Level
    at: datetime
    wait: timedelta
    limits: dict[str, float]
    tags: frozenset[str]
    pair: tuple[int, str]
    note: str | None = None
    by_number: dict[int, bytes] = msgspec.field(default_factory=dict)


@dataclass
class Node:
    """A type that refers to itself."""

    children: list[Node] = field(default_factory=list)


def round_trip(value: object, wanted: Any) -> Any:
    return decode_payload(encode_payload(value, "it", 10_000), wanted, "it")


AREA = Area(
    cells=[Cell(1, b"\x00\xff"), Cell(2)],
    colour=Colour.RED,
    level=Level.HIGH,
    at=datetime(2026, 11, 24, 8, 0, 0, 5, timezone(timedelta(hours=2))),
    wait=timedelta(minutes=1, microseconds=3),
    limits={"b": 1.5, "a": -0.25},
    tags=frozenset({"x", "y", "z"}),
    pair=(7, "seven"),
    by_number={3: b"three", 1: b"one"},
)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (AREA, Area),
        ([AREA, AREA], list[Area]),
        (Colour.RED, Colour),
        (Level.HIGH, Level),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime),
        (b"\x00raw", bytes),
        (Decimal("1.10"), Decimal),
        (UUID(int=5), UUID),
        ({1, 2, 3}, set[int]),
        (None, type(None)),
        (2**64 - 1, int),
        (-(2**63), int),
        ("é", str),
        (Node([Node(), Node([Node()])]), Node),
    ],
)
def test_a_value_comes_back_as_its_annotation(value: object, wanted: Any) -> None:
    assert round_trip(value, wanted) == value
    assert type(round_trip(value, wanted)) is type(value)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_plain_values_come_back_equal_without_an_annotation(value: object) -> None:
    assert round_trip(value, Any) == value


def test_equal_values_are_equal_bytes_in_whatever_order_they_were_made() -> None:
    assert encode_payload({"a": 1, "b": 2}, "it", 99) == encode_payload({"b": 2, "a": 1}, "it", 99)
    words = [f"word {number}" for number in range(50)]
    assert encode_payload(set(words), "it", 9_999) == encode_payload(set(reversed(words)), "it", 9_999)
    assert encode_payload(Cell(1), "it", 99) == encode_payload({"row": 1, "image": b""}, "it", 99)


class Foreign:
    """Nothing that can be recorded."""


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Foreign(), "Foreign"),
        ([1, {"x": Foreign()}], "Foreign"),
        (1 + 2j, "complex"),
        (open, "builtin"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (2**64, "integer"),
        ({-1: "x"}, "key out of range"),
        ({"a": 1, 2: 3}, "of one type"),
        ({"a", 1}, "of one type"),
        (ITSELF, "recursion"),
        ([[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]], "nested"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_recorded_is_named(value: object, named: str) -> None:
    with pytest.raises(UsageError, match=f"(?i)the result of step 'x' cannot be recorded: .*{named}"):
        encode_payload(value, "the result of step 'x'", 10_000)


def test_a_value_at_the_bound_is_taken_and_one_byte_more_is_refused() -> None:
    assert len(encode_payload(b"x" * 97, "it", 99)) == 99
    with pytest.raises(PayloadTooLarge, match="it has 100 bytes, at most 99 .* file's path"):
        encode_payload(b"x" * 98, "it", 99)


@pytest.mark.parametrize(
    ("value", "wanted", "says"),
    [
        ("text", int, "Expected `int`, got `str`"),
        ({"row": "1"}, Cell, r"Expected `int`, got `str` - at `\$.row`"),
        ({}, Cell, "missing required field `row`"),
        ("blue", Colour, "Invalid enum value 'blue'"),
        (1, Foreign, "Foreign"),
    ],
)
def test_what_does_not_fit_its_annotation_says_where(value: object, wanted: Any, says: str) -> None:
    with pytest.raises(UsageError, match=f"argument 'x' does not fit: .*{says}"):
        decode_payload(encode_payload(value, "it", 999), wanted, "argument 'x'")


def test_bytes_that_are_no_canonical_value_cannot_be_read() -> None:
    for data in (b"", b"\xff", b"\x01\x01", b"\x18\x01"):
        with pytest.raises(UsageError, match="it cannot be read"):
            decode_payload(data, Any, "it")


def plain(x: int) -> Cell:
    return Cell(x)


async def waiting() -> list[Cell]:
    return []


def unhinted(x):
    return x


def gone() -> Missing:  # noqa: F821
    return None


class Callable_:
    """Has a method and can be called itself."""

    def method(self) -> Level:
        return Level.HIGH

    def __call__(self) -> Colour:
        return Colour.RED


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (plain, Cell),
        (functools.partial(plain, 1), Cell),
        (waiting, list[Cell]),
        (unhinted, Any),
        (gone, Any),
        (lambda: 1, Any),
        (len, Any),
        (Callable_().method, Level),
        (Callable_(), Colour),
        (print, Any),
    ],
)
def test_a_results_type_is_the_functions_annotation(function: Any, wanted: Any) -> None:
    assert result_type_of(function) == wanted
    assert result_type_of(function) == wanted


def test_a_function_that_says_none_returns_none() -> None:
    def nothing() -> None: ...

    assert result_type_of(nothing) is type(None)
    nothing.__annotations__ = {"return": None}
    assert result_type_of(nothing) is type(None)


def test_annotations_are_resolved_where_the_function_stands_and_a_lost_one_is_named() -> None:
    assert resolve_hints(plain) == {"x": int, "return": Cell}
    assert resolve_hints(plain, skip="x") == {"return": Cell}
    with pytest.raises(UsageError, match="annotations of gone cannot be resolved: .*Missing.*top of its module"):
        resolve_hints(gone)

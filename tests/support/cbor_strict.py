"""A second decoder and encoder of the strict profile, written from RFC 8949 alone, for differential tests.

It shares no code with `edge_runtime.objects.codec` and never imports `cbor2`: where the two disagree on any
bytes, one of them is wrong. It prefers plainness to speed: one byte position is carried along.

Source: RFC 8949 section 3 (heads), 3.3 (floats), 4.2.1 (shortest heads, map keys in bytewise order), narrowed
as the format says: no tags, no indefinite lengths, no simple values but false, true, null; keys of one map
all text or all unsigned; depth 16; integers and floats by `Profile`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEPTH_MAX = 16

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
FALSE, TRUE, NULL, HALF, SINGLE, DOUBLE = 20, 21, 22, 25, 26, 27


class Refused(Exception):
    """The bytes, or the value, have no place in the profile; the text says why."""


@dataclass(frozen=True)
class Profile:
    """Which numbers may occur: `low <= integer <= high`, and finite floats or none."""

    low: int
    high: int
    floats: bool


OURS = Profile(0, 2**63 - 1, False)
USER = Profile(-(2**63), 2**64 - 1, True)


def decode(data: bytes, profile: Profile) -> Any:
    """Return the value that `data` spells canonically; lists for arrays.

    Raises:
        Refused: for every other sequence of bytes, and nothing else is ever raised.
    """
    value, position = _item(data, 0, profile, 1)
    if position != len(data):
        raise Refused("bytes after the end")
    return value


def encode(value: Any, profile: Profile) -> bytes:
    """Return the one spelling of a value.

    Raises:
        Refused: the profile has no place for it.
    """
    return _spell(value, profile, 1)


def _item(data: bytes, position: int, profile: Profile, depth: int) -> tuple[Any, int]:
    major, detail, argument, position = _head(data, position)
    if major in (UNSIGNED, NEGATIVE):
        integer = argument if major == UNSIGNED else -1 - argument
        if not profile.low <= integer <= profile.high:
            raise Refused("integer out of range")
        return integer, position
    if major in (BYTES, TEXT):
        return _string(data, position, argument, major)
    if major == SIMPLE:
        return _simple(detail, argument, profile), position
    if major == TAG:
        raise Refused("tag")
    if depth > DEPTH_MAX:
        raise Refused("too deep")
    if major == ARRAY:
        items = []
        for _ in range(argument):
            item, position = _item(data, position, profile, depth + 1)
            items.append(item)
        return items, position
    return _map(data, position, argument, profile, depth)


def _head(data: bytes, position: int) -> tuple[int, int, int, int]:
    """Return (major type, additional information, argument, position after the head)."""
    if position >= len(data):
        raise Refused("cut short")
    major, detail = data[position] >> 5, data[position] & 0x1F
    position += 1
    if detail < 24:
        return major, detail, detail, position
    if detail > 27:
        raise Refused("reserved or indefinite length")
    width = 1 << (detail - 24)
    if position + width > len(data):
        raise Refused("cut short")
    argument = int.from_bytes(data[position : position + width], "big")
    # For major type 7 the argument is a float's bits, where leading zeros mean something else.
    least = 24 if width == 1 else 1 << (4 * width)
    if major != SIMPLE and argument < least:
        raise Refused("a longer head than needed")
    return major, detail, argument, position + width


def _string(data: bytes, position: int, length: int, major: int) -> tuple[bytes | str, int]:
    if position + length > len(data):
        raise Refused("cut short")
    content = data[position : position + length]
    if major == BYTES:
        return content, position + length
    try:
        return content.decode("utf-8"), position + length
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None


def _simple(detail: int, bits: int, profile: Profile) -> Any:
    if detail in (FALSE, TRUE, NULL):
        return {FALSE: False, TRUE: True, NULL: None}[detail]
    if detail not in (HALF, SINGLE, DOUBLE) or not profile.floats:
        raise Refused("simple value")
    width, form = {HALF: (2, ">e"), SINGLE: (4, ">f"), DOUBLE: (8, ">d")}[detail]
    number: float = struct.unpack(form, bits.to_bytes(width, "big"))[0]
    if not math.isfinite(number):
        raise Refused("not finite")
    if len(_float(number)) != 1 + width:
        raise Refused("a longer float than needed")
    return number


def _map(data: bytes, position: int, pairs: int, profile: Profile, depth: int) -> tuple[dict[Any, Any], int]:
    result: dict[Any, Any] = {}
    before, kind = b"", -1
    for _ in range(pairs):
        start = position
        major, _, argument, position = _head(data, position)
        if major not in (UNSIGNED, TEXT):
            raise Refused("a key is neither text nor unsigned")
        if kind not in (-1, major):
            raise Refused("two kinds of keys in one map")
        kind = major
        key: Any = argument
        if major == TEXT:
            key, position = _string(data, position, argument, TEXT)
        elif argument > profile.high:
            raise Refused("integer out of range")
        if data[start:position] <= before:
            raise Refused("keys out of order or twice")
        before = data[start:position]
        result[key], position = _item(data, position, profile, depth + 1)
    return result, position


def _spell(value: Any, profile: Profile, depth: int) -> bytes:
    kind = type(value)
    if value is None or kind is bool:
        return bytes([SIMPLE << 5 | {False: FALSE, True: TRUE, None: NULL}[value]])
    if kind is int:
        if not profile.low <= value <= profile.high:
            raise Refused("integer out of range")
        return _spell_head(UNSIGNED, value) if value >= 0 else _spell_head(NEGATIVE, -1 - value)
    if kind is bytes:
        return _spell_head(BYTES, len(value)) + bytes(value)
    if kind is str:
        return _spell_text(value)
    if kind is float and profile.floats and math.isfinite(value):
        return _float(value)
    if depth > DEPTH_MAX:
        raise Refused("too deep")
    if kind in (list, tuple):
        return _spell_head(ARRAY, len(value)) + b"".join(_spell(item, profile, depth + 1) for item in value)
    if kind is dict:
        return _spell_map(value, profile, depth)
    raise Refused(f"no place for a {kind.__name__}")


def _spell_map(value: Mapping[Any, Any], profile: Profile, depth: int) -> bytes:
    if not (all(type(key) is str for key in value) or all(type(key) is int for key in value)):
        raise Refused("keys of one map must be all text or all unsigned")
    pairs = []
    for key, item in value.items():
        if type(key) is int and not 0 <= key <= profile.high:
            raise Refused("integer out of range")
        spelled = _spell_text(key) if type(key) is str else _spell_head(UNSIGNED, key)
        pairs.append((spelled, _spell(item, profile, depth + 1)))
    return _spell_head(MAP, len(pairs)) + b"".join(key + item for key, item in sorted(pairs))


def _spell_text(value: str) -> bytes:
    try:
        content = value.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("text that UTF-8 cannot spell") from None
    return _spell_head(TEXT, len(content)) + content


def _spell_head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for detail, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * width):
            return bytes([major << 5 | detail]) + argument.to_bytes(width, "big")
    raise Refused("integer out of range")


def _float(number: float) -> bytes:
    """Return the shortest spelling that comes back as the same number."""
    for detail, form in ((HALF, ">e"), (SINGLE, ">f")):
        try:
            bits: bytes = struct.pack(form, number)
        except OverflowError:
            continue
        if struct.unpack(form, bits)[0] == number:
            return bytes([SIMPLE << 5 | detail]) + bits
    return bytes([SIMPLE << 5 | DOUBLE]) + struct.pack(">d", number)

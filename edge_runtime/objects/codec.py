"""The one spelling of every value: deterministic CBOR, checked on the way in.

`cbor2` does the work; this module holds the profile. Encoding refuses what the profile has no place for,
decoding refuses every other spelling, so that equal values are equal bytes and a hash means one thing. A tag
is refused at its head, before what it tags is read: the library's own handlers parse mail and patterns, and
its shared references let 541 bytes cost 14 s in the check below (measured), each further level 40 times more.

Source: RFC 8949 section 4.2.1 (core deterministic encoding), narrowed: no tags, no indefinite lengths, no
simple values but false, true, null; keys of one map all text or all unsigned; integers of entries
0 .. 2^63 - 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import cbor2

from ..base.errors import PeerError
from ..base.limits import CBOR_DEPTH_MAX, INTEGER_MAX, VALUE_INTEGER_MAX, VALUE_INTEGER_MIN


class _NoTags(Mapping[int, Any]):
    """The table in which `cbor2` looks up a tag's handler before it reads what is tagged: it holds none."""

    def __getitem__(self, tag: int) -> Any:
        raise ValueError("tags have no place here")

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


_NO_TAGS = _NoTags()


def encode(value: Any) -> bytes:
    """Return the canonical CBOR of one of our own structures (unsigned integers, no floats).

    Raises:
        ValueError: the value has no canonical spelling here: a bug in this program.
    """
    _check(value, 0, INTEGER_MAX, False, 1)
    return cbor2.dumps(value, canonical=True)


def encode_typed(value: Any) -> bytes:
    """Return the same for a structure whose types are the profile already (our Structs, our entries): no check.

    It is made for each record of each entry; the check would be a fifth of an entry's cost. A value outside the
    profile is still found: nothing that reads it accepts it (`tests/property/test_entries.py`).
    """
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> Any:
    """Return what `encode` spelled; lists for arrays.

    Raises:
        PeerError: `encoding`, for anything but the one canonical spelling. The caller refuses the bytes.
    """
    return _decode(data, 0, INTEGER_MAX, False)


def encode_value(value: Any) -> bytes:
    """Return the canonical CBOR of a user's value (integers -2^63 .. 2^64 - 1, finite floats).

    Raises:
        ValueError: names what the value holds that cannot be recorded; the caller tells the user.
    """
    _check(value, VALUE_INTEGER_MIN, VALUE_INTEGER_MAX, True, 1)
    return cbor2.dumps(value, canonical=True)


def decode_value(data: bytes) -> Any:
    """Return what `encode_value` spelled.

    Raises:
        PeerError: `encoding`, as `decode`.
    """
    return _decode(data, VALUE_INTEGER_MIN, VALUE_INTEGER_MAX, True)


def split_sequence(data: bytes, items_max: int) -> list[bytes]:
    """Return the bytes of each item of a CBOR sequence (RFC 8742); the caller decodes each strictly.

    Raises:
        PeerError: `encoding`: an item is cut short or not CBOR, or there are more than `items_max`.
    """
    stream = BytesIO(data)
    items: list[bytes] = []
    start = 0
    while start < len(data):
        try:
            cbor2.CBORDecoder(
                stream, max_depth=CBOR_DEPTH_MAX, allow_indefinite=False, semantic_decoders=_NO_TAGS, read_size=1
            ).decode()
        except (cbor2.CBORError, ValueError, TypeError, OverflowError):
            raise PeerError("encoding", f"item {len(items) + 1} is cut short or not CBOR") from None
        items.append(data[start : stream.tell()])
        start = stream.tell()
        if len(items) > items_max:
            raise PeerError("encoding", f"more than {items_max} items")
    return items


def _decode(data: bytes, low: int, high: int, floats: bool) -> Any:
    try:
        value = cbor2.loads(
            data,
            semantic_decoders=_NO_TAGS,
            max_depth=CBOR_DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )
        _check(value, low, high, floats, 1)
        # One comparison refuses overlong heads, wrong key order, long floats and trailing bytes alike.
        if cbor2.dumps(value, canonical=True) != data:
            raise ValueError("not the canonical spelling")
    except cbor2.CBORError:  # its text may quote the bytes, which an error must not carry on
        raise PeerError("encoding", "not well-formed, a tag, or one key twice") from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise PeerError("encoding", str(error)[:120]) from None
    return value


def _check(value: Any, low: int, high: int, floats: bool, depth: int) -> None:
    """Raise ValueError unless the value stays inside the profile; cost: one visit per item."""
    kind = type(value)
    if kind is bytes or kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not low <= value <= high:
            raise ValueError(f"integer out of range: {value if abs(value) < 2**80 else 'huge'}")
        return
    if depth > CBOR_DEPTH_MAX:
        raise ValueError(f"nested deeper than {CBOR_DEPTH_MAX}")
    if kind is list or kind is tuple:
        for item in value:
            _check(item, low, high, floats, depth + 1)
    elif kind is dict:
        _check_keys(value, high)
        for item in value.values():
            _check(item, low, high, floats, depth + 1)
    elif kind is float and floats:
        if not math.isfinite(value):
            raise ValueError("only finite numbers can be recorded")
    else:
        raise ValueError(f"a {kind.__name__} cannot be recorded")


def _check_keys(value: dict[Any, Any], high: int) -> None:
    kinds = {type(key) for key in value}
    if kinds - {str} and kinds - {int}:
        raise ValueError("keys of one map must be all text or all unsigned")
    if int in kinds and not 0 <= min(value) <= max(value) <= high:
        raise ValueError("key out of range")

"""Laws of the codec: round trip, one canonical spelling, agreement with a decoder of foreign make."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import CBOR_DEPTH_MAX, INTEGER_MAX, VALUE_INTEGER_MAX, VALUE_INTEGER_MIN
from edge_runtime.objects import codec
from tests.support import cbor_strict
from tests.support.cbor_strict import OURS, USER

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def values(leaves: st.SearchStrategy[Any], key_max: int) -> st.SearchStrategy[Any]:
    """Values of a few levels over the given leaves, with both kinds of maps."""
    return st.recursive(
        st.none() | st.booleans() | st.binary(max_size=30) | texts | leaves,
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(texts, inner, max_size=5)
            | st.dictionaries(st.integers(0, key_max), inner, max_size=5)
        ),
        max_leaves=20,
    )


ours = values(st.integers(0, INTEGER_MAX), INTEGER_MAX)
user = values(
    st.integers(VALUE_INTEGER_MIN, VALUE_INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(width=16, allow_nan=False, allow_infinity=False)
    | st.floats(width=32, allow_nan=False, allow_infinity=False),
    VALUE_INTEGER_MAX,
)


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal down to type and sign of zero, which `==` does not tell."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, float):
        return struct.pack(">d", left) == struct.pack(">d", right)
    return bool(left == right)


def sort_keys(value: Any) -> Any:
    """The value with the keys of its maps in the order in which they are spelled."""
    if isinstance(value, list):
        return [sort_keys(item) for item in value]
    if isinstance(value, dict):
        order = sorted(value, key=lambda key: cbor_strict.encode(key, USER))
        return {key: sort_keys(value[key]) for key in order}
    return value


@given(ours)
def test_what_we_encode_comes_back(value: Any) -> None:
    assert same(codec.decode(codec.encode(value)), sort_keys(value))


@given(user)
def test_what_a_user_records_comes_back(value: Any) -> None:
    assert same(codec.decode_value(codec.encode_value(value)), sort_keys(value))


@given(ours)
def test_both_encoders_spell_our_values_alike(value: Any) -> None:
    spelled = codec.encode(value)
    assert spelled == cbor_strict.encode(value, OURS)
    assert same(codec.decode(spelled), cbor_strict.decode(spelled, OURS))


@given(user)
def test_both_encoders_spell_users_values_alike(value: Any) -> None:
    spelled = codec.encode_value(value)
    assert spelled == cbor_strict.encode(value, USER)
    assert same(codec.decode_value(spelled), cbor_strict.decode(spelled, USER))


@given(ours)
def test_our_own_structures_are_spelled_as_a_users_value_would_be(value: Any) -> None:
    assert codec.encode(value) == codec.encode_value(value)


@given(user, st.randoms(use_true_random=False))
def test_every_other_spelling_of_a_value_is_refused(value: Any, rng: random.Random) -> None:
    loose, canonical = spell_loosely(value, rng), codec.encode_value(value)
    if loose == canonical:
        assert same(codec.decode_value(loose), sort_keys(value))
        return
    with pytest.raises(PeerError):
        codec.decode_value(loose)
    with pytest.raises(cbor_strict.Refused):
        cbor_strict.decode(loose, USER)


@given(user, st.binary(min_size=1, max_size=4))
def test_trailing_bytes_are_refused(value: Any, rest: bytes) -> None:
    with pytest.raises(PeerError):
        codec.decode_value(codec.encode_value(value) + rest)


@given(user, st.integers(0, 2**64 - 1))
def test_a_tag_on_any_value_is_refused(value: Any, tag: int) -> None:
    head = bytes([0xC0 | tag]) if tag < 24 else b"\xdb" + tag.to_bytes(8, "big")
    for place in (b"", b"\x81", b"\xa1", b"\xa1\x00"):
        with pytest.raises(PeerError):
            codec.decode_value(place + head + codec.encode_value(value))


@given(st.integers(1, CBOR_DEPTH_MAX + 4), st.sampled_from([b"\x81", b"\xa1\x00"]))
def test_depth_is_bounded_alike_on_the_way_in_and_out(depth: int, level: bytes) -> None:
    value: Any = 0
    for _ in range(depth):
        value = [value] if level == b"\x81" else {0: value}
    spelled = level * depth + b"\x00"
    if depth <= CBOR_DEPTH_MAX:
        assert codec.encode(value) == spelled
        assert codec.decode(spelled) == value
        return
    with pytest.raises(ValueError, match="nested deeper"):
        codec.encode(value)
    with pytest.raises(PeerError):
        codec.decode(spelled)


@pytest.mark.parametrize("key", [True, -1, b"k", None, 1.0, 2**64, ()])
def test_a_map_with_a_key_outside_the_profile_cannot_be_recorded(key: Any) -> None:
    for value in ({key: 0}, {"a": 0, key: 0}, {0: 0, "a": 0}):
        with pytest.raises(ValueError, match="key"):
            codec.encode_value(value)


@pytest.mark.parametrize(
    "value", [2**64, -(2**63) - 1, float("nan"), float("inf"), {1}, object(), "\ud800", 1j]
)
def test_a_value_outside_the_profile_cannot_be_recorded(value: Any) -> None:
    with pytest.raises(ValueError):
        codec.encode_value([value])
    with pytest.raises(cbor_strict.Refused):
        cbor_strict.encode([value], USER)


@pytest.mark.parametrize("value", [2**63, -1, 1.5, {2**63: 0}])
def test_what_only_a_user_may_record_has_no_place_in_our_structures(value: Any) -> None:
    spelled = cbor_strict.encode(value, USER)
    assert same(codec.decode_value(spelled), value)
    with pytest.raises(ValueError):
        codec.encode(value)
    with pytest.raises(PeerError):
        codec.decode(spelled)


def spell_loosely(value: Any, rng: random.Random) -> bytes:
    """Return well-formed CBOR of the same value, with widths, order and lengths left to chance."""
    if value is None or isinstance(value, bool):
        return cbor_strict.encode(value, USER)
    if isinstance(value, int):
        return _loose_head(0, value, rng) if value >= 0 else _loose_head(1, -1 - value, rng)
    if isinstance(value, float):
        shortest = cbor_strict.encode(value, USER)
        return shortest if rng.random() < 0.7 else b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes | str):
        content = value if isinstance(value, bytes) else value.encode()
        major = 2 if isinstance(value, bytes) else 3
        if rng.random() < 0.1:
            return bytes([major << 5 | 31]) + _loose_head(major, len(content), rng) + content + b"\xff"
        return _loose_head(major, len(content), rng) + content
    if isinstance(value, dict):
        pairs = [spell_loosely(key, rng) + spell_loosely(item, rng) for key, item in value.items()]
        rng.shuffle(pairs)
        return _loose_container(5, pairs, rng)
    return _loose_container(4, [spell_loosely(item, rng) for item in value], rng)


def _loose_container(major: int, parts: list[bytes], rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return bytes([major << 5 | 31]) + b"".join(parts) + b"\xff"
    return _loose_head(major, len(parts), rng) + b"".join(parts)


def _loose_head(major: int, argument: int, rng: random.Random) -> bytes:
    shortest = cbor_strict.encode(argument, USER)
    widths = [width for width in (1, 2, 4, 8) if width >= len(shortest) - 1 and argument < 1 << (8 * width)]
    if rng.random() < 0.8:
        return bytes([major << 5 | shortest[0]]) + shortest[1:]
    width = rng.choice(widths)
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + argument.to_bytes(width, "big")

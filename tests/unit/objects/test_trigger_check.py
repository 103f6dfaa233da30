"""What may stand as a trigger in an entry, and what makes the entry void for whoever can read it."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.objects import codec
from edge_runtime.objects.trigger_check import check_trigger
from edge_runtime.objects.triggers import KIND_LAST


def nested(depth: int, leaf: list[Any]) -> list[Any]:
    for _ in range(depth):
        leaf = [11, leaf]
    return leaf


@pytest.mark.parametrize(
    "tree",
    [
        None, [1, 5], [10, [[1, 5], [4, "landed"]]], nested(7, [1, 5]), [KIND_LAST + 1], [KIND_LAST + 9, "x", [1, [2]]],
        [9, [[1, 5], [KIND_LAST + 1, 3]]], nested(7, [KIND_LAST + 1]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_trigger_of_this_version_or_a_leaf_of_a_later_one_may_stand(tree: Any) -> None:
    check_trigger(codec.encode(tree))


@pytest.mark.parametrize(
    "tree",
    [
        5, [], [0], [1], [1, "x"], [3, [6, "a b", 0]], [9, [[1, 5]]], nested(8, [1, 5]), nested(8, [KIND_LAST + 1]),
        [10, [[KIND_LAST + 1]] * 1_024], [9, [[1, 5], 7]], [9, [[KIND_LAST + 1], None]],
    ],
    ids=lambda tree: repr(tree)[:60],
)  # fmt: skip
def test_a_malformed_deep_or_large_one_is_refused(tree: Any) -> None:
    """Behaviour: 4.9."""
    with pytest.raises(PeerError):
        check_trigger(codec.encode(tree))


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x18\x05", b"\xf6\xf6"])
def test_bytes_that_are_no_canonical_cbor_are_refused(data: bytes) -> None:
    """Behaviour: 4.9."""
    with pytest.raises(PeerError):
        check_trigger(data)

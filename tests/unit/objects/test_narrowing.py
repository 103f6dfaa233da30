"""Narrowing: what asks for less than before, by declaration or by the general rule; everything else is wider."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.narrowing import Way, dropped_items, why_wider


@pytest.mark.parametrize(
    ("old", "new", "declared"),
    [
        ([1, 2, 3], [1, 3], {}),
        ({"cells": [1, 2], "name": "a"}, {"cells": [], "name": "a"}, {}),
        (10, 3, {}),
        ({"area": {"cells": [1, 2]}}, {"area": {"cells": [2]}}, {"area.cells": Way.SUBSET}),
        ({"bytes": 10}, {"bytes": 0}, {"bytes": Way.LOWER}),
        ({"distance": 10}, {"distance": 30}, {"distance": Way.HIGHER}),
        ("same", "same", {"other": Way.LOWER}),
    ],
)
def test_what_asks_for_less_narrows(old: Any, new: Any, declared: dict[str, Way]) -> None:
    """Behaviour: 9.3."""
    assert why_wider(old, new, declared) == ""


@pytest.mark.parametrize(
    ("old", "new", "declared", "named"),
    [
        ([1, 2], [2, 1], {}, "the whole value"),
        ([1], [1, 2], {}, "the whole value"),
        ({"cells": [1]}, {"cells": [1], "more": 1}, {}, "other keys"),
        (3, 10, {}, "lower"),
        (3, -1, {}, "below 0"),
        ("survey", "strike", {}, "something else"),
        (1, True, {}, "something else"),
        ({"cells": [1, 2], "bytes": 9}, {"cells": [1, 2], "bytes": 3}, {"cells": Way.SUBSET}, "bytes: not among"),
        ({"cells": [1, 2]}, {"cells": [1]}, {"bytes": Way.LOWER}, "cells: not among"),
        ({"distance": 10}, {"distance": 3}, {"distance": Way.HIGHER}, "higher"),
    ],
)
def test_what_asks_for_more_or_for_something_else_names_the_field(
    old: Any, new: Any, declared: dict[str, Way], named: str
) -> None:
    """Behaviour: 9.2, 9.3."""
    assert named in why_wider(old, new, declared)


VALUES = st.recursive(
    st.integers(-5, 5) | st.booleans() | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(one=VALUES, other=VALUES)
def test_two_values_that_narrow_each_other_are_equal(one: Any, other: Any) -> None:
    """A chain of narrowings never comes back: the general rule alone allows no A, B, A. Behaviour: 9.4."""
    if not why_wider(one, other, {}) and not why_wider(other, one, {}):
        assert one == other


@given(a=VALUES, b=VALUES, c=VALUES)
def test_narrowing_twice_is_narrowing(a: Any, b: Any, c: Any) -> None:
    if not why_wider(a, b, {}) and not why_wider(b, c, {}):
        assert not why_wider(a, c, {})


def test_dropped_items_are_those_of_the_lists_that_lost_them() -> None:
    """Behaviour: 9.1."""
    old = {"area": {"cells": [1, 2, 3]}, "also": [4]}
    assert dropped_items(old, {"area": {"cells": [2]}, "also": [4]}) == [1, 3]

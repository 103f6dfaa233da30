"""Kinds: ranges that meet and do not overlap."""

from __future__ import annotations

from edge_runtime.objects.kinds import CUSTODY, INPUT_FIRST, INPUT_LAST, TURN_FIRST, TURN_LAST, Kind, is_input, is_turn
from edge_runtime.objects.records import SHAPES


def test_a_number_is_an_input_a_turn_or_nothing() -> None:
    assert [n for n in range(-1, 1100) if is_input(n)] == list(range(INPUT_FIRST, INPUT_LAST + 1))
    assert [n for n in range(-1, 1100) if is_turn(n)] == list(range(TURN_FIRST, TURN_LAST + 1))
    assert INPUT_LAST + 1 == TURN_FIRST
    assert all(is_input(kind) != is_turn(kind) for kind in Kind)


def test_custody_is_wholly_clear_but_for_what_the_object_is_about() -> None:
    """Any relay can follow custody, whether it may read the object or not."""
    for kind in CUSTODY:
        clear, sealed = SHAPES[kind]
        assert clear.__struct_fields__ and (sealed is None) == (kind != Kind.CREATED)

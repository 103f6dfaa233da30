"""Refinements in the fold: what narrows counts, what widens counts with leave, everything else is void everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects import bodies as b
from edge_runtime.objects.codec import encode_value
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.grants import Role
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import Record, make
from edge_runtime.objects.refining import leave_name
from tests.support.histories import MEMBER, ROOT, entry_on, first_entry, key, learned, signalled, took

ONE, TWO = key(1), key(2)


def start(arguments: Any, *degrades: tuple[str, int]) -> ObjectState:
    clear = b.CreatedClear(8, 10_000_000, (), (), (), 0, (), (), (ROOT.public,), 0, 0)
    sealed = b.CreatedSealed("survey", encode_value(arguments), "", b"", "", 0, 0, (), degrades)
    return ObjectState(first_entry(ONE, make(Kind.CREATED, clear, sealed)), (Role.EXECUTOR,))


def refined(state: ObjectState, arguments: Any, path: str = "0/0/refine:1") -> Record:
    return make(Kind.REFINED, b.Empty(), state.content.asked.record(path, encode_value(arguments), "why"))


def turn(state: ObjectState, *records: Record) -> None:
    assert state.add(entry_on(state.history, ONE, *records), MEMBER).void == ""


def allow(state: ObjectState, arguments: Any, value: Any = True, roles: tuple[Role, ...] = MEMBER) -> Record:
    """Append the signal that allows arguments, and return the record that takes it."""
    after = state.content.asked.fingerprint(encode_value(arguments))
    entry = entry_on(state.history, TWO, signalled(leave_name(after), value))
    assert state.add(entry, roles).void == ""
    return took(entry.id + b"\x00\x00")


def now(state: ObjectState) -> bytes:
    return state.content.asked.now


def test_a_narrowing_counts_and_the_first_intent_stays_byte_for_byte() -> None:
    """Behaviour: 9.1, 9.3, 9.7."""
    state = start([1, 2, 3])
    turn(state, refined(state, [1, 3]))
    assert now(state) == encode_value([1, 3]) and state.content.asked.dropped() == [2]
    assert state.content.arguments == state.content.asked.first == encode_value([1, 2, 3])
    assert state.content.script.learned["0/0/refine:1"] == encode_value([1, 3])


@pytest.mark.parametrize("wider", [[1, 2, 3, 4], [3, 2, 1], "strike"], ids=repr)
def test_a_widening_that_nobody_allowed_is_void_whoever_wrote_it(wider: Any) -> None:
    """Behaviour: 9.3."""
    state = start([1, 2, 3])
    turn(state, refined(state, wider), learned("0/0/x:1"))
    assert now(state) == encode_value([1, 2, 3]) and "0/0/refine:1" not in state.content.script.learned
    assert "0/0/x:1" in state.content.script.learned, "the rest of the turn counts"


def test_leave_counts_when_it_is_true_taken_and_given_by_maker_or_operator() -> None:
    """Behaviour: 9.3: widen with a grant."""
    for value, roles, is_taken, counts in (
        (True, (Role.OPERATOR,), True, True),
        (False, (Role.OPERATOR,), True, False),
        (True, (Role.EXECUTOR,), True, False),
        (True, (Role.OPERATOR,), False, False),
    ):
        state = start([1])
        taking = allow(state, [1, 2], value, roles)
        turn(state, *((taking,) if is_taken else ()), refined(state, [1, 2]))
        assert (now(state) == encode_value([1, 2])) is counts, (value, roles, is_taken)


def test_a_refinement_that_names_another_intent_before_it_is_void() -> None:
    """Behaviour: 9.5: what a branch refined from something else does not count on this one."""
    state = start([1, 2, 3])
    stale = refined(state, [1, 2])
    turn(state, refined(state, [3]))
    turn(state, stale)
    assert now(state) == encode_value([3])


def test_no_leave_brings_back_what_was_refined_away() -> None:
    """Behaviour: 9.4."""
    state = start([1, 2])
    turn(state, refined(state, [1]))
    turn(state, allow(state, [1, 2]), refined(state, [1, 2], "0/0/refine:2"))
    assert now(state) == encode_value([1])


def test_a_declaration_bounds_what_may_be_asked_less_of() -> None:
    """Behaviour: 9.2."""
    state = start({"cells": [1, 2], "height": 30}, ("cells", 0))
    turn(state, refined(state, {"cells": [1, 2], "height": 10}))
    assert now(state) == encode_value({"cells": [1, 2], "height": 30})
    turn(state, refined(state, {"cells": [2], "height": 30}))
    assert now(state) == encode_value({"cells": [2], "height": 30})


def test_leave_that_comes_after_the_turn_that_took_it_makes_equal_states() -> None:
    """Behaviour: 12.3."""
    there, here = start([1]), start([1])
    taking = allow(there, [1, 2])
    leave = there.history.placed[there.history.heads[0]].entry
    turned = entry_on(there.history, ONE, taking, refined(there, [1, 2]), parents=[there.object])
    there.add(turned, MEMBER)
    here.add(turned, MEMBER)
    assert now(here) == encode_value([1])
    here.add(leave, MEMBER)
    assert now(here) == encode_value([1, 2]) and here.content_bytes() == there.content_bytes()

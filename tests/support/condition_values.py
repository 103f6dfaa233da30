"""Strategies of hypothesis for conditions, triggers and the views that judge them."""

from __future__ import annotations

from hypothesis import strategies as st

from edge_runtime.base.limits import INTEGER_MAX, VALUE_INTEGER_MAX, VALUE_INTEGER_MIN
from edge_runtime.base.moment import Trust
from edge_runtime.objects.conditions import (
    Age,
    Both,
    Compare,
    Condition,
    Count,
    Either,
    Has,
    IsTrue,
    Member,
    Negated,
    Operator,
    Scalar,
    Within,
)
from edge_runtime.objects.triggers import (
    After,
    All,
    Any,
    At,
    Changed,
    Done,
    Not,
    OnEvent,
    OnPeer,
    OnSignal,
    Trigger,
    When,
)
from tests.support.views import View

# Few names, so that facts of a view and those of a condition meet; some that only quotes can spell.
NAMES = ("a", "b", "battery.percent", "age", "not.a", "3f2a", "höhe", "_")
OTHERS = (bytes(32), bytes([1]) * 32)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
small = st.sampled_from([0, 1, 2, -1, 0.5, -0.0, True, False, "", "up", "0"])
scalars: st.SearchStrategy[Scalar] = (
    small
    | texts
    | st.integers(VALUE_INTEGER_MIN, VALUE_INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
)
names = st.sampled_from(NAMES)
operators = st.sampled_from(Operator)
ages = st.integers(0, 20) | st.integers(0, INTEGER_MAX)
fresh = st.sampled_from([0, 0, 1, 500, 7_200_000])
leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Compare, names, operators, scalars, fresh),
    st.builds(Member, names, st.lists(scalars, min_size=1, max_size=4).map(tuple), fresh),
    st.builds(IsTrue, names, fresh),
    st.builds(Has, names),
    st.builds(Count, st.integers(0, 14), st.integers(0, 4)),
    st.builds(Age, operators, ages),
    st.builds(Within, st.integers(0, 1439), st.integers(0, 1439)),
)


def compounds(inner: st.SearchStrategy[Condition], depth: int) -> st.SearchStrategy[Condition]:
    """Conditions of at most so many levels above the given ones."""
    for _ in range(depth):
        pair = st.lists(inner, min_size=2, max_size=3).map(tuple)
        inner = st.one_of(inner, st.builds(Both, pair), st.builds(Either, pair), st.builds(Negated, inner))
    return inner


conditions = compounds(leaves, 3)
# Of the object's age alone, small numbers: what time does to them can be tried out.
age_conditions = compounds(st.builds(Age, operators, st.integers(0, 12)), 3)
mixed_conditions = compounds(st.builds(Age, operators, st.integers(0, 12)) | st.builds(IsTrue, names), 3)

views = st.builds(
    View,
    facts=st.dictionaries(names, scalars, max_size=4),
    fact_ages_ms=st.dictionaries(names, st.sampled_from([0, 1, 400, 90_000_000]), max_size=4),
    met=st.lists(names, max_size=2).map(tuple),
    outcomes=st.dictionaries(st.integers(0, 12), st.integers(0, 4), max_size=3),
    age_ms=ages,
    minute=st.none() | st.integers(0, 1439),
    wall=st.tuples(st.integers(0, 30), st.sampled_from(Trust)),
    signals=st.lists(names, max_size=2).map(tuple),
    ended=st.dictionaries(st.sampled_from(OTHERS), st.booleans(), max_size=2),
)


def compound_triggers(inner: st.SearchStrategy[Trigger], depth: int) -> st.SearchStrategy[Trigger]:
    """Triggers of at most so many levels above the given ones."""
    for _ in range(depth):
        pair = st.lists(inner, min_size=2, max_size=3).map(tuple)
        inner = st.one_of(inner, st.builds(All, pair), st.builds(Any, pair), st.builds(Not, inner))
    return inner


triggers = compound_triggers(
    st.one_of(
        st.builds(After, ages),
        st.builds(At, ages, st.sampled_from(Trust)),
        st.builds(When, conditions),
        st.builds(OnEvent, names),
        st.builds(OnSignal, names),
        st.builds(OnPeer, names),
        st.builds(Done, st.sampled_from(OTHERS)),
        st.builds(Changed, names),
    ),
    3,
)
timed_triggers = compound_triggers(
    st.one_of(
        st.builds(After, st.integers(0, 12)),
        st.builds(At, st.integers(0, 40), st.sampled_from([Trust.NONE, Trust.NTP])),
        st.builds(When, mixed_conditions),
        st.builds(OnSignal, names),
    ),
    3,
)

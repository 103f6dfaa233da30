"""Laws of conditions and triggers: round trips, Kleene's logic, knowing more never unsays, and no time missed."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any as AnyValue

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_runtime.base.errors import PeerError, UsageError
from edge_runtime.base.limits import CONDITION_NODES_MAX, CONDITION_TEXT_BYTES_MAX
from edge_runtime.base.moment import Moment, Trust
from edge_runtime.objects import codec, conditions, triggers
from edge_runtime.objects.condition_text import format, parse
from edge_runtime.objects.conditions import (
    Both,
    Compare,
    Condition,
    Either,
    Has,
    IsTrue,
    Member,
    Negated,
    Truth,
    Within,
    evaluate,
    leaves,
    names,
)
from edge_runtime.objects.due import ByTime
from edge_runtime.objects.triggers import Trigger, holds, next_due_age_ms
from edge_runtime.objects.watching import watches
from tests.support import condition_values as values
from tests.support.views import View


def literal_bytes(condition: Condition) -> list[bytes]:
    """The bits of every number, which `==` of 1, 1.0 and True, 0.0 and -0.0 does not tell."""
    found: list[AnyValue] = []
    for leaf in leaves(condition):
        found += [leaf.value] if isinstance(leaf, Compare) else list(leaf.values) if isinstance(leaf, Member) else []
    return [
        struct.pack(">d", value) if isinstance(value, float) else repr((type(value), value)).encode()
        for value in found
    ]


@given(values.conditions)
def test_a_condition_comes_back_from_its_tree(condition: Condition) -> None:
    assume(conditions.count_nodes(condition) <= CONDITION_NODES_MAX)
    data = codec.encode(conditions.to_tree(condition))
    found = conditions.from_tree(codec.decode(data))
    assert found == condition
    assert literal_bytes(found) == literal_bytes(condition)
    assert codec.encode(conditions.to_tree(found)) == data


@given(values.conditions)
def test_a_condition_comes_back_from_its_text(condition: Condition) -> None:
    text = format(condition)
    assume(conditions.count_nodes(condition) <= CONDITION_NODES_MAX)
    assume(len(text.encode()) <= CONDITION_TEXT_BYTES_MAX)
    found = parse(text)
    assert found == condition
    assert literal_bytes(found) == literal_bytes(condition)


@given(values.triggers)
def test_a_trigger_comes_back_from_its_tree(trigger: Trigger) -> None:
    data = codec.encode(triggers.to_tree(trigger))
    try:
        found = triggers.from_tree(codec.decode(data))
    except PeerError:
        assert "more than" in str(pytest.raises(PeerError, triggers.from_tree, codec.decode(data)).value)
        return
    assert found == trigger
    assert codec.encode(triggers.to_tree(found)) == data
    assert triggers.describe(found)


trees = st.recursive(
    st.integers(-1, 12) | st.booleans() | st.text(max_size=3) | st.binary(max_size=3) | st.none(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=20,
)


@given(trees)
def test_any_tree_is_read_as_its_one_spelling_or_refused(tree: AnyValue) -> None:
    """Behaviour: 4.9."""
    for module in (conditions, triggers):
        try:
            found = module.from_tree(tree)
        except PeerError as error:
            assert error.reason in ("condition", "trigger")
        else:
            assert module.to_tree(found) == tree
            assert str(module.to_tree(found)) == str(tree), "true is not 1"


WORDS = "a battery.percent and or not ( ) [ ] , == < >= in has count within fresh fact age timeout hours 1 -1 2.5 'x'"
texts = st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join) | st.text(max_size=30)


@given(texts)
def test_any_text_is_read_as_something_that_travels_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except UsageError as error:
        assert error.message
    else:
        assert conditions.from_tree(conditions.to_tree(found)) == found
        assert parse(format(found)) == found


@given(values.conditions, values.conditions, values.conditions, values.views)
def test_kleenes_laws_hold(a: Condition, b: Condition, c: Condition, view: View) -> None:
    def same(left: Condition, right: Condition) -> None:
        assert evaluate(left, view) is evaluate(right, view)

    same(Negated(Negated(a)), a)
    same(Both((a, b)), Both((b, a)))
    same(Either((a, b)), Either((b, a)))
    same(Both((Both((a, b)), c)), Both((a, b, c)))
    same(Negated(Both((a, b))), Either((Negated(a), Negated(b))))
    same(Negated(Either((a, b))), Both((Negated(a), Negated(b))))
    same(Both((a, Either((b, c)))), Either((Both((a, b)), Both((a, c)))))
    same(Both((a, Either((a, b)))), a)
    same(Both((a, a)), a)


@given(values.conditions, values.views, values.names)
def test_a_fact_that_gets_lost_unsays_but_never_turns_an_answer_round(
    condition: Condition, view: View, name: str
) -> None:
    """Behaviour: 4.10, 4.13."""
    poorer = replace(view, facts={key: value for key, value in view.facts.items() if key != name})
    assert evaluate(condition, poorer) in (Truth.UNKNOWN, evaluate(condition, view))
    older = replace(view, fact_ages_ms={**view.fact_ages_ms, name: 10**12})
    assert evaluate(condition, older) in (Truth.UNKNOWN, evaluate(condition, view))


@given(values.conditions, values.views, values.names, values.scalars)
def test_a_fact_that_is_not_among_the_names_changes_nothing(
    condition: Condition, view: View, name: str, value: AnyValue
) -> None:
    assume(name not in names(condition))
    richer = replace(view, facts={**view.facts, name: value})
    assert evaluate(condition, richer) is evaluate(condition, view)


@given(values.triggers, values.views)
def test_no_trigger_holds_by_an_edge_or_beside_its_topics_and_times(trigger: Trigger, view: View) -> None:
    """What can make a trigger true is in the wake index: with nothing of it there, it holds by time alone or not."""
    bare = View(age_ms=view.age_ms, minute=view.minute, wall=view.wall)
    bare = replace(bare, outcomes=view.outcomes, signals=view.signals)  # the object's own entries need no key
    keys = watches(trigger)
    if not keys:
        assert holds(trigger, view) is holds(trigger, bare)
    assert list(keys) == sorted(set(keys))
    has_window = any(isinstance(leaf, Within) for leaf in _leaves(trigger))
    assert not has_window or "fact:time.trust" in keys


def _leaves(trigger: Trigger) -> list[AnyValue]:
    match trigger:
        case triggers.All(items) | triggers.Any(items):
            return [leaf for item in items for leaf in _leaves(item)]
        case triggers.Not(item):
            return _leaves(item)
        case triggers.When(condition):
            return list(leaves(condition))
    return [trigger]


@given(values.timed_triggers, st.integers(0, 14), st.integers(0, 40), st.sampled_from([Trust.NONE, Trust.NTP]))
def test_no_time_is_missed_and_none_comes_early(trigger: Trigger, age_ms: int, wall_ms: int, trust: Trust) -> None:
    """Whatever the facts turn out to be: until the next due age, time alone brings no new answer.

    Behaviour: 4.1, 4.4, 4.11.
    """
    clock = Moment(0, wall_ms, trust)
    now = ByTime(age_ms, clock)
    due_ms = next_due_age_ms(trigger, age_ms, clock)
    truths = {later_ms: holds(trigger, now.at(later_ms)) for later_ms in range(age_ms, 60)}
    if truths[age_ms] is Truth.TRUE:
        assert due_ms is not None, "what holds by time alone is due"
        assert due_ms <= age_ms
        return
    first_ms = next((ms for ms, truth in truths.items() if truth is Truth.TRUE), None)
    if first_ms is not None:
        assert due_ms is not None
        assert age_ms < due_ms <= first_ms
    if due_ms is None:
        # With facts that are unknown now, a later answer may still differ: but no later than their topics tell.
        assert Truth.TRUE not in truths.values()


@given(values.mixed_conditions, st.integers(0, 14), st.dictionaries(values.names, st.booleans(), max_size=8))
def test_under_known_facts_looking_at_due_ages_finds_what_looking_at_every_age_finds(
    condition: Condition, age_ms: int, facts: dict[str, bool]
) -> None:
    trigger = triggers.When(condition)
    expected = next((ms for ms in range(age_ms, 40) if holds(trigger, View(facts, age_ms=ms)) is Truth.TRUE), None)
    now_ms, looks = age_ms, 0
    while holds(trigger, View(facts, age_ms=now_ms)) is not Truth.TRUE:
        due_ms = next_due_age_ms(trigger, now_ms)
        if due_ms is None:
            assert expected is None
            return
        assert due_ms > now_ms
        now_ms, looks = due_ms, looks + 1
    assert now_ms == expected
    assert looks <= 2 * len(leaves(condition))


def test_the_strategies_reach_every_leaf() -> None:
    seen: set[str] = set()

    @given(values.conditions)
    def collect(condition: Condition) -> None:
        seen.update(type(leaf).__name__ for leaf in leaves(condition))

    collect()
    assert seen == {kind.__name__ for kind in (Compare, Member, IsTrue, Has, Within)} | {"Count", "Age"}

"""The wake index finds the leaves that a reading makes true, and no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.conditions import Scalar, Truth, evaluate
from edge_runtime.objects.trigger_text import parse_trigger
from edge_runtime.objects.triggers import Not, Trigger, When, holds
from edge_runtime.objects.watching import spans_of, spell_value, watches
from tests.support import condition_values as values
from tests.support.views import View


def finds(trigger: Trigger, name: str, value: Scalar | None, is_change: bool = True) -> bool:
    spans = spans_of(name, value, is_change)
    return any(low <= key < high for key in watches(trigger) for low, high in spans)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("event(landed)", ("event:landed",)),
        ("changed(door) or peer(camera)", ("fact:door", "peer:camera")),
        ("signal(go) or entry(photo) or after(seconds(3)) or age > hours(1) or count(timeout, 3)", ()),
        ('door == "open"', ("fact:door ==topen",)),
        ("not door", ("fact:door !=b1",)),
        ("fresh(a, seconds(5)) in (1, 2)", ("fresh:a ==n22001", "fresh:a ==n22003")),
        ('has(uplink) and within("06:00", "07:00")', ("fact:peer.uplink", "fact:time.trust")),
        ('at("2026-01-01 00:00") and not event(x)', ("fact:time.trust",)),
    ],
)
def test_a_trigger_stands_under_the_keys_of_its_leaves(text: str, keys: tuple[str, ...]) -> None:
    assert watches(parse_trigger(text)) == keys


@pytest.mark.parametrize(
    ("text", "makes_true", "leaves_be"),
    [
        ("battery >= 40", (40, 41, 1e9), (39, 39.9, "40", True)),
        ("battery > 40", (40.5, 41), (40, -41)),
        ("battery <= -2", (-2, -3, -1e300), (-1.9, 0, 2)),
        ("battery < 0.5", (0.25, 0, -1), (0.5, 1)),
        ("mode != 'auto'", ("", "autopilot", 1), ("auto",)),
        ("not mode in ('auto', 'hold')", ("x",), ("auto",)),
        ("mode >= 'b'", ("b", "ba", "\U0010ffff"), ("a", "")),
    ],
)
def test_a_reading_finds_what_it_makes_true(
    text: str, makes_true: tuple[Scalar, ...], leaves_be: tuple[Scalar, ...]
) -> None:
    """Behaviour: 4.7."""
    trigger = parse_trigger(text)
    name = "battery" if "battery" in text else "mode"
    assert [value for value in makes_true if not finds(trigger, name, value)] == []
    assert [value for value in leaves_be if finds(trigger, name, value)] == []
    assert not finds(trigger, name, makes_true[0], is_change=False), "it says the same again"
    assert not finds(trigger, name, None) and not finds(trigger, "other", makes_true[0])


def test_of_a_conjunction_one_part_that_is_not_true_is_watched_and_every_edge() -> None:
    def judge(trigger: Trigger) -> Truth:
        return holds(trigger, View({"a": 1, "b": 2}))

    assert watches(parse_trigger("a == 1 and b == 1 and (c or d)"), judge) == watches(parse_trigger("b == 1"))
    assert watches(parse_trigger("not (a == 2 or b == 2)"), judge) == watches(parse_trigger("b != 2"))
    assert watches(parse_trigger("event(x) and a == 1 and b == 1"), judge) == ("event:x",), "that must come anyway"


@given(values.scalars, values.scalars)
def test_keys_are_in_the_order_of_the_values_of_one_kind(left: Scalar, right: Scalar) -> None:
    one, other = spell_value(left), spell_value(right)
    if one[0] != other[0]:
        return
    assert (one < other) is (left < right)  # type: ignore[operator]
    assert (one == other) is (left == right)


@given(values.leaves, st.booleans(), st.sampled_from(values.NAMES), values.scalars)
def test_the_index_finds_a_leaf_exactly_when_a_reading_makes_it_true(
    leaf: object, is_negated: bool, name: str, value: Scalar
) -> None:
    """Behaviour: 4.7: against brute force."""
    when = When(leaf)  # type: ignore[arg-type]
    trigger: Trigger = Not(when) if is_negated else when
    empty, read = View(met=()), View({name: value})
    became_true = holds(trigger, read) is Truth.TRUE and holds(trigger, empty) is not Truth.TRUE
    found = finds(trigger, name, value) and (f"fact:{name}",) != watches(trigger)
    if became_true:
        assert found
    elif found:
        values_of = getattr(leaf, "values", None)
        assert is_negated and values_of is not None and len(values_of) > 1, "of several values one key is kept"


@given(
    st.lists(values.conditions, min_size=1, max_size=12),
    st.lists(st.tuples(st.sampled_from(values.NAMES), st.none() | values.scalars), max_size=12),
)
def test_no_sleeper_is_missed_and_none_is_looked_at_for_nothing(
    conditions: list[object], readings: list[tuple[str, Scalar | None]]
) -> None:
    """Behaviour: 4.7, 3.7: whoever's trigger became true is found; who is found had a leaf that did."""
    facts: dict[str, Scalar] = {}

    def judge(trigger: Trigger) -> Truth:
        return holds(trigger, View(dict(facts)))

    triggers: list[Trigger] = [When(condition) for condition in conditions]  # type: ignore[arg-type]
    asleep = {at: watches(trigger, judge) for at, trigger in enumerate(triggers) if judge(trigger) is not Truth.TRUE}
    for name, value in readings:
        before = dict(facts)
        is_change = facts.get(name) != value or type(facts.get(name)) is not type(value)
        facts.pop(name, None)
        if value is not None:
            facts[name] = value
        spans = spans_of(name, value, is_change)
        found = [at for at, keys in asleep.items() if any(low <= key < high for key in keys for low, high in spans)]
        for at in list(asleep):
            if judge(triggers[at]) is Truth.TRUE:
                assert at in found, (triggers[at], name, value)
                del asleep[at]
            elif at in found:
                assert before != facts or not is_change
                asleep[at] = watches(triggers[at], judge)
    assert all(evaluate(trigger.condition, View(facts)) is not Truth.TRUE  # type: ignore[union-attr]
               for at, trigger in enumerate(triggers) if at in asleep)  # fmt: skip

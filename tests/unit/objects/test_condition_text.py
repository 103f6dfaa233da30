"""Conditions as people write them: what is read, what is refused and how it is said."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import (
    CONDITION_DEPTH_MAX,
    CONDITION_NODES_MAX,
    CONDITION_TEXT_BYTES_MAX,
    FACT_NAME_BYTES_MAX,
    FACT_VALUE_BYTES_MAX,
    INTEGER_MAX,
)
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.objects.condition_text import EXAMPLE, OUTCOMES, format, parse
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
    Within,
    from_tree,
    to_tree,
)

READ: dict[str, Condition] = {
    "battery.percent >= 40": Compare("battery.percent", Operator.GREATER_EQUAL, 40),
    'battery.percent >= 40 and link.ground == "up"': Both(
        (Compare("battery.percent", Operator.GREATER_EQUAL, 40), Compare("link.ground", Operator.EQUAL, "up"))
    ),
    "40 <= battery.percent": Compare("battery.percent", Operator.GREATER_EQUAL, 40),
    "-5 < t": Compare("t", Operator.GREATER, -5),
    "t != -2.5": Compare("t", Operator.UNEQUAL, -2.5),
    "door.open": IsTrue("door.open"),
    "not door.open": Negated(IsTrue("door.open")),
    "door.open == True": Compare("door.open", Operator.EQUAL, True),
    "a or b and not c": Either((IsTrue("a"), Both((IsTrue("b"), Negated(IsTrue("c")))))),
    "(a or b) and c": Both((Either((IsTrue("a"), IsTrue("b"))), IsTrue("c"))),
    "mode in ('auto', 'hold')": Member("mode", ("auto", "hold")),
    "mode in [1, 2]": Member("mode", (1, 2)),
    "mode not in ('auto',)": Negated(Member("mode", ("auto",))),
    "has(peer.uplink)": Has("uplink"),
    "has(uplink)": Has("uplink"),
    'has("3f2a")': Has("3f2a"),
    "count(timeout, 3)": Count(3, 3),
    "count(17, 3)": Count(17, 3),
    "age > hours(2)": Age(Operator.GREATER, 7_200_000),
    "age <= milliseconds(1)": Age(Operator.LESS_EQUAL, 1),
    'within("06:00", "20:00")': Within(360, 1200),
    "fresh(battery.percent, seconds(5)) < 30": Compare("battery.percent", Operator.LESS, 30, 5_000),
    "fresh(battery.percent, seconds(5))": IsTrue("battery.percent", 5_000),
    "fresh(mode, minutes(1)) in ('a', 'b')": Member("mode", ("a", "b"), 60_000),
    'fact("link.3f2a") == "up"': Compare("link.3f2a", Operator.EQUAL, "up"),
    'fresh("link.class", days(1))': IsTrue("link.class", 86_400_000),
    'fact("age") > 3': Compare("age", Operator.GREATER, 3),
    'fact("höhe") > 3': Compare("höhe", Operator.GREATER, 3),
    "  a\n": IsTrue("a"),
    "(\n a and\n b\n)": Both((IsTrue("a"), IsTrue("b"))),
    "has or count": Either((IsTrue("has"), IsTrue("count"))),
}


@pytest.mark.parametrize(("text", "condition"), READ.items())
def test_a_text_of_the_grammar_is_read(text: str, condition: Condition) -> None:
    assert parse(text) == condition
    assert parse(format(condition)) == condition


# Each text with the part that the error must point at.
REFUSED = {
    "": "column",
    "battery >": "column",
    "a b": "column",
    "a; b": "column",
    "x = 1": "column",
    "1": "`1`",
    "'up'": "`'up'`",
    "a + 1 > 2": "`a + 1`",
    "a < b": "`b`",
    "1 < 2": "`2`",
    "10 < t < 20": "join comparisons with `and`",
    "a is True": "`a is True`",
    "a == None": "`None`",
    "a == b'x'": "`b'x'`",
    "a == 1j": "`1j`",
    "a == -True": "`-True`",
    "a == -False": "`-False`",
    "a == [1]": "`[1]`",
    "a == 1e999": "finite",
    "a == 18446744073709551616": "18446744073709551616",
    "a == '\\ud800'": "finite numbers and integers",
    "mode in 'auto'": "in brackets",
    "mode in ()": "in brackets",
    "mode in (b, c)": "`b`",
    "a[0]": "`a[0]`",
    "a().b": "`a()`",
    "f(x)": "`f(x)`",
    "lambda: a": "`lambda",
    "[a for a in b]": "`[a for a in b]`",
    "a if b else c": "`a if b else c`",
    "f'{a}'": "`f'{a}'`",
    "__import__('os').system('x')": "`__import__('os')",
    "(a := 1)": "`(a := 1)`",
    "not 1": "`1`",
    "~a": "`~a`",
    "has()": "`has()`",
    "has(1)": "`1`",
    "has('a-b')": "`'a-b'`",
    "has(peer.uplink, 2)": "`has(peer.uplink, 2)`",
    "has(name=uplink)": "`has(name=uplink)`",
    "count(often, 3)": "`often`",
    "count(timeout, 1.5)": "`1.5`",
    "count(timeout, True)": "`True`",
    f"count(timeout, {INTEGER_MAX + 1})": f"`{INTEGER_MAX + 1}`",
    "age": "age > hours(2)",
    "age > 5": "`5`",
    "age > hours(0.5)": "`0.5`",
    "age > hours(-1)": "`-1`",
    "age > weeks(1)": "`weeks(1)`",
    "age in (1, 2)": "age > hours(2)",
    "within('6:00', '20:00')": "`'6:00'`",
    "within('24:00', '20:00')": "`'24:00'`",
    "within('06:60', '20:00')": "`'06:60'`",
    "within('٠٦:00', '20:00')": "'20:00'",
    "within('06:00')": "within",
    "fresh(battery.percent)": "`fresh(battery.percent)`",
    "fresh(battery.percent, 5) < 3": "`5`",
    "fact(name)": "`fact(name)`",
    "fact('a b')": "`'a b'`",
    "höhe > 3": "in quotes",
    "a\x00": "Not a condition",
}  # fmt: skip


@pytest.mark.parametrize(("text", "part"), REFUSED.items())
def test_a_text_outside_the_grammar_is_refused_at_its_part_with_an_example(text: str, part: str) -> None:
    if "٠٦" in text:
        part = "`'٠٦:00'`"
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert part in caught.value.message
    assert EXAMPLE in caught.value.message
    assert len(caught.value.message) < 600


def test_a_text_at_the_bounds_is_read_and_one_beyond_is_refused() -> None:
    """Behaviour: 4.9."""
    parse(" and ".join(["x"] * (CONDITION_NODES_MAX - 1)))
    for beyond in (" and ".join(["x"] * CONDITION_NODES_MAX), f"x in {list(range(CONDITION_NODES_MAX))}"):
        with pytest.raises(UsageError, match="64 parts: split it"):
            parse(beyond)
    parse("not " * (CONDITION_DEPTH_MAX - 1) + "x")
    parse("not " * (CONDITION_DEPTH_MAX - 2) + "x not in [1]")
    for beyond in ("not " * CONDITION_DEPTH_MAX + "x", "not " * (CONDITION_DEPTH_MAX - 1) + "x not in [1]"):
        with pytest.raises(UsageError, match="deeper than 8: simplify it"):
            parse(beyond)
    parse("n" * FACT_NAME_BYTES_MAX)
    with pytest.raises(UsageError, match="too long"):
        parse("n" * (FACT_NAME_BYTES_MAX + 1))
    parse(f"x == '{'v' * (FACT_VALUE_BYTES_MAX - 2)}'")
    with pytest.raises(UsageError, match="more than 256 bytes"):
        parse(f"x == '{'v' * (FACT_VALUE_BYTES_MAX - 1)}'")
    with pytest.raises(UsageError, match="at most 2048 bytes"):
        parse("x" + " " * CONDITION_TEXT_BYTES_MAX)


@pytest.mark.parametrize("text", ["(" * 1_000, "not " * 400 + "x", "-" * 1_500 + "1", "a." * 900 + "a", "\ud800"])
def test_a_hostile_text_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_whatever_is_read_from_text_can_travel() -> None:
    for text in READ:
        assert from_tree(to_tree(parse(text))) == parse(text)


def test_the_words_for_outcomes_are_those_of_the_outcomes_in_their_order() -> None:
    assert [outcome.name.lower() for outcome in sorted(Outcome)] == list(OUTCOMES)
    assert [int(outcome) for outcome in sorted(Outcome)] == list(range(len(OUTCOMES)))


def test_a_name_from_elsewhere_cannot_pass_for_something_else_in_the_text() -> None:
    assert format(IsTrue("age")) == 'fact("age")'
    assert format(Compare("not.a", Operator.EQUAL, 1)) == 'fact("not.a") == 1'
    assert format(Has("3f2a")) == 'has("3f2a")'
    assert format(Age(Operator.GREATER, 5_400_000)) == "age > minutes(90)"

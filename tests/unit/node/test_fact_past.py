"""What facts were: bounded, in memory, for people."""

from __future__ import annotations

from edge_runtime.base.limits import FACT_PAST_MAX, FACTS_MAX
from edge_runtime.judge.facts import Fact
from edge_runtime.node.fact_past import FactPast
from edge_runtime.objects.condition_text import parse
from edge_runtime.objects.conditions import Leaf, leaves


def leaf(text: str) -> Leaf:
    return leaves(parse(text))[0]


def test_a_leaf_last_held_when_the_newest_value_that_makes_it_true_was_known() -> None:
    past = FactPast()
    for at, value in ((0, 50), (100, 30), (200, 45), (300, 20)):
        past.note(Fact("b", value, at, "user", 1_000), at + 100)
    now = Fact("b", 10, 400, "user", 1_000)
    assert past.last_true_ms(leaf("b >= 40"), "b", now, 500) == 300
    assert past.last_true_ms(leaf("b == 20"), "b", now, 500) == 400
    assert past.last_true_ms(leaf("b < 15"), "b", now, 500) == 500, "it holds"
    assert past.last_true_ms(leaf("b < 15"), "b", now, 9_000) == 1_400, "until it was too old"
    assert past.last_true_ms(leaf("b > 99"), "b", now, 500) is None
    assert past.last_true_ms(leaf("c > 1"), "c", None, 500) is None
    assert past.changed_ms("b") == 400 and past.changed_ms("c") is None


def test_what_is_remembered_is_bounded() -> None:
    past = FactPast()
    for value in range(FACT_PAST_MAX + 1):
        past.note(Fact("b", value, value, "user", 10), value + 1)
    assert past.last_true_ms(leaf("b == 0"), "b", None, 99) is None
    assert past.last_true_ms(leaf("b == 1"), "b", None, 99) == 2
    for number in range(FACTS_MAX):
        past.note(Fact(f"n{number}", 1, 0, "mqtt", 10), 1)
    assert past.changed_ms("b") is None and past.changed_ms("n1") == 1

"""Conditions: truth by Kleene's logic, names for the wake index, and the tree that travels."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import (
    CONDITION_DEPTH_MAX,
    CONDITION_NODES_MAX,
    FACT_NAME_BYTES_MAX,
    FACT_VALUE_BYTES_MAX,
    INTEGER_MAX,
    LIST_ITEMS_MAX,
)
from edge_runtime.objects import codec
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
    Truth,
    Within,
    evaluate,
    from_tree,
    leaves,
    names,
    to_tree,
)
from tests.support.views import View

TRUE, FALSE, UNKNOWN = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN


def above(value: Scalar, fresh_ms: int = 0) -> Compare:
    return Compare("battery.percent", Operator.GREATER_EQUAL, value, fresh_ms)


@pytest.mark.parametrize(
    ("operator", "below", "equal", "over"),
    [
        (Operator.EQUAL, FALSE, TRUE, FALSE),
        (Operator.UNEQUAL, TRUE, FALSE, TRUE),
        (Operator.LESS, TRUE, FALSE, FALSE),
        (Operator.LESS_EQUAL, TRUE, TRUE, FALSE),
        (Operator.GREATER, FALSE, FALSE, TRUE),
        (Operator.GREATER_EQUAL, FALSE, TRUE, TRUE),
    ],
)
def test_a_fact_is_compared_with_a_literal(operator: Operator, below: Truth, equal: Truth, over: Truth) -> None:
    for value, expected in ((39, below), (39.5, below), (40, equal), (40.0, equal), (41, over)):
        assert evaluate(Compare("x", operator, 40), View({"x": value})) is expected
    for text, expected in (("a", below), ("b", equal), ("c", over)):
        assert evaluate(Compare("x", operator, "b"), View({"x": text})) is expected


@pytest.mark.parametrize(("found", "value"), [("40", 40), (True, 1), (0, False), (1.0, True), (True, "true")])
def test_values_of_different_kinds_are_unequal_and_have_no_order(found: Scalar, value: Scalar) -> None:
    view = View({"x": found})
    assert evaluate(Compare("x", Operator.EQUAL, value), view) is FALSE
    assert evaluate(Compare("x", Operator.UNEQUAL, value), view) is TRUE
    for operator in (Operator.LESS, Operator.LESS_EQUAL, Operator.GREATER, Operator.GREATER_EQUAL):
        assert evaluate(Compare("x", operator, value), view) is UNKNOWN
        assert evaluate(Negated(Compare("x", operator, value)), view) is UNKNOWN


def test_a_missing_fact_is_neither_true_nor_false_and_not_over_it_stays_unknown() -> None:
    """Behaviour: 4.10, 4.13."""
    for leaf in (above(40), Member("x", (1, 2)), IsTrue("x")):
        assert evaluate(leaf, View()) is UNKNOWN
        assert evaluate(Negated(leaf), View()) is UNKNOWN


def test_fresh_asks_for_a_younger_fact_than_the_fact_itself() -> None:
    """Behaviour: 4.13."""
    for leaf in (above(40, 5_000), Member("battery.percent", (80,), 5_000)):
        for age_ms, expected in ((5_000, TRUE), (5_001, UNKNOWN)):
            view = View({"battery.percent": 80}, {"battery.percent": age_ms})
            assert evaluate(leaf, view) is expected
    switch = View({"switch": True}, {"switch": 6_000})
    assert evaluate(IsTrue("switch"), switch) is TRUE
    assert evaluate(IsTrue("switch", 5_000), switch) is UNKNOWN


def test_membership_is_equality_with_one_of_the_literals() -> None:
    leaf = Member("mode", ("auto", 3))
    for value, expected in (("auto", TRUE), (3, TRUE), (3.0, TRUE), ("hold", FALSE), (True, FALSE)):
        assert evaluate(leaf, View({"mode": value})) is expected


def test_a_bare_fact_is_true_only_as_the_value_true() -> None:
    for value, expected in ((True, TRUE), (False, FALSE), (1, FALSE), ("yes", FALSE)):
        assert evaluate(IsTrue("door.open"), View({"door.open": value})) is expected


def test_capabilities_counts_and_age_are_read_from_the_view() -> None:
    """Behaviour: 4.2."""
    assert evaluate(Has("uplink"), View(met=("uplink",))) is TRUE
    assert evaluate(Has("uplink"), View(met=("camera",))) is FALSE
    for times, expected in ((2, FALSE), (3, TRUE), (4, TRUE)):
        assert evaluate(Count(3, 3), View(outcomes={3: times})) is expected
    for age_ms, expected in ((7_200_000, FALSE), (7_200_001, TRUE)):
        assert evaluate(Age(Operator.GREATER, 7_200_000), View(age_ms=age_ms)) is expected


def test_what_a_view_does_not_know_is_unknown() -> None:
    class Blind(View):
        def has_capability(self, name: str) -> None:
            return None

        def outcome_count(self, outcome: int) -> None:
            return None

    assert evaluate(Has("uplink"), Blind()) is UNKNOWN
    assert evaluate(Negated(Count(3, 0)), Blind()) is UNKNOWN


@pytest.mark.parametrize(
    ("begin", "end", "minute", "expected"),
    [
        (360, 1200, 359, FALSE),
        (360, 1200, 360, TRUE),
        (360, 1200, 1199, TRUE),
        (360, 1200, 1200, FALSE),
        (1320, 360, 1320, TRUE),
        (1320, 360, 0, TRUE),
        (1320, 360, 359, TRUE),
        (1320, 360, 360, FALSE),
        (600, 600, 0, TRUE),
        (600, 600, 600, TRUE),
    ],
)
def test_a_window_of_the_day_is_half_open_and_may_pass_midnight(
    begin: int, end: int, minute: int, expected: Truth
) -> None:
    assert evaluate(Within(begin, end), View(minute=minute)) is expected


def test_a_window_of_the_day_is_unknown_while_the_clock_is_not_trusted() -> None:
    """Behaviour: 4.11."""
    assert evaluate(Within(0, 1439), View(minute=None)) is UNKNOWN
    assert evaluate(Either((Within(0, 1439), Age(Operator.GREATER_EQUAL, 5))), View(age_ms=5)) is TRUE


KLEENE_AND = {
    (TRUE, TRUE): TRUE,
    (TRUE, UNKNOWN): UNKNOWN,
    (TRUE, FALSE): FALSE,
    (UNKNOWN, UNKNOWN): UNKNOWN,
    (UNKNOWN, FALSE): FALSE,
    (FALSE, FALSE): FALSE,
}
NOT = {TRUE: FALSE, FALSE: TRUE, UNKNOWN: UNKNOWN}
LEAVES: dict[Truth, Condition] = {TRUE: IsTrue("t"), FALSE: IsTrue("f"), UNKNOWN: IsTrue("u")}


@pytest.mark.parametrize(("pair", "both"), KLEENE_AND.items())
def test_and_or_not_follow_kleenes_tables(pair: tuple[Truth, Truth], both: Truth) -> None:
    view = View({"t": True, "f": False})
    for left, right in (pair, pair[::-1]):
        assert evaluate(Both((LEAVES[left], LEAVES[right])), view) is both
        mirrored = Either((Negated(LEAVES[left]), Negated(LEAVES[right])))
        assert evaluate(mirrored, view) is NOT[both]


def test_the_names_that_a_condition_reads_are_ascending_and_named_once() -> None:
    condition = Both(
        (
            Either((above(40), IsTrue("b.c", 9))),
            Negated(Both((above(90), Member("a", (1,))))),
            Has("uplink"),
            Within(1, 2),
            Count(3, 1),
            Age(Operator.GREATER, 1),
        )
    )
    assert names(condition) == ("a", "b.c", "battery.percent", "peer.uplink", "time.trust")
    assert len(leaves(condition)) == 8
    assert leaves(condition)[:2] == (above(40), IsTrue("b.c", 9))


EVERY: list[Condition] = [
    above(40),
    above(-2.5, 5_000),
    Compare("link.ground", Operator.EQUAL, "up"),
    Compare("link.3f2a", Operator.UNEQUAL, False),
    Member("mode", ("auto", 3, True, 0.5), 1),
    IsTrue("door.open"),
    Has("uplink"),
    Count(3, 3),
    Age(Operator.LESS_EQUAL, 7_200_000),
    Within(1320, 360),
    Negated(Both((IsTrue("a"), Either((IsTrue("b"), Negated(IsTrue("c"))))))),
]


@pytest.mark.parametrize("condition", EVERY, ids=lambda item: type(item).__name__)
def test_a_tree_travels_as_our_own_cbor_and_comes_back_the_same(condition: Condition) -> None:
    tree = codec.decode(codec.encode(to_tree(condition)))
    found = from_tree(tree)
    assert found == condition
    assert to_tree(found) == tree


def refused(tree: Any) -> None:
    with pytest.raises(PeerError) as caught:
        from_tree(tree)
    assert caught.value.reason == "condition"


def nested(depth: int) -> list[Any]:
    tree: list[Any] = [6, "x", 0]
    for _ in range(depth - 1):
        tree = [3, tree]
    return tree


def test_a_tree_at_the_bounds_is_read_and_one_beyond_is_refused() -> None:
    """Behaviour: 4.9."""
    leaf = [6, "x", 0]
    assert len(leaves(from_tree([1, [leaf] * (CONDITION_NODES_MAX - 1)]))) == CONDITION_NODES_MAX - 1
    refused([1, [leaf] * CONDITION_NODES_MAX])
    wide = [2, [leaf] * 31]
    from_tree([1, [wide, [2, [leaf] * 30]]])
    refused([1, [wide, [2, [leaf] * 31]]])  # 65 nodes, spread
    from_tree(nested(CONDITION_DEPTH_MAX))
    refused(nested(CONDITION_DEPTH_MAX + 1))
    refused(nested(900))
    one = codec.encode_value(1)
    from_tree([5, "x", [one] * (LIST_ITEMS_MAX - 1), 0])
    refused([5, "x", [one] * LIST_ITEMS_MAX, 0])
    from_tree([6, "n" * FACT_NAME_BYTES_MAX, 0])
    refused([6, "n" * (FACT_NAME_BYTES_MAX + 1), 0])
    from_tree([4, "x", 0, codec.encode_value("v" * (FACT_VALUE_BYTES_MAX - 2)), 0])
    refused([4, "x", 0, codec.encode_value("v" * (FACT_VALUE_BYTES_MAX - 1)), 0])


MALFORMED: list[Any] = [
    None, 0, "x", b"", [], {}, [0], [11, "x"], [99], ["x"], [[]], [1], [1, []], [1, [6, "x", 0]], [1, "xx"],
    [1, [[6, "x", 0]]],  # of one item
    [2, [[6, "x", 0]]],
    [True, [[6, "x", 0], [6, "y", 0]]],  # to Python, true equals 1
    [1.0, [[6, "x", 0], [6, "y", 0]]],
    [3], [3, None], [3, [6, "x", 0], 0],
    [4, "x", 0, b"\x01"], [4, "x", 6, b"\x01", 0], [4, "x", -1, b"\x01", 0], [4, "x", True, b"\x01", 0],
    [4, "x", 0, 1, 0], [4, "x", 0, b"", 0], [4, "x", 0, b"\x18\x01", 0], [4, "x", 0, b"\x80", 0],
    [4, "x", 0, b"\xf6", 0], [4, "x", 0, b"\x01\x01", 0], [4, "x", 0, b"\xf9\x7e\x00", 0], [4, "x", 0, b"\x01", -1],
    [4, "x", 0, b"\x01", True], [4, "x", 0, b"\x01", INTEGER_MAX + 1],
    [5, "x", [], 0], [5, "x", [1], 0], [5, "x", b"\x01", 0],
    [6, "", 0], [6, ".x", 0], [6, "x.", 0], [6, "a..b", 0], [6, "a b", 0], [6, "x == 1 or y", 0], [6, "x\n", 0],
    [6, b"x", 0], [6, 7, 0], [6, "\ud800", 0], [6, "x"],
    [7, ""], [7, "a-b"], [7, None],
    [8, -1, 1], [8, 3, True], [8, 3, "3"], [8, 3],
    [9, 0, -1], [9, 7, 1], [9, "<", 1],
    [10, 0, 1440], [10, 1440, 0], [10, -1, 0], [10, True, 0], [10, 0],
]  # fmt: skip


@pytest.mark.parametrize("tree", MALFORMED, ids=repr)
def test_a_malformed_tree_is_refused(tree: Any) -> None:
    """Behaviour: 4.9."""
    refused(tree)

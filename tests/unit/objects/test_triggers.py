"""Wake triggers: truth, the topics and times that wake, the tree that travels, and the text for people."""

from __future__ import annotations

from typing import Any as AnyValue

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import (
    CONDITION_DEPTH_MAX,
    CONDITION_NODES_MAX,
    INTEGER_MAX,
    NAME_BYTES_MAX,
    TRIGGER_NODES_MAX,
)
from edge_runtime.base.moment import Moment, Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS
from edge_runtime.objects import codec
from edge_runtime.objects.condition_text import parse
from edge_runtime.objects.conditions import Truth
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
    any_of,
    describe,
    from_tree,
    holds,
    next_due_age_ms,
    to_tree,
)
from tests.support.views import View

TRUE, FALSE, UNKNOWN = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
ID = bytes(range(32))
LINK = When(parse("link.ground == 'up'"))


@pytest.mark.parametrize(("age_ms", "expected"), [(29_900, FALSE), (30_000, TRUE), (99_000, TRUE)])
def test_an_age_that_is_reached_holds_from_then_on(age_ms: int, expected: Truth) -> None:
    """Behaviour: 4.1."""
    assert holds(After(30_000), View(age_ms=age_ms)) is expected


def test_a_wall_time_holds_only_under_the_trust_that_it_asks_for() -> None:
    """Behaviour: 4.11."""
    trigger = At(1_000, Trust.NTP)
    assert holds(trigger, View(wall=(5_000, Trust.PEER))) is UNKNOWN
    assert holds(Not(trigger), View(wall=(5_000, Trust.PEER))) is UNKNOWN
    assert holds(trigger, View(wall=(999, Trust.NTP))) is FALSE
    assert holds(trigger, View(wall=(1_000, Trust.GPS))) is TRUE
    assert holds(Any((trigger, After(7))), View(wall=(0, Trust.NONE), age_ms=7)) is TRUE


def test_levels_are_read_from_the_view() -> None:
    """Behaviour: 4.5."""
    assert holds(OnSignal("go"), View(signals=("go",))) is TRUE
    assert holds(OnSignal("go"), View()) is FALSE
    assert holds(OnPeer("camera"), View(met=("camera",))) is TRUE
    assert holds(OnPeer("camera"), View()) is FALSE
    assert holds(LINK, View({"link.ground": "up"})) is TRUE
    assert holds(LINK, View()) is UNKNOWN
    for ended, expected in (({ID: True}, TRUE), ({ID: False}, FALSE), ({}, UNKNOWN)):
        assert holds(Done(ID), View(ended=ended)) is expected


def test_an_edge_is_unknown_until_it_happens() -> None:
    """Behaviour: 4.5."""
    for edge in (OnEvent("button"), Changed("door")):
        assert holds(edge, View({"door": True})) is UNKNOWN
        assert holds(Not(edge), View()) is UNKNOWN
        assert holds(Any((edge, After(0))), View()) is TRUE
        assert holds(All((edge, After(5))), View()) is FALSE


@pytest.mark.parametrize("order", [1, -1])
def test_all_of_several_hold_when_the_last_of_them_does_in_either_order(order: int) -> None:
    """Behaviour: 4.4."""
    trigger = All((LINK, After(100))[::order])
    assert holds(trigger, View(age_ms=100)) is UNKNOWN
    assert holds(trigger, View({"link.ground": "up"}, age_ms=99)) is FALSE
    assert holds(trigger, View({"link.ground": "up"}, age_ms=100)) is TRUE


@pytest.mark.parametrize(
    ("trigger", "age_ms", "due_ms"),
    [
        (After(100), 0, 100),
        (After(100), 250, 100),  # still due: a level
        (LINK, 0, None),
        (When(parse("age > seconds(2)")), 0, 2_001),
        (Any((After(200), After(100), LINK)), 0, 100),
        (Any((After(200), After(100))), 150, 100),
        (Any((LINK, OnSignal("s"))), 0, None),
        (Any((When(parse("age > seconds(2) and link")), After(9_000))), 0, 2_001),
        (All((After(100), After(200))), 0, 200),
        (All((After(100), After(200))), 150, 200),
        (All((After(100), After(200))), 250, 200),
        (All((After(100), LINK)), 0, 100),
        (All((After(100), LINK)), 150, None),  # the link wakes it
        (All((After(100), Any((After(50), LINK)))), 60, 100),
        (Not(After(100)), 0, 0),
        (Not(After(100)), 150, None),
        (Not(Not(After(100))), 0, 100),
        (All((Not(After(100)), LINK)), 0, 100),  # false from then on: looked at once more, then no more
        (All((Not(After(100)), LINK)), 100, None),
    ],
)
def test_the_next_due_age_is_when_time_may_make_it_true(trigger: Trigger, age_ms: int, due_ms: int | None) -> None:
    assert next_due_age_ms(trigger, age_ms) == due_ms


def test_a_wall_time_is_due_at_the_age_that_the_object_will_have_then() -> None:
    noon = Moment(0, 20_000 * DAY_MS + 12 * HOUR_MS, Trust.NTP)
    trigger = At(noon.wall_ms + HOUR_MS, Trust.NTP)
    assert next_due_age_ms(trigger, 7, noon) == 7 + HOUR_MS
    assert next_due_age_ms(Any((trigger, After(9_999_999))), 7, noon) == 7 + HOUR_MS
    assert next_due_age_ms(trigger, 7) is None
    assert next_due_age_ms(trigger, 7, Moment(0, noon.wall_ms, Trust.PEER)) is None
    late = Moment(0, noon.wall_ms + 3 * HOUR_MS, Trust.NTP)
    due_ms = next_due_age_ms(trigger, 8 * HOUR_MS, late)
    assert due_ms == 6 * HOUR_MS
    window = When(parse('link == "up" and within("13:00", "14:00")'))
    assert next_due_age_ms(window, 7, noon) == 7 + HOUR_MS


def test_any_of_names_each_trigger_once_and_of_times_only_the_first() -> None:
    assert any_of([]) is None
    assert any_of([LINK, LINK]) == LINK
    assert any_of([After(9), LINK, After(7), LINK, After(8)]) == Any((LINK, After(7)))


EVERY: list[Trigger] = [
    After(0), After(INTEGER_MAX), At(5, Trust.GPS), At(5, Trust.NONE), LINK, OnEvent("e"), OnSignal("s"),
    OnPeer("p"), Done(ID), Changed("policy.version"), All((After(1), LINK)), Any((Not(LINK), All((LINK, LINK)))),
]  # fmt: skip


@pytest.mark.parametrize("trigger", EVERY, ids=lambda item: type(item).__name__)
def test_a_tree_travels_as_our_own_cbor_and_comes_back_the_same(trigger: Trigger) -> None:
    tree = codec.decode(codec.encode(to_tree(trigger)))
    assert from_tree(tree) == trigger
    assert to_tree(from_tree(tree)) == tree


def refused(tree: AnyValue) -> None:
    with pytest.raises(PeerError) as caught:
        from_tree(tree)
    assert caught.value.reason in ("trigger", "condition")


MALFORMED: list[AnyValue] = [
    None, 5, "x", [], [0], [13, 1], [14, 1], [99], [True, 5], [1.0, 5],
    [1], [1, -1], [1, True], [1, "5"], [1, INTEGER_MAX + 1], [1, 5, 5],
    [2, 5], [2, 5, 5], [2, 5, -1], [2, -5, 1], [2, 5, True], [2, INTEGER_MAX + 1, 1],
    [3], [3, None], [3, [6, "a b", 0]],
    [4, ""], [5, b"s"], [6, "x" * (NAME_BYTES_MAX + 1)], [8, None],
    [7, bytes(31)], [7, bytes(33)], [7, "x"],
    [9, []], [9, [[1, 5]]], [10, [[1, 5]]], [10, [[1, 5], None]], [10, 5], [11], [11, None],
]  # fmt: skip


@pytest.mark.parametrize("tree", MALFORMED, ids=repr)
def test_a_malformed_tree_is_refused(tree: AnyValue) -> None:
    """Behaviour: 4.9."""
    refused(tree)


def test_a_tree_at_the_bounds_is_read_and_one_beyond_is_refused() -> None:
    """Behaviour: 4.9."""
    tree: list[AnyValue] = [1, 5]
    for _ in range(CONDITION_DEPTH_MAX - 1):
        tree = [11, tree]
    from_tree(tree)
    refused([11, tree])
    from_tree([10, [[1, age_ms] for age_ms in range(TRIGGER_NODES_MAX - 1)]])
    refused([10, [[1, age_ms] for age_ms in range(TRIGGER_NODES_MAX)]])
    half = [9, [[1, 5]] * (TRIGGER_NODES_MAX // 2 - 1)]
    refused([10, [half, half]])  # no array too long, but too many nodes
    condition = [1, [[6, "x", 0]] * (CONDITION_NODES_MAX - 1)]
    fit = (TRIGGER_NODES_MAX - 1) // (1 + CONDITION_NODES_MAX)
    from_tree([10, [[3, condition]] * fit])
    refused([10, [[3, condition]] * (fit + 1)])


def test_a_body_that_awaits_two_hundred_things_can_be_woken_by_each() -> None:
    trigger = any_of([OnSignal(f"s{number}") for number in range(200)])
    assert trigger is not None
    found = from_tree(codec.decode(codec.encode(to_tree(trigger))))
    assert found == trigger


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        (Any((LINK, After(2 * HOUR_MS))), "link.ground == 'up' or age reaches 2 h"),
        (All((Any((LINK, OnSignal("go"))), OnPeer("gpu"))), "(link.ground == 'up' or signal go) and a device with gpu"),
        (All((When(parse("a or b")), OnEvent("e"))), "(a or b) and event e"),
        (Not(Changed("door")), "not (door changes)"),
        (Done(ID), "object 000102030405 ends"),
        (
            At(1_767_225_600_000, Trust.PEER),
            "the clock (trusted as peer or better) reaches 2026-01-01 00:00:00 UTC",
        ),
        (At(INTEGER_MAX, Trust.NTP), "the clock (trusted as ntp or better) reaches a time beyond the year 9999"),
    ],
)
def test_a_trigger_is_described_for_people(trigger: Trigger, text: str) -> None:
    assert describe(trigger) == text

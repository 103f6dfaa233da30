"""Facts: bounded, kept if a person set them, changed only when their value changes."""

from __future__ import annotations

import sqlite3

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import FACT_NAME_BYTES_MAX, FACT_VALUE_BYTES_MAX, FACTS_MAX
from edge_runtime.node.facts import Facts
from edge_runtime.node.store import Store


@pytest.fixture
def facts() -> Facts:
    return Facts(Store.open(sqlite3.connect(":memory:", isolation_level=None)))


def test_only_another_value_is_a_change(facts: Facts) -> None:
    assert facts.put("door.open", True, "user", None, 1)
    assert not facts.put("door.open", True, "user", None, 2)
    assert facts.put("door.open", 1, "user", None, 3), "true and 1 are not the same"
    assert facts.put("door.open", None, "user", None, 4)
    assert not facts.put("door.open", None, "user", None, 5)
    assert facts.all() == ()


def test_what_a_person_set_outlives_the_process_and_what_a_sensor_read_does_not(facts: Facts) -> None:
    facts.put("door.open", True, "user", 500, 1)
    facts.put("battery.percent", 40.5, "sensor", None, 1)
    again = Facts(facts.store)
    assert [(fact.name, fact.value, fact.max_age_ms) for fact in again.all()] == [("door.open", True, 500)]


@pytest.mark.parametrize(
    "name, value",
    [
        ("", 1), ("a b", 1), ("a..b", 1), ("x" * (FACT_NAME_BYTES_MAX + 1), 1), ("a.b", [1]), ("a.b", {"c": 1}),
        ("a.b", "x" * (FACT_VALUE_BYTES_MAX + 1)), ("a.b", 2**70), ("a.b", float("nan")),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused_and_nothing_changed(facts: Facts, name: str, value: object) -> None:
    with pytest.raises(UsageError):
        facts.put(name, value, "user", None, 1)  # type: ignore[arg-type]
    assert facts.all() == () and Facts(facts.store).all() == ()


@pytest.mark.parametrize("origin", ["user", "file", "mqtt", "mavlink"])
@pytest.mark.parametrize("name", ["time.trust", "policy.version", "radio"])
def test_nobody_from_outside_says_what_the_device_knows_of_itself(facts: Facts, name: str, origin: str) -> None:
    """A broker's topic with a wildcard, or a map in a file, may spell any name."""
    facts.put(name, "own", "device", None, 1)
    with pytest.raises(UsageError, match="of itself"):
        facts.put(name, "forged", origin, None, 2)
    assert facts.by_name[name].value == "own"


def test_at_the_bound_a_new_name_is_refused_and_a_known_one_is_not(facts: Facts) -> None:
    for number in range(FACTS_MAX):
        facts.put(f"a.b{number}", number, "sensor", None, 1)
    with pytest.raises(UsageError) as caught:
        facts.put("one.more", 1, "sensor", None, 1)
    assert caught.value.exit is Exit.REFUSED
    assert facts.put("a.b0", 5, "sensor", None, 2)


def test_a_bridges_new_name_takes_the_place_of_a_bridges_oldest_and_never_of_a_persons(facts: Facts) -> None:
    facts.put("door.open", True, "user", None, 0)
    facts.put("load", 0.5, "sensor", None, 0)
    for number in range(FACTS_MAX - 2):
        facts.put(f"a.b{number}", number, "mqtt", None, number + 1)
    facts.put("a.b0", 0, "mqtt", None, FACTS_MAX)
    facts.put("one.more", 1, "mqtt", None, FACTS_MAX)
    assert "a.b1" not in facts.by_name and {"a.b0", "door.open", "load", "one.more"} <= set(facts.by_name)
    assert (len(facts.by_name), facts.dropped) == (FACTS_MAX, 1)


def test_the_newest_word_counts_also_after_a_restart(facts: Facts) -> None:
    facts.put("door.open", True, "user", None, 1)
    assert facts.put("door.open", False, "mqtt", None, 2)
    assert [fact.origin for fact in facts.all()] == ["mqtt"]
    assert Facts(facts.store).all() == (), "what a person said before is not true again by a restart"


def test_a_value_that_comes_again_after_it_grew_too_old_is_a_change(facts: Facts) -> None:
    """Behaviour: 4.13."""
    assert facts.put("battery.percent", 50, "sensor", 100, 1)
    assert not facts.put("battery.percent", 50, "sensor", 100, 101)
    assert facts.put("battery.percent", 50, "sensor", 100, 202)

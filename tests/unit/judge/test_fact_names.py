"""The registered facts: names within bounds, found by name and by family."""

from __future__ import annotations

from edge_runtime.base.limits import FACT_MAX_AGE_MS_DEFAULT, FACT_NAME_BYTES_MAX
from edge_runtime.judge.fact_names import MAX_AGE_INTERVALS, REGISTERED, FactKind, find_registered, kind_of
from edge_runtime.objects.conditions import NAME


def test_every_name_is_one_that_a_condition_can_read() -> None:
    names = [item.name for item in REGISTERED]
    assert len(set(names)) == len(names)
    for name in names:
        assert NAME.fullmatch(name.replace("*", "ground")) and len(name) <= FACT_NAME_BYTES_MAX


def test_a_fact_is_unknown_after_three_of_its_usual_intervals() -> None:
    for item in REGISTERED:
        if item.interval_ms:
            assert item.max_age_ms == MAX_AGE_INTERVALS * item.interval_ms
        else:
            assert item.max_age_ms == FACT_MAX_AGE_MS_DEFAULT, "told of each change: it holds until the next"


def test_a_name_is_found_itself_or_by_its_family() -> None:
    found = find_registered("link.ground")
    assert found is not None and found.name == "link.*"
    assert find_registered("load") is not None
    assert find_registered("load.of_mine") is None
    assert find_registered("door.open") is None


def test_true_is_no_number() -> None:
    assert [kind_of(value) for value in (True, 1, 1.5, "up")] == [
        FactKind.BOOLEAN, FactKind.NUMBER, FactKind.NUMBER, FactKind.TEXT,
    ]  # fmt: skip

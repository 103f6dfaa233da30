"""Relative times become points in time, and two looks at one moment are no change."""

from __future__ import annotations

from edge_runtime.host.web.anchors import SAME_MS, anchor, settle


def test_ages_and_waits_become_points_on_the_boot_clock() -> None:
    found = anchor({"rows": [{"last_ms": 40, "due_in_ms": 60, "name": "a"}], "next": None}, 1_000)
    assert found == {"rows": [{"last_at": 960, "due_at": 1_060, "name": "a"}], "next_at": None}


def test_a_field_of_that_name_that_is_no_time_stays() -> None:
    assert anchor({"next": "later", "age_ms": True}, 1_000) == {"next": "later", "age_ms": True}


def test_a_moment_read_twice_is_the_same_row() -> None:
    old = {"due_at": 5_000, "facts": [{"set_at": 100, "value": 3}]}
    new = {"due_at": 5_000 + SAME_MS, "facts": [{"set_at": 90, "value": 3}]}
    assert settle(old, new) is old


def test_another_moment_or_value_is_a_change() -> None:
    old = {"due_at": 5_000, "reason": "sleeping"}
    assert settle(old, {"due_at": 5_001 + SAME_MS, "reason": "sleeping"})["due_at"] == 5_001 + SAME_MS
    assert settle(old, {"due_at": 5_003, "reason": "ended"}) == {"due_at": 5_000, "reason": "ended"}
    assert settle(old, {"due_at": None, "reason": "sleeping"})["due_at"] is None

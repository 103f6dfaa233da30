"""One clock for a device's whole life."""

from __future__ import annotations

import sqlite3

import pytest

from edge_runtime.base.moment import Moment, Trust
from edge_runtime.node.store import Store
from edge_runtime.node.timeline import Timeline


@pytest.fixture
def store() -> Store:
    return Store.open(sqlite3.connect(":memory:", isolation_level=None))


def save(store: Store, moment: Moment, boot: str = "one") -> int:
    timeline = Timeline(store, moment, boot)
    timeline.save()
    return timeline.life_ms


@pytest.mark.parametrize(
    "boot, moment, passed_ms, is_unknown",
    [
        ("one", Moment(1_600, 5_600, Trust.NTP), 600, False),  # the same boot: boot time went on
        ("one", Moment(1_600, 0, Trust.NONE), 600, False),  # whatever the wall clock says
        ("two", Moment(10, 9_000, Trust.NTP), 4_000, False),  # another boot: the wall clock fills the gap
        ("two", Moment(10, 9_000, Trust.NONE), 0, True),  # or nobody knows how long it was
        ("two", Moment(10, 1_000, Trust.GPS), 0, False),  # a wall clock that was set back adds nothing
        ("one", Moment(10, 9_000, Trust.NTP), 4_000, False),  # the id lies: boot time went back
    ],
)
def test_a_gap_is_added_as_far_as_it_is_known(
    store: Store, boot: str, moment: Moment, passed_ms: int, is_unknown: bool
) -> None:
    before_ms = save(store, Moment(1_000, 5_000, Trust.NTP))
    timeline = Timeline(store, moment, boot)
    assert (timeline.life_ms - before_ms, timeline.gap_is_unknown) == (passed_ms, is_unknown)


def test_the_clock_never_goes_back(store: Store) -> None:
    timeline = Timeline(store, Moment(1_000, 0), "one")
    timeline.advance(Moment(5_000, 0))
    life_ms = timeline.life_ms
    timeline.advance(Moment(4_000, 0))
    assert timeline.life_ms == life_ms
    assert timeline.boot_ms_of(life_ms) == 5_000


def test_a_wall_clock_that_was_set_is_noticed_once_and_one_that_drifts_a_little_is_not(store: Store) -> None:
    """Behaviour: 16.1: due times of wall times are computed anew then."""
    timeline = Timeline(store, Moment(1_000, 10_000, Trust.NTP), "one")
    assert not timeline.notice_step()
    for boot_ms, wall_ms, is_set in ((2_000, 11_400, False), (3_000, 13_000, True), (4_000, 14_000, False),
                                     (5_000, 5_000, True), (6_000, 6_000, False)):  # fmt: skip
        timeline.advance(Moment(boot_ms, wall_ms, Trust.NTP))
        assert timeline.notice_step() is is_set, wall_ms
    timeline.save()
    assert Timeline(store, Moment(7_000, 90_000, Trust.NTP), "one").notice_step(), "set while the process was down"

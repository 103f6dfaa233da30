"""One clock for a device's whole life."""

from __future__ import annotations

import sqlite3

import pytest

from edge_runtime.base.limits import (
    ABSENCE_MS_MAX, CLOCK_SAVE_MS, INTEGER_MAX, PEER_STEP_EVERY_MS, PEER_STEP_MS_MAX, WALL_MS_MAX,
)  # fmt: skip
from edge_runtime.base.moment import Moment, Trust
from edge_runtime.base.units import DAY_MS
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
        ("two", Moment(10, 9_000, Trust.NONE), 1, True),  # or nobody knows how long it was: only that it was
        ("two", Moment(10, 1_000, Trust.GPS), 1, False),  # a wall clock that was set a little adds nothing
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


WALL_MS = 1_700_000_000_000
FAR_MS = 4_070_908_800_000  # 2099


def clock_of(store: Store, wall_ms: int, trust: Trust, boot: str = "one", boot_ms: int = 1_000) -> Timeline:
    return Timeline(store, Moment(boot_ms, wall_ms, trust), boot)


def test_wall_time_never_goes_below_what_it_was_when_the_power_went(store: Store) -> None:
    """Behaviour: 16.1, 16.3: a board that boots in 1970 goes on from the mark, which nobody vouches for."""
    save(store, Moment(1_000, WALL_MS, Trust.NTP))
    timeline = clock_of(store, 0, Trust.NONE, "two", 5)
    assert (timeline.moment.wall_ms, timeline.moment.trust) == (WALL_MS + 1, Trust.RESTORED)
    timeline.advance(Moment(60_005, 60_000, Trust.NONE))
    assert (timeline.moment.wall_ms, timeline.moment.trust) == (WALL_MS + 60_001, Trust.RESTORED)
    timeline.advance(Moment(61_005, WALL_MS + DAY_MS, Trust.NONE))
    assert (timeline.moment.wall_ms, timeline.moment.trust) == (WALL_MS + DAY_MS, Trust.RESTORED)


@pytest.mark.parametrize("better", [Trust.PEER, Trust.NTP, Trust.GPS])
def test_a_mark_in_2099_is_set_back_by_a_better_source_and_the_life_clock_never_moves(
    store: Store, better: Trust
) -> None:
    """Behaviour: 16.1."""
    timeline = clock_of(store, WALL_MS, Trust.NONE)
    timeline.advance(Moment(2_000, FAR_MS, Trust.NONE))
    timeline.save()
    timeline.advance(Moment(3_000, WALL_MS, Trust.NONE))
    assert (timeline.moment.wall_ms, timeline.moment.trust) == (FAR_MS + 1_000, Trust.RESTORED)
    timeline = clock_of(store, WALL_MS, Trust.NONE, "two", 5)
    assert timeline.moment.wall_ms == FAR_MS + 1
    timeline.advance(Moment(1_005, WALL_MS, better))
    assert timeline.moment == Moment(1_005, WALL_MS, better)
    timeline.advance(Moment(2_005, 0, Trust.NONE))
    assert (timeline.moment.wall_ms, timeline.moment.trust) == (WALL_MS + 1_000, Trust.PEER)
    assert timeline.life_ms == 1_000 + 1 + 2_000 + 1


def test_a_clock_that_was_in_step_runs_on_whatever_the_system_says_and_only_until_the_next_boot(store: Store) -> None:
    """Behaviour: 16.1: hours without a time server are not a reason to forget day and night."""
    timeline = clock_of(store, WALL_MS, Trust.NTP)
    timeline.advance(Moment(2_000, WALL_MS + 1_000, Trust.NONE))
    assert timeline.moment == Moment(2_000, WALL_MS + 1_000, Trust.PEER)
    timeline.advance(Moment(3_000, FAR_MS, Trust.NONE))
    assert timeline.moment == Moment(3_000, WALL_MS + 2_000, Trust.PEER)
    timeline.save()
    assert clock_of(store, FAR_MS, Trust.NONE, "one", 4_000).moment == Moment(4_000, WALL_MS + 3_000, Trust.PEER)
    assert clock_of(store, 0, Trust.NONE, "two", 5).moment.trust is Trust.RESTORED


def test_a_peers_first_word_is_taken_whole_and_a_later_one_in_steps(store: Store) -> None:
    """Behaviour: 16.5."""
    timeline = clock_of(store, 0, Trust.NONE)
    assert timeline.hear_peer(WALL_MS, Trust.NTP)
    assert timeline.moment == Moment(1_000, WALL_MS, Trust.PEER)
    assert not timeline.hear_peer(WALL_MS + DAY_MS, Trust.PEER), "hearsay against hearsay"
    assert timeline.hear_peer(WALL_MS + DAY_MS, Trust.GPS)
    assert timeline.moment == Moment(1_000, WALL_MS + DAY_MS, Trust.PEER)
    assert timeline.hear_peer(FAR_MS, Trust.NTP)
    assert timeline.moment == Moment(1_000, WALL_MS + DAY_MS + PEER_STEP_MS_MAX, Trust.PEER)
    assert not timeline.hear_peer(FAR_MS, Trust.NTP), "one in an hour"
    timeline.advance(Moment(1_000 + PEER_STEP_EVERY_MS, 0, Trust.NONE))
    assert timeline.hear_peer(FAR_MS, Trust.NTP)
    assert timeline.moment.wall_ms == WALL_MS + DAY_MS + 2 * PEER_STEP_MS_MAX + PEER_STEP_EVERY_MS


@pytest.mark.parametrize("wall_ms", [WALL_MS_MAX + 1, INTEGER_MAX])
def test_a_time_that_no_calendar_holds_is_not_taken_from_a_peer(store: Store, wall_ms: int) -> None:
    """Behaviour: 16.5: with the largest integer for a time, a device that had none could never write an entry again."""
    timeline = clock_of(store, 0, Trust.NONE)
    assert not timeline.hear_peer(wall_ms, Trust.NTP) and timeline.moment == Moment(1_000, 0, Trust.NONE)
    assert timeline.hear_peer(WALL_MS_MAX, Trust.NTP)


def test_a_step_that_is_cut_short_is_no_better_than_restored(store: Store) -> None:
    """Behaviour: 16.5: in either direction, and readings of the system do not undo it."""
    save(store, Moment(1_000, WALL_MS, Trust.NTP))
    timeline = clock_of(store, 0, Trust.NONE, "two", 5)
    assert timeline.hear_peer(WALL_MS - 100 * DAY_MS, Trust.NTP)
    assert timeline.moment == Moment(5, WALL_MS + 1 - PEER_STEP_MS_MAX, Trust.RESTORED)
    timeline.advance(Moment(1_005, WALL_MS, Trust.NONE))
    assert timeline.moment == Moment(1_005, WALL_MS + 1_001 - PEER_STEP_MS_MAX, Trust.RESTORED)


@pytest.mark.parametrize("own", [Trust.NTP, Trust.GPS])
def test_who_is_in_step_hears_no_peer_and_who_knows_nothing_is_not_heard(store: Store, own: Trust) -> None:
    """Behaviour: 16.5."""
    timeline = clock_of(store, WALL_MS, own)
    assert not timeline.hear_peer(FAR_MS, Trust.GPS)
    other = clock_of(store, 0, Trust.NONE)
    assert not other.hear_peer(FAR_MS, Trust.RESTORED) and other.moment.wall_ms == 0


@pytest.mark.parametrize("wall_ms", [WALL_MS - 2 * 60_000, WALL_MS + ABSENCE_MS_MAX + 1, FAR_MS])
def test_two_trusted_clocks_that_cannot_both_be_right_add_nothing(store: Store, wall_ms: int) -> None:
    """Behaviour: 16.1, 16.3: a clock that is in 2099 at a start ages no object by 73 years."""
    before_ms = save(store, Moment(1_000, WALL_MS, Trust.NTP))
    timeline = clock_of(store, wall_ms, Trust.NTP, "two", 5)
    assert (timeline.life_ms - before_ms, timeline.gap_is_unknown) == (1, True)


def test_a_clock_saved_by_an_earlier_version_is_read(store: Store) -> None:
    store.set_meta("clock", f"5000 1000 {WALL_MS} {int(Trust.NTP)} one")
    timeline = clock_of(store, WALL_MS + 10_000, Trust.NTP, "two", 5)
    assert (timeline.life_ms, timeline.moment.trust) == (15_000, Trust.NTP)


def test_the_clock_is_due_to_be_written_after_five_minutes(store: Store) -> None:
    """Behaviour: 16.6."""
    save(store, Moment(1_000, 0))
    timeline = clock_of(store, 0, Trust.NONE, "one", 1_000 + CLOCK_SAVE_MS - 1)
    assert not timeline.is_far_ahead
    timeline.advance(Moment(1_000 + CLOCK_SAVE_MS, 0))
    assert timeline.is_far_ahead
    timeline.save()
    assert not timeline.is_far_ahead

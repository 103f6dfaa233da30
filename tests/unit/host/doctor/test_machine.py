"""The checks of the machine, each with what the machine says as an argument."""

from __future__ import annotations

import subprocess

import pytest

from edge_runtime.base.moment import Trust
from edge_runtime.host.clock import Source
from edge_runtime.host.doctor.finding import Level
from edge_runtime.host.doctor.machine import check_clock, check_unit, check_versions

GOOD = {
    "LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled",
    "NRestarts": "0", "Result": "success",
}  # fmt: skip


def unit(**changes: str) -> list[tuple[Level, str]]:
    text = "".join(f"{key}={value}\n" for key, value in {**GOOD, **changes}.items())
    return [(item.level, item.says) for item in check_unit(lambda argv: text, is_booted=True)]


def test_versions_are_said_and_good_enough_since_this_runs() -> None:
    found = check_versions()
    assert found.level is Level.OK and "Python 3." in found.says and "SQLite 3." in found.says


def test_a_clock_that_nobody_vouches_for_is_a_note_and_no_error() -> None:
    """Behaviour: 16.1"""
    found = check_clock(None, Source(Trust.NONE, ""))
    assert found.level is Level.WARNING and "nobody vouches" in found.says.lower() and "time server" in found.do
    found = check_clock(None, Source(Trust.NTP, "the kernel's clock is in step"))
    assert found.level is Level.OK and "(ntp): the kernel's clock is in step" in found.says


def test_what_the_daemon_knows_of_the_time_counts_more_than_what_the_machine_says() -> None:
    clock = {"trust": "peer", "source": "a peer said it", "problem": None, "remedy": None}
    found = check_clock({"clock": clock}, Source(Trust.NONE, ""))
    assert found.level is Level.OK and "(peer): a peer said it" in found.says
    open_gap = {**clock, "problem": "it is not known how long the power was off", "remedy": "Wait for a peer."}
    found = check_clock({"clock": open_gap}, Source(Trust.NTP, "x"))
    assert found.level is Level.WARNING and found.do == "Wait for a peer."


def test_a_unit_that_runs_is_well_and_where_there_is_none_nothing_is_said() -> None:
    assert unit() == [(Level.OK, "edge-runtime.service is active.")]
    assert unit(LoadState="not-found") == []
    assert check_unit(is_booted=False) == []


@pytest.mark.parametrize(
    ("changes", "level", "says"),
    [
        ({"ActiveState": "failed", "Result": "exit-code", "NRestarts": "3"}, Level.ERROR, "exit-code, 3 restarts"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, Level.ERROR, "does not stay up"),
        ({"ActiveState": "inactive"}, Level.WARNING, "is inactive"),
        ({"NRestarts": "40"}, Level.WARNING, "after 40 restarts"),
        ({"UnitFileState": "disabled"}, Level.WARNING, "not started at boot"),
        ({"LoadState": "bad-setting"}, Level.ERROR, "is bad-setting"),
    ],
)
def test_a_unit_that_does_not_stay_up_is_named_with_what_to_do(
    changes: dict[str, str], level: Level, says: str
) -> None:  # fmt: skip
    ((found, text),) = unit(**changes)
    assert found is level and says in text


def test_a_service_manager_that_does_not_answer_is_a_note() -> None:
    def fails(argv: list[str]) -> str:
        raise subprocess.TimeoutExpired(argv, 5)

    (found,) = check_unit(fails, is_booted=True)
    assert found.level is Level.WARNING and "timed out" in found.says

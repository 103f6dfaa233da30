"""The checks of the machine, each with what the machine says as an argument."""

from __future__ import annotations

import subprocess

import pytest

from edge_runtime.base.moment import Trust
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


@pytest.mark.parametrize(
    ("trust", "year", "level", "says"),
    [
        (Trust.NTP, 2026, Level.OK, "trusted (ntp)"),
        (Trust.GPS, 2026, Level.OK, "trusted (gps)"),
        (Trust.NONE, 2026, Level.WARNING, "not synchronised"),
        (Trust.NONE, 1970, Level.WARNING, "says 1970"),
    ],
)
def test_a_clock_that_nobody_vouches_for_is_a_note_and_no_error(trust: Trust, year: int, level: Level, says: str) -> None:
    found = check_clock(trust, year)
    assert found.level is level and says in found.says
    assert bool(found.do) is (level is not Level.OK)


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

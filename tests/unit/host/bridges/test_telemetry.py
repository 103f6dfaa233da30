"""MAVLink messages as facts, and who outranks us."""

from __future__ import annotations

import pytest

from edge_runtime.host.bridges.telemetry import AGE_STEPS_MS, ARMED, SILENT_MS, facts_of, facts_of_silence
from edge_runtime.judge.fact_names import MAVLINK, REGISTERED, kind_of

MODES = ("GUIDED", "AUTO")


@pytest.mark.parametrize(
    ("is_armed", "mode", "state", "outranked"),
    [
        (True, "GUIDED", 4, False), (True, "STABILIZE", 4, True), (False, "STABILIZE", 3, False),
        (True, "GUIDED", 5, True), (True, "AUTO", 6, True), (False, "GUIDED", 8, True), (True, "RTL", 4, True),
    ],
)  # fmt: skip
def test_a_failsafe_outranks_and_armed_so_does_a_mode_that_takes_no_orders(
    is_armed: bool, mode: str, state: int, outranked: bool
) -> None:
    fields = {"base_mode": (ARMED if is_armed else 0) | 1, "system_status": state}
    found = facts_of("HEARTBEAT", fields, mode, MODES)
    assert (found["mavlink.outranked"], found["mavlink.armed"], found["mavlink.mode"]) == (outranked, is_armed, mode)


def test_an_autopilot_that_does_not_know_its_battery_says_nothing_of_it() -> None:
    assert facts_of("SYS_STATUS", {"battery_remaining": -1}, "", MODES) == {}
    assert facts_of("BATTERY_STATUS", {"battery_remaining": 0}, "", MODES) == {"mavlink.battery_percent": 0}
    assert facts_of("PARAM_VALUE", {}, "", MODES) == {}


def test_silence_is_told_in_few_steps() -> None:
    assert facts_of_silence(0) == {"mavlink.connected": True, "mavlink.heartbeat_age_ms": 0}
    assert facts_of_silence(SILENT_MS - 1)["mavlink.connected"] is True
    assert facts_of_silence(SILENT_MS)["mavlink.connected"] is False
    day = {facts_of_silence(age_ms)["mavlink.heartbeat_age_ms"] for age_ms in range(0, 86_400_000, 1_000)}
    assert day == set(AGE_STEPS_MS)


def test_all_that_telemetry_says_is_registered() -> None:
    registered = {item.name: item.kind for item in REGISTERED if item.origin == MAVLINK}
    found = {
        **facts_of("HEARTBEAT", {"base_mode": 0, "system_status": 3}, "GUIDED", MODES),
        **facts_of("SYS_STATUS", {"battery_remaining": 50}, "", MODES),
        **facts_of("GLOBAL_POSITION_INT", {"lat": 1, "lon": 2, "alt": 3, "relative_alt": 4}, "", MODES),
    }
    assert {name: kind_of(value) for name, value in found.items()} == registered

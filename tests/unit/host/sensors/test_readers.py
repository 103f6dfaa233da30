"""The machine's sensors, over folders laid out as the kernel lays them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_runtime.base.units import MIB
from edge_runtime.host.sensors import readers
from edge_runtime.judge.fact_names import REGISTERED, SENSOR, kind_of


def lay_out(folder: Path, **files: str) -> Path:
    """Make a folder with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text + "\n")
    return folder


def test_the_emptiest_battery_counts_and_that_of_a_mouse_does_not(tmp_path: Path) -> None:
    lay_out(tmp_path / "BAT0", type="Battery", capacity="80", status="Charging")
    lay_out(tmp_path / "BAT1", type="Battery", capacity="43", status="Discharging")
    lay_out(tmp_path / "mouse", type="Battery", scope="Device", capacity="3", status="Discharging")
    lay_out(tmp_path / "AC", type="Mains", online="1")
    assert readers.read_battery(tmp_path) == {"battery.percent": 43, "battery.charging": True}


def test_a_battery_without_a_capacity_is_reckoned_from_its_energy_or_charge(tmp_path: Path) -> None:
    lay_out(tmp_path / "one", type="Battery", energy_now="30", energy_full="40", status="Discharging")
    lay_out(tmp_path / "two", type="Battery", charge_now="9", charge_full="10", status="Discharging")
    assert readers.read_battery(tmp_path) == {"battery.percent": 75, "battery.charging": False}


@pytest.mark.parametrize("capacity", ["", "full", "12 %"])
def test_a_battery_that_says_no_number_is_no_fact(tmp_path: Path, capacity: str) -> None:
    lay_out(tmp_path / "BAT0", type="Battery", capacity=capacity, status="Charging")
    assert readers.read_battery(tmp_path) == {}


def test_the_hottest_zone_of_the_processor_counts(tmp_path: Path) -> None:
    lay_out(tmp_path / "thermal_zone0", type="cpu-thermal", temp="51499")
    lay_out(tmp_path / "thermal_zone1", type="cpu1-thermal", temp="53501")
    lay_out(tmp_path / "thermal_zone2", type="battery", temp="90000")
    lay_out(tmp_path / "cooling_device0", type="fan")
    assert readers.read_temperature(tmp_path) == {"temperature.cpu_c": 54}


def test_without_a_zone_of_the_processor_the_hottest_of_all_counts(tmp_path: Path) -> None:
    lay_out(tmp_path / "thermal_zone0", type="acpitz", temp="-3000")
    assert readers.read_temperature(tmp_path) == {"temperature.cpu_c": -3}


def test_undervoltage_is_the_alarm_of_the_boards_own_sensor(tmp_path: Path) -> None:
    lay_out(tmp_path / "hwmon0", name="cpu_thermal", in0_lcrit_alarm="0")
    lay_out(tmp_path / "hwmon1", name="rpi_volt", in0_lcrit_alarm="1")
    assert readers.read_undervoltage(tmp_path) == {"observer.undervoltage": True}


def test_the_disk_is_told_in_whole_mib_and_the_load_for_each_core(tmp_path: Path) -> None:
    free = readers.read_disk(tmp_path)["disk.free_bytes"]
    assert isinstance(free, int) and free % MIB == 0
    assert abs(free - os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize) < 1_024 * MIB
    load = readers.read_load()["load"]
    assert isinstance(load, float) and load >= 0


def test_a_machine_without_sensors_tells_nothing_and_one_that_fails_costs_only_its_own(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert readers.read_battery(none) == readers.read_temperature(none) == readers.read_undervoltage(none) == {}

    def broken() -> dict[str, readers.Value]:
        raise OSError("gone")

    assert readers.read_all([broken, lambda: {"load": 1.0}]) == {"load": 1.0}


def test_what_the_readers_of_this_machine_say_is_registered(tmp_path: Path) -> None:
    registered = {item.name: item.kind for item in REGISTERED if item.origin == SENSOR}
    for name, value in readers.read_all(readers.make_readers(tmp_path)).items():
        assert kind_of(value) is registered[name]

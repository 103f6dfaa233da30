"""The machine's own sensors: each a function that returns facts by name, and nothing where there is no such sensor.

Values are rounded to what is worth a decision, so that noise is no change.

Source: Linux Documentation/ABI/testing/sysfs-class-power and sysfs-class-thermal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ...base.units import MIB

Value = bool | int | float | str
Reader = Callable[[], dict[str, Value]]

POWER_SUPPLY = Path("/sys/class/power_supply")
THERMAL = Path("/sys/class/thermal")
HWMON = Path("/sys/class/hwmon")
# Zones of the processor by the names that drivers give them; without one of these the hottest zone counts.
CPU_ZONES = ("cpu", "x86_pkg_temp", "soc", "k10temp", "package")


def make_readers(state: Path) -> list[Reader]:
    """Return the sensors of this machine. `state`: a folder on the disk that matters."""
    return [
        partial(read_battery, POWER_SUPPLY), partial(read_disk, state), read_load,
        partial(read_temperature, THERMAL), partial(read_undervoltage, HWMON),
    ]  # fmt: skip


def read_all(readers: Sequence[Reader]) -> dict[str, Value]:
    """Return the facts of all readers; one that fails costs only its own."""
    found: dict[str, Value] = {}
    for reader in readers:
        try:
            found.update(reader())
        except (OSError, ValueError):
            continue  # a sensor that went away, or says no number: its facts grow too old, and so unknown
    return found


def read_battery(folder: Path) -> dict[str, Value]:
    """Return percent (of the emptiest battery) and whether it is being charged. Batteries of mice do not count."""
    percents: list[int] = []
    is_charging = False
    for supply in _folders(folder):
        if _text(supply / "type") != "Battery" or _text(supply / "scope") == "Device":
            continue
        percent = _percent_of(supply)
        if percent is not None:
            percents.append(percent)
            is_charging = is_charging or _text(supply / "status") in ("Charging", "Full")
    return {"battery.percent": min(percents), "battery.charging": is_charging} if percents else {}


def _percent_of(supply: Path) -> int | None:
    capacity = _number(supply / "capacity")
    if capacity is None:
        for kind in ("energy", "charge"):
            now, full = _number(supply / f"{kind}_now"), _number(supply / f"{kind}_full")
            if now is not None and full:
                capacity = now * 100 // full
                break
    return None if capacity is None else max(0, min(100, capacity))


def read_disk(folder: Path) -> dict[str, Value]:
    """Return what an ordinary user may still write on the disk of a folder, in whole MiB."""
    found = os.statvfs(folder)
    return {"disk.free_bytes": found.f_bavail * found.f_frsize // MIB * MIB}


def read_load() -> dict[str, Value]:
    """Return the load of one minute for each core, to one decimal."""
    return {"load": round(os.getloadavg()[0] / (os.cpu_count() or 1), 1)}


def read_temperature(folder: Path) -> dict[str, Value]:
    """Return the hottest zone of the processor, in whole degrees."""
    zones = [
        (_text(zone / "type"), millidegrees)
        for zone in _folders(folder)
        if zone.name.startswith("thermal_zone") and (millidegrees := _number(zone / "temp")) is not None
    ]
    cpus = [value for kind, value in zones if any(word in kind.lower() for word in CPU_ZONES)]
    values = cpus or [value for _, value in zones]
    return {"temperature.cpu_c": round(max(values) / 1_000)} if values else {}


def read_undervoltage(folder: Path) -> dict[str, Value]:
    """Return whether the supply of a Raspberry Pi is below what it needs now."""
    for device in _folders(folder):
        if _text(device / "name") == "rpi_volt" and (alarm := _number(device / "in0_lcrit_alarm")) is not None:
            return {"observer.undervoltage": alarm != 0}
    return {}


def _folders(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.removeprefix("-").isdecimal() else None

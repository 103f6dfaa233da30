"""Checks of the machine: versions, the clock, the service manager."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ...base.limits import DOCTOR_ASK_S_MAX, DOCTOR_RESTARTS_MAX
from ...base.moment import Trust
from .finding import Finding, fine, warn, wrong

UNIT = "edge-runtime.service"
SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)
YEAR_MIN = 2024  # no device of this project was built before: an earlier year is a clock that nobody set

Run = Callable[[list[str]], str]


def check_versions() -> Finding:
    """Python and SQLite; both were good enough, or this would not run."""
    name = "SQLite" if sqlite3.threadsafety else "SQLite without threads"
    says = f"Python {sys.version.split()[0]}, {name} {sqlite3.sqlite_version}, Linux {os.uname().release}"
    if not sqlite3.threadsafety:
        return wrong("versions", says, "Install a Python whose sqlite3 is compiled with threads.")
    return fine("versions", says)


def check_clock(trust: Trust, year: int | None = None) -> Finding:
    """Whether the wall clock may be believed. Ages and intervals work without; times of day and expiry do not."""
    year = time.gmtime().tm_year if year is None else year
    waits = "Intervals and ages go on; what is due at a time of day waits for a trusted clock."
    do = "Fit a clock chip or GPS, or let the machine reach a time server: `timedatectl set-ntp true`."
    if year < YEAR_MIN:
        return warn("clock", f"The wall clock says {year}: nobody has set it. {waits}", do)
    if trust is Trust.NONE:
        return warn("clock", f"The wall clock is not synchronised. {waits}", do)
    return fine("clock", f"The wall clock is trusted ({trust.name.lower()}).")


def check_unit(run: Run | None = None, is_booted: bool | None = None) -> list[Finding]:
    """The systemd unit; nothing where there is no systemd or no unit."""
    if not (SYSTEMD.is_dir() if is_booted is None else is_booted):
        return []
    wanted = "LoadState,ActiveState,SubState,UnitFileState,NRestarts,Result"
    try:
        text = (run or _run)(["systemctl", "show", UNIT, f"--property={wanted}"])
    except (OSError, subprocess.SubprocessError) as error:
        return [warn("unit", f"systemd does not answer: {error}.", "Look at `systemctl status`.")]
    unit = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if unit.get("LoadState", "not-found") == "not-found":
        return []
    if unit.get("LoadState") != "loaded":
        return [wrong("unit", f"{UNIT} is {unit['LoadState']}.", f"`systemctl cat {UNIT}` shows the file: mend it.")]
    return [_judge_unit(unit)]


def _judge_unit(unit: dict[str, str]) -> Finding:
    state, log = unit.get("ActiveState", ""), f"`journalctl -u {UNIT} -n 50` says why."
    restarts = int(unit.get("NRestarts") or 0)
    if state == "failed" or unit.get("SubState") == "auto-restart":
        return wrong("unit", f"{UNIT} does not stay up ({unit.get('Result')}, {restarts} restarts).", log)
    if state not in ("active", "activating", "reloading"):
        return warn("unit", f"{UNIT} is {state}.", f"Start it: `systemctl enable --now {UNIT}`.")
    if restarts > DOCTOR_RESTARTS_MAX:
        return warn("unit", f"{UNIT} is {state} after {restarts} restarts.", log)
    if unit.get("UnitFileState") == "disabled":
        return warn("unit", f"{UNIT} is {state}, and not started at boot.", f"`systemctl enable {UNIT}`.")
    return fine("unit", f"{UNIT} is {state}.")


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DOCTOR_ASK_S_MAX, check=True)
    return done.stdout


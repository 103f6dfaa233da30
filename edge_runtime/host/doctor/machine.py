"""Checks of the machine: versions, the clock, the service manager."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...base.limits import DOCTOR_ASK_S_MAX, DOCTOR_RESTARTS_MAX
from ..clock import Source, advise
from .finding import Finding, fine, warn, wrong

UNIT = "edge-runtime.service"
SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)

Run = Callable[[list[str]], str]


def check_versions() -> Finding:
    """Python and SQLite; both were good enough, or this would not run."""
    name = "SQLite" if sqlite3.threadsafety else "SQLite without threads"
    says = f"Python {sys.version.split()[0]}, {name} {sqlite3.sqlite_version}, Linux {os.uname().release}"
    if not sqlite3.threadsafety:
        return wrong("versions", says, "Install a Python whose sqlite3 is compiled with threads.")
    return fine("versions", says)


def check_clock(status: dict[str, Any] | None, source: Source) -> Finding:
    """Whether the wall clock may be believed: as the daemon says, else as the machine does (`docs/time.md`).

    Args:
        status: of the daemon, None without one. source: who vouches for the machine's clock.
    """
    found = (status or {}).get("clock")
    if found is None:
        advice = advise(source.trust, gap_is_open=False)
        found = {
            "trust": source.trust.name.lower(), "source": source.name, "problem": advice.problem,
            "remedy": advice.remedy,
        }  # fmt: skip
    if found["problem"]:
        says = f"{found['problem'][0].upper()}{found['problem'][1:]}. Intervals and ages go on."
        return warn("clock", says, found["remedy"])
    return fine("clock", f"The wall clock is trusted ({found['trust']}): {found['source']}.")


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


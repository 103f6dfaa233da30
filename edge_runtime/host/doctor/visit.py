"""All checks, in the order in which a person would put things right."""

from __future__ import annotations

import os
from pathlib import Path

from ...client import SYSTEM_SOCKET, default_state, find_socket
from ..clock import Clock
from . import device, disk, machine, permissions
from .finding import Finding, Level, Place

SYSTEM_STATE = Path("/var/lib/edge-runtime")
SYSTEM_CONFIG = Path("/etc/edge-runtime/config.toml")
MOUNTS = Path("/proc/self/mountinfo")


def find_place(state: str | None, config: str | None) -> Place:
    """Return the device that the options mean: as for every command, the machine's own where there is no user's.

    Raises:
        UsageError: never; what is missing becomes a finding.
    """
    socket = find_socket(state)
    if socket == SYSTEM_SOCKET:
        folder = SYSTEM_STATE
    else:
        folder = Path(state) if state is not None else default_state()
    file = Path(config) if config is not None else None
    if file is None and folder == SYSTEM_STATE and SYSTEM_CONFIG.exists():
        file = SYSTEM_CONFIG
    return Place(folder, file, socket, state)


def examine(place: Place) -> list[Finding]:
    """Make every check. Takes some seconds: a spool is read, and answers to one packet a link are waited for."""
    known, clock = device.ask_daemon(place), Clock()
    clock.read()
    found = [machine.check_versions(), machine.check_clock(known.status, clock.source)]
    nearest = place.state
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    mounts = disk.read_mounts(MOUNTS.read_text()) if MOUNTS.exists() else []
    found.append(disk.check_file_system(disk.mount_of(nearest, mounts), place.state))
    found.append(disk.check_room(nearest))
    found += permissions.check_state(place.state)
    if os.access(place.state, os.R_OK | os.X_OK):
        found.append(disk.check_spool(place.state))
    found += permissions.check_socket(place.socket, known)
    found += permissions.check_roots(place.state)
    found += permissions.check_settings(place)
    found += machine.check_unit()
    found += device.check_daemon(known)
    found += device.check_links(place, known)
    return found


def is_well(found: list[Finding]) -> bool:
    """Whether nothing must be put right."""
    return all(finding.level is not Level.ERROR for finding in found)

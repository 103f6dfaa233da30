"""Checks of who may read keys and use the control socket, of the root key's backup, and of the files of settings."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from ...base.errors import UsageError
from ..config import read_config, read_policy
from ..root_keys import list_roots
from .finding import Finding, Known, Place, fine, warn, wrong

OTHERS = stat.S_IRWXO
GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO
SOCKET_MODE = 0o660


def check_state(state: Path) -> list[Finding]:
    """The state directory and the keys in it: as `run` insists, and more."""
    try:
        found = os.stat(state)
        if state.is_dir() and not os.access(state, os.R_OK | os.X_OK):
            raise PermissionError
    except FileNotFoundError:
        do = "`edge-runtime init` makes it, or `edge-runtime run`."
        return [warn("permissions", f"{state} is not there: this device has no key yet.", do)]
    except OSError:
        do = f"Look as its user: `sudo -u {_user(_owner(state))} edge-runtime doctor --state {state}`."
        return [warn("permissions", f"{state} cannot be read by you: keys and disk are not looked at.", do)]
    if not stat.S_ISDIR(found.st_mode):
        return [wrong("permissions", f"{state} is no directory.", "Name another one with --state DIR.")]
    problems = []
    if found.st_mode & OTHERS:
        problems.append(wrong("permissions", f"{state} is open to all users.", f"chmod o= {state}"))
    problems += _check_keys(state, found.st_uid)
    spool = state / "spool.db"
    if spool.exists() and spool.stat().st_mode & OTHERS:
        problems.append(wrong("permissions", f"{spool} can be read by all users.", f"chmod 600 {spool}"))
    return problems or [fine("permissions", f"{state} and its keys belong to {_user(found.st_uid)} alone.")]


def _check_keys(state: Path, owner: int) -> list[Finding]:
    folder, found = state / "keys", []
    try:
        files = [folder, *sorted(folder.iterdir())] if folder.exists() else []
    except PermissionError:
        do = f"Look as its user: `sudo -u {_user(owner)} edge-runtime doctor --state {state}`."
        return [warn("permissions", f"{folder} cannot be read by you: keys are not looked at.", do)]
    for path in files:
        mode = path.stat().st_mode
        if mode & GROUP_AND_OTHERS:
            right = "700" if path is folder else "600"
            says = f"{path} can be read by others: no daemon starts."
            found.append(wrong("permissions", says, f"chmod {right} {path}"))
        if path.stat().st_uid != owner:
            do = f"chown {_user(owner)} {path}"
            found.append(wrong("permissions", f"{path} belongs to {_user(path.stat().st_uid)}.", do))
    return found


def check_socket(path: Path, known: Known) -> list[Finding]:
    """Who may control the daemon; nothing where none runs."""
    if known.is_refused:
        if _gid(path) == 0:  # a daemon of root's own: its group is none to join
            do = f"Look as its user: `sudo -u {_user(_owner(path))} edge-runtime doctor`."
            return [wrong("socket", f"A daemon answers at {path}, and does not let you in.", do)]
        do = f"Join the group {_group(_gid(path))}, and log in anew: `sudo adduser $USER {_group(_gid(path))}`."
        return [wrong("socket", f"A daemon answers at {path}, and does not let you in.", do)]
    if known.status is None:
        return []
    found = os.stat(path)
    mode = stat.S_IMODE(found.st_mode)
    if mode & OTHERS:
        return [wrong("socket", f"{path} has mode {mode:o}: it is meant for {SOCKET_MODE:o}.", f"chmod 660 {path}")]
    group = _group(found.st_gid)
    return [fine("socket", f"{path} is open to root, {_user(found.st_uid)} and the group {group}.")]


def check_roots(state: Path) -> list[Finding]:
    """Whether each root key that is kept here was backed up: who loses it lets no device in any more, for good."""
    try:
        roots = list_roots(state)
    except OSError:
        return []  # said already
    if not roots:
        return []
    left = [root for root in roots if not root.is_backed_up]
    if not left:
        return [fine("root-key", f"{len(roots)} root key(s) are kept here, each backed up.")]
    says = f"The root key of fleet {left[0].fleet[:16]} is on this device alone. Who loses it lets no device in again."
    return [warn("root-key", says, "`edge-runtime fleet backup -o FILE`, and keep the file offline.")]


def check_settings(place: Place) -> list[Finding]:
    """Configuration and policy, as `run` would read them."""
    found = []
    if place.config is None:
        found.append(fine("config", "No configuration file: the options of `run` count alone."))
    else:
        try:
            config = read_config(place.config)
        except UsageError as error:
            do = f"Mend it, then `edge-runtime config check {place.config}`."
            found.append(wrong("config", error.message.splitlines()[0], do))
        else:
            found.append(fine("config", f"{place.config} is right ({len(config.apps)} apps)."))
    file = place.policy_folder / "policy.toml"
    try:
        policy = read_policy(place.policy_folder)
    except UsageError as error:
        do = f"Mend it, then `edge-runtime policy check {file}`."
        found.append(wrong("policy", error.message.splitlines()[0], do))
    except PermissionError:
        found.append(warn("policy", f"{file} cannot be read by you.", "Look as the daemon's user."))
    else:
        says = f"{file} is right ({len(policy.rules)} rules)."
        found.append(fine("policy", says if file.exists() else "No policy file: the default counts."))
    return found


def _owner(path: Path) -> int:
    try:
        return os.stat(path).st_uid
    except OSError:
        return 0


def _gid(path: Path) -> int:
    try:
        return os.stat(path).st_gid
    except OSError:
        return 0


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)

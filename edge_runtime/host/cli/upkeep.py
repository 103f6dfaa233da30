"""Commands that look after a device: what is wrong with it, and its root key kept elsewhere."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from ...base.errors import Exit, UsageError
from .console import Progress, ask, say
from .device import ask_or_open, state_of


def doctor(options: Namespace) -> int:
    """Examine the device; exit 1 if something must be put right."""
    from ..doctor.visit import examine, find_place, is_well

    found = examine(find_place(options.state, options.config))
    value = {"ok": is_well(found), "findings": [finding.row() for finding in found]}
    say(options, "doctor", value)
    return int(Exit.OK if value["ok"] else Exit.FAILED)


def backup(options: Namespace) -> int:
    """Copy everything of a device into one file; the daemon goes on."""
    from ..backup import write_backup

    state, target = state_of(options), Path(options.file)
    shown = Progress("backup", 1)

    def tell(done: int, total: int) -> None:
        shown.total = total
        shown.advance(done)

    try:
        contents = write_backup(state, target, tell)
    finally:
        shown.end()
    size = target.stat().st_size
    value = {"file": str(target), "device": contents.device, "bytes": size, "files": len(contents.members)}
    return say(options, "backup", value)


def restore(options: Namespace) -> int:
    """Make a device of a backup; it begins in quarantine unless it is said to be alone."""
    from ..backup import restore_backup

    source = Path(options.file)
    if not os.path.isfile(source):  # False also where nobody lets us look
        raise UsageError(f"{source} cannot be read: no file is there, or you may not look at it.")
    shown = Progress("restore", source.stat().st_size)
    try:
        contents = restore_backup(source, state_of(options), options.alone, lambda done, total: shown.advance(done))
    finally:
        shown.end()
    value = {"device": contents.device, "made_ms": contents.made_ms, "quarantine": not options.alone}
    return say(options, "restore", value)


def back_up_root(options: Namespace) -> int:
    """Write this device's newest fleet's root key to a file.

    Raises:
        UsageError: there is none here, it may not be read, or the file cannot be written.
    """
    from ..root_keys import list_roots, write_backup

    if not options.output:
        raise UsageError("fleet backup -o FILE: say where to, such as a stick that stays in a drawer.")
    shown = ask_or_open(options, "fleet-show")
    wanted = options.name or shown["fleet"]
    (name, fleet), *more = [
        (item["name"], item["fleet"]) for item in shown["all"] if wanted in (item["fleet"], item["name"])
    ] or [("", "")]
    if not fleet or more:
        count = len(more) + bool(fleet)
        raise UsageError(f"{wanted!r} names {count} fleets here. Give the id that `fleet show` prints.")
    state = state_of(options)
    try:
        roots = [root for root in list_roots(state) if root.fleet == fleet]
    except OSError as error:
        what = f"The keys in {state} cannot be read: {error.strerror}. Run as its user."
        raise UsageError(what, Exit.FAILED) from None
    if not roots:
        raise UsageError(f"The root key of fleet {name!r} is not here: back it up where `fleet create` was run.")
    write_backup(roots[0], name, Path(options.output))
    return say(options, "fleet-backup", {"fleet": fleet, "name": name, "file": options.output})


def restore_root(options: Namespace) -> int:
    """Take a root key back onto this device, which becomes operator and executor of the fleet; no daemon may run.

    Raises:
        UsageError: the file is no backup, or a daemon has the state.
    """
    from ..local import restore_fleet
    from ..root_keys import read_backup

    if not options.name:
        raise UsageError("fleet restore FILE: give the file that `fleet backup` wrote.")
    name, key = read_backup(Path(options.name))
    return say(options, "fleet", restore_fleet(state_of(options), name, key))


def schedules(options: Namespace) -> int:
    """List the recurring submissions of the configuration."""
    return say(options, "schedules", ask(options, "schedules"))


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "backup": backup,
    "doctor": doctor,
    "restore": restore,
    "schedules": schedules,
}

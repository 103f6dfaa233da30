"""Commands that let a device into a fleet by an invitation: `enroll` where the fleet is, `join` on the new device."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...base.errors import Exit, UsageError
from ...base.limits import (
    GRANT_BYTES_MAX,
    INVITATION_MS_MAX,
    INVITATION_MS_MIN,
    INVITATION_PEERS_MAX,
    INVITATION_USES_MAX,
    INVITATIONS_MAX,
    PAIRING_MS_MAX,
)
from .console import ask, read_duration_ms, say
from .device import ask_or_open, state_of
from .files import read_file, write_file


def enroll(options: Namespace) -> int:
    """Invite devices by a code, or by a file; list open invitations, or end one."""
    if options.list:
        return say(options, "invitations", ask_or_open(options, "invitations"))
    if options.withdraw is not None:
        if not 0 <= options.withdraw < INVITATIONS_MAX:
            raise UsageError(f"--withdraw {options.withdraw}: give a number of `edge-runtime enroll --list`.")
        return say(options, "uninvite", ask_or_open(options, "uninvite", number=options.withdraw))
    _check_options(options)
    fields: dict[str, Any] = {"uses": options.uses, "replaces": options.replaces}
    fields["roles"] = [role.strip() for role in options.roles.split(",") if role.strip()]
    if options.expires:
        fields["expires_ms"] = read_duration_ms("--expires", options.expires)
        if not INVITATION_MS_MIN <= fields["expires_ms"] <= INVITATION_MS_MAX:
            most = f"{INVITATION_MS_MIN // 1_000}s to {INVITATION_MS_MAX // 86_400_000}d"
            raise UsageError(f"--expires {options.expires}: from {most}.")
    value = _ask_and_say_who(options, "enroll", fields)
    if value["daemon"] and (options.output or not options.json):  # a program asks for the status itself
        value["addresses"] = ask(options, "status").get("links", {}).get("addresses", [])
    if options.output:
        value["file"] = options.output
        _write_invitation(options, value)
    return say(options, "enroll", value)


def _check_options(options: Namespace) -> None:
    """Raise UsageError for what would make an invitation that nobody can use, or none."""
    if not 1 <= options.uses <= INVITATION_USES_MAX:
        raise UsageError(f"--uses {options.uses}: from 1 to {INVITATION_USES_MAX}.")
    if options.peer:
        from ..dialling import split_address

        for peer in options.peer:
            split_address(peer)
        if not options.output:
            raise UsageError("--peer goes into the file: name one with -o FILE.")


def _ask_and_say_who(options: Namespace, command: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the answer; `daemon` says whether one runs here: it is what others find."""
    try:
        return {**ask(options, command, **fields), "daemon": True}
    except UsageError as error:
        if error.exit is not Exit.NO_DAEMON:
            raise
    return {**ask_or_open(options, command, **fields), "daemon": False}


def _write_invitation(options: Namespace, value: dict[str, Any]) -> None:
    """Write the file, for its owner alone: who reads it can join."""
    from ...objects.invitations import InvitationFile, read_code

    peers = tuple(options.peer or value.get("addresses", ()))
    root = bytes.fromhex(value["fleet"])
    file = InvitationFile(read_code(value["code"]), value["name"], root, peers[:INVITATION_PEERS_MAX])
    umask = os.umask(0o077)
    try:
        write_file(options.output, file.to_bytes())
    except UsageError:
        ask_or_open(options, "uninvite", number=value["number"])  # nobody will have it
        raise
    finally:
        os.umask(umask)


def join(options: Namespace) -> int:
    """Become a member: with the file of `grant`, an invitation's file, or its code."""
    given: str = options.code_or_file
    looks_like_file = os.path.exists(given) or "/" in given or "." in given
    fields: dict[str, Any] = {"code": given, "peers": list(options.peer)}
    if looks_like_file:
        data = read_file(given, 8 * GRANT_BYTES_MAX)
        invitation = _read_invitation(data)
        if invitation is None:
            return say(options, "join", _ask_and_say_who(options, "join", {"file": data.hex()}))
        fields = {**invitation, "peers": [*invitation["peers"], *options.peer]}
    wait_ms = read_duration_ms("--wait", options.wait)
    if wait_ms > PAIRING_MS_MAX:
        raise UsageError(f"--wait {options.wait}: at most {PAIRING_MS_MAX // 60_000}m.")
    return say(options, "join", _pair(options, {**fields, "wait_ms": wait_ms}))


def _read_invitation(data: bytes) -> dict[str, Any] | None:
    from ...objects.invitations import InvitationFile

    found = InvitationFile.from_bytes(data)
    if found is None:
        return None
    return {"code": str(found.code), "root": found.root.hex(), "peers": list(found.peers)}


def _pair(options: Namespace, fields: dict[str, Any]) -> Any:
    """Let the daemon look for who invited; with no daemon look here, under the state's lock."""
    from ...objects.invitations import read_code

    read_code(fields["code"])  # a slip is told before anybody is asked
    if not options.json and sys.stderr.isatty():
        print(f"Looking for the device that made this invitation, for {options.wait} at most …", file=sys.stderr)
    try:
        return {**ask(options, "join", **fields), "daemon": True}
    except UsageError as error:
        if error.exit is not Exit.NO_DAEMON:
            raise
    from ..pairing_alone import pair_alone

    state: Path = state_of(options)
    return {**pair_alone(state, fields, tuple(options.interface)), "daemon": False}


COMMANDS: dict[str, Callable[[Namespace], int]] = {"enroll": enroll, "join": join}

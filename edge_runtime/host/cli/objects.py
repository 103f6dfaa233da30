"""Commands about objects: made, looked at, signalled, ended, handed on. All of them ask the daemon."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from ...base.errors import Exit, UsageError
from .console import ask, open_client, read_duration_ms, read_pair, read_value, say


def submit(options: Namespace) -> int:
    """Make an object; with --wait, exit 1 if it ended otherwise than completed."""
    fields: dict[str, Any] = {
        "intent": options.intent, "arguments": _arguments_of(options), "name": options.name, "needs": options.needs,
        "priority": options.priority, "attempts_max": options.attempts, "anyway": options.anyway,
        "wait": options.wait,
    }  # fmt: skip
    if options.bytes:
        fields["bytes_max"] = options.bytes
    if options.energy_mj:
        fields["energy_max_mj"] = options.energy_mj
    if options.label:
        fields["labels"] = options.label
    if options.rights:
        fields["rights"] = dict(read_pair("--rights", item, "kits=10") for item in options.rights)
    if options.lifetime:
        fields["lifetime_ms"] = read_duration_ms("--lifetime", options.lifetime)
    return say(options, "submit", ask(options, "submit", **fields))


def _arguments_of(options: Namespace) -> Any:
    arguments = _read_input(options.input) if options.input else None
    if not options.arg:
        return arguments
    if arguments is not None and not isinstance(arguments, dict):
        raise UsageError("--arg adds to a map of arguments; the --input file holds something else.")
    given: dict[str, Any] = {}
    for item in options.arg:
        name, value = read_pair("--arg", item, "name=Ada")
        if name in given:
            raise UsageError(f"--arg {name} is given twice. For a list write JSON, such as --arg '{name}=[1, 2]'.")
        given[name] = value
    return {**(arguments or {}), **given}


def _read_input(name: str) -> Any:
    try:
        with open(name, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--input {name}: {error}. It must be a JSON file.") from None


def ls(options: Namespace) -> int:
    """List objects, newest first."""
    return say(options, "ls", ask(options, "ls", status=options.status, by=options.by, most=options.most))


def trace(options: Namespace) -> int:
    """Print the records of one object; with --follow new ones as they come, until it ends."""
    if not options.follow:
        return say(options, "trace", ask(options, "trace", object=options.object))
    with open_client(options) as client:
        for row in client.stream("trace", object=options.object, follow=True):
            if "followed" not in row:  # the last answer only says that no more will come
                say(options, "trace", [row])
    return int(Exit.OK)


def signal(options: Namespace) -> int:
    """Give an object a named value."""
    value = read_value(options.value)
    return say(options, "signal", ask(options, "signal", object=options.object, name=options.name, value=value))


def cancel(options: Namespace) -> int:
    """Ask an object to end."""
    return say(options, "cancel", ask(options, "cancel", object=options.object, reason=options.reason))


def hand(options: Namespace) -> int:
    """Offer custody of one object, or of all held here."""
    if bool(options.object) == options.all:
        raise UsageError("hand: name one object, or give --all.")
    return say(options, "hand", ask(options, "hand", object=options.object, to=options.to))


def _of_one(command: str) -> Callable[[Namespace], int]:
    def run(options: Namespace) -> int:
        return say(options, command, ask(options, command, object=options.object))

    return run


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "cancel": cancel,
    "claim": _of_one("claim"),
    "explain": _of_one("explain"),
    "hand": hand,
    "hold": _of_one("hold"),
    "ls": ls,
    "release": _of_one("release"),
    "resume": _of_one("resume"),
    "show": _of_one("show"),
    "signal": signal,
    "submit": submit,
    "trace": trace,
    "wait": _of_one("wait"),
}

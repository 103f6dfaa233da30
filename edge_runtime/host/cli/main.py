"""The door: parsing, errors and exit codes. What a command does is loaded when it is asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ...base.errors import Exit, UsageError
from .console import silence_output
from .parser import make_parser

# Command -> the module beside this one whose table `COMMANDS` holds what performs it.
PLACES: dict[str, str] = {
    "apps": "device",
    "backup": "upkeep",
    "cancel": "objects",
    "claim": "objects",
    "completion": "completion",
    "config": "files",
    "contacts": "device",
    "demo": "device",
    "doctor": "upkeep",
    "enroll": "enrolment",
    "event": "device",
    "explain": "objects",
    "export": "files",
    "fact": "device",
    "facts": "device",
    "fleet": "device",
    "grant": "device",
    "hand": "objects",
    "hold": "objects",
    "import": "files",
    "init": "device",
    "join": "enrolment",
    "ls": "objects",
    "man": "completion",
    "peers": "device",
    "policy": "policies",
    "query": "device",
    "radio": "device",
    "release": "objects",
    "replay": "replaying",
    "restore": "upkeep",
    "resume": "objects",
    "revoke": "device",
    "run": "device",
    "schedules": "upkeep",
    "show": "objects",
    "signal": "objects",
    "status": "device",
    "submit": "objects",
    "trace": "objects",
    "verify": "files",
    "wait": "objects",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (`base.errors.Exit`).

    What the caller can change is one message on stderr, or with `--json` one object on stdout.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    is_json = "--json" in arguments
    try:
        try:
            return _run(arguments)
        except UsageError as error:
            return _complain(error, is_json)
    except BrokenPipeError:
        # Whoever read our output went away (`| head`): not an error of ours, and nothing more can be printed.
        silence_output()
        return int(Exit.OK)
    except KeyboardInterrupt:
        return int(Exit.FAILED)


def _run(argv: list[str]) -> int:
    parser = make_parser()
    options = parser.parse_args(argv)
    if options.version:
        print(f"edge-runtime {_version()}")
        return int(Exit.OK)
    if options.command is None:
        parser.print_help(sys.stderr)
        return int(Exit.USAGE)
    command: str = options.command
    module = import_module(f"{__package__}.{PLACES[command]}")
    code: int = module.COMMANDS[command](options)
    return code


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("edge-runtime")
    except PackageNotFoundError:
        return "(run from its source, not installed)"


def _complain(error: UsageError, is_json: bool) -> int:
    if is_json:
        value = {"ok": False, "error": error.message, "exit": int(error.exit), **error.details}
        print(json.dumps(value, default=str), flush=True)
        return int(error.exit)
    from .render import clean

    text = clean(f"edge-runtime: {error.message}")
    if "JOURNAL_STREAM" in os.environ:  # a service that does not start: `journalctl -p err` is to show why
        from ..logs import ERROR, is_journal, with_level

        text = with_level(text, ERROR) if is_journal() else text
    print(text, file=sys.stderr)
    candidates = error.details.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        print(clean(f"  {candidate}"), file=sys.stderr)
    return int(error.exit)

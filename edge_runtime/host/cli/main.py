"""Parsing, asking, errors and exit codes. Heavy modules are imported by the commands that need them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...base.errors import Exit, UsageError
from ...client import BlockingClient, default_state
from .parser import SIMPLE, make_parser

CHUNK_BYTES = 48 * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    is_json = "--json" in arguments
    try:
        return _run(arguments)
    except UsageError as error:
        return _complain(error, is_json)
    except BrokenPipeError:
        # Whoever read our output went away (`| head`): not an error of ours, and nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)
    except KeyboardInterrupt:
        return int(Exit.FAILED)


def _complain(error: UsageError, is_json: bool) -> int:
    if is_json:
        value = {"ok": False, "error": error.message, "exit": int(error.exit), **error.details}
        print(json.dumps(value, default=str), flush=True)
    else:
        print(f"edge-runtime: {error.message}", file=sys.stderr)
        for candidate in _texts(error.details.get("candidates")):
            print(f"  {candidate}", file=sys.stderr)
    return int(error.exit)


def _texts(found: object) -> list[str]:
    return [str(item) for item in found] if isinstance(found, list) else []


def _run(argv: list[str]) -> int:
    options = make_parser().parse_args(argv)
    if options.version:
        from importlib.metadata import version

        print(f"edge-runtime {version('edge-runtime')}")
        return int(Exit.OK)
    if options.command is None:
        make_parser().print_help()
        return int(Exit.USAGE)
    command: str = options.command
    if command in SIMPLE:
        names = ("object", "reason", "most", "sql")
        fields = {name: getattr(options, name) for name in names if hasattr(options, name)}
        return _show(options, command, _client(options).ask(command, **fields))
    return COMMANDS[command](options)


def _client(options: Any) -> BlockingClient:
    return BlockingClient(options.state)


def _show(options: Any, command: str, value: Any) -> int:
    """Print an answer: JSON for programs, tables and sentences for people."""
    if options.json:
        for row in value if isinstance(value, list) else [value]:
            print(json.dumps(row, ensure_ascii=False))
    else:
        from .render import render

        print(render(command, value))
    sys.stdout.flush()
    ended = value.get("end") if isinstance(value, dict) and command in ("wait", "submit") else None
    return int(Exit.OK if ended in (None, "completed") else Exit.FAILED)


def json_or_text(text: str) -> Any:
    """Return a value given on the command line: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


# --- Commands -----------------------------------------------------------------------------------------------------


def _submit(options: Any) -> int:
    arguments: Any = None
    if options.input:
        try:
            arguments = json.loads(Path(options.input).read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"--input {options.input}: {error}. It must be a JSON file.") from None
    if options.arg:
        if arguments is not None and not isinstance(arguments, dict):
            raise UsageError("--arg adds to a map of arguments; the --input file holds something else.")
        arguments = dict(arguments or {})
        for item in options.arg:
            key, equals, value = item.partition("=")
            if not equals or not key:
                raise UsageError(f"--arg {item}: write it as NAME=VALUE, such as --arg name=Ada.")
            arguments[key] = json_or_text(value)
    fields: dict[str, Any] = {
        "intent": options.intent, "arguments": arguments, "name": options.name, "needs": options.needs,
        "priority": options.priority, "attempts_max": options.attempts, "anyway": options.anyway,
        "wait": options.wait,
    }  # fmt: skip
    if options.lifetime:
        fields["lifetime_ms"] = _duration("--lifetime", options.lifetime)
    return _show(options, "submit", _client(options).ask("submit", **fields))


def _duration(flag: str, text: str) -> int:
    from ...base.units import parse_duration_ms

    try:
        found = parse_duration_ms(text)
    except ValueError:
        found = 0
    if not found:
        raise UsageError(f"{flag} {text}: write a duration such as 90s, 24h or 7d.")
    return found


def _ask(command: str, *names: str, **renamed: str) -> Callable[[Any], int]:
    def run(options: Any) -> int:
        fields = {name: getattr(options, name) for name in names}
        fields.update({field: getattr(options, name) for field, name in renamed.items()})
        return _show(options, command, _client(options).ask(command, **fields))

    return run


def _trace(options: Any) -> int:
    rows: Iterator[Any] = _client(options).stream("trace", object=options.object, follow=options.follow)
    if not options.follow:
        return _show(options, "trace", next(rows))
    for row in rows:
        if "followed" not in row:
            _show(options, "trace", [row] if not options.json else row)
    return int(Exit.OK)


def _signal(options: Any) -> int:
    fields = {"object": options.object, "name": options.name, "value": json_or_text(options.value)}
    return _show(options, "signal", _client(options).ask("signal", **fields))


def _hand(options: Any) -> int:
    if bool(options.object) == options.all:
        raise UsageError("Name one object, or --all.")
    return _show(options, "hand", _client(options).ask("hand", object=options.object, to=options.to))


def _fact(options: Any) -> int:
    name, equals, value = options.assignment.partition("=")
    if not equals:
        raise UsageError(f"fact set {options.assignment}: write NAME=VALUE, such as door.open=true.")
    fields: dict[str, Any] = {"name": name, "value": json_or_text(value)}
    if options.max_age:
        fields["max_age_ms"] = _duration("--max-age", options.max_age)
    return _show(options, "fact", _client(options).ask("fact", **fields))


def _daemon(options: Any) -> int:
    from ..runtime import RunOptions, run_daemon

    return run_daemon(
        RunOptions(
            Path(options.state) if options.state else default_state(),
            Path(options.config) if options.config else None, options.name, tuple(options.app),
            tuple(options.capability), tuple(options.resource), options.listen, tuple(options.peer),
            tuple(options.interface), options.log_level,
        )  # fmt: skip
    )


def _with_or_without_daemon(options: Any, command: str, **fields: Any) -> Any:
    """Ask the daemon if one runs on the state; otherwise open the state here."""
    try:
        return _client(options).ask(command, **fields)
    except UsageError as error:
        if error.exit is not Exit.NO_DAEMON:
            raise
    import msgspec

    from ...node.commands import Command
    from ..local import answer_locally

    try:
        parsed: Command = msgspec.convert({"command": command, **fields}, Command)
    except msgspec.ValidationError as error:
        raise UsageError(f"{command}: {error}.") from None
    return answer_locally(Path(options.state) if options.state else default_state(), parsed)


def _init(options: Any) -> int:
    return _show(options, "init", _with_or_without_daemon(options, "init", name=options.name))


def _fleet(options: Any) -> int:
    if options.what == "show":
        return _show(options, "fleet", _with_or_without_daemon(options, "fleet-show"))
    if not options.name:
        raise UsageError("fleet create NAME: the fleet needs a name.")
    return _show(options, "fleet", _with_or_without_daemon(options, "fleet-create", name=options.name))


def _grant(options: Any) -> int:
    roles = [role for role in options.roles.split(",") if role]
    value = _with_or_without_daemon(
        options, "grant", device=options.device, roles=roles, replaces=options.replaces
    )
    _write_file(options.output, bytes.fromhex(value.pop("file")))
    return _show(options, "grant", {**value, "file": options.output})


def _join(options: Any) -> int:
    value = _with_or_without_daemon(options, "join", file=_read_file(options.file).hex())
    return _show(options, "join", value)


def _radio(options: Any) -> int:
    return _show(options, "radio", _with_or_without_daemon(options, "radio", on=options.switch == "on"))


def _config(options: Any) -> int:
    from ..config import read_config

    found = read_config(Path(options.file))
    value = {"ok": True, "file": options.file, "apps": len(found.apps), "capabilities": list(found.device.capabilities)}
    return _show(options, "config", value)


def _policy(options: Any) -> int:
    from ...judge.policy import Policy

    found = Policy.parse(_read_file(options.file).decode(errors="replace"), options.file)
    value = {"ok": True, "file": options.file, "rules": len(found.rules), "policy": found.hash.hex()}
    return _show(options, "policy", value)


def _export(options: Any) -> int:
    value = _client(options).ask("export", object=options.object)
    _write_file(options.output, bytes.fromhex(value.pop("capsule")))
    return _show(options, "export", {**value, "file": options.output})


def _verify(options: Any) -> int:
    from ...base.errors import PeerError
    from ...objects.capsule import read_capsule

    try:
        capsule = read_capsule(_read_file(options.file))
    except PeerError as error:
        raise UsageError(f"{options.file} does not verify: {error}. Ask for a fresh copy of it.", Exit.FAILED) from None
    value = {
        "object": capsule.header.object.hex(), "entries": len(capsule.entries), "verified": "full",
        "head": [head.hex() for head in capsule.heads],
    }  # fmt: skip
    return _show(options, "verify", value)


def _import(options: Any) -> int:
    client = _client(options)
    values = []
    for file in options.files:
        data = _read_file(file)
        for at in range(0, max(1, len(data)), CHUNK_BYTES):
            is_last = at + CHUNK_BYTES >= len(data)
            value = client.ask("import", chunk=data[at : at + CHUNK_BYTES].hex(), is_last=is_last)
        values.append({**value, "file": file})
    return _show(options, "import", values)


def _demo(options: Any) -> int:
    from .demo import run_demo

    return run_demo(options)


def _read_file(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from None


def _write_file(name: str, data: bytes) -> None:
    try:
        Path(name).write_bytes(data)
    except OSError as error:
        raise UsageError(f"{name} cannot be written: {error.strerror}.") from None


COMMANDS: dict[str, Callable[[Any], int]] = {
    "submit": _submit,
    "wait": _ask("wait", "object"),
    "ls": _ask("ls", "status", "by", "most"),
    "trace": _trace,
    "signal": _signal,
    "hand": _hand,
    "run": _daemon,
    "init": _init,
    "fleet": _fleet,
    "grant": _grant,
    "join": _join,
    "radio": _radio,
    "fact": _fact,
    "event": _ask("event", "name"),
    "config": _config,
    "policy": _policy,
    "export": _export,
    "verify": _verify,
    "import": _import,
    "demo": _demo,
}

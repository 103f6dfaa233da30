"""Every command of `edge-runtime`, its options and what it says of itself."""

from __future__ import annotations

import argparse
from typing import Any

OBJECT_HELP = "id, name given at submission, or id prefix of at least 4 digits"

# Commands whose answer is what the daemon says to one request: name -> (help, arguments of the parser).
SIMPLE: dict[str, tuple[str, list[tuple[tuple[str, ...], dict[str, Any]]]]] = {
    "show": ("all about one object", [(("object",), {"help": OBJECT_HELP})]),
    "explain": ("why an object is where it is, and when it is looked at again", [(("object",), {"help": OBJECT_HELP})]),
    "cancel": ("ask an object to end", [(("object",), {"help": OBJECT_HELP}), (("--reason",), {"default": ""})]),
    "hold": ("no new effects, for an object or this device", [(("object",), {"nargs": "?", "default": ""})]),
    "release": ("end a hold", [(("object",), {"nargs": "?", "default": ""})]),
    "resume": ("wake a parked object", [(("object",), {"help": OBJECT_HELP})]),
    "claim": ("take custody of an object whose custodian is lost", [(("object",), {"help": OBJECT_HELP})]),
    "facts": ("all facts of this device", []),
    "peers": ("devices known, and which are in contact", []),
    "contacts": ("the last contacts", [(("--most",), {"type": int, "default": 20})]),
    "status": ("this device at a glance", []),
    "apps": ("intents and versions, per device", []),
    "query": ("read-only SQL over objects, entries, steps, contacts, facts, peers", [(("sql",), {})]),
}


class Parser(argparse.ArgumentParser):
    """Ends with exit code 2 and one line on what to change."""

    def error(self, message: str) -> Any:
        """Raise instead of printing: `main` prints errors in one way, JSON included."""
        from ...base.errors import UsageError

        raise UsageError(f"{message}. See `{self.prog} --help`.")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = Parser(prog="edge-runtime", description="Durable execution without a server.")
    parser.add_argument("--version", action="store_true", help="print the version and end")
    _add_common(parser, is_top=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, (text, arguments) in SIMPLE.items():
        sub = _command(commands, name, text)
        for flags, options in arguments:
            sub.add_argument(*flags, **options)
    _add_objects(commands)
    _add_device(commands)
    _add_files(commands)
    return parser


def _add_common(parser: argparse.ArgumentParser, is_top: bool = False) -> None:
    """`--state` and `--json` go before or after the command."""
    default: dict[str, Any] = {} if is_top else {"default": argparse.SUPPRESS}
    parser.add_argument("--state", metavar="DIR", help="directory of one device (or $EDGE_RUNTIME_STATE)", **default)
    parser.add_argument("--json", action="store_true", help="answer in JSON, one object a line", **default)


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    sub: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    _add_common(sub)
    return sub


def _add_objects(commands: Any) -> None:
    sub = _command(commands, "submit", "make an object of an intent")
    sub.add_argument("intent")
    sub.add_argument("--arg", action="append", default=[], metavar="K=V", help="one argument; V is JSON, else text")
    sub.add_argument("--input", metavar="FILE.json", help="all arguments, as JSON")
    sub.add_argument("--name", default="", help="submitting the same name again is the same object")
    sub.add_argument("--needs", action="append", default=[], metavar="CAP", help="capability that every step needs")
    sub.add_argument("--priority", type=int, default=8, metavar="0..15", help="0 is the most urgent")
    sub.add_argument("--lifetime", metavar="24h", help="then it expires (default 30 days)")
    sub.add_argument("--attempts", type=int, default=0, metavar="N", help="budget of attempts, over all devices")
    sub.add_argument("--anyway", action="store_true", help="also if no device known offers the intent")
    sub.add_argument("--wait", action="store_true", help="until it has ended")
    sub = _command(commands, "wait", "wait until an object has ended")
    sub.add_argument("object", help=OBJECT_HELP)
    sub = _command(commands, "ls", "objects of this device, newest first")
    sub.add_argument("--status", default="", choices=["", "awake", "dormant", "attempting", "ended"])
    sub.add_argument("--by", default="", choices=["", "reason"], help="count by reason instead")
    sub.add_argument("--most", type=int, default=1000)
    sub = _command(commands, "trace", "every record of an object, in causal order")
    sub.add_argument("object", help=OBJECT_HELP)
    sub.add_argument("--follow", action="store_true", help="and new ones as they come, until it ends")
    sub = _command(commands, "signal", "give an object a named value")
    sub.add_argument("object", help=OBJECT_HELP)
    sub.add_argument("name")
    sub.add_argument("value", nargs="?", default="null", help="JSON, else text")
    sub = _command(commands, "hand", "offer custody to a device")
    sub.add_argument("object", nargs="?", default="")
    sub.add_argument("--all", action="store_true", help="everything held here")
    sub.add_argument("--to", required=True, metavar="DEVICE")


def _add_device(commands: Any) -> None:
    sub = _command(commands, "run", "run this device in the foreground")
    sub.add_argument("--config", metavar="FILE")
    sub.add_argument("--name", default="")
    for flag, meta, text in (
        ("--app", "module:name", "handlers to load: module:name or file.py:name"),
        ("--capability", "C", "what this device can do"),
        ("--resource", "R", "what this device alone owns"),
        ("--peer", "HOST:PORT", "a device to dial"),
        ("--interface", "NAME", "listen and look for peers here only"),
    ):
        sub.add_argument(flag, action="append", default=[], metavar=meta, help=text)
    sub.add_argument("--listen", default="", metavar="HOST:PORT", help="default: any address, a free port kept")
    sub.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    sub = _command(commands, "init", "make this device's key and name it")
    sub.add_argument("--name", default="")
    sub = _command(commands, "fleet", "make a fleet, or show this device's")
    sub.add_argument("what", choices=["create", "show"])
    sub.add_argument("name", nargs="?", default="")
    sub = _command(commands, "grant", "let a device into the fleet: writes the file that it joins with")
    sub.add_argument("device")
    sub.add_argument("--roles", default="executor", help="executor,relay,advisor,operator")
    sub.add_argument("-o", "--output", required=True, metavar="FILE")
    sub.add_argument("--replaces", default="", metavar="OLD", help="device whose name it takes over")
    sub = _command(commands, "join", "join a fleet with the file of `grant`")
    sub.add_argument("file")
    sub = _command(commands, "radio", "transmit nothing at all, or speak again")
    sub.add_argument("switch", choices=["on", "off"])
    sub = _command(commands, "fact", "set a fact of this device")
    sub.add_argument("what", choices=["set"])
    sub.add_argument("assignment", metavar="NAME=VALUE")
    sub.add_argument("--max-age", default="", metavar="30s", help="then it is unknown again")
    sub = _command(commands, "event", "raise a named event on this device")
    sub.add_argument("name")
    sub = _command(commands, "demo", "the whole story, on this machine, with three devices")
    sub.add_argument("--input", metavar="DIR", help="images to survey (default: some that it makes)")
    sub.add_argument("--keep", metavar="DIR", help="leave the devices' state there")


def _add_files(commands: Any) -> None:
    for name, text in (("config", "check a configuration file"), ("policy", "check a policy file")):
        sub = _command(commands, name, text)
        sub.add_argument("what", choices=["check"])
        sub.add_argument("file")
    sub = _command(commands, "export", "write one object's capsule")
    sub.add_argument("object", help=OBJECT_HELP)
    sub.add_argument("-o", "--output", required=True, metavar="FILE")
    sub = _command(commands, "verify", "check a capsule, with no daemon and no network")
    sub.add_argument("file")
    sub = _command(commands, "import", "take capsules in, as if a peer had brought them")
    sub.add_argument("files", nargs="+", metavar="FILE")

"""Every command of `edge-runtime`, its options and what it says of itself."""

from __future__ import annotations

import argparse
from typing import Any

from .parser_enrolment import add_enrolment
from .parser_upkeep import add_upkeep

OBJECT_HELP = "id, name given at submission, or id prefix of at least 4 digits"
ONE = (("object",), {"help": OBJECT_HELP})
ONE_OR_ALL = (("object",), {"nargs": "?", "default": "", "help": OBJECT_HELP + "; without it: this whole device"})

# name -> (what it does, what happens and what to do next, arguments). More than one flag needs a function below.
SIMPLE: dict[str, tuple[str, str, list[tuple[tuple[str, ...], dict[str, Any]]]]] = {
    "show": (
        "all about one object", "Says where it stands, who has custody, what it waits for. Next: `explain`, `trace`.",
        [ONE],
    ),
    "wait": (
        "wait until an object has ended", "Ends with code 0 if it completed, else 1. Ctrl-C ends the waiting only.",
        [ONE],
    ),
    "explain": (
        "why an object is where it is",
        "Says what it waits for, who could help, and when it is looked at again. Next: `resume`, `signal` or `hand`.",
        [ONE],
    ),
    "cancel": (
        "ask an object to end",
        "Its body is told and may clean up; a custodian elsewhere hears of it at the next contact.",
        [ONE, (("--reason",), {"default": "", "metavar": "TEXT", "help": "kept in its history"})],
    ),
    "hold": (
        "begin no new steps", "Survives a restart; syncing goes on, and steps that run end. Next: `release`.",
        [ONE_OR_ALL],
    ),
    "release": ("end a hold", "What is due goes on at once.", [ONE_OR_ALL]),
    "resume": (
        "wake a parked object, or end this device's quarantine",
        "For an object that is stuck, exhausted or quarantined: see `explain`. Mend the cause first. Without one: end "
        "this device's own quarantine by hand (see `status`).", [ONE_OR_ALL],
    ),
    "claim": (
        "take custody of an object whose custodian is lost",
        "An operator's word: should the custodian still live, what it does from now on is void.", [ONE],
    ),
    "facts": ("all facts of this device", "With value, age and who said so. Next: `fact set NAME=VALUE`.", []),
    "peers": ("devices known, and which are in contact", "Next: `contacts` for when and how long.", []),
    "contacts": (
        "the last contacts", "Newest first, with bytes and why each ended.",
        [(("--most",), {"type": int, "default": 20, "metavar": "N", "help": "at most so many (default 20)"})],
    ),
    "status": ("this device at a glance", "Next: `ls`, and `ls --by reason` for what objects wait for.", []),
    "apps": ("intents and versions, per device", "Own ones, and what other devices said that they offer.", []),
    "query": (
        "read-only SQL",
        "One SELECT over objects, entries, steps, contacts, facts, peers. "
        "Example: query \"SELECT intent, count(*) AS n FROM objects GROUP BY 1\"", [(("sql",), {"metavar": "SQL"})],
    ),
    "event": (
        "raise a named event on this device", "Wakes what waits for it now; an event is not kept for later.",
        [(("name",), {"metavar": "NAME"})],
    ),
    "verify": (
        "check a capsule, with no daemon and no network",
        "Each entry's signature and link. A tail cut off cleanly shows only to one who knows a later head.",
        [(("file",), {"metavar": "FILE"})],
    ),
    "import": (
        "take capsules in", "With the same checks as if a peer had brought them; a refused one leaves nothing behind.",
        [(("files",), {"nargs": "+", "metavar": "FILE"})],
    ),
}  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Ends with exit code 2 and one line on what to change."""

    def __init__(self, **options: Any) -> None:
        # Abbreviated options would change their meaning when one is added: scripts must not depend on them.
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> Any:
        """Raise instead of printing: `main` prints errors in one way, JSON included."""
        from ...base.errors import UsageError

        raise UsageError(f"{message}. See `{self.prog} --help`.")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="edge-runtime", description="Durable execution without a server.",
        epilog="Begin with `edge-runtime demo`, or `edge-runtime run --app module:name` and `edge-runtime submit "
        "INTENT`. Exit codes: 0 ok, 1 failed, 2 usage, 3 no daemon, 4 not found, 5 refused.",
    )  # fmt: skip
    parser.add_argument("--version", action="store_true", help="print the version and end")
    _add_common(parser, is_top=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    _add_submit(commands)
    _add_objects(commands)
    for name, (text, more, arguments) in SIMPLE.items():
        sub = _command(commands, name, text, more)
        for flags, options in arguments:
            sub.add_argument(*flags, **options)
    _add_run(commands)
    _add_device(commands)
    _add_files(commands)
    add_enrolment(commands, _command)
    add_upkeep(commands, _command)
    return parser


def _add_common(parser: argparse.ArgumentParser, is_top: bool = False) -> None:
    """`--state` and `--json` go before or after the command."""
    default: dict[str, Any] = {} if is_top else {"default": argparse.SUPPRESS}
    parser.add_argument("--state", metavar="DIR", help="directory of one device (or $EDGE_RUNTIME_STATE)", **default)
    parser.add_argument("--json", action="store_true", help="answer in JSON, one object a line", **default)


def _command(commands: Any, name: str, text: str, more: str) -> argparse.ArgumentParser:
    description = f"{text[0].upper()}{text[1:]}. {more}"
    sub: argparse.ArgumentParser = commands.add_parser(name, help=text, description=description)
    _add_common(sub)
    return sub


def _add_submit(commands: Any) -> None:
    sub = _command(
        commands, "submit", "make an object of an intent",
        "It is durable when this answers. Example: submit greet --arg name=Ada --wait. Next: `show`, `explain`.",
    )  # fmt: skip
    sub.add_argument("intent", metavar="INTENT")
    sub.add_argument("--arg", action="append", default=[], metavar="K=V", help="one argument; V is JSON, else text")
    sub.add_argument("--input", metavar="FILE.json", help="all arguments, as JSON")
    sub.add_argument("--name", default="", help="submitting the same name again is the same object")
    sub.add_argument("--label", action="append", default=[], metavar="L", help="such as `outbox`; may be repeated")
    sub.add_argument("--needs", action="append", default=[], metavar="CAP", help="capability that every step needs")
    sub.add_argument(
        "--priority", type=int, default=8, choices=range(16), metavar="0..15", help="0 is the most urgent (default 8)"
    )
    sub.add_argument("--lifetime", metavar="24h", help="then it expires (default 30 days)")
    sub.add_argument("--attempts", type=int, default=0, metavar="N", help="budget of attempts, over all devices")
    sub.add_argument("--bytes", type=int, default=0, metavar="N", help="budget of bytes that steps say they moved")
    sub.add_argument("--energy-mj", type=int, default=0, metavar="N", help="budget of energy, in millijoules")
    sub.add_argument("--rights", action="append", default=[], metavar="NAME=N", help="rights that bounded steps spend")
    sub.add_argument("--anyway", action="store_true", help="also if no device known offers the intent")
    sub.add_argument("--wait", action="store_true", help="answer when it has ended; code 1 if it did not complete")


def _add_objects(commands: Any) -> None:
    sub = _command(
        commands, "ls", "objects of this device, newest first", "Next: `show OBJECT`, or `ls --by reason` to count."
    )
    sub.add_argument("--status", default="", choices=["awake", "dormant", "attempting", "ended"])
    sub.add_argument("--by", default="", choices=["reason"], help="count by reason instead")
    sub.add_argument("--most", type=int, default=1000, metavar="N", help="at most so many (default 1000)")
    sub = _command(
        commands, "trace", "every record of an object, in causal order", "Says which device did what, and when."
    )
    sub.add_argument("object", help=OBJECT_HELP)
    sub.add_argument("--follow", action="store_true", help="and new ones as they come, until it ends")
    sub = _command(
        commands, "signal", "give an object a named value",
        "Completes its body's `promise(NAME)`, or is the next of its `signals(NAME)`.",
    )  # fmt: skip
    sub.add_argument("object", help=OBJECT_HELP)
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("value", nargs="?", default="null", metavar="VALUE", help="JSON, else text")
    sub = _command(
        commands, "hand", "offer custody to a device",
        "It takes over at the next contact; until then nobody works on it.",
    )  # fmt: skip
    sub.add_argument("object", nargs="?", default="", help=OBJECT_HELP)
    sub.add_argument("--all", action="store_true", help="everything held here")
    sub.add_argument("--to", required=True, metavar="DEVICE", help="its name, id, or id prefix")


def _add_run(commands: Any) -> None:
    sub = _command(
        commands, "run", "run this device in the foreground",
        "Prints `ready`; logs go to stderr; Ctrl-C ends it in order. Example: run --app hello.py:greet",
    )  # fmt: skip
    sub.add_argument("--config", metavar="FILE", help="TOML; policy.toml beside it is read too")
    sub.add_argument("--name", default="", help="of the device, for people (default: the host's)")
    for flag, meta, text in (
        ("--app", "module:name", "handlers to load: module:name or file.py:name"),
        ("--capability", "C", "what this device can do"),
        ("--resource", "R", "what this device alone owns"),
        ("--peer", "HOST:PORT", "a device to dial"),
        ("--interface", "NAME", "listen and look for peers here only"),
    ):
        sub.add_argument(flag, action="append", default=[], metavar=meta, help=text + "; may be repeated")
    sub.add_argument("--listen", default="", metavar="HOST:PORT", help="default: any address, a free port kept")
    sub.add_argument("--web", default="", metavar="HOST:PORT", help="serve a status page, such as on 127.0.0.1:8080")
    sub.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])


def _add_device(commands: Any) -> None:
    sub = _command(
        commands, "init", "make this device's key and name it", "Prints the device's id. Next: `grant` it elsewhere."
    )
    sub.add_argument("--name", default="", help="for people (default: the host's name)")
    sub = _command(
        commands, "fleet", "make a fleet, or show this device's; back its root key up",
        "Who makes one becomes its operator and keeps its root key: whoever has that key lets devices in, and who has "
        "lost it cannot. Next: `fleet backup -o FILE`, `grant DEVICE -o FILE`.",
    )  # fmt: skip
    sub.add_argument("what", choices=["create", "show", "backup", "restore"])
    sub.add_argument("name", nargs="?", default="", metavar="NAME|FILE", help="its name; for `restore` the backup")
    sub.add_argument("-o", "--output", metavar="FILE", help="for `backup`: a new file for the root key")
    sub = _command(
        commands, "grant", "let a device into the fleet",
        "Writes the file that it joins with. Next: carry the file there and `edge-runtime join FILE`.",
    )  # fmt: skip
    sub.add_argument("device", metavar="DEVICE_ID", help="64 hex digits, printed by `edge-runtime init` there")
    sub.add_argument("--roles", default="executor", help="executor,relay,advisor,operator (default executor)")
    sub.add_argument("-o", "--output", required=True, metavar="FILE")
    sub.add_argument("--replaces", default="", metavar="OLD", help="device whose name it takes over")
    sub = _command(
        commands, "revoke", "withdraw a device's grants, for good",
        "An operator's word, told on at each contact: no contact with it, no effects under its grants. Next: `claim` "
        "what it held.",
    )  # fmt: skip
    sub.add_argument("device", metavar="DEVICE", help="its name, id, or id prefix")
    sub.add_argument(
        "--from", dest="from_sequence", type=int, metavar="SEQUENCE",
        help="it is compromised: what it wrote with this sequence or a higher one is void",
    )  # fmt: skip
    sub.add_argument(
        "--only", dest="operations", action="append", default=[], metavar="NAME",
        help="an intent or step that it may not do any more, while it stays a member; repeatable",
    )  # fmt: skip
    sub = _command(
        commands, "radio", "transmit nothing at all, or speak again",
        "Off: no discovery, no answers, no contacts; survives a restart. Objects here go on.",
    )  # fmt: skip
    sub.add_argument("switch", choices=["on", "off"])
    sub = _command(
        commands, "fact", "set a fact of this device",
        "What waits for it is looked at, and policy sees it. Next: `facts`.",
    )  # fmt: skip
    sub.add_argument("what", choices=["set"])
    sub.add_argument("assignment", metavar="NAME=VALUE", help="VALUE is JSON, else text")
    sub.add_argument("--max-age", default="", metavar="30s", help="then it is unknown again")
    sub = _command(
        commands, "demo", "the whole story, on this machine, with three devices",
        "Takes some seconds, needs no network and leaves nothing behind.",
    )  # fmt: skip
    sub.add_argument("--input", metavar="DIR", help="images to survey (default: some that it makes)")
    sub.add_argument("--keep", metavar="DIR", help="leave the devices' state there")


def _add_files(commands: Any) -> None:
    for name, text, what in (
        ("config", "check a configuration file", ["check"]),
        ("policy", "check a policy file, or try the cases that stand beside it", ["check", "test"]),
    ):
        sub = _command(commands, name, text, "Changes nothing. A daemon reads it again at `kill -HUP`.")
        sub.add_argument("what", choices=what)
        sub.add_argument("file", metavar="FILE")
    sub = _command(
        commands, "export", "write one object's capsule",
        "The file holds the whole history. Next: `verify FILE`, then `import FILE` on a device of the fleet.",
    )  # fmt: skip
    sub.add_argument("object", nargs="?", default="", help=OBJECT_HELP)
    sub.add_argument("--all", action="store_true", help="every object held here, a file each")
    sub.add_argument("-o", "--output", required=True, metavar="FILE", help="with --all a folder")

"""The manual page `edge-runtime(1)`, read off the parser. Source: man(7)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

EXITS = (
    ("0", "ok"), ("1", "failed"), ("2", "usage: what was typed is not right"), ("3", "no daemon answers"),
    ("4", "not found"), ("5", "refused"),
)  # fmt: skip
FILES = (
    ("/etc/edge-runtime/config.toml", "configuration of the machine's device; policy.toml beside it"),
    ("/var/lib/edge-runtime/", "its state: spool, keys, inbox/ and outbox/"),
    ("/run/edge-runtime/control.sock", "its control socket"),
    ("~/.local/state/edge-runtime/", "state of a user's own device"),
)
VARIABLES = (
    ("EDGE_RUNTIME_STATE", "the state directory, where --state is not given"),
    ("XDG_STATE_HOME", "where a user's own device lives, instead of ~/.local/state"),
)


def page(parser: argparse.ArgumentParser) -> str:
    """Return the page as roff."""
    lines = [
        '.TH EDGE-RUNTIME 1 "" "edge-runtime" "User Commands"',
        ".SH NAME",
        r"edge-runtime \- durable execution without a server",
        ".SH SYNOPSIS",
        ".B edge-runtime",
        r"[\fB\-\-state\fR \fIDIR\fR] [\fB\-\-json\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        _plain(parser.description or ""),
        "A task is a signed object that sleeps on a device, wakes when its conditions come true, travels when a link",
        "appears, and is continued by whichever device can, exactly where it stopped.",
        ".PP",
        _plain(parser.epilog or ""),
        ".SH OPTIONS",
        *_arguments(parser),
        ".SH COMMANDS",
    ]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in sorted(action.choices.items()):
                lines += [f".SS {_plain(name)}", _usage(sub), ".PP", _plain(sub.description or ""), *_arguments(sub)]
    lines += _section("EXIT STATUS", EXITS) + _section("FILES", FILES) + _section("ENVIRONMENT", VARIABLES)
    return "\n".join(lines) + "\n"


def _usage(parser: argparse.ArgumentParser) -> str:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return _plain(usage)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or (action.dest in ("state", "json") and _is_sub(parser)):
            continue  # said once, at the top
        choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
        shown = str(action.metavar or choices or action.dest.upper())
        if not action.option_strings:
            label = rf"\fI{_escape(shown)}\fR"
        else:
            label = ", ".join(rf"\fB{_escape(flag)}\fR" for flag in action.option_strings)
            label += "" if action.nargs == 0 else rf" \fI{_escape(shown)}\fR"
        yield ".TP"
        yield label
        yield _plain(action.help or choices or "")


def _is_sub(parser: argparse.ArgumentParser) -> bool:
    return " " in parser.prog


def _section(title: str, rows: tuple[tuple[str, str], ...]) -> list[str]:
    found = [f".SH {title}"]
    for name, text in rows:
        found += [".TP", rf"\fB{_escape(name)}\fR", _plain(text)]
    return found


def _escape(text: str) -> str:
    return text.replace("\\", r"\e").replace("-", r"\-")


def _plain(text: str) -> str:
    """Return text as one line of input that begins no request: backquotes become bold."""
    parts = _escape(" ".join(text.split())).replace("%%", "%").split("`")
    shown = "".join(part if number % 2 == 0 else rf"\fB{part}\fR" for number, part in enumerate(parts))
    return rf"\&{shown}" if shown.startswith((".", "'")) else shown

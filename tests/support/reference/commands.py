"""The page of all commands, read off the parser that `--help` prints."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from edge_runtime.host.cli.manual import EXITS, FILES, VARIABLES
from edge_runtime.host.cli.parser import make_parser

COMMON = ("help", "state", "json")


def page() -> str:
    """Return the page."""
    parser = make_parser()
    subs = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    said = {choice.dest: choice.help or "" for choice in subs._choices_actions}
    lines = [
        "# Command line",
        "",
        "Every command, as `edge-runtime COMMAND --help` says it. `python -m edge_runtime` is the same. Each answers",
        "in words, and with `--json` in JSON: one object, or one a line for lists. Each error says what to do.",
        "",
        "| before or after any command | |",
        "|---|---|",
        *(f"| {_label(action)} | {_cell(action.help)} |" for action in parser._actions if action.dest in COMMON[1:]),
        "",
        *_table("exit code", EXITS),
        *_table("file", FILES),
        *_table("variable", VARIABLES),
        "## Commands",
        "",
        "| command | does |",
        "|---|---|",
        *(f"| [`{name}`](#{name}) | {_cell(said[name])} |" for name in sorted(subs.choices)),
    ]
    for name, sub in sorted(subs.choices.items()):
        lines += ["", f"### `{name}`", "", *_command(name, sub)]
    return "\n".join(lines)


def _command(name: str, sub: argparse.ArgumentParser) -> Iterator[str]:
    actions = [action for action in sub._actions if action.dest not in COMMON]
    yield from ("```text", " ".join(["edge-runtime", name, *map(_usage, actions)]), "```", "")
    yield " ".join((sub.description or "").split()).replace("%%", "%")
    if actions:
        yield from ("", "| argument | |", "|---|---|")
        yield from (f"| {_label(action)} | {_cell(action.help or _default(action))} |" for action in actions)


def _usage(action: argparse.Action) -> str:
    """Return an argument as it is typed. argparse's own line changes between versions of Python."""
    shown = _shown(action)
    many = " ..." if action.nargs in ("*", "+") or isinstance(action, argparse._AppendAction) else ""
    if action.option_strings:
        text = f"{action.option_strings[-1]}{'' if action.nargs == 0 else f' {shown}'}"
        return text if action.required else f"[{text}]{many}"
    return f"[{shown}]{many}" if action.nargs in ("?", "*") else f"{shown}{many}"


def _shown(action: argparse.Action) -> str:
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
    return str(action.metavar or choices or action.dest.upper())


def _label(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_shown(action)}`".replace("|", "\\|")
    value = "" if action.nargs == 0 else f" {_shown(action)}"
    return f"`{', '.join(action.option_strings)}{value}`".replace("|", "\\|")


def _default(action: argparse.Action) -> str:
    return f"one of {', '.join(f'`{choice}`' for choice in action.choices)}" if action.choices else ""


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("%%", "%").replace("<", "&lt;")


def _table(title: str, rows: tuple[tuple[str, str], ...]) -> Iterator[str]:
    yield from (f"| {title} | |", "|---|---|")
    yield from (f"| `{name}` | {_cell(text)} |" for name, text in rows)
    yield ""

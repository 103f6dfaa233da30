"""Scripts that complete a command line in bash, zsh and fish, and the manual page: all read off the parser.

What is on the device (objects, devices, intents) is asked of the daemon while a person types: `completion objects`
and the like print words, quickly, or nothing. zsh takes bash's script through its own `bashcompinit`.

Source: bash(1), Programmable Completion; zshcompsys(1), bashcompinit; fish-completions(1).
"""

from __future__ import annotations

import argparse
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from ...base.errors import UsageError
from ...base.limits import COMPLETION_WORDS_MAX
from .console import ask

# What stands behind an argument, by its name in the parser or by how it is shown.
BY_NAME = {"object": "objects", "device": "devices", "to": "devices", "replaces": "devices", "intent": "intents"}
BY_META = {"FILE": "files", "FILE.json": "files", "DIR": "folders"}
SHELLS = ("bash", "zsh", "fish")
WORDS = ("objects", "devices", "intents")
SAFE = re.compile(r"^[\w./@%+-]+$")  # a word that a shell takes as it stands, and does not break in two


class Option(Struct, frozen=True):
    """One option: its flags, what it says, and what its value is: None for no value, empty for any text."""

    flags: tuple[str, ...]
    text: str
    value: str | None
    choices: tuple[str, ...] = ()


class CommandShape(Struct, frozen=True):
    """One command: its options, and of each argument the kind or the choices."""

    name: str
    text: str
    options: tuple[Option, ...]
    arguments: tuple[str | tuple[str, ...], ...]
    repeats: bool


def shapes(parser: argparse.ArgumentParser) -> list[CommandShape]:
    """Return every command of the parser, by name; the first one, without a name, stands for the top."""
    found = [_shape("", "", parser)]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found += [_shape(name, texts.get(name, ""), sub) for name, sub in sorted(action.choices.items())]
    return found


def _shape(name: str, text: str, parser: argparse.ArgumentParser) -> CommandShape:
    options: list[Option] = []
    arguments: list[str | tuple[str, ...]] = []
    repeats = False
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        choices = tuple(str(choice) for choice in action.choices or ())
        if action.option_strings:
            value = None if action.nargs == 0 else _kind(action)
            options.append(Option(tuple(action.option_strings), action.help or "", value, choices))
        else:
            arguments.append(choices or _kind(action))
            repeats = repeats or action.nargs in ("+", "*")
    return CommandShape(name, text, tuple(options), tuple(arguments), repeats)


def _kind(action: argparse.Action) -> str:
    return BY_NAME.get(action.dest) or BY_META.get(str(action.metavar or ""), "")


# --- bash and zsh ---------------------------------------------------------------------------------------------------

BASH = """# Completion of edge-runtime for bash; written by `edge-runtime completion bash`.
_edge_runtime() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local command="" word kind="" options="" valued="" i place=0
    local -a state kinds
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            --state) state=(--state "${COMP_WORDS[i+1]}"); i=$((i + 1)) ;;
            -*) case " $valued " in *" $word "*) i=$((i + 1)) ;; esac ;;
            *)  if [[ -n $command ]]; then place=$((place + 1))
                else command=$word; _edge_runtime_shape "$command"; fi ;;
        esac
    done
    [[ -z $command ]] && _edge_runtime_shape ""
    COMPREPLY=()
    case " $valued " in
        *" $prev "*) _edge_runtime_value "$command" "$prev" ;;
        *)
            if [[ $cur == -* ]]; then
                kind="=$options"
            elif ((place < ${#kinds[@]})); then
                kind=${kinds[place]}
            elif ((${#kinds[@]})) && [[ ${kinds[${#kinds[@]}-1]} == *+ ]]; then
                kind=${kinds[${#kinds[@]}-1]}
            fi ;;
    esac
    case ${kind%+} in
        =*) COMPREPLY=($(compgen -W "${kind#=}" -- "$cur")) ;;
        files) COMPREPLY=($(compgen -f -- "$cur")) ;;
        folders) COMPREPLY=($(compgen -d -- "$cur")) ;;
        objects|devices|intents)
            COMPREPLY=($(compgen -W "$(edge-runtime "${state[@]}" completion "${kind%+}" 2>/dev/null)" -- "$cur")) ;;
    esac
    return 0
}
"""
BASH_END = "complete -F _edge_runtime edge-runtime\n"
ZSH = """#compdef edge-runtime
# Completion of edge-runtime for zsh; written by `edge-runtime completion zsh`.
autoload -U +X compinit && compinit -u
autoload -U +X bashcompinit && bashcompinit
"""


def bash(found: list[CommandShape]) -> str:
    """Return bash's script."""
    return BASH + "".join(_bash_tables(found)) + BASH_END


def zsh(found: list[CommandShape]) -> str:
    """Return zsh's script: bash's, in its own emulation."""
    return ZSH + bash(found)


def _bash_tables(found: list[CommandShape]) -> Iterator[str]:
    yield "_edge_runtime_shape() {\n    case $1 in\n"
    names = " ".join(shape.name for shape in found if shape.name)
    for shape in found:
        flags = " ".join(flag for option in shape.options for flag in option.flags)
        valued = " ".join(flag for option in shape.options if option.value is not None for flag in option.flags)
        kinds = [f"={' '.join(kind)}" if isinstance(kind, tuple) else kind for kind in shape.arguments]
        if not shape.name:
            kinds = [f"={names}"]
        if shape.repeats:
            kinds[-1] += "+"
        words = " ".join(f'"{kind}"' for kind in kinds)
        yield f'        "{shape.name}") options="{flags}" valued="{valued}" kinds=({words}) ;;\n'
    yield "    esac\n}\n_edge_runtime_value() {\n    kind=\"\"\n    case \"$1 $2\" in\n"
    for shape in found:
        for option in shape.options:
            kind = f"={' '.join(option.choices)}" if option.choices else option.value
            if kind:
                patterns = "|".join(f'"{shape.name} {flag}"' for flag in option.flags)
                yield f'        {patterns}) kind="{kind}" ;;\n'
    yield "    esac\n}\n"


# --- fish -----------------------------------------------------------------------------------------------------------


def fish(found: list[CommandShape]) -> str:
    """Return fish's script."""
    lines = [
        "# Completion of edge-runtime for fish; written by `edge-runtime completion fish`.",
        "function __edge_runtime_words",
        "    set -l state",
        "    set -l words (commandline -opc)",
        "    if set -l at (contains -i -- --state $words)",
        "        set state --state $words[(math $at + 1)]",
        "    end",
        "    edge-runtime $state completion $argv[1] 2>/dev/null",
        "end",
        "complete -c edge-runtime -f",
    ]
    for shape in found:
        seen = f"__fish_seen_subcommand_from {shape.name}" if shape.name else "__fish_use_subcommand"
        if shape.name:
            lines.append(f"complete -c edge-runtime -n __fish_use_subcommand -a {shape.name} -d {_quoted(shape.text)}")
        lines += [_fish_option(seen, option) for option in shape.options]
        for kind in dict.fromkeys(shape.arguments):
            if values := _fish_values(kind):
                lines.append(f"complete -c edge-runtime -n '{seen}' {values}")
    return "\n".join(lines) + "\n"


def _fish_option(seen: str, option: Option) -> str:
    flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    value = ""
    if option.value is not None:
        needs = " -r" if option.value == "files" else " -x"
        value = f"{needs} {_fish_values(option.choices or option.value)}".rstrip()
    return f"complete -c edge-runtime -n '{seen}' {flags}{value} -d {_quoted(option.text)}"


def _fish_values(kind: str | tuple[str, ...]) -> str:
    if isinstance(kind, tuple):
        return f"-a {_quoted(' '.join(kind))}"
    ways = {"files": "-F", "folders": "-a '(__fish_complete_directories)'", "": ""}
    return ways.get(kind, f"-a '(__edge_runtime_words {kind})'")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# --- Commands -------------------------------------------------------------------------------------------------------


def completion(options: Namespace) -> int:
    """Print a shell's script, or the words of this device that a script asks for."""
    from .parser import make_parser

    if options.what in WORDS:
        try:
            print("\n".join(_words(options)))
        except UsageError:
            pass  # no daemon, and so nothing to complete: a person who types wants no error in between
        return 0
    scripts: dict[str, Callable[[list[CommandShape]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
    sys.stdout.write(scripts[options.what](shapes(make_parser())))
    return 0


def _words(options: Namespace) -> list[str]:
    if options.what == "objects":
        rows: list[dict[str, Any]] = ask(options, "ls", most=COMPLETION_WORDS_MAX)
        found = [row["name"] or row["object"][:12] for row in rows]
    elif options.what == "devices":
        found = [row["name"] or row["device"][:12] for row in ask(options, "peers")]
    else:
        found = [row["intent"] for row in ask(options, "apps")]
    return [word for word in dict.fromkeys(found) if SAFE.match(word)][:COMPLETION_WORDS_MAX]


def man(options: Namespace) -> int:
    """Print the manual page."""
    from .manual import page
    from .parser import make_parser

    sys.stdout.write(page(make_parser()))
    return 0


COMMANDS: dict[str, Callable[[Namespace], int]] = {"completion": completion, "man": man}

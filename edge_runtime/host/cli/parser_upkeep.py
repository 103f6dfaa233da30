"""The commands that look after a device: `doctor` and what helps at the keyboard."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Command = Callable[[Any, str, str, str], argparse.ArgumentParser]


def add_upkeep(commands: Any, command: Command) -> None:
    """Add the parsers of these commands. `command` makes one: of its name, what it does, and what to do next."""
    sub = command(
        commands, "doctor", "say what is wrong with this device, and what to do about it",
        "Clock, disk, permissions, root key, settings, links, multicast and peers; with a daemon and without. Changes "
        "nothing; sends one packet a link, and none while the radio is off. Ends with code 1 if something must be put "
        "right.",
    )  # fmt: skip
    sub.add_argument("--config", metavar="FILE", help="the daemon's configuration (default: the machine's, if any)")
    sub = command(
        commands, "backup", "copy everything of a device into one file",
        "Keys and all: keep it as safe as the card. A daemon goes on meanwhile. Next: `restore FILE` elsewhere.",
    )  # fmt: skip
    sub.add_argument("file", metavar="FILE", help="a new file")
    sub = command(
        commands, "restore", "make a device of a backup",
        "Into a state with no device. It begins in quarantine: it writes nothing until it has learnt from a device of "
        "its fleet what it did since the backup. The old card must never run again. Next: start the daemon, `status`.",
    )  # fmt: skip
    sub.add_argument("file", metavar="FILE")
    sub.add_argument(
        "--alone", action="store_true",
        help="no other device ever had its objects, or all are lost: begin at once; what was done since is done again",
    )  # fmt: skip
    command(
        commands, "schedules", "recurring submissions, and when each is due next",
        "They stand in the configuration as `[[schedule]]`. Next: `show OBJECT` for what the last slot made.",
    )  # fmt: skip
    sub = command(
        commands, "completion", "print a script that completes command lines",
        "bash: `edge-runtime completion bash > /etc/bash_completion.d/edge-runtime`; zsh: into a folder of $fpath as "
        "_edge-runtime; fish: `edge-runtime completion fish > ~/.config/fish/completions/edge-runtime.fish`. The other "
        "words are asked by those scripts.",
    )  # fmt: skip
    sub.add_argument("what", choices=["bash", "zsh", "fish", "objects", "devices", "intents"])
    command(
        commands, "man", "print the manual page", "Read it with `edge-runtime man | man -l -`; the installer puts it "
        "where `man edge-runtime` finds it.",
    )  # fmt: skip
    sub = command(
        commands, "replay", "play recorded histories against the handlers that are here now",
        "Nothing runs but the handlers: results come from the records. Names the first difference of each object, and "
        "ends with code 1 if there is any: for CI, before a new version goes out. Example: replay --app trip:app "
        "*.capsule",
    )  # fmt: skip
    sub.add_argument(
        "--app", action="append", default=[], metavar="module:name", help="handlers to be tried; may be repeated"
    )
    sub.add_argument("--ended", action="store_true", help="of a device only what has ended")
    sub.add_argument("files", nargs="*", metavar="FILE", help="capsules; without: the objects of this device")

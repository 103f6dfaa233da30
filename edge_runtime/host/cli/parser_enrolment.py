"""The options of `enroll` and `join`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Command = Callable[[Any, str, str, str], argparse.ArgumentParser]


def add_enrolment(commands: Any, command: Command) -> None:
    """Add the parsers of these commands. `command` makes one: of its name, what it does, and what to do next."""
    sub = command(
        commands, "enroll", "invite a device into the fleet",
        "Prints a code that the new device joins with while this one's daemon runs. The code is a secret until it is "
        "used up. Next: `edge-runtime join CODE` there.",
    )  # fmt: skip
    sub.add_argument("--uses", type=int, default=1, metavar="N", help="devices that may join with it (default 1)")
    sub.add_argument("--expires", default="", metavar="1h", help="then it ends, by this device's clock (default 1h)")
    sub.add_argument("--roles", default="executor", help="executor,relay,advisor,operator (default executor)")
    sub.add_argument("--replaces", default="", metavar="OLD", help="device whose name the new one takes over")
    sub.add_argument("-o", "--output", default="", metavar="FILE", help="a file for a stick or an image, too")
    sub.add_argument(
        "--peer", action="append", default=[], metavar="HOST:PORT",
        help="where this device is asked, for the file (default: its addresses now); may be repeated",
    )  # fmt: skip
    sub.add_argument("--list", action="store_true", help="the open invitations, without their codes")
    sub.add_argument("--withdraw", type=int, metavar="NUMBER", help="end one; who joined with it stays a member")
    sub = command(
        commands, "join", "join a fleet",
        "CODE: of `enroll`; looks for the device that made it, on the LAN or at --peer. FILE: the same of `enroll -o`; "
        "one of `grant` asks nobody. Trusts the fleet's root key that comes with it. Next: `edge-runtime run`.",
    )  # fmt: skip
    sub.add_argument("code_or_file", metavar="CODE|FILE")
    sub.add_argument("--peer", action="append", default=[], metavar="HOST:PORT", help="ask there, too; may be repeated")
    sub.add_argument("--wait", default="60s", metavar="60s", help="how long to look (default 60s)")
    sub.add_argument(
        "--interface", action="append", default=[], metavar="NAME",
        help="look only there, where no daemon runs; may be repeated",
    )  # fmt: skip

"""What the commands share: what a person typed becomes values, and what a daemon answered becomes lines."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any, NoReturn

from ...base.errors import Exit, UsageError
from ...client import BlockingClient

PROGRESS_EVERY_S = 0.5
MEGABYTE = 1_000_000


def open_client(options: Namespace) -> BlockingClient:
    """Connect to the device that the options name.

    Raises:
        UsageError: no daemon answers; says which socket was tried and how to start one.
    """
    return BlockingClient(options.state)


def ask(options: Namespace, command: str, **fields: Any) -> Any:
    """Ask the daemon one thing and return the answer's value."""
    with open_client(options) as client:
        return client.ask(command, **fields)


def say(options: Namespace, command: str, value: Any) -> int:
    """Print an answer, as JSON lines or for people; return the exit code that it stands for.

    Raises:
        UsageError: the output cannot be written.
        BrokenPipeError: whoever read it went away.
    """
    if options.json:
        rows = value if isinstance(value, list) else [value]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        from .render import render

        text = render(command, value) + "\n"
    try:
        # A name may hold what the terminal's encoding does not: shown escaped, rather than ending in an error.
        data = text.encode(sys.stdout.encoding or "utf-8", "backslashreplace")
        sys.stdout.write(data.decode(sys.stdout.encoding or "utf-8"))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence_output()
        raise UsageError(f"The answer cannot be written: {error.strerror}.", Exit.FAILED) from None
    ended = value.get("end") if isinstance(value, dict) and command in ("wait", "submit") else None
    return int(Exit.OK if ended in (None, "completed") else Exit.FAILED)


def silence_output() -> None:
    """Let what is still buffered go nowhere: Python's own flush at the end would fail once more, and loudly."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)  # NaN and Infinity: Python takes them, JSON does not know them


def read_value(text: str) -> Any:
    """Return a value given on the command line: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def read_pair(flag: str, text: str, example: str) -> tuple[str, Any]:
    """Return (name, value) of NAME=VALUE.

    Raises:
        UsageError: it is not of that form; shows the example.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{flag} {text}: write it as NAME=VALUE, such as {flag} {example}.")
    return name, read_value(value)


def read_duration_ms(flag: str, text: str) -> int:
    """Return milliseconds, at least 1, of a duration such as 90s, 24h or 7d.

    Raises:
        UsageError: it is none; shows examples.
    """
    from ...base.units import parse_duration_ms

    try:
        found = parse_duration_ms(text)
    except ValueError:
        found = 0
    if not found:
        raise UsageError(f"{flag} {text}: write a duration such as 90s, 24h or 7d.")
    return found


class Progress:
    """One line on a terminal that says how far long work is; silent where stderr is no terminal or time is short."""

    def __init__(
        self, what: str, total: int, unit: str = "MB", clock: Callable[[], float] = time.monotonic,
        is_silent: bool = False,
    ) -> None:  # fmt: skip
        self.what = what
        self.total = total
        self._unit = unit
        self._scale = MEGABYTE if unit == "MB" else 1
        self._clock = clock
        self._is_silent = is_silent or not sys.stderr.isatty()
        self._began_s = self._said_s = clock()
        self._has_said = False

    def advance(self, done: int) -> None:
        """Say how far it is, at most twice a second.

        Args:
            done: of `total`, in bytes for MB, else in the unit.
        """
        now_s = self._clock()
        if self._is_silent or now_s - self._said_s < PROGRESS_EVERY_S:
            return
        self._said_s, self._has_said = now_s, True
        rate = done / (now_s - self._began_s)
        left_s = (self.total - done) / rate if rate else 0
        digits = 1 if self._scale == MEGABYTE else 0
        so_far, total, speed = (f"{amount / self._scale:.{digits}f}" for amount in (done, self.total, rate))
        text = f"{self.what}: {so_far} of {total} {self._unit}, {speed} {self._unit}/s, {left_s:.0f} s left"
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the line away."""
        if self._has_said:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

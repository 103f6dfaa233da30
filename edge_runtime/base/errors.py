"""Two families of errors: what a caller can change, and what a peer did wrong.

Normal outcomes are values, never exceptions (`judge.outcomes`). What is impossible is an `assert`.
Source: the split of h11 (LocalProtocolError, RemoteProtocolError); exit codes are ours, stable for scripts.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit code of the command line, kept stable for scripts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_DAEMON = 3
    NOT_FOUND = 4
    REFUSED = 5


class EdgeError(Exception):
    """Base of every error that this package raises on purpose."""


class UsageError(EdgeError):
    """What the caller asked cannot be done; the text says what to change. Nothing was changed.

    Args:
        message: one sentence on what is wrong and one on what to do.
        exit: the code with which a command ends because of it.
        details: machine-readable hints (candidates, nearest names), plain JSON values.
    """

    def __init__(self, message: str, exit: Exit = Exit.USAGE, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.exit = exit
        self.details = details


class PeerError(EdgeError):
    """Bytes from outside break the rules. The receiver refuses them, counts, and stays up.

    Args:
        reason: a short stable word for counters, such as `signature` or `oversize`.
        message: what was wrong, bounded, without the peer's bytes.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason

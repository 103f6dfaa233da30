"""What came of one attempt: a closed list. The numbers are part of the format (`executed` records)."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """The outcome of one attempt, decided by evidence and never by guess."""

    OK = 0
    PARTIAL = 1
    UNREACHABLE = 2
    TIMEOUT = 3
    SLOW = 4
    BUSY = 5
    REFUSED = 6
    INCAPABLE = 7
    INVALID = 8
    CRASHED = 9
    UNKNOWN = 10
    FENCED = 11
    EXPIRED = 12

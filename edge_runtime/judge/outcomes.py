"""What came of one attempt: a closed list. The numbers are part of the format (`executed` records)."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """The outcome of one attempt, decided by evidence and never by guess.

    Source: ours, `docs/architecture.md` (Outcomes); which evidence gives which outcome: `program.errors`.
    """

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


# Outcomes after which the same call is never tried again by itself: the body hears of them at once.
FINAL = (Outcome.OK, Outcome.INVALID, Outcome.FENCED, Outcome.EXPIRED, Outcome.UNKNOWN)

# Outcomes that say something about the other side (retry tokens, Lifeguard); the rest says nothing of it.
BLAMES_PEER = (Outcome.TIMEOUT,)

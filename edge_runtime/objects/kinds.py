"""The kinds of records and their numbers: a contract that never changes, only grows.

A number's range says what it is: 1 .. 63 are inputs, which any authorised device may append at any time;
64 .. 1023 are turns, a chain made by the custodian. A kind that this version does not know is kept, carried,
verified and exported; an object that holds an unknown turn on its ruling chain is not turned here.

Source: ours; the list is `docs/format.md`, checked against this table by a test.
"""

from __future__ import annotations

from enum import IntEnum

INPUT_FIRST, INPUT_LAST = 1, 63
TURN_FIRST, TURN_LAST = 64, 1023


class Kind(IntEnum):
    """A kind that has a name in this version of the format."""

    SIGNALLED = 1
    ADVISED = 2
    CANCEL_REQUESTED = 3
    CANNOT = 4
    UNIT = 5
    REVOKED = 6
    HOLDING = 7

    CREATED = 64
    REENTERED = 65
    TOOK = 66
    LEARNED = 67
    ATTEMPTED = 68
    EXECUTED = 69
    DENIED = 70
    REFINED = 71
    DELEGATED = 72
    DORMANT = 73
    POLLED = 74
    PUBLISHED = 75
    OFFERED = 76
    ACCEPTED = 77
    CLAIMED = 78
    CHECKPOINTED = 79
    AGAIN = 80
    TERMINATED = 81


CUSTODY = (Kind.CREATED, Kind.OFFERED, Kind.ACCEPTED, Kind.CLAIMED)


def is_input(kind: int) -> bool:
    """Say whether a kind's number lies in the range of inputs."""
    return INPUT_FIRST <= kind <= INPUT_LAST


def is_turn(kind: int) -> bool:
    """Say whether a kind's number lies in the range of turns."""
    return TURN_FIRST <= kind <= TURN_LAST

"""Time as an argument: one reading of the machine's clocks, taken by the host and handed down."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct


class Trust(IntEnum):
    """How far the wall clock may be believed; a higher value outranks a lower one.

    Source: ours (`docs/architecture.md`, Time): a board without a real-time clock starts at `NONE`.
    """

    NONE = 0
    RESTORED = 1
    PEER = 2
    NTP = 3
    GPS = 4


class Moment(Struct, frozen=True):
    """One reading of the clocks.

    Attributes:
        boot_ms: CLOCK_BOOTTIME in ms: monotonic, counts suspend, restarts at zero with the machine.
        wall_ms: Unix time in ms, never below the persisted high-water mark.
        trust: where the wall clock's value came from.
    """

    boot_ms: int
    wall_ms: int
    trust: Trust = Trust.NONE

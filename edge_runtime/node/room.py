"""Whether this device takes in anything more: one rule for a spool at its bound and a disk that is full or broken.

While a reason stands, nothing new comes in: no submission, no capsule, no custody, no entries of objects that others
hold. What this device has custody of goes on to its end, and what it holds is served.

Source: ours, behaviours 18.2 and 18.4; the refusal on the wire is reason 4 of RFC 5050 section 6.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from ..base.errors import Exit, UsageError
from ..objects.bodies import OfferedClear
from ..objects.entries import Entry
from ..objects.kinds import Kind
from ..objects.records import read_clear


class Shortage(Enum):
    """Who found that there is no room; in the order in which people are told."""

    BROKEN = "broken"  # no commit succeeds
    DISK = "disk"  # the file system is full but for the reserve
    SPOOL = "spool"  # the spool is at its own bound


class Room:
    """The reasons that stand now. In memory only: whoever found one says it again in the next process."""

    def __init__(self) -> None:
        self._reasons: dict[Shortage, str] = {}

    @property
    def why_none(self) -> str:
        """Why nothing is taken in, for people; empty while there is room."""
        return next((self._reasons[item] for item in Shortage if item in self._reasons), "")

    @property
    def is_broken(self) -> bool:
        """Whether nothing at all can be written."""
        return Shortage.BROKEN in self._reasons

    def say(self, shortage: Shortage, reason: str) -> bool:
        """Take in a reason, or with an empty one its end; say whether intake begins or ends by that."""
        had = bool(self._reasons)
        if reason:
            self._reasons[shortage] = reason
        else:
            self._reasons.pop(shortage, None)
        return had != bool(self._reasons)

    def check(self) -> None:
        """Let a request that takes something in go on.

        Raises:
            UsageError: there is no room (exit 5); the text says why. Make room, or ask another device.
        """
        if why := self.why_none:
            raise UsageError(
                f"This device takes in nothing more: {why}. Make room, or submit on another device; nothing was "
                "changed.",
                Exit.REFUSED,
                storage=why,
            )


def offers_to(device: bytes, entries: Sequence[Entry]) -> list[bytes]:
    """Return the entries that offer custody to a device: they are refused by name when they are not stored."""
    found: list[bytes] = []
    for entry in entries:
        for record in entry.records:
            clear = read_clear(record) if record.kind == Kind.OFFERED else None
            if isinstance(clear, OfferedClear) and clear.to == device:
                found.append(entry.id)
    return found

"""In contact, fading, or not in contact: told from the gaps between signs of life inside one contact.

A peer that has nothing to say is silent for hours and is well, so only time in which it owes a sign counts: from bytes
handed to its channel until the channel took them or the peer spoke. Gaps between contacts never enter. A contact that
fades is not ended for it; it is not the first choice for custody, and people see it.

Source: ours, over `judge.accrual` (phi accrual; golden vector G11).
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ..judge.accrual import Gaps

US_PER_MS = 1_000


class Presence(Enum):
    """How a peer stands to this device; never "dead"."""

    IN_CONTACT = "in contact"
    FADING = "fading"
    AWAY = "not in contact"


class Pulse(Struct):
    """Signs of life of one contact. `owed_ms`: since when one is owed, on the device's clock; None while none is."""

    gaps: Gaps = Gaps()
    owed_ms: int | None = None

    def owe(self, now_ms: int) -> None:
        """Something was sent: a sign is owed from now on."""
        if self.owed_ms is None:
            self.owed_ms = now_ms

    def sign(self, now_ms: int, is_more_owed: bool) -> None:
        """A sign of life came; the next one is owed if something is still under way."""
        if self.owed_ms is not None:
            self.gaps = self.gaps.after((now_ms - self.owed_ms) * US_PER_MS)
        self.owed_ms = now_ms if is_more_owed else None

    def presence(self, now_ms: int) -> Presence:
        """Say how the peer of a contact that stands is doing."""
        if self.owed_ms is not None and self.gaps.is_fading((now_ms - self.owed_ms) * US_PER_MS):
            return Presence.FADING
        return Presence.IN_CONTACT

"""Whom peers meet: told once when a contact opens, and used to choose whom to offer what no peer in contact can do.

Each side tells the devices of the shared fleets that it is likely to meet, the likeliest first. What a peer said last
replaces all that it said before, and counts through it alone: no more than our own likelihood of meeting that peer,
times 0.9. So a peer that lies may be preferred as a way among those that are not in contact, and nothing else: no
authority, no contact and no measure of our own rests on it.

Source: RFC 6693 section 2.1 (transitivity) and 3.3 (β); first-hand and second-hand knowledge are kept apart by us, so
that a lie ends with the peer's next word.
"""

from __future__ import annotations

from msgspec import Struct

from ..base.errors import PeerError
from ..base.limits import ACQUAINTANCES_MAX, MET_TOLD_MAX
from ..judge.encounters import AGING_MS, FIRST_BELOW_PPB, aged, through
from ..objects.grants import Advert, verify_grant
from .contacts import Contact
from .messages import MET_HINT_BYTES, Likely, Met
from .pacing import Pacing
from .parts import Parts


class Told(Struct, frozen=True):
    """What one peer said: by the beginning of a device's id, how likely it is met through that peer as of then."""

    told_ms: int
    by_hint: dict[bytes, int]


class Acquaintance:
    """What is known of meeting devices, first-hand (`pacing`) and through peers.

    In memory only: it is told anew in each contact, and without it only the order of candidates differs.
    """

    def __init__(self, parts: Parts, pacing: Pacing) -> None:
        self.parts = parts
        self._pacing = pacing
        self._told: dict[bytes, Told] = {}
        self._fleets: dict[tuple[bytes, int], bytes] = {}

    def likelihood_ppb(self, device: bytes) -> int:
        """Return how likely a device is met, by us or by a peer that we meet; in ppb."""
        now_ms, hint = self.parts.timeline.life_ms, device[:MET_HINT_BYTES]
        best = self._pacing.likelihood_ppb(device)
        for via, told in self._told.items():
            ppb = 0 if via == device else told.by_hint.get(hint, 0)
            if ppb > best:
                best = max(best, aged(ppb, (now_ms - told.told_ms) // AGING_MS))
        return best

    def say(self, contact: Contact) -> Met | None:
        """Return what to tell a peer; None if that is nothing. Only devices of the fleets that it shares."""
        found: list[tuple[int, bytes]] = []
        for advert in self.parts.adverts.others():
            ppb = self.likelihood_ppb(advert.device)
            if ppb >= FIRST_BELOW_PPB and advert.device != contact.device and self._fleet_of(advert) in contact.roots:
                found.append((-ppb, advert.device[:MET_HINT_BYTES]))
        items = tuple(Likely(hint, -minus_ppb) for minus_ppb, hint in sorted(found)[:MET_TOLD_MAX])
        return Met(items) if items else None

    def hear(self, peer: bytes, said: Met) -> None:
        """Take in what a peer tells; nobody tells us how likely we are met, or how likely the peer itself is."""
        own_ppb = self._pacing.likelihood_ppb(peer)
        others = (self.parts.device[:MET_HINT_BYTES], peer[:MET_HINT_BYTES])
        by_hint = {item.hint: through(0, own_ppb, item.ppb) for item in said.items if item.hint not in others}
        self._told.pop(peer, None)
        self._told[peer] = Told(self.parts.timeline.life_ms, by_hint)
        if len(self._told) > ACQUAINTANCES_MAX:
            del self._told[next(iter(self._told))]

    def forget(self, peer: bytes) -> None:
        """Drop what a peer said, such as one whose grant was withdrawn."""
        self._told.pop(peer, None)

    def _fleet_of(self, advert: Advert) -> bytes:
        key = (advert.device, advert.counter)
        if key not in self._fleets:
            try:
                fleet = verify_grant(advert.grant).body.fleet
            except PeerError:
                fleet = b""
            if len(self._fleets) >= ACQUAINTANCES_MAX * MET_TOLD_MAX:
                self._fleets.clear()
            self._fleets[key] = fleet
        return self._fleets[key]

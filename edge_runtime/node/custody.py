"""Custody between devices: offering, accepting, withdrawing. Exactly one custodian turns an object per epoch.

| who | sees | does |
|---|---|---|
| custodian | a call that cannot run here | appends `offered`, then nothing but a withdrawal |
| the one offered | the offer, all before it | appends `accepted` under the offer's number, or refuses |
| custodian | the offer expired, or was refused | appends `claimed` with the next number, tries the next candidate |

Source: ours, `docs/format.md`; the wire's refusal codes are those of RFC 5050 where it has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base.limits import OFFER_MS_MAX, OFFERS_MAX, SILENCES_ELSEWHERE
from ..objects import bodies as b
from ..objects.attempts import silent_devices
from ..objects.entries import Entry
from ..objects.grants import may_append
from ..objects.kinds import Kind
from ..objects.records import make, read_clear
from .effects import Note, Stage
from .incapacity import Capacity
from .messages import Refusal
from .parts import Parts
from .room import offers_to
from .spool import Live


class Custody:
    """Decides and writes custody records."""

    def __init__(
        self, parts: Parts, in_contact: Callable[[], Sequence[bytes]], capacity: Capacity,
        is_rejected: Callable[[Live], bool], likelihood_ppb: Callable[[bytes], int],
    ) -> None:  # fmt: skip
        self.parts = parts
        self.capacity = capacity
        self.in_contact = in_contact
        self.is_rejected = is_rejected
        self._likelihood_ppb = likelihood_ppb
        # Wire refusals to say to an offerer: (object, offer, offerer, reason); contacts take them from here.
        self.refusals: list[tuple[bytes, bytes, bytes, Refusal]] = []
        self._refused: dict[bytes, None] = {}

    def settle(self, live: Live, age_ms: int) -> None:
        """Do what custody asks for before a turn: accept an offer made to us, or take an expired one of ours back."""
        view = live.state.history.view
        if not view.is_frozen or view.has_ended:
            return
        offered = self.standing_offer(live)
        if offered.to == self.parts.device:
            self._consider(live, offered, age_ms)
        elif view.holder == self.parts.device and age_ms >= offered.expires_age_ms:
            self.withdraw(live, "the offer expired", age_ms)
        elif view.holder == self.parts.device and self._is_withdrawn(live, offered.to):
            self.withdraw(live, "its grant was withdrawn", age_ms)

    def _is_withdrawn(self, live: Live, device: bytes) -> bool:
        return self.parts.members.revocations.is_withdrawn(device, live.state.history.created.roots)

    def standing_offer(self, live: Live) -> b.OfferedClear:
        """Return the offer with which the ruling tip ends; only for a frozen view."""
        history = live.state.history
        offered = read_clear(history.placed[history.view.tip].entry.records[-1])
        assert isinstance(offered, b.OfferedClear)
        return offered

    def offer(self, live: Live, needs: Sequence[str], reason: str, age_ms: int) -> bool:
        """Offer the object to the best device that can go on with it; say whether an offer was made."""
        if live.flights:
            return False
        for device in self._candidates(live, needs, age_ms):
            self.offer_to(live, device, reason, age_ms, needs)
            return True
        return False

    def _candidates(self, live: Live, needs: Sequence[str], age_ms: int) -> list[bytes]:
        """Return who may be offered the object next, the best first."""
        content = live.state.content
        tried = [device for device in content.offered_to if not self._has_improved(live, device)]
        if len(tried) >= OFFERS_MAX:
            return []
        refused = [device for device, at_ms in content.denied_by.items() if at_ms > live.state.resumed_age_ms]
        denied = self.capacity.excluded(live, (*needs, content.intent), age_ms)
        silent = silent_devices(content.steps.values(), SILENCES_ELSEWHERE)
        excluded = (*tried, *content.lost, *refused, *denied, *silent)
        in_contact = self.in_contact()
        found = self.parts.adverts.candidates(needs, content.intent, excluded, in_contact)
        # In contact first, then who is met again most likely, then who was met last.
        found.sort(key=lambda advert: (advert.device not in in_contact, -self._likelihood_ppb(advert.device)))
        return [advert.device for advert in found if live.state.history.may_hold(advert.device)]

    def _has_improved(self, live: Live, device: bytes) -> bool:
        """Say whether a device can do more since it was last offered the object: then it is tried again."""
        offered_ms = self.parts.spool.life_ms_of(live, live.state.content.offer_ages[device])
        return self.capacity.improved_ms(device) > offered_ms

    def offer_to(self, live: Live, device: bytes, reason: str, age_ms: int, needs: Sequence[str] = ()) -> None:
        """Append the offer to what this turn made; `write_turn` ends the turn with it."""
        history = live.state.history
        left_ms = max(0, history.created.lifetime_ms - age_ms)
        expires_ms = age_ms + min(left_ms // 4, OFFER_MS_MAX)
        rights = live.state.content.rights.amounts_left()
        offered = b.OfferedClear(device, history.view.number + 1, expires_ms, reason[:200], tuple(needs), rights)
        live.made.extend(self.parts.polls.flush(live, age_ms))
        live.made.append(make(Kind.OFFERED, offered))
        to = self.parts.adverts.name_of(device)
        self.parts.effects.append(Note(Stage.JUDGED, live.object, {"offered": to, "reason": reason}, is_info=True))

    def withdraw(self, live: Live, reason: str, age_ms: int) -> None:
        """Take custody back under the next number."""
        self.claim(live, reason, age_ms)

    def claim(self, live: Live, reason: str, age_ms: int) -> None:
        """Append `claimed`, as an entry of its own: what follows belongs to the new epoch."""
        number = live.state.history.view.number + 1
        live.made = [make(Kind.CLAIMED, b.ClaimedClear(number, reason[:200]))]
        self.parts.pen.write_turn(live, age_ms)
        self.parts.effects.append(Note(Stage.JUDGED, live.object, {"claimed": number, "reason": reason}, is_info=True))

    def _consider(self, live: Live, offered: b.OfferedClear, age_ms: int) -> None:
        offer = live.state.history.view.tip
        refusal = self._why_not(live, offered.needs)
        if refusal is not None:
            self._refuse(live, offer, refusal)
            return
        live.made = [make(Kind.ACCEPTED, b.AcceptedClear(offer, offered.epoch))]
        self.parts.pen.write_turn(live, age_ms)
        self.parts.effects.append(Note(Stage.JUDGED, live.object, {"custody": "accepted"}, is_info=True))

    def _why_not(self, live: Live, needs: Sequence[str]) -> Refusal | None:
        """Return why this device does not take custody, or None."""
        state = live.state
        if self.parts.room.why_none:
            return Refusal.STORAGE
        if live.parked or self.parts.store.get_meta("held", 0):
            return Refusal.POLICY
        if state.content.is_opaque:
            return Refusal.VERSION
        if state.content.is_withheld:
            return Refusal.UNINTELLIGIBLE
        found = self.parts.members.grant_under(state.history.created.roots)
        if found is None or not may_append(found[1], Kind.ACCEPTED) or self._is_withdrawn(live, self.parts.device):
            return Refusal.POLICY
        if not state.history.may_hold(self.parts.device):
            return Refusal.POLICY
        can = self.capacity.capabilities()
        if self.parts.intent_of(live) is None or any(need not in can for need in needs):
            return Refusal.INCAPABLE
        if self.is_rejected(live):
            return Refusal.POLICY
        return None

    def _refuse(self, live: Live, offer: bytes, reason: Refusal) -> None:
        if offer in self._refused:
            return
        if len(self._refused) > 1_000:
            self._refused.clear()
        self._refused[offer] = None
        offerer = live.state.history.placed[offer].entry.author
        self.refusals.append((live.object, offer, offerer, reason))

    def refuse_unstored(self, object_id: bytes, entries: Sequence[Entry]) -> None:
        """Refuse offers in entries that there is no room for; nothing of it is recorded."""
        for entry in entries:
            if offers_to(self.parts.device, (entry,)):
                self.refusals.append((object_id, entry.id, entry.author, Refusal.STORAGE))

    def hear_refusal(self, live: Live, offer: bytes, who: bytes, reason: int, age_ms: int) -> bool:
        """Take an offer of ours back that its receiver refused; say whether it stood."""
        view = live.state.history.view
        if view.holder != self.parts.device or not view.is_frozen or view.tip != offer:
            return False
        offered = self.standing_offer(live)
        if offered.to != who:
            return False
        if reason == Refusal.STORAGE and not self._candidates(live, offered.needs, age_ms):
            return False  # nobody else can: it may take the object when it has room again, before the offer expires
        word = Refusal(reason).name.lower() if reason in tuple(Refusal) else str(reason)
        self.withdraw(live, f"refused: {word}", age_ms)
        return True

"""What is said of revocations inside a contact, and to whom only that is said.

Right after hello each side says the digest of the revocations that it holds of the shared fleets, and the revocations
themselves unless the peer was last seen to hold the same. Who hears another digest than its own says all of its own,
once in a contact; who has taken some in says its new digest. So both end with the same, in a message and a half.

Source: ours, `docs/format.md` (Revocations); order after page "Time and durability": they precede all but hello.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..base.limits import ADVERTS_MAX, REVOCATIONS_PER_MESSAGE_MAX
from ..objects.revocations import Revocation
from .effects import Close, Send
from .events import Drained
from .messages import Message, Revocations, encode_message
from .parts import Parts

if TYPE_CHECKING:
    from .contacts import Contact


class Telling:
    """Makes the messages; `Contacts` sends them.

    Attributes:
        leaving: contacts that are closed when the channel took so many more bytes: a goodbye would overtake them.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.leaving: dict[int, int] = {}
        self._agreed: dict[bytes, bytes] = {}  # device -> digest of what both were last seen to hold

    def standing(self, device: bytes, roots: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the fleets in which neither the device's grants nor ours are withdrawn."""
        found = self.parts.members.membership().standing_with(device)
        return tuple(root for root in roots if root in found)

    def first(self, contact: Contact) -> list[Message]:
        """Return what follows hello: nothing without any, the digest for a peer that holds the same."""
        kept = self.parts.members.revocations
        if not kept.of(contact.roots):
            return []
        contact.told_digest = kept.digest(contact.roots)
        if self._agreed.get(contact.device) == contact.told_digest:
            return self._messages(contact.roots, ())
        contact.has_told_revocations = True
        return self._messages(contact.roots, kept.of(contact.roots))

    def after(self, contact: Contact, digest: bytes) -> list[Message]:
        """Return the answer to a peer's digest, after what it told was taken in."""
        kept = self.parts.members.revocations
        own = kept.digest(contact.roots)
        if own == digest:
            if len(self._agreed) >= ADVERTS_MAX:
                self._agreed.clear()
            self._agreed[contact.device] = own
        elif not contact.has_told_revocations:
            contact.has_told_revocations, contact.told_digest = True, own
            return self._messages(contact.roots, kept.of(contact.roots))
        if contact.told_digest == own:
            return []
        contact.told_digest = own
        return self._messages(contact.roots, ())

    def news(self, contact: Contact, found: Sequence[Revocation]) -> list[Message]:
        """Return what a peer is told of revocations that are new here; nothing if they are of other fleets."""
        if not any(item.body.fleet in contact.roots for item in found):
            return []
        contact.told_digest = self.parts.members.revocations.digest(contact.roots)
        return self._messages(contact.roots, found)

    def sends_away(self, contact: Contact) -> bool:
        """Leave a contact the fleets that still permit it; begin its end and say so if there are none."""
        contact.roots, before = self.standing(contact.device, contact.roots), contact.roots
        if not contact.roots:
            self.send_away(contact.number, before, contact.inflight_bytes)
        return not contact.roots

    def send_away(self, number: int, roots: Sequence[bytes], inflight_bytes: int = 0) -> None:
        """Tell a peer what is known of revocations and nothing else, and close when that is on its way."""
        messages = self._messages(roots, self.parts.members.revocations.of(roots))
        encoded = tuple(encode_message(message) for message in messages)
        self.leaving[number] = inflight_bytes + sum(len(data) for data in encoded)
        self.parts.effects.append(Send(number, encoded))

    def hear_drained(self, event: Drained) -> None:
        """The channel took bytes: if these were the last ones for a peer that is sent away, close."""
        left = self.leaving.get(event.contact)
        if left is not None and left > event.bytes_size:
            self.leaving[event.contact] = left - event.bytes_size
        elif left is not None:
            del self.leaving[event.contact]
            self.parts.effects.append(Close(event.contact, "grant withdrawn"))

    def _messages(self, roots: Sequence[bytes], told: Sequence[Revocation]) -> list[Message]:
        """Return messages with those of `told` that are of these fleets; at least one, with the digest."""
        raws = [item.raw for item in told if item.body.fleet in roots]
        digest, most = self.parts.members.revocations.digest(roots), REVOCATIONS_PER_MESSAGE_MAX
        return [Revocations(digest, tuple(raws[at : at + most])) for at in range(0, max(1, len(raws)), most)]

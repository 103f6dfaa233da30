"""Revocations on this device: issuing them, telling and hearing of them, and what each one changes here.

They come right after hello in every contact. Both sides say the digest of what they hold; who was last heard to hold
the same is told no more than that (`telling`). A peer whose grants are withdrawn is told why, then sent away. What a
compromised device wrote is folded anew in every object that it wrote into: nothing shows which was heard first.

Source: ours, behaviours 11.4, 14.13; `docs/format.md` (Revocations).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..base.errors import PeerError, UsageError
from ..objects.revocations import Revocation, verify_revocation
from . import commands as c
from . import messages as m
from .contacts import Contact, Contacts
from .effects import MembershipChanged, Note, Stage
from .events import ContactEnded
from .intake import Intake
from .lookup import find_device
from .parts import Parts
from .shelving import Shelving

class Revoking:
    """Takes revocations in, from a person here and from peers."""

    def __init__(
        self, parts: Parts, contacts: Contacts, intake: Intake, shelving: Shelving,
        end_contact: Callable[[ContactEnded], None],
    ) -> None:  # fmt: skip
        self.parts = parts
        self.contacts = contacts
        self.intake = intake
        self.shelving = shelving
        self.end_contact = end_contact

    def revoke(self, command: c.Revoke) -> dict[str, Any]:
        """Sign and spread a revocation.

        Raises:
            UsageError: this device may not, does not know the device, or is it itself.
        """
        device = self._device_of(command.device)
        if device == self.parts.device:
            raise UsageError("That is this device. Another operator, or who holds the root key, revokes it.")
        name, members = self.parts.adverts.name_of(device), self.parts.members
        moment = self.parts.timeline.moment
        if command.operations and command.from_sequence is not None:
            raise UsageError("A compromised device is so as a whole: name no operations, or no sequence.")
        found = members.revoke(device, command.from_sequence, moment, tuple(sorted(command.operations)))
        try:
            self._keep(found)
        except PeerError as error:
            raise UsageError(f"Nothing was revoked: {error}.") from None
        held = self.parts.store.run(
            "SELECT count(*) FROM shelf WHERE holder = ? AND ended IS NULL", (device,)
        ).fetchone()[0]
        return {
            "device": device.hex(), "name": name, "revocations": [item.id.hex() for item in found],
            "fleets": [item.body.fleet.hex() for item in found],
            "what": "withdrawn" if command.from_sequence is None else "compromised",
            "from_sequence": command.from_sequence, "operations": sorted(command.operations), "objects_held": held,
        }  # fmt: skip

    def _device_of(self, text: str) -> bytes:
        """Return a device by what a person typed; one of which no advert is here by its full id."""
        if len(text) == 64:
            try:
                return bytes.fromhex(text)
            except ValueError:
                pass
        return find_device(self.parts, text)

    def hear(self, contact: Contact, message: m.Revocations) -> None:
        """Take in what a peer holds, and tell it what it lacks."""
        known, fresh = self.parts.members.revocations.by_id, list[Revocation]()
        for raw in message.items:
            try:
                revocation = verify_revocation(raw)
                if revocation.id not in known:
                    self._keep([revocation], but=contact.number)
                    fresh.append(revocation)
            except PeerError as error:
                self.intake.count(error)
        if contact.number in self.contacts.by_number:  # it may just have been sent away
            self.contacts.hear_revocations(contact, message.digest)

    # --- What follows ---------------------------------------------------------------------------------------------

    def _keep(self, found: Sequence[Revocation], but: int = -1) -> None:
        """Store revocations that are new here, tell of them, and let them take effect."""
        members, agenda = self.parts.members, self.parts.agenda
        roots = members.membership().roots
        void_from, revoked = members.revocations.void_from(roots), members.revocations.revoked
        for revocation in found:
            members.keep_revocation(revocation, self.parts.timeline.life_ms)
            said = {"revoked": revocation.body.device.hex()[:16], "by": revocation.body.issuer.hex()[:16]}
            self.parts.effects.append(Note(Stage.VERIFIED, b"", said, is_info=True))
        self.contacts.tell_revocations(found, but)
        after = members.revocations.void_from(roots)
        for device in [key for key in {**void_from, **after} if void_from.get(key) != after.get(key)]:
            self._fold_anew(device)
        if members.revocations.revoked != revoked:
            for revocation in found:
                if members.is_gone(revocation.body.device):
                    self.parts.adverts.drop(revocation.body.device)
            for contact in self.contacts.to_send_away():
                self.end_contact(ContactEnded(contact.number, "grant withdrawn"))
            rows = "SELECT object FROM shelf WHERE is_mine = 1 AND ended IS NULL AND reason LIKE 'offered to %'"
            for (row,) in self.parts.store.run(rows).fetchall():
                agenda.add(row)  # an offer to a revoked device is taken back
            agenda.wake_topic("fact:policy.version")  # what grants permit has changed
            self.parts.effects.append(MembershipChanged())

    def _fold_anew(self, device: bytes) -> None:
        """Load again what a device wrote into. Cost: one pass over all entries' bytes; rare, so no index is kept."""
        spool = self.parts.spool
        rows = self.parts.store.run(
            "SELECT id FROM objects WHERE row IN (SELECT object FROM entries WHERE instr(raw, ?) > 0)", (device,)
        ).fetchall()
        for (object_id,) in rows:
            spool.changed[bytes(object_id)] = None  # a rollback forgets it again
            spool.forget(bytes(object_id))
            live = spool.find(bytes(object_id))
            if live is not None:
                self.shelving.put_away(live)
                self.parts.agenda.add(live.row)

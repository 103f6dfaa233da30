"""What peers say and bring: contacts that open and end, adverts, entries, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from ..base.errors import PeerError
from ..base.moment import Trust
from ..objects.entries import Entry, verify
from . import events as e
from . import messages as m
from .acquaintance import Acquaintance
from .contacts import NO_OBJECT, Contact, Contacts
from .custody import Custody
from .effects import Close, Note, Stage
from .intake import Intake
from .judgement import Judgement
from .parts import Parts
from .residence import age_from_link
from .returning import Returning
from .twins import Twins
from .revoking import Revoking
from .spool import Live
from .room import Shortage
from .shelving import ROOM_TOPIC
from .surroundings import follow_clock, say_contacts


class Hearing:
    """Handles the events that come from links."""

    def __init__(
        self, parts: Parts, contacts: Contacts, intake: Intake, custody: Custody, judgement: Judgement,
        revoking: Revoking, acquaintance: Acquaintance, go_on: Callable[[Live], None],
        returning: Returning,
    ) -> None:  # fmt: skip
        self.acquaintance = acquaintance
        self.returning = returning
        self.twins = Twins(parts)
        self.parts = parts
        self.contacts = contacts
        self.intake = intake
        self.custody = custody
        self.judgement = judgement
        self.go_on = go_on
        self.revoking = revoking

    def open_contact(self, event: e.ContactOpened) -> None:
        """A contact begins; what waits for the peer is looked at."""
        contact = self.contacts.open(event)
        if contact is not None:
            self.judgement.pacing.meet(event.device)
            met = self.acquaintance.say(contact)
            if met is not None:
                self.contacts.tell(contact, met)
            self._wake_peer(event.device)

    def end_contact(self, event: e.ContactEnded) -> None:
        """A contact is over."""
        contact = self.contacts.end(event)
        self.returning.forget(event.contact)
        if contact is not None:
            if contact.device not in self.contacts.devices():
                self.contacts.capacity.forget(contact.device)
            self._wake_peer(contact.device)

    def _wake_peer(self, device: bytes) -> None:
        """A peer came, went, or said something new of itself: wake what waits for what it has."""
        agenda = self.parts.agenda
        say_contacts(self.parts, self.contacts.devices())
        self.judgement.signal_links()
        agenda.wake_topic(f"peer:{device.hex()}")
        found = self.parts.adverts.by_device.get(device)
        for capability in found[0].capabilities if found is not None else ():
            agenda.wake_topic(f"peer:{capability}")
            agenda.wake_topic(f"fact:peer.{capability}")
        for intent, _ in found[0].intents if found is not None else ():
            agenda.wake_topic(f"peer:{intent}")
            agenda.wake_topic(f"fact:peer.{intent}")

    def hear(self, event: e.Heard) -> None:
        """Take in one message of a contact that still stands."""
        contact = self.contacts.hear_bytes(event)
        if contact is None:
            return
        match event.message:
            case m.Hello():
                self._hear_clock(event.message)
                self.contacts.hear_hello(contact, event.message)
                self.returning.hear_hello(contact, event.message)
            case m.Adverts(items):
                self._hear_adverts(contact, items)
            case m.Heads():
                self.contacts.hear_heads(contact, event.message)
                self.returning.hear_heads(contact, event.message)
            case m.Want():
                self.contacts.hear_want(contact, event.message)
            case m.Entries():
                self._hear_entries(contact, event, event.message)
            case m.Refuse(object_id, offer, reason):
                live = self.parts.spool.find(object_id)
                if live is not None:
                    age_ms = self.parts.spool.age_ms(live)
                    if self.custody.hear_refusal(live, offer, contact.device, reason, age_ms):
                        self.go_on(live)
            case m.Denied(subjects):
                self.contacts.capacity.hear(contact.device, subjects)
                self._wake_peer(contact.device)
            case m.Revocations():
                self.revoking.hear(contact, event.message)
            case m.Gone():
                self.contacts.hear_gone(contact, event.message)
            case m.Ended():
                self._hear_end(contact, event.message)
            case m.Met():
                self.acquaintance.hear(contact.device, event.message)
            case _:
                assert_never(event.message)

    def say_room(self, shortage: Shortage, reason: str) -> None:
        """Begin or end refusing what would be stored; the host says so, with an empty reason at the end.

        Peers in contact hear at once that nothing is to be offered here. At the end contacts are closed: what was
        refused in them is told again in the next ones.
        """
        parts = self.parts
        if not parts.room.say(shortage, reason):
            return
        self.contacts.tell_denials()
        if not parts.room.why_none:
            parts.agenda.wake_topic(ROOM_TOPIC)
            parts.effects.extend(Close(number, "there is room again") for number in self.contacts.by_number)
        parts.effects.append(Note(Stage.STORED, NO_OBJECT, {"intake": reason or "goes on"}, is_info=True))

    def _hear_clock(self, hello: m.Hello) -> None:
        """A peer says what time it is: a device that does not know better takes it."""
        trust = self.parts.timeline.moment.trust
        if self.parts.timeline.hear_peer(hello.wall_ms, Trust(hello.trust)):
            follow_clock(self.parts, trust)

    def _hear_adverts(self, contact: Contact, items: tuple[bytes, ...]) -> None:
        fresh: list[bytes] = []
        timeline = self.parts.timeline
        for raw in items:
            try:
                advert = self.parts.adverts.keep(raw, timeline.life_ms, timeline.moment, contact.device)
            except PeerError as error:
                self.intake.count(error)
                continue
            if advert is not None:
                fresh.append(raw)
                self.contacts.capacity.note_improved(advert.device)
                self._wake_peer(advert.device)
        self.contacts.tell_adverts(fresh, but=contact.number)

    def judge(self, live: Live, entry: Entry) -> None:
        """An entry from outside was placed: perhaps its key has another writer, or this device's own one has."""
        self.returning.judge(entry, self.contacts.by_number)
        self.twins.judge(live, entry)

    def _hear_end(self, contact: Contact, message: m.Ended) -> None:
        """An object has ended elsewhere, and its history up to there is not to be had: let a live copy here be."""
        live = self.parts.spool.find(message.object)
        if live is None:
            self.returning.miss(contact, message.object)
            return
        try:
            for raw in message.grants:
                self.parts.members.keep_grant(raw)
            is_news = self.parts.eviction.tombstones.stage(live, verify(message.entry))
        except PeerError as error:
            self.intake.count(error)
            return
        if is_news:
            self.parts.effects.append(Note(Stage.STORED, live.object, {"ended": "told by a tombstone"}, is_info=True))
            self.go_on(live)
        self.returning.took(contact, live)

    def _hear_entries(self, contact: Contact, event: e.Heard, message: m.Entries) -> None:
        age = age_from_link(
            message.age_ms, message.age_is_exact, message.wall_ms, message.trust, self.parts.timeline.moment
        )
        taken = self.intake.take(message.object, message.grants, event.entries, *age)
        if taken.refused and self.parts.room.why_none:
            self.custody.refuse_unstored(message.object, event.entries)
        if taken.live is None:
            if taken.aside:
                self.contacts.ask_for(contact, message.object, taken.is_back)
            else:
                self.contacts.tell_end(contact, message.object)
            if taken.refused and not self.parts.room.why_none:  # its first entry, so nothing of it is ever taken
                self.returning.miss(contact, message.object)
            return
        self.contacts.heard_entries(contact, taken.live, event.entries, is_incomplete=taken.aside > 0)
        for entry in taken.placed:
            self.judge(taken.live, entry)
        if taken.new:
            self.go_on(taken.live)
        self.returning.took(contact, taken.live)

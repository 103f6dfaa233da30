"""Contacts: what is said from hello to the end of a link, in the order that a contact of three seconds needs.

opened -> hello, adverts -> what went, heads (unless digests are equal) -> wants -> entries -> live push.
What was received is committed with its turn; a lost contact goes on at the next one from the heads of then. What is
handed to a channel and not yet taken is bounded; the rest waits here as jobs (object and heads), not as bytes.

Source: ours, `docs/format.md` (Contact); order of sending: `ordering`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from ..base.errors import PeerError
from ..base.limits import (
    CONTACT_INFLIGHT_BYTES_MAX, HEADS_PER_MESSAGE_MAX, HEADS_TOLD_MAX, KNOWN_HEADS_MAX,
)  # fmt: skip
from ..objects.entries import Entry
from ..objects.grants import check_membership
from ..objects.revocations import Revocation
from .effects import Close, Note, Send, Stage
from .events import ContactEnded, ContactOpened, Drained, Heard
from .fading import Presence, Pulse
from .incapacity import Capacity
from .messages import Adverts as AdvertsMessage
from .messages import Denied, Entries, Gone, Head, Heads, Hello, Message, Refuse, Want, encode_message
from .ordering import Rank, batch_of, rank_of
from .parts import Parts
from .reconcile import Reconciler, haves
from .spool import Live
from .telling import Telling

NO_OBJECT = b"\x00" * 32
ADVERTS_PER_MESSAGE = 16


class Contact(Struct):
    """One link to one peer while it lasts."""

    number: int
    device: bytes
    roots: tuple[bytes, ...]
    row: int
    link: str
    address: str
    start_ms: int
    inflight_bytes: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    hello: Hello | None = None
    own_digest: bytes = b""
    cursor: tuple[int, int] | None = None  # where telling heads goes on; None: not begun or done
    has_told_heads: bool = False
    gone_cursor: int | None = None  # where telling what went goes on: before the heads
    jobs: dict[bytes, tuple[Rank, tuple[bytes, ...]]] = field(default_factory=dict)
    known: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    asked: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    pulse: Pulse = field(default_factory=Pulse)
    told_ends: dict[bytes, None] = field(default_factory=dict)
    told_digest: bytes = b""  # of revocations
    has_told_revocations: bool = False


class Contacts:
    """All contacts of this device."""

    def __init__(self, parts: Parts, reconciler: Reconciler, capacity: Capacity) -> None:
        self.parts = parts
        self.capacity = capacity
        self._denied: tuple[str, ...] = ()  # what peers were told of last
        self.reconciler = reconciler
        self.by_number: dict[int, Contact] = {}
        self.telling = Telling(parts)

    def devices(self) -> tuple[bytes, ...]:
        """Return the devices in contact now, by id."""
        return tuple(sorted(dict.fromkeys(contact.device for contact in self.by_number.values())))

    def steady(self) -> tuple[bytes, ...]:
        """Return the devices in contact now that are not fading, by id."""
        life_ms = self.parts.timeline.life_ms
        found = [item.device for item in self.by_number.values() if item.pulse.presence(life_ms) is Presence.IN_CONTACT]
        return tuple(sorted(dict.fromkeys(found)))

    def kind_of(self, name: str) -> str:
        """Return the kind of link by which the peer of that name or id is in contact, empty for none."""
        for contact in self.by_number.values():
            if name in (self.parts.adverts.name_of(contact.device), contact.device.hex()):
                return contact.link
        return ""

    # --- Opening and closing ----------------------------------------------------------------------------------

    def open(self, event: ContactOpened) -> Contact | None:
        """Begin a contact: say hello and the adverts. A peer of none of our fleets is sent away."""
        moment, life_ms = self.parts.timeline.moment, self.parts.timeline.life_ms
        own = self.parts.members.membership()
        try:
            grants = check_membership(event.grants, event.device, own.roots, moment.wall_ms, moment.trust)
        except PeerError as error:
            self.parts.effects.append(Close(event.contact, str(error)))
            return None
        shared = sorted(dict.fromkeys(grant.body.fleet for grant in grants))
        roots = self.telling.standing(event.device, shared)
        if not roots:
            self.telling.send_away(event.contact, shared)
            return None
        for grant in grants:
            self.parts.members.keep_grant(grant.raw)
        cursor = self.parts.store.run(
            "INSERT INTO contacts (device, link, address, start_ms, start_wall_ms) VALUES (?, ?, ?, ?, ?)",
            (event.device, event.link, event.address, life_ms, moment.wall_ms),
        )
        contact = Contact(
            event.contact, event.device, roots, cursor.lastrowid or 0, event.link, event.address, life_ms
        )
        self.by_number[event.contact] = contact
        self.parts.adverts.touch(event.device, life_ms)
        contact.own_digest, objects = self.reconciler.digest(roots)
        hello = Hello(own.name, moment.wall_ms, int(moment.trust), contact.own_digest, objects)
        self._denied = self.capacity.told_now()
        denied = [Denied(self._denied)] if self._denied else []
        self._send(contact, [hello, *self.telling.first(contact), *denied, *self._adverts()])
        self._note(contact, "opened")
        return contact

    def end(self, event: ContactEnded) -> Contact | None:
        """Forget a contact; its row keeps what it was."""
        contact = self.by_number.pop(event.contact, None)
        if contact is None:
            self.telling.leaving.pop(event.contact, None)
            return None
        self.parts.store.run(
            "UPDATE contacts SET end_ms = ?, bytes_in = ?, bytes_out = ?, reason = ? WHERE n = ?",
            (self.parts.timeline.life_ms, contact.bytes_in, contact.bytes_out, event.reason[:120], contact.row),
        )
        self._note(contact, f"ended: {event.reason[:120]}")
        return contact

    def _note(self, contact: Contact, what: str) -> None:
        fields = {"contact": what, "peer": self.parts.adverts.name_of(contact.device), "address": contact.address}
        self.parts.effects.append(Note(Stage.GOSSIPED, NO_OBJECT, fields, is_info=True))

    def _adverts(self) -> list[Message]:
        raws = self.parts.adverts.raws()
        return [
            AdvertsMessage(tuple(raws[at : at + ADVERTS_PER_MESSAGE]))
            for at in range(0, len(raws), ADVERTS_PER_MESSAGE)
        ]

    def tell_denials(self) -> None:
        """Tell all contacts what this device cannot do now, if that is news."""
        denied = self.capacity.told_now()
        if denied != self._denied:
            self._denied = denied
            for contact in self.by_number.values():
                self._send(contact, [Denied(denied)])

    def tell_adverts(self, raws: Sequence[bytes], but: int = -1) -> None:
        """Tell all contacts but one of adverts that are new here."""
        for contact in self.by_number.values():
            if contact.number != but and raws:
                self._send(contact, [AdvertsMessage(tuple(raws[:ADVERTS_PER_MESSAGE]))])

    def tell(self, contact: Contact, message: Message) -> None:
        """Tell one contact something."""
        self._send(contact, [message])

    # --- Revocations ------------------------------------------------------------------------------------------

    def hear_revocations(self, contact: Contact, digest: bytes) -> None:
        """After a peer's were taken in: tell it what it may lack."""
        self._send(contact, self.telling.after(contact, digest))

    def tell_revocations(self, found: Sequence[Revocation], but: int = -1) -> None:
        """Tell all contacts but one of revocations that are new here."""
        for contact in self.by_number.values():
            if contact.number != but:
                self._send(contact, self.telling.news(contact, found))

    def to_send_away(self) -> list[Contact]:
        """Begin the end of contacts that no fleet permits any more; return them, to be ended here at once."""
        return [contact for contact in self.by_number.values() if self.telling.sends_away(contact)]

    # --- Hearing ----------------------------------------------------------------------------------------------

    def hear_hello(self, contact: Contact, hello: Hello) -> None:
        """Compare digests: equal stores are done; otherwise tell the heads."""
        contact.hello = hello
        if hello.digest != contact.own_digest:
            self._begin_heads(contact)

    def hear_heads(self, contact: Contact, message: Heads) -> None:
        """Ask for what is not here, and remember what the peer has."""
        for item in message.items:
            self._remember(contact, item.object, item.heads)
        wants, ends = self.reconciler.compare(message.items)
        self._send(contact, ends)
        self._ask(contact, wants)
        if not contact.has_told_heads:
            self._begin_heads(contact)

    def hear_gone(self, contact: Contact, message: Gone) -> None:
        """Send nothing of what the peer has let go."""
        for item in message.items:
            self._remember(contact, item.object, item.heads)
        for live in self.reconciler.note_gone(message.items, contact.device):
            self._queue(contact, live, ())
        if not contact.has_told_heads:
            self._begin_heads(contact)

    def tell_end(self, contact: Contact, object_id: bytes) -> None:
        """Tell a peer that still spreads an object how it ended, if that is known here without its history."""
        end = self.parts.eviction.tombstones.ended(object_id)
        if end is not None and contact.told_ends.get(object_id, 1) is not None:
            contact.told_ends[object_id] = None
            self._send(contact, [end])

    def hear_want(self, contact: Contact, message: Want) -> None:
        """Queue what the peer asked for, as far as it may hold it."""
        for item in message.items:
            live = self.parts.spool.find(item.object)
            if live is None or live.staged:
                self.tell_end(contact, item.object)  # and nothing of it is spread
            elif self.may_send(contact, live):
                self._remember(contact, item.object, item.heads)
                self._queue(contact, live, item.heads)
        self._pump(contact)

    def heard_entries(self, contact: Contact, live: Live, entries: Sequence[Entry], is_incomplete: bool) -> None:
        """After an intake: the peer has these; ask for what was missing between."""
        history = live.state.history
        known = [head for head in contact.known.get(live.object, ()) if head in history]
        ids = [entry.id for entry in entries if entry.id in history]
        heads = [item for item in dict.fromkeys([*known, *ids]) if item in history]
        tops = [item for item in heads if not _has_child(live, item, heads)]
        self._remember(contact, live.object, tuple(tops[-HEADS_TOLD_MAX:]))
        if is_incomplete:
            self._ask(contact, [Head(live.object, haves(history, self.parts.device))])

    def ask_for(self, contact: Contact, object_id: bytes, is_back: bool) -> None:
        """Ask for a whole object of which a part came without its beginning.

        Args:
            is_back: it went from here since, so what was asked in this contact before is asked once more.
        """
        if is_back:
            contact.asked.pop(object_id, None)
        self._ask(contact, [Head(object_id, ())])

    def hear_drained(self, event: Drained) -> None:
        """The channel took bytes: send more."""
        self.telling.hear_drained(event)
        contact = self.by_number.get(event.contact)
        if contact is not None:
            contact.inflight_bytes = max(0, contact.inflight_bytes - event.bytes_size)
            contact.pulse.sign(self.parts.timeline.life_ms, contact.inflight_bytes > 0)
            self._pump(contact)

    def hear_bytes(self, event: Heard) -> Contact | None:
        """Count what came; return the contact if it still stands."""
        contact = self.by_number.get(event.contact)
        if contact is not None:
            contact.bytes_in += event.bytes_size
            contact.pulse.sign(self.parts.timeline.life_ms, contact.inflight_bytes > 0)
        return contact

    # --- Sending ----------------------------------------------------------------------------------------------

    def push(self, live: Live, entry: Entry, but: int = -1) -> None:
        """A new entry is here: tell every contact that may hold the object and lacks it."""
        for contact in self.by_number.values():
            if contact.number == but or live.staged or not self.may_send(contact, live):
                continue
            known = contact.known.get(live.object)
            if known is not None and entry.id in known:
                continue
            if live.object not in contact.jobs:
                # Of heads that are not here nothing follows: the peer that lacks a parent of the entry asks for it.
                is_known = known is not None and any(head in live.state.history for head in known)
                self._queue(contact, live, known if known is not None and is_known else entry.parents)

    def pump_all(self) -> None:
        """Send what waits, as far as each contact's bound allows; once at the end of a turn."""
        for contact in self.by_number.values():
            self._pump(contact)

    def refuse(self, object_id: bytes, offer: bytes, offerer: bytes, reason: int) -> None:
        """Refuse custody on the wire, if the offerer is in contact."""
        for contact in self.by_number.values():
            if contact.device == offerer:
                self._send(contact, [Refuse(object_id, offer, reason)])
                return

    def may_send(self, contact: Contact, live: Live) -> bool:
        """Say whether the object's audience allows this peer to hold it."""
        created = live.state.history.created
        if not any(root in contact.roots for root in created.roots):
            return False
        return not created.holders or contact.device in created.holders

    def _queue(self, contact: Contact, live: Live, heads: tuple[bytes, ...]) -> None:
        deadline_ms = self.parts.spool.life_ms_of(live, live.state.history.created.lifetime_ms)
        contact.jobs[live.object] = (rank_of(live, heads, deadline_ms), heads)

    def _begin_heads(self, contact: Contact) -> None:
        contact.has_told_heads = True
        contact.gone_cursor, contact.cursor = 0, (-1, 0)
        self._pump(contact)

    def _ask(self, contact: Contact, wants: Sequence[Head]) -> None:
        """Ask, but never twice the same in one contact: a peer that lacks what it told of may not spin us."""
        fresh = [want for want in wants if contact.asked.get(want.object) != want.heads]
        for want in fresh:
            if len(contact.asked) >= KNOWN_HEADS_MAX:
                contact.asked.clear()
            contact.asked[want.object] = want.heads
        for at in range(0, len(fresh), HEADS_PER_MESSAGE_MAX):
            self._send(contact, [Want(tuple(fresh[at : at + HEADS_PER_MESSAGE_MAX]))])

    def _pump(self, contact: Contact) -> None:
        """Send heads and entries until the bound of bytes in flight is reached; heads first, then the best job."""
        while contact.inflight_bytes < CONTACT_INFLIGHT_BYTES_MAX:
            if contact.gone_cursor is not None:
                gone, contact.gone_cursor = self.parts.eviction.tombstones.gone_from(
                    contact.gone_cursor, contact.roots, contact.device
                )
                self._send(contact, [gone] if gone is not None else [])
            elif contact.cursor is not None:
                items, contact.cursor = self.reconciler.heads_from(contact.cursor, contact.roots, contact.device)
                self._send(contact, [Heads(tuple(items), contact.cursor is None)])
            elif contact.jobs:
                object_id = min(contact.jobs, key=lambda key: (contact.jobs[key][0], key))
                self._send_object(contact, object_id)
            else:
                return

    def _send_object(self, contact: Contact, object_id: bytes) -> None:
        rank, heads = contact.jobs.pop(object_id)
        live = self.parts.spool.find(object_id)
        if live is None:
            return
        batch, left = batch_of(live, rank, heads)
        if not batch:
            if left is not None:
                contact.jobs[object_id] = (left, heads)
            return
        needed = dict.fromkeys(entry.grant for entry in batch)
        grants = tuple(raw for grant in needed if (raw := self.parts.members.grant_bytes(grant)))
        raws = tuple(entry.raw for entry in batch)
        age_ms, moment = self.parts.spool.age_ms(live), self.parts.timeline.moment
        age = (age_ms, live.age_is_exact, moment.wall_ms, int(moment.trust))
        self._send(contact, [Entries(object_id, grants, raws, *age)])
        told = _tops_after(heads, batch)
        self._remember(contact, object_id, told)
        if left is not None:
            contact.jobs[object_id] = (left, told)
        self.parts.note(Stage.GOSSIPED, live, to=self.parts.adverts.name_of(contact.device), entries=len(batch))

    def _remember(self, contact: Contact, object_id: bytes, heads: tuple[bytes, ...]) -> None:
        contact.known.pop(object_id, None)
        if len(contact.known) >= KNOWN_HEADS_MAX:
            del contact.known[next(iter(contact.known))]
        contact.known[object_id] = heads

    def _send(self, contact: Contact, messages: Sequence[Message]) -> None:
        if not messages:
            return
        encoded = tuple(encode_message(message) for message in messages)
        size = sum(len(data) for data in encoded)
        contact.inflight_bytes += size
        contact.pulse.owe(self.parts.timeline.life_ms)
        contact.bytes_out += size
        self.parts.effects.append(Send(contact.number, encoded))


def _has_child(live: Live, entry_id: bytes, among: Sequence[bytes]) -> bool:
    """Say whether one of these entries names another as its parent: then the other is no head of theirs."""
    placed = live.state.history.placed
    return any(entry_id in placed[other].entry.parents for other in among)


def _tops_after(heads: tuple[bytes, ...], batch: Sequence[Entry]) -> tuple[bytes, ...]:
    """Return the heads of a peer that had `heads` and got `batch`."""
    tops = dict.fromkeys(heads)
    for entry in batch:
        for parent in entry.parents:
            tops.pop(parent, None)
        tops[entry.id] = None
    return tuple(sorted(tops))[:HEADS_TOLD_MAX]

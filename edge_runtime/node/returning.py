"""A device that returns on an older card is in quarantine: it learns what peers hold of it before it writes.

So it is after `restore`, on a card that went into another board, and when a peer brings an entry that this device's
key signed with a number that this device never gave out: two boards with one card's content. In quarantine it receives,
serves and carries; it makes no entry, takes no custody and releases no effect. It ends by itself once everything that
one peer of the fleet holds is here, or by an operator's word. From then on its numbers begin far above all that were
given out, so that (author, sequence) names one entry for ever.

Source: ours (`docs/backup.md`); the danger is that of a log with two writers (Scuttlebutt calls it a fork).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..base.errors import Exit, UsageError
from ..base.limits import KNOWN_HEADS_MAX
from ..objects.entries import Entry
from . import commands as c
from .contacts import NO_OBJECT, Contact
from .effects import Close, MembershipChanged, Note, Stage
from .membership import QUARANTINE
from .messages import Head, Heads, Hello
from .parts import Parts
from .shelving import QUARANTINE_TOPIC
from .spool import Live

WRITING = (c.Submit, c.Signal, c.Cancel, c.Claim, c.Hand, c.Revoke, c.Grant, c.Enroll)
TWIN = "another device writes with this device's key: its card was copied, or this one restored"
MOVED = "its card was in another board before"
RESTORED = "it was restored from a backup"


class Returning:
    """Says why this device may not write, and finds when it may again."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._lacking: dict[int, dict[bytes, tuple[bytes, ...]]] = {}  # by contact: what its peer told of, not here yet
        self._told_all: dict[int, None] = {}
        self._told_too_much: dict[int, None] = {}
        self.on_end: Callable[[], None] = lambda: None

    @property
    def why(self) -> str:
        """Why nothing may be written, for people; empty while it may."""
        return str(self.parts.store.get_meta(QUARANTINE, ""))

    def begin(self, why: str) -> None:
        """Write nothing from now on; every object is looked at when it ends."""
        if not self.why:
            self.parts.store.set_meta(QUARANTINE, why)
            self._say(f"begins: {why}")

    def check(self, command: c.Command) -> None:
        """Let a command go on that writes nothing, or any while there is no quarantine.

        Raises:
            UsageError: it would write (exit 5); the text says how the quarantine ends.
        """
        writes = isinstance(command, WRITING) or (isinstance(command, (c.Hold, c.Release, c.Resume)) and command.object)
        if writes and (why := self.why):
            raise UsageError(
                f"This device is in quarantine, for {why}. It ends by itself at a full contact with a device "
                "of its fleet. If no other device ever had its objects, or all are lost: `edge-runtime resume` with no "
                "object. Nothing was changed.", Exit.REFUSED, quarantine=why, storage=why,
            )  # fmt: skip

    def check_newcomer(self) -> None:
        """Let a device in only while there is no quarantine.

        Raises:
            UsageError: there is one; the text is for the newcomer's person.
        """
        if self.why:
            raise UsageError(
                "The device that invited came back on an older card and lets nobody in. Ask its operator for a fresh "
                "invitation, once its quarantine is over.", Exit.REFUSED,
            )  # fmt: skip

    def end(self, how: str) -> None:
        """Write again, with numbers far above all that were given out."""
        if not self.why:
            return
        self.parts.members.jump_sequence()
        self.parts.store.set_meta(QUARANTINE, "")
        # Those of the older card may since have been used up or withdrawn; none was made in quarantine.
        self.parts.store.run("DELETE FROM invitations")
        self.parts.store.run("DELETE FROM invited")
        self.parts.effects.append(MembershipChanged())
        self._lacking.clear()
        self._told_all.clear()
        self._told_too_much.clear()
        self.on_end()
        self.parts.agenda.wake_topic(QUARANTINE_TOPIC)
        self._say(f"over: {how}")

    def _say(self, what: str) -> None:
        self.parts.effects.append(Note(Stage.STORED, NO_OBJECT, {"quarantine": what}, is_info=True))

    # --- What peers bring -----------------------------------------------------------------------------------------

    def hear_hello(self, contact: Contact, hello: Hello) -> None:
        """A peer that holds the same as this device has nothing to teach it."""
        if self.why and hello.digest == contact.own_digest:
            self._end_with(contact)

    def hear_heads(self, contact: Contact, message: Heads) -> None:
        """Note what the peer holds that is not here yet."""
        if not self.why:
            return
        lacking = self._lacking.setdefault(contact.number, {})
        if contact.number not in self._told_too_much:
            lacking.update((item.object, item.heads) for item in message.items if not self._is_here(item))
        if len(lacking) > KNOWN_HEADS_MAX:  # no more is remembered: the next contact's list is shorter
            self._told_too_much[contact.number] = None
        if message.is_last and contact.number not in self._told_too_much:
            self._told_all[contact.number] = None
        self._look(contact)

    def took(self, contact: Contact, live: Live) -> None:
        """Entries of an object came: perhaps they were the last that was lacking."""
        lacking = self._lacking.get(contact.number)
        if self.why and lacking is not None:
            heads = lacking.get(live.object)
            if heads is not None and self._is_here(Head(live.object, heads)):
                del lacking[live.object]
            self._look(contact)

    def miss(self, contact: Contact, object_id: bytes) -> None:
        """An object that a peer told of is not to be had, such as one past its lifetime: it is not waited for."""
        if self.why and self._lacking.get(contact.number, {}).pop(object_id, None) is not None:
            self._look(contact)

    def forget(self, contact: int) -> None:
        """A contact is over: the next one tells again."""
        self._lacking.pop(contact, None)
        self._told_all.pop(contact, None)
        self._told_too_much.pop(contact, None)

    def _look(self, contact: Contact) -> None:
        if contact.number in self._told_all and not self._lacking.get(contact.number):
            self._end_with(contact)

    def _end_with(self, contact: Contact) -> None:
        self.end(f"all that {self.parts.adverts.name_of(contact.device)} holds is here")

    def _is_here(self, item: Head) -> bool:
        live = self.parts.spool.find(item.object)
        if live is None:
            return self.parts.eviction.tombstones.find(item.object) is not None
        return all(head in live.state.history or head == live.staged for head in item.heads)

    def judge(self, entry: Entry, contacts: Iterable[int]) -> None:
        """An entry came that was not here: with this device's key and a number never given out it has a twin.

        Contacts begin anew then: what their peers told of before is not known any more.
        """
        members = self.parts.members
        if entry.author == members.device and entry.sequence >= members.sequence_bound and not self.why:
            self.begin(TWIN)
            self.parts.effects.extend(Close(number, "quarantine") for number in contacts)

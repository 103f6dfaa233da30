"""Links of a world: contacts that open and end, messages as bytes, in order, with latency and rate."""

from __future__ import annotations

from functools import partial

from msgspec import Struct, field

from ..base.errors import PeerError
from ..base.units import SECOND_MS
from ..node import events as e
from ..node.effects import Close, Send
from ..node.messages import Entries, decode_message
from ..objects.entries import Entry, verify
from .device import Device
from .timetable import Timetable

REDIAL_MS = 5 * SECOND_MS  # a contact that one side closed is opened again so much later while the link is up


class _Link(Struct):
    """A way between two devices; a contact exists on it while it is up and both ends live."""

    ends: tuple[Device, Device]
    latency_ms: int
    bytes_per_s: int
    is_up: bool = False
    is_open: bool = False
    generation: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    free_ms: dict[str, int] = field(default_factory=dict)

    def other(self, device: Device) -> Device:
        return self.ends[1] if device is self.ends[0] else self.ends[0]


class Links:
    """All links. A contact is lost with everything under way on it, as a connection is."""

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable
        self._by_ends: dict[tuple[str, str], _Link] = {}
        self._by_contact: dict[tuple[str, int], _Link] = {}

    def put(self, one: Device, other: Device, is_up: bool, latency_ms: int, bytes_per_s: int) -> None:
        """Bring the link between two devices up or down."""
        ends = (one, other) if one.name < other.name else (other, one)
        key = (ends[0].name, ends[1].name)
        link = self._by_ends.get(key)
        if link is None:
            link = self._by_ends[key] = _Link(ends, latency_ms, bytes_per_s)
        link.latency_ms, link.bytes_per_s = latency_ms, bytes_per_s
        link.is_up = is_up
        if is_up:
            self._open(link)
        else:
            self._close(link, "the link went down")

    def open_all(self, device: Device) -> None:
        """Open contacts on all links of a device that are up."""
        for link in self._by_ends.values():
            if device in link.ends:
                self._open(link)

    def lose_all(self, device: Device, reason: str) -> None:
        """End all contacts of a device."""
        for link in self._by_ends.values():
            if device in link.ends:
                self._close(link, reason)

    def hang_up(self, device: Device, effect: Close) -> None:
        """End one contact because a side wants to, after what it said before; it is opened again later."""
        link = self._by_contact.get((device.name, effect.contact))
        if link is not None:
            at_ms = max(self._timetable.now_ms, link.free_ms[device.name]) + link.latency_ms
            self._timetable.at(at_ms, partial(self._say_goodbye, link, link.generation, effect.reason))

    def _say_goodbye(self, link: _Link, generation: int, reason: str) -> None:
        if link.generation == generation:
            self._hang_up(link, reason)

    def _open(self, link: _Link) -> None:
        if link.is_open or not link.is_up or not all(end.is_up for end in link.ends):
            return
        memberships = [end.node.membership() for end in link.ends]
        if not all(membership.is_radio_on for membership in memberships):
            return
        if not any(membership.standing_with(end.key.public) for membership, end in zip(memberships, link.ends[::-1])):
            return  # neither would dial: one's grants are withdrawn, and both know
        link.is_open = True
        link.generation += 1
        for end, peer in (link.ends, link.ends[::-1]):
            number = self._timetable.number()
            link.numbers[end.name], link.free_ms[end.name] = number, self._timetable.now_ms
            self._by_contact[(end.name, number)] = link
            grants = memberships[link.ends.index(peer)].grants
            opened = e.ContactOpened(number, peer.key.public, grants, "lan", peer.name, end is link.ends[0])
            end.inbox.append(opened)

    def _close(self, link: _Link, reason: str) -> None:
        if not link.is_open:
            return
        link.is_open = False
        for end in link.ends:
            del self._by_contact[(end.name, link.numbers[end.name])]
            if end.is_up:
                end.inbox.append(e.ContactEnded(link.numbers[end.name], reason))

    def _hang_up(self, link: _Link, reason: str) -> None:
        self._close(link, reason)
        self._timetable.at(self._timetable.now_ms + REDIAL_MS, partial(self._open, link))

    def follow_radio(self, device: Device) -> None:
        """Open or end contacts as the device's radio says."""
        is_on = device.node.membership().is_radio_on
        if is_on:
            self.open_all(device)
        else:
            self.lose_all(device, "radio off")

    def send(self, device: Device, effect: Send) -> None:
        """Put messages on their way; what the channel took is told to the sender."""
        link = self._by_contact.get((device.name, effect.contact))
        if link is None:
            return
        total = 0
        for data in effect.messages:
            total += len(data)
            spent_ms = len(data) * 1000 // link.bytes_per_s if link.bytes_per_s else 0
            link.free_ms[device.name] = max(self._timetable.now_ms, link.free_ms[device.name]) + spent_ms
            arrives_ms = link.free_ms[device.name] + link.latency_ms
            self._timetable.at(arrives_ms, partial(self._arrive, link, link.generation, link.other(device), data))
        drained = e.Drained(effect.contact, total)
        self._timetable.at(link.free_ms[device.name], partial(device.post, device.lives, drained))

    def _arrive(self, link: _Link, generation: int, device: Device, data: bytes) -> None:
        if not link.is_open or link.generation != generation:
            return
        try:
            message = decode_message(data)
        except PeerError as error:
            self._hang_up(link, str(error))
            return
        entries: list[Entry] = []
        refused = 0
        for raw in message.entries if isinstance(message, Entries) else ():
            try:
                entries.append(verify(raw))
            except PeerError:
                refused += 1
        number = link.numbers[device.name]
        device.inbox.append(e.Heard(number, message, tuple(entries), refused, len(data)))

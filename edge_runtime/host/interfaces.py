"""The machine's network interfaces as values, and the table that turns kernel reports into link events.

Pure: the table is told what the kernel reported (`netlink` reads it) and answers with what changed. An event
is a hint that it pays to look again; a spurious one costs a few packets, a missing one a contact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from ..base.limits import LINK_ADDRESSES_MAX, LINKS_MAX


class LinkChange(Enum):
    """What happened to a link."""

    APPEARED = "appeared"  # for the first time, or under a new name
    CARRIER_UP = "carrier up"  # frames pass, as far as the kernel knows
    CARRIER_DOWN = "carrier down"
    ADDRESS_ADDED = "address added"  # and ready for use: duplicate address detection is over
    ADDRESS_REMOVED = "address removed"
    GONE = "gone"


class LinkEvent(Struct, frozen=True):
    """One change of one link.

    Attributes:
        address: text without prefix or scope, for the two address changes; else None.
    """

    kind: LinkChange
    index: int
    name: str
    address: str | None = None


class Address(Struct, frozen=True):
    """One address of an interface.

    Attributes:
        text: as people write it, without prefix and without scope.
        prefix_bits: 0..32 or 0..128.
        is_ipv4: else it is IPv6.
        is_link_local: valid on its link only; IPv6 needs the interface's index to use it.
        is_tentative: duplicate address detection is under way and it cannot be bound yet.
        has_dad_failed: another host has it; it can never be bound.
    """

    text: str
    prefix_bits: int
    is_ipv4: bool
    is_link_local: bool = False
    is_tentative: bool = False
    has_dad_failed: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether a socket can be bound to it now."""
        return not self.is_tentative and not self.has_dad_failed


class Interface(Struct, frozen=True):
    """One interface and its addresses, in the kernel's order.

    Attributes:
        is_up: an administrator wants it up.
        has_carrier: up, plugged in and, on radio, associated (IFF_RUNNING).
        can_multicast: IFF_MULTICAST; Linux does not set it on loopback, where multicast works all the same.
    """

    index: int
    name: str
    is_up: bool
    has_carrier: bool
    is_loopback: bool
    can_multicast: bool
    addresses: tuple[Address, ...] = ()

    @property
    def usable_addresses(self) -> tuple[Address, ...]:
        """Those that a socket can be bound to now."""
        return tuple(address for address in self.addresses if address.is_usable)


class LinkSeen(Struct, frozen=True):
    """The kernel reports an interface; its addresses come in reports of their own."""

    interface: Interface


class LinkGone(Struct, frozen=True):
    """The kernel reports that an interface is no more."""

    index: int


class AddressSeen(Struct, frozen=True):
    """The kernel reports an address, new or changed."""

    index: int
    address: Address


class AddressGone(Struct, frozen=True):
    """The kernel reports that an address is no more."""

    index: int
    address: Address


Report = LinkSeen | LinkGone | AddressSeen | AddressGone


class LinkTable:
    """The interfaces as the kernel last reported them.

    A complete reading is bracketed by `begin_reading` and `end_reading`: what was not reported in between
    no longer exists. Bounds: `LINKS_MAX` links with `LINK_ADDRESSES_MAX` addresses each; more are not seen.
    """

    def __init__(self) -> None:
        self._interfaces: dict[int, Interface] = {}
        self._unseen_links: dict[int, None] | None = None
        self._unseen_addresses: dict[tuple[int, str], None] = {}

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """Every interface, by ascending index."""
        return tuple(self._interfaces[index] for index in sorted(self._interfaces))

    def get(self, index: int) -> Interface | None:
        """Return the interface with this index, or None if there is none now."""
        return self._interfaces.get(index)

    def index_of(self, address: str) -> int:
        """Return the index of the interface that has an address (text without scope), 0 if none is known."""
        for interface in self.interfaces:
            if any(found.text == address for found in interface.addresses):
                return interface.index
        return 0

    def can_carry(self, names: Sequence[str]) -> bool:
        """Say whether anything can be sent over one of these interfaces; for no names, over any but loopback."""
        return any(
            interface.has_carrier and interface.usable_addresses
            and (interface.name in names if names else not interface.is_loopback)
            for interface in self._interfaces.values()
        )  # fmt: skip

    def observe(self, report: Report) -> list[LinkEvent]:
        """Take one report and return what it changed, in the order in which it happened."""
        match report:
            case LinkSeen(interface):
                return self._see_link(interface)
            case LinkGone(index):
                return self._lose_link(index)
            case AddressSeen(index, address):
                return self._see_address(index, address)
            case AddressGone(index, address):
                return self._lose_address(index, address.text)
            case _:
                assert_never(report)

    def begin_reading(self) -> None:
        """Start a complete reading; reports of changes may come in between."""
        self._unseen_links = dict.fromkeys(self._interfaces)
        self._unseen_addresses = {
            (interface.index, address.text): None
            for interface in self._interfaces.values()
            for address in interface.addresses
        }

    def end_reading(self, is_repeated: bool) -> list[LinkEvent]:
        """End a complete reading: forget what it did not report.

        Args:
            is_repeated: reports were lost before it, so a carrier may have gone and come unnoticed: each
                link that has a carrier is said to have come up.
        """
        events: list[LinkEvent] = []
        for index in self._unseen_links or ():
            events += self._lose_link(index)
        for index, text in list(self._unseen_addresses):
            events += self._lose_address(index, text)
        self._unseen_links, self._unseen_addresses = None, {}
        if is_repeated:
            events += [
                LinkEvent(LinkChange.CARRIER_UP, interface.index, interface.name)
                for interface in self.interfaces
                if interface.has_carrier
            ]
        return events

    def _see_link(self, seen: Interface) -> list[LinkEvent]:
        known = self._interfaces.get(seen.index)
        if known is None and len(self._interfaces) >= LINKS_MAX:
            return []
        if self._unseen_links is not None:
            self._unseen_links.pop(seen.index, None)
        self._interfaces[seen.index] = replace(seen, addresses=known.addresses if known else ())
        events = []
        if known is None or known.name != seen.name:
            events.append(LinkEvent(LinkChange.APPEARED, seen.index, seen.name))
        if seen.has_carrier and not (known and known.has_carrier):
            events.append(LinkEvent(LinkChange.CARRIER_UP, seen.index, seen.name))
        if known and known.has_carrier and not seen.has_carrier:
            events.append(LinkEvent(LinkChange.CARRIER_DOWN, seen.index, seen.name))
        return events

    def _lose_link(self, index: int) -> list[LinkEvent]:
        known = self._interfaces.get(index)
        if known is None:
            return []
        events = []
        for address in known.addresses:
            events += self._lose_address(index, address.text)
        del self._interfaces[index]
        return [*events, LinkEvent(LinkChange.GONE, index, known.name)]

    def _see_address(self, index: int, seen: Address) -> list[LinkEvent]:
        interface = self._interfaces.get(index)
        if interface is None:
            return []
        self._unseen_addresses.pop((index, seen.text), None)
        position = _position(interface.addresses, seen.text)
        if position is None:
            if len(interface.addresses) >= LINK_ADDRESSES_MAX:
                return []
            addresses = (*interface.addresses, seen)
        else:
            addresses = (*interface.addresses[:position], seen, *interface.addresses[position + 1 :])
        self._interfaces[index] = replace(interface, addresses=addresses)
        was_usable = position is not None and interface.addresses[position].is_usable
        if seen.is_usable and not was_usable:
            return [LinkEvent(LinkChange.ADDRESS_ADDED, index, interface.name, seen.text)]
        if was_usable and not seen.is_usable:
            return [LinkEvent(LinkChange.ADDRESS_REMOVED, index, interface.name, seen.text)]
        return []

    def _lose_address(self, index: int, text: str) -> list[LinkEvent]:
        self._unseen_addresses.pop((index, text), None)
        interface = self._interfaces.get(index)
        position = _position(interface.addresses, text) if interface else None
        if interface is None or position is None:
            return []
        addresses = (*interface.addresses[:position], *interface.addresses[position + 1 :])
        self._interfaces[index] = replace(interface, addresses=addresses)
        if not interface.addresses[position].is_usable:
            return []
        return [LinkEvent(LinkChange.ADDRESS_REMOVED, index, interface.name, text)]


def _position(addresses: Iterable[Address], text: str) -> int | None:
    for position, address in enumerate(addresses):
        if address.text == text:
            return position
    return None

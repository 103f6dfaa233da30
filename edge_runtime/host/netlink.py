"""Be told by the kernel what happens to links: a reader of NETLINK_ROUTE.

`parse_reports` is pure and takes whatever bytes come. `LinkListener` is the thin part: one socket, one reader
on the loop, no timer, no thread. Own code because no small maintained package does it without one of those.

Source: RFC 3549; Linux `include/uapi/linux/{netlink,rtnetlink,if_link,if_addr}.h`, whose names are kept.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator

from msgspec import Struct

from ..base.errors import PeerError
from ..base.limits import (
    LINK_EVENTS_MAX,
    LINK_READING_MS_MAX,
    LINK_READS_MAX,
    NETLINK_BYTES_MAX,
    NETLINK_DATAGRAMS_PER_TURN_MAX,
)
from .interfaces import (
    Address,
    AddressGone,
    AddressSeen,
    Interface,
    LinkEvent,
    LinkGone,
    LinkSeen,
    LinkTable,
    Report,
)

NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN = 2, 3, 4
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
IFLA_IFNAME = 3
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_MULTICAST = 0x1, 0x8, 0x40, 0x1000
IFA_F_OPTIMISTIC, IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x04, 0x08, 0x40
NLA_TYPE_MASK = 0x3FFF

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
LINK_HEADER = struct.Struct("=BxHiII")  # family, device type, index, flags, change
ADDRESS_HEADER = struct.Struct("=BBBBI")  # family, prefix bits, flags, scope, index
ATTRIBUTE = struct.Struct("=HH")  # length with this header, type

ADDRESS_BYTES = {socket.AF_INET: 4, socket.AF_INET6: 16}


class ReadingEnd(Struct, frozen=True):
    """The kernel has answered request `sequence`; `is_whole` unless it gave up with an error."""

    sequence: int
    is_whole: bool


class Lost(Struct, frozen=True):
    """Something is not known: the kernel dropped messages, or one of them made no sense."""


def parse_reports(datagram: bytes) -> list[Report | ReadingEnd | Lost]:
    """Return what one netlink datagram reports, in order; messages of other kinds are passed over.

    A message whose content makes no sense becomes `Lost`, so that the others in its datagram still count.

    Raises:
        PeerError: `netlink`, the lengths of the messages make no sense. The caller drops the datagram and
            reads the whole state anew.

    Cost: one visit per attribute.
    """
    reports: list[Report | ReadingEnd | Lost] = []
    for kind, flags, sequence, body in _messages(datagram):
        try:
            if kind in (RTM_NEWLINK, RTM_DELLINK):
                reports += _parse_link(kind, body)
            elif kind in (RTM_NEWADDR, RTM_DELADDR):
                reports += _parse_address(kind, body)
        except PeerError:
            reports.append(Lost())
        if kind == NLMSG_OVERRUN or flags & NLM_F_DUMP_INTR:
            reports.append(Lost())
        if kind in (NLMSG_DONE, NLMSG_ERROR):
            # Both begin with 0 or a negative errno.
            code = int.from_bytes(body[:4], sys.byteorder, signed=True)
            reports.append(ReadingEnd(sequence, code == 0))
    return reports


def _messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield (type, flags, sequence, body) of each message; lengths are aligned to four bytes."""
    offset = 0
    while offset < len(datagram):
        if len(datagram) - offset < HEADER.size:
            raise PeerError("netlink", "a message header is cut short")
        length, kind, flags, sequence, _ = HEADER.unpack_from(datagram, offset)
        if not HEADER.size <= length <= len(datagram) - offset:
            raise PeerError("netlink", "a message length leads outside its datagram")
        yield kind, flags, sequence, datagram[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """Return the attributes that follow a family header; of repeated ones the last counts."""
    found: dict[int, bytes] = {}
    while offset < len(body):
        if len(body) - offset < ATTRIBUTE.size:
            raise PeerError("netlink", "an attribute header is cut short")
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        if not ATTRIBUTE.size <= length <= len(body) - offset:
            raise PeerError("netlink", "an attribute length leads outside its message")
        found[kind & NLA_TYPE_MASK] = body[offset + ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def _parse_link(kind: int, body: bytes) -> list[Report]:
    if len(body) < LINK_HEADER.size:
        raise PeerError("netlink", "a link message is cut short")
    family, _, index, flags, _ = LINK_HEADER.unpack_from(body)
    if family != socket.AF_UNSPEC:
        # A bridge reports its ports in its own family: DELLINK there means "left the bridge", not "is gone".
        return []
    if index <= 0:
        raise PeerError("netlink", "a link index is not positive")
    if kind == RTM_DELLINK:
        return [LinkGone(index)]
    name = _attributes(body, LINK_HEADER.size).get(IFLA_IFNAME, b"").split(b"\0")[0]
    if not 0 < len(name) < 16:
        raise PeerError("netlink", "a link has no proper name")
    interface = Interface(
        index=index,
        name=name.decode("utf-8", "replace"),
        is_up=bool(flags & IFF_UP),
        has_carrier=bool(flags & IFF_UP and flags & IFF_RUNNING),
        is_loopback=bool(flags & IFF_LOOPBACK),
        can_multicast=bool(flags & IFF_MULTICAST),
    )
    return [LinkSeen(interface)]


def _parse_address(kind: int, body: bytes) -> list[Report]:
    if len(body) < ADDRESS_HEADER.size:
        raise PeerError("netlink", "an address message is cut short")
    family, prefix_bits, flags, _, index = ADDRESS_HEADER.unpack_from(body)
    size = ADDRESS_BYTES.get(family)
    if size is None:
        return []
    attributes = _attributes(body, ADDRESS_HEADER.size)
    # On a point-to-point link IFA_ADDRESS is the other end and IFA_LOCAL is ours.
    packed = attributes.get(IFA_LOCAL, attributes.get(IFA_ADDRESS, b""))
    if len(packed) != size or prefix_bits > 8 * size or not 0 < index < 2**31:
        raise PeerError("netlink", "an address message makes no sense")
    wide = attributes.get(IFA_FLAGS, b"")
    if len(wide) == 4:
        (flags,) = struct.unpack("=I", wide)
    value = ipaddress.ip_address(packed)
    address = Address(
        text=str(value),
        prefix_bits=prefix_bits,
        is_ipv4=family == socket.AF_INET,
        is_link_local=value.is_link_local,
        # An optimistic address may be used while it is tentative (RFC 4429).
        is_tentative=bool(flags & IFA_F_TENTATIVE and not flags & IFA_F_OPTIMISTIC),
        has_dad_failed=bool(flags & IFA_F_DADFAILED),
    )
    return [AddressSeen(index, address) if kind == RTM_NEWADDR else AddressGone(index, address)]


class LinkListener:
    """Keeps a `LinkTable` true and yields what changes.

    Example:
        listener = LinkListener()
        await listener.start()
        async for event in listener.events(): ...

    Attributes:
        table: the interfaces; complete once `start` returned.
        readings: complete readings of the kernel's tables so far; more than one means that reports were lost.
    """

    def __init__(self) -> None:
        self.table = LinkTable()
        self.readings = 0
        self._socket: socket.socket | None = None
        self._events: asyncio.Queue[LinkEvent] = asyncio.Queue(LINK_EVENTS_MAX)
        self._is_read = asyncio.Event()
        self._sequence = 0
        self._awaited = 0  # the request under way: RTM_GETLINK, RTM_GETADDR, or 0
        self._is_doubtful = False  # something was lost since the reading under way began
        self._attempts = 0

    async def start(self, receive_buffer_bytes: int | None = None) -> None:
        """Open the socket and read the present state; that yields no events.

        Args:
            receive_buffer_bytes: None for the system's (212,992); a test makes it small.

        Raises:
            OSError: this system or sandbox has no netlink (`AF_NETLINK` in RestrictAddressFamilies), or the
                kernel did not answer in 5 s. The caller goes on without link events and says so.
        """
        assert self._socket is None, "started twice"
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket = opened
        try:
            if receive_buffer_bytes is not None:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            opened.setblocking(False)
            opened.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
            asyncio.get_running_loop().add_reader(opened, self._read)
            self._begin()
            async with asyncio.timeout(LINK_READING_MS_MAX / 1000):
                await self._is_read.wait()
        finally:
            if not self._is_read.is_set():
                self.close()

    async def events(self) -> AsyncIterator[LinkEvent]:
        """Yield each change, for ever; one consumer. It may be slow: the state is never lost, only detail."""
        while True:
            yield await self._events.get()

    def close(self) -> None:
        """Close the socket; may be called twice."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _begin(self) -> None:
        """Begin a complete reading, or note that one must follow the one under way."""
        if self._awaited:
            self._is_doubtful = True
            return
        self._is_doubtful = False
        self.table.begin_reading()
        self._request(RTM_GETLINK)

    def _request(self, kind: int) -> None:
        assert self._socket is not None
        self._sequence += 1
        self._awaited = kind
        body = LINK_HEADER.pack(0, 0, 0, 0, 0) if kind == RTM_GETLINK else ADDRESS_HEADER.pack(0, 0, 0, 0, 0)
        head = HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, 0)
        self._socket.send(head + body)

    def _read(self) -> None:
        for _ in range(NETLINK_DATAGRAMS_PER_TURN_MAX):
            if self._socket is None:
                return
            try:
                datagram, _, flags, sender = self._socket.recvmsg(NETLINK_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._begin()  # the kernel dropped reports: read the state instead
                continue
            if sender[0] != 0:
                continue  # from a process, not from the kernel
            self._take(datagram, bool(flags & socket.MSG_TRUNC))

    def _take(self, datagram: bytes, is_truncated: bool) -> None:
        try:
            reports = parse_reports(datagram)
        except PeerError:
            self._begin()
            return
        for report in reports:
            match report:
                case ReadingEnd(sequence, is_whole):
                    if sequence == self._sequence and self._awaited:
                        self._is_doubtful |= not is_whole
                        self._advance()
                case Lost():
                    self._begin()
                case _:
                    self._publish(self.table.observe(report))
        if is_truncated:
            self._begin()

    def _advance(self) -> None:
        """One request was answered whole: send the next one, or end the reading."""
        if self._awaited == RTM_GETLINK:
            self._request(RTM_GETADDR)
            return
        self._awaited = 0
        self._attempts += 1
        if self._is_doubtful and self._attempts < LINK_READS_MAX:
            self._begin()
            return
        # Links that change faster than they can be read are taken as they were read last.
        self._attempts = 0
        is_first = not self._is_read.is_set()
        events = self.table.end_reading(is_repeated=not is_first)
        self.readings += 1
        self._is_read.set()
        self._publish(events)

    def _publish(self, events: list[LinkEvent]) -> None:
        if not self._is_read.is_set():
            return
        for event in events:
            if self._events.full():
                # The consumer sleeps. Details go; the reading that follows says what is up.
                while not self._events.empty():
                    self._events.get_nowait()
                self._begin()
            self._events.put_nowait(event)

"""Does multicast pass? A question to the mDNS group on each link: what comes back of it, and who else answers.

One packet a link. Our own copy, looped back by the kernel, shows that no rule of this machine drops it; answers of
others show that the network carries it. That nobody answers is no proof: there may be nobody. Whether machines are
there that could answer is told by the neighbour table. Source: RFC 6762 sections 5.1 and 11; ip(7), IP_MULTICAST_LOOP.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import ExitStack

from msgspec import Struct

from ...base.limits import DOCTOR_LINKS_MAX
from ..interfaces import Interface
from .finding import Finding, fine, warn, wrong

PORT = 5353
GROUP4, GROUP6 = "224.0.0.251", "ff02::fb"
# Asked for: any service (RFC 6763 section 9), which other machines answer, and our own.
QUESTIONS = (("_services", "_dns-sd", "_udp", "local"), ("_edge-runtime", "_tcp", "local"))
OWN_LABEL = b"\x0d_edge-runtime"
WAIT_S = 1.5  # answers to shared questions are delayed by up to 120 ms (section 6), and radio has its own delays
DATAGRAM_BYTES = 9_000


class Heard(Struct, frozen=True):
    """What one link brought.

    Attributes:
        has_own: our own packet came back. others: addresses of others that sent anything. devices: how many of those
            said that they are edge-runtime devices.
        error: why nothing could be sent, empty if it was.
    """

    interface: str
    has_own: bool = False
    others: tuple[str, ...] = ()
    devices: int = 0
    error: str = ""


def question(number: int) -> bytes:
    """Return an mDNS query with this id (a responder ignores it, and we know our own packet by it)."""
    head = struct.pack(">HHHHHH", number, 0, len(QUESTIONS), 0, 0, 0)
    names = [b"".join(bytes([len(part)]) + part.encode() for part in name) + b"\0" for name in QUESTIONS]
    return head + b"".join(name + struct.pack(">HH", 12, 1) for name in names)  # PTR, IN


def probe(links: Sequence[Interface], wait_s: float = WAIT_S) -> list[Heard]:
    """Ask on each link, all at once, and say what came within `wait_s`; at most DOCTOR_LINKS_MAX links."""
    own = {address.text: None for link in links for address in link.addresses}
    sockets: dict[socket.socket, Interface] = {}
    failed: list[Heard] = []
    asked = question(int.from_bytes(os.urandom(2)) | 1)
    with ExitStack() as stack:
        for link in links[:DOCTOR_LINKS_MAX]:
            try:
                opened = stack.enter_context(_open(link))
                _send(opened, link, asked)
                sockets[opened] = link
            except OSError as error:
                failed.append(Heard(link.name, error=error.strerror or str(error)))
        return _listen(sockets, asked, own, wait_s) + failed


def _open(link: Interface) -> socket.socket:
    is_ipv4 = any(address.is_ipv4 for address in link.usable_addresses)
    made = socket.socket(socket.AF_INET if is_ipv4 else socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # beside the daemon and any other responder
        if is_ipv4:
            request = struct.pack("=4s4si", socket.inet_aton(GROUP4), bytes(4), link.index)  # struct ip_mreqn
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
            made.bind((GROUP4, PORT))  # to the group: what is sent to this machine alone stays with its responder
            made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        else:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            made.bind((GROUP6, PORT, 0, link.index))
            request = socket.inet_pton(socket.AF_INET6, GROUP6) + struct.pack("=i", link.index)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    except OSError:
        made.close()
        raise
    return made


def _send(made: socket.socket, link: Interface, data: bytes) -> None:
    made.sendto(data, (GROUP4, PORT) if made.family == socket.AF_INET else (GROUP6, PORT, 0, link.index))


def _listen(sockets: dict[socket.socket, Interface], asked: bytes, own: dict[str, None], wait_s: float) -> list[Heard]:
    has_own: dict[str, None] = {}
    others: dict[str, dict[str, None]] = {link.name: {} for link in sockets.values()}
    devices: dict[str, dict[str, None]] = {link.name: {} for link in sockets.values()}
    until_s = time.monotonic() + wait_s
    while (left_s := until_s - time.monotonic()) > 0:
        ready, _, _ = select.select(list(sockets), [], [], left_s)
        for made in ready:
            data, sender = made.recvfrom(DATAGRAM_BYTES)
            name, address = sockets[made].name, str(sender[0]).partition("%")[0]
            if data == asked:  # by its random id: on loopback it carries the address of another link
                has_own[name] = None
            elif address not in own:
                others[name][address] = None
                if OWN_LABEL in data and data[2:3] >= b"\x80":  # an answer, not the same question by another
                    devices[name][address] = None
    return [
        Heard(link.name, link.name in has_own, tuple(others[link.name]), len(devices[link.name]))
        for link in sockets.values()
    ]


def judge(heard: Heard, neighbours: int, has_static_peers: bool) -> Finding:
    """Return what a probe's result means.

    Args:
        neighbours: other machines on that link that answered this one lately.
        has_static_peers: the configuration names peers, so that discovery is not all.
    """
    link, name_peers = heard.interface, "name peers: `[network] peers` in the configuration, or `run --peer HOST:PORT`"
    blame = warn if has_static_peers else wrong
    if heard.error:
        return blame("multicast", f"{link}: nothing can be sent to the mDNS group: {heard.error}.",
                     f"See `ip maddress show dev {link}` and the machine's firewall, or {name_peers}.")  # fmt: skip
    if not heard.has_own:
        says = f"{link}: our own multicast packet did not come back: a rule of this machine drops it."
        do = f"Let UDP port {PORT} to {GROUP4} and {GROUP6} pass in the firewall, or {name_peers}."
        return blame("multicast", says, do)
    if heard.others:
        devices = f", {heard.devices} of them edge-runtime" if heard.devices else ""
        return fine("multicast", f"{link}: {len(heard.others)} other machine(s) were heard{devices}.")
    if neighbours:
        says = (
            f"{link}: no other machine was heard by multicast, though {neighbours} answer(s) this one. Either none "
            "speaks mDNS, or the network lets no multicast pass (client isolation, IGMP snooping)."
        )
        return warn("multicast", says, f"Turn client isolation off at the access point, or {name_peers}.")
    return fine("multicast", f"{link}: multicast works on this side; nobody else is there.")


def count_neighbours(arp: str, link: str) -> int:
    """Return how many machines of a link the kernel has an address of. Source: proc(5), /proc/net/arp."""
    rows = [line.split() for line in arp.splitlines()[1:]]
    return sum(len(row) == 6 and row[5] == link and int(row[2], 16) & 0x2 != 0 for row in rows)

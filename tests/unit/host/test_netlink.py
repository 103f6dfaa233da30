"""The netlink reader: its parser on good and hostile bytes, its listener on this machine's kernel."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.base.errors import PeerError
from edge_runtime.host.interfaces import Address, AddressGone, AddressSeen, Interface, LinkGone, LinkSeen
from edge_runtime.host.netlink import LinkListener, Lost, ReadingEnd, parse_reports

NEWLINK, DELLINK, NEWADDR, DELADDR, DONE, ERROR, OVERRUN, INTERRUPTED = 16, 17, 20, 21, 3, 2, 4, 0x10


def message(kind: int, body: bytes, flags: int = 0, sequence: int = 7) -> bytes:
    head = struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0)
    return head + body + b"\0" * (-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def link(kind: int = NEWLINK, index: int = 2, flags: int = 0x1041, family: int = 0, name: bytes = b"eth0") -> bytes:
    head = struct.pack("=BxHiII", family, 1, index, flags, 0)
    return message(kind, head + attribute(4, b"\xdc\x05\0\0") + attribute(3, name + b"\0"))


def address(kind: int = NEWADDR, text: str = "10.0.0.1", bits: int = 24, flags: int = 0x80, more: bytes = b"") -> bytes:
    packed = ipaddress.ip_address(text).packed
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return message(kind, struct.pack("=BBBBI", family, bits, flags, 0, 2) + attribute(1, packed) + more)


ETH = Interface(2, "eth0", is_up=True, has_carrier=True, is_loopback=False, can_multicast=True)


def test_links_and_addresses_are_read_in_order_from_one_datagram() -> None:
    assert parse_reports(link() + address() + address(DELADDR) + link(DELLINK)) == [
        LinkSeen(ETH),
        AddressSeen(2, Address("10.0.0.1", 24, is_ipv4=True)),
        AddressGone(2, Address("10.0.0.1", 24, is_ipv4=True)),
        LinkGone(2),
    ]


def test_up_without_running_is_no_carrier() -> None:
    [report] = parse_reports(link(flags=0x1001))
    assert isinstance(report, LinkSeen) and report.interface.is_up and not report.interface.has_carrier


def test_a_port_that_leaves_a_bridge_is_not_gone() -> None:
    assert parse_reports(link(DELLINK, family=socket.AF_BRIDGE)) == []


def test_a_tentative_address_is_not_usable_but_an_optimistic_one_is() -> None:
    wide = {flags: attribute(8, struct.pack("=I", flags)) for flags in (0x40, 0x44, 0x48, 0x80)}
    usable = {}
    for flags, more in wide.items():
        [report] = parse_reports(address(text="fe80::1", bits=64, flags=0, more=more))
        assert isinstance(report, AddressSeen) and report.address.is_link_local
        usable[flags] = report.address.is_usable
    assert usable == {0x40: False, 0x44: True, 0x48: False, 0x80: True}


def test_the_local_end_of_a_point_to_point_link_is_ours() -> None:
    local = attribute(2, ipaddress.ip_address("10.0.0.2").packed)
    [report] = parse_reports(address(text="10.0.0.9", bits=32, more=local))
    assert isinstance(report, AddressSeen) and report.address.text == "10.0.0.2"


def test_the_end_of_a_reading_says_whether_it_was_whole() -> None:
    assert parse_reports(message(DONE, b"\0\0\0\0")) == [ReadingEnd(7, True)]
    assert parse_reports(message(DONE, b"\0\0\0\0", INTERRUPTED)) == [Lost(), ReadingEnd(7, True)]
    assert parse_reports(message(ERROR, struct.pack("=i", -16) + b"\0" * 16)) == [ReadingEnd(7, False)]
    assert parse_reports(message(OVERRUN, b"")) == [Lost()]


@pytest.mark.parametrize(
    "bad",
    [
        link(index=0),
        link(name=b""),
        link(name=b"longer-than-15-b"),
        message(NEWLINK, b"\0" * 8),
        message(NEWADDR, b"\0" * 4),
        message(NEWADDR, struct.pack("=BBBBI", socket.AF_INET, 24, 0, 0, 2) + attribute(1, b"\x0a\0\0")),
        address(bits=33),
        message(NEWLINK, struct.pack("=BxHiII", 0, 1, 2, 0, 0) + struct.pack("=HH", 99, 3)),
        message(NEWLINK, struct.pack("=BxHiII", 0, 1, 2, 0, 0) + struct.pack("=HH", 0, 3)),
        message(NEWLINK, struct.pack("=BxHiII", 0, 1, 2, 0, 0) + b"\0\0"),
    ],
)
def test_a_message_that_makes_no_sense_is_lost_and_the_next_one_counts(bad: bytes) -> None:
    assert parse_reports(bad + link(DELLINK)) == [Lost(), LinkGone(2)]


@pytest.mark.parametrize("bad", [b"\0", struct.pack("=IHHII", 15, 16, 0, 0, 0), link()[:-4] + b""])
def test_lengths_that_make_no_sense_refuse_the_datagram(bad: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        parse_reports(bad)
    assert caught.value.reason == "netlink"


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        assert len(parse_reports(data)) <= 3 * len(data)
    except PeerError as error:
        assert error.reason == "netlink"


@given(st.data())
def test_a_damaged_datagram_is_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(link() + address(text="fe80::1", bits=64) + message(DONE, b"\0\0\0\0"))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_reports(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    except PeerError as error:
        assert error.reason == "netlink"


async def test_the_table_is_complete_when_the_listener_has_started() -> None:
    listener = LinkListener()
    await listener.start()
    try:
        names = {interface.name: interface for interface in listener.table.interfaces}
        assert list(names) == [name for _, name in sorted(socket.if_nameindex())]
        assert names["lo"].is_loopback
        assert "127.0.0.1" in [one.text for one in names["lo"].addresses]
        assert listener.readings == 1
    finally:
        listener.close()


async def test_a_reading_asked_for_during_another_follows_it_and_tells_of_every_carrier() -> None:
    listener = LinkListener()
    await listener.start()
    try:
        listener._begin()  # reports were lost
        listener._begin()  # and again, before the answer
        carriers = [one.name for one in listener.table.interfaces if one.has_carrier]
        events = listener.events()
        async with asyncio.timeout(5):
            assert [(await anext(events)).name for _ in carriers] == carriers
        assert listener.readings == 2
    finally:
        listener.close()
        listener.close()

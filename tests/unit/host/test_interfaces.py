"""The table of interfaces: what counts as an event."""

from __future__ import annotations

from msgspec.structs import replace

from edge_runtime.base.limits import LINK_ADDRESSES_MAX, LINKS_MAX
from edge_runtime.host.interfaces import (
    Address,
    AddressGone,
    AddressSeen,
    Interface,
    LinkChange,
    LinkEvent,
    LinkGone,
    LinkSeen,
    LinkTable,
)

ETH = Interface(2, "eth0", is_up=True, has_carrier=True, is_loopback=False, can_multicast=True)
DARK = replace(ETH, has_carrier=False)
IPV4 = Address("10.0.0.1", 24, is_ipv4=True)
IPV6 = Address("fe80::1", 64, is_ipv4=False, is_link_local=True)
TENTATIVE = replace(IPV6, is_tentative=True)


def kinds(events: list[LinkEvent]) -> list[LinkChange]:
    return [event.kind for event in events]


def test_a_new_interface_appears_and_its_carrier_is_news_of_its_own() -> None:
    table = LinkTable()
    assert kinds(table.observe(LinkSeen(DARK))) == [LinkChange.APPEARED]
    assert kinds(table.observe(LinkSeen(ETH))) == [LinkChange.CARRIER_UP]
    assert kinds(table.observe(LinkSeen(DARK))) == [LinkChange.CARRIER_DOWN]


def test_a_report_that_changes_nothing_is_no_event() -> None:
    table = LinkTable()
    table.observe(LinkSeen(ETH))
    table.observe(AddressSeen(2, IPV4))
    assert table.observe(LinkSeen(ETH)) == []
    assert table.observe(AddressSeen(2, IPV4)) == []
    assert table.get(2) == replace(ETH, addresses=(IPV4,))


def test_a_renamed_interface_appears_under_its_new_name_and_keeps_its_addresses() -> None:
    table = LinkTable()
    table.observe(LinkSeen(ETH))
    table.observe(AddressSeen(2, IPV4))
    assert table.observe(LinkSeen(replace(ETH, name="lan0"))) == [LinkEvent(LinkChange.APPEARED, 2, "lan0")]
    assert table.interfaces[0].addresses == (IPV4,)


def test_an_address_is_added_only_when_duplicate_detection_is_over() -> None:
    table = LinkTable()
    table.observe(LinkSeen(ETH))
    assert table.observe(AddressSeen(2, TENTATIVE)) == []
    assert table.interfaces[0].usable_addresses == ()
    added = LinkEvent(LinkChange.ADDRESS_ADDED, 2, "eth0", "fe80::1")
    assert table.observe(AddressSeen(2, IPV6)) == [added]
    failed = replace(IPV6, has_dad_failed=True)
    assert kinds(table.observe(AddressSeen(2, failed))) == [LinkChange.ADDRESS_REMOVED]
    assert table.observe(AddressGone(2, failed)) == []


def test_an_interface_that_goes_takes_its_addresses_along_first() -> None:
    table = LinkTable()
    table.observe(LinkSeen(ETH))
    table.observe(AddressSeen(2, IPV4))
    assert table.observe(LinkGone(2)) == [
        LinkEvent(LinkChange.ADDRESS_REMOVED, 2, "eth0", "10.0.0.1"),
        LinkEvent(LinkChange.GONE, 2, "eth0"),
    ]
    assert table.interfaces == ()
    assert table.observe(LinkGone(2)) == []


def test_a_complete_reading_forgets_what_it_did_not_report() -> None:
    table = LinkTable()
    table.observe(LinkSeen(ETH))
    table.observe(AddressSeen(2, IPV4))
    table.observe(AddressSeen(2, IPV6))
    table.observe(LinkSeen(replace(ETH, index=3, name="usb0")))
    table.begin_reading()
    table.observe(LinkSeen(ETH))
    table.observe(AddressSeen(2, IPV6))
    assert table.end_reading(is_repeated=False) == [
        LinkEvent(LinkChange.GONE, 3, "usb0"),
        LinkEvent(LinkChange.ADDRESS_REMOVED, 2, "eth0", "10.0.0.1"),
    ]
    assert table.interfaces == (replace(ETH, addresses=(IPV6,)),)


def test_after_lost_reports_every_link_with_a_carrier_is_said_to_have_come_up() -> None:
    table = LinkTable()
    table.observe(LinkSeen(ETH))
    table.observe(LinkSeen(replace(DARK, index=3, name="usb0")))
    table.begin_reading()
    table.observe(LinkSeen(ETH))
    table.observe(LinkSeen(replace(DARK, index=3, name="usb0")))
    assert table.end_reading(is_repeated=True) == [LinkEvent(LinkChange.CARRIER_UP, 2, "eth0")]


def test_an_address_of_an_unknown_interface_is_passed_over() -> None:
    table = LinkTable()
    assert table.observe(AddressSeen(9, IPV4)) == []
    assert table.observe(AddressGone(9, IPV4)) == []


def test_links_and_addresses_beyond_the_bound_are_not_seen() -> None:
    table = LinkTable()
    for index in range(1, LINKS_MAX + 3):
        table.observe(LinkSeen(replace(ETH, index=index)))
    for number in range(LINK_ADDRESSES_MAX + 3):
        table.observe(AddressSeen(1, replace(IPV4, text=f"10.0.1.{number}")))
    assert len(table.interfaces) == LINKS_MAX
    assert len(table.interfaces[0].addresses) == LINK_ADDRESSES_MAX
    # A place that becomes free is used again.
    table.observe(LinkGone(5))
    assert kinds(table.observe(LinkSeen(replace(ETH, index=LINKS_MAX + 1))))[0] is LinkChange.APPEARED

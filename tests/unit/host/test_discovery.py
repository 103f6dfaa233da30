"""Discovery: its rhythm, its choice of addresses, what it believes of a peer, and two devices on loopback."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from edge_runtime.base.errors import PeerError
from edge_runtime.host.discovery import Card, Discovery, Pulse, Scope, Sighting, read_found
from edge_runtime.host.interfaces import Address, Interface, LinkChange, LinkEvent, LinkTable
from edge_runtime.host.mdns import Found
from edge_runtime.host.netlink import LinkListener

LO = Interface(1, "lo", True, True, True, False, (Address("127.0.0.1", 8, True), Address("::1", 128, False)))
LOCAL = Address("fe80::1", 64, is_ipv4=False, is_link_local=True)
GLOBAL = Address("fd00::1", 64, is_ipv4=False)
ETH = Interface(2, "eth0", True, True, False, True, (Address("10.0.0.1", 24, True), GLOBAL, LOCAL))
USB = Interface(3, "usb0", True, True, False, True, (Address("10.0.1.1", 24, True),))
PAIRS = (("v", "1"), ("f", "f00d"), ("k", "beef"))
FOUND = Found("00000000000000a1", 4000, PAIRS, ("10.0.0.7",))


def rounds_of(pulse: Pulse, strikes: list[int], is_idle: Callable[[int], bool] = lambda now: False) -> list[int]:
    """Return when rounds are done, with strikes at these ms, until the pulse is quiet."""
    done: list[int] = []
    waiting, now = list(strikes), 0
    while True:
        due = pulse.next_ms()
        if waiting and (due is None or waiting[0] <= max(due, now)):
            now = max(now, waiting.pop(0))
            pulse.strike(now)
            continue
        if due is None:
            return done
        now = max(now, due)
        done.append(now)
        pulse.end_round(now, is_idle(now))


def test_a_link_event_is_answered_at_once_and_each_second_for_the_time_set() -> None:
    assert rounds_of(Pulse(3_000), [5_000]) == [5_000, 6_000, 7_000, 8_000]


def test_forty_seconds_are_forty_one_rounds_and_then_silence() -> None:
    assert len(rounds_of(Pulse(40_000), [10])) == 41


def test_events_of_one_moment_share_a_round_and_a_flapping_link_gets_one_a_second() -> None:
    done = rounds_of(Pulse(2_000), list(range(10_000, 20_000, 10)))
    assert done[:6] == [10_000, 10_050, 10_150, 10_350, 10_750, 11_550]
    assert [later - earlier for earlier, later in zip(done[6:-2], done[7:-1], strict=True)] == [1_000] * (len(done) - 8)


def test_after_a_second_of_peace_the_next_event_is_answered_at_once() -> None:
    assert rounds_of(Pulse(2_000), [1_000, 1_010, 2_500])[:4] == [1_000, 1_050, 2_050, 2_500]


def test_a_round_without_a_link_delays_nothing_and_is_not_repeated() -> None:
    """The first events of an adapter come before its address does."""
    done = rounds_of(Pulse(1_000), [1_000, 1_003, 1_004], is_idle=lambda now: now < 1_004)
    assert done == [1_000, 1_003, 1_004, 2_004]
    assert rounds_of(Pulse(40_000), [1_000], is_idle=lambda now: True) == [1_000]


def test_one_address_of_each_family_is_served_and_all_are_announced() -> None:
    scope = Scope([LO, ETH, USB], None)
    assert scope.choices() == ["10.0.0.1", "fe80::1", "10.0.1.1"]
    assert scope.own_addresses() == ("10.0.0.1", "fd00::1", "fe80::1", "10.0.1.1")


def test_an_ipv6_address_that_two_interfaces_have_is_served_by_index() -> None:
    twin = replace(USB, addresses=(LOCAL,))
    assert Scope([ETH, twin], None).choices() == ["10.0.0.1", 2, 3]


@pytest.mark.parametrize(
    "unfit",
    [
        replace(ETH, has_carrier=False),
        replace(ETH, can_multicast=False),
        replace(ETH, addresses=()),
        replace(ETH, addresses=(replace(LOCAL, is_tentative=True),)),
        LO,
    ],
)
def test_an_interface_that_cannot_be_used_is_not_chosen(unfit: Interface) -> None:
    assert Scope([unfit], None).choices() == []


def test_named_interfaces_bound_what_is_served_and_whom_we_dial() -> None:
    scope = Scope([LO, ETH, USB], ["usb0"])
    assert scope.choices() == ["10.0.1.1"]
    assert scope.reachable(["10.0.1.9", "10.0.0.9", "fe80::9%2", "fe80::9%3", "127.0.0.1"]) == (
        "10.0.1.9",
        "fe80::9%3",
    )


def test_loopback_by_name_stays_on_the_machine() -> None:
    scope = Scope([LO, ETH], ["lo"])
    assert scope.choices() == ["127.0.0.1"]
    assert scope.own_addresses() == ("127.0.0.1",)
    assert scope.reachable(["127.0.0.1", "10.0.0.9", "fe80::9"]) == ("127.0.0.1",)


def test_loopback_is_not_announced_beside_a_real_interface() -> None:
    assert Scope([LO, USB], ["lo", "usb0"]).own_addresses() == ("10.0.1.1",)


def test_a_link_local_address_without_scope_is_tried_on_each_interface() -> None:
    scope = Scope([LO, ETH, USB], None)
    assert scope.reachable(["fe80::9"]) == ("fe80::9%2", "fe80::9%3")
    assert scope.reachable(["fe80::9%3", "8.8.8.8", "0.0.0.0", "ff02::1"]) == ("fe80::9%3", "8.8.8.8")


def test_a_peer_with_many_addresses_is_cut_to_sixteen() -> None:
    found = replace(FOUND, addresses=tuple(f"10.0.0.{number}" for number in range(1, 100)))
    sighting = read_found(found, Scope([ETH], None))
    assert sighting is not None and len(sighting.addresses) == 16


def test_what_a_peer_announced_becomes_a_sighting() -> None:
    expected = Sighting("00000000000000a1", ("10.0.0.7",), 4000, Card(1, "f00d", "beef"))
    assert read_found(FOUND, Scope([ETH], None)) == expected


def test_a_peer_that_cannot_be_dialled_is_no_sighting() -> None:
    assert read_found(FOUND, Scope([USB], ["usb0"])) is None


@pytest.mark.parametrize(
    "bad",
    [
        replace(FOUND, instance="printer"),
        replace(FOUND, instance="00000000000000A1"),
        replace(FOUND, port=0),
        replace(FOUND, port=65_536),
        replace(FOUND, pairs=PAIRS[1:]),
        replace(FOUND, pairs=(("v", "0"), *PAIRS[1:])),
        replace(FOUND, pairs=(("v", "1\n"), *PAIRS[1:])),
        replace(FOUND, pairs=(("v", "1"), ("f", "x" * 65))),
        replace(FOUND, addresses=("no address",)),
    ],
)
def test_an_announcement_that_breaks_a_rule_is_refused(bad: Found) -> None:
    with pytest.raises(PeerError) as caught:
        read_found(bad, Scope([ETH], None))
    assert caught.value.reason == "announcement"


async def test_two_devices_on_loopback_find_each_other_and_again_after_a_link_event() -> None:
    listener = LinkListener()
    await listener.start()
    names = [secrets.token_hex(8), secrets.token_hex(8)]
    sightings: asyncio.Queue[tuple[str, Sighting]] = asyncio.Queue()
    devices = [
        Discovery(
            name,
            4_000 + number,
            Card(1, "f00d", "beef"),
            ["lo"],
            listener.table,
            lambda sighting, name=name: sightings.put_nowait((name, sighting)),  # type: ignore[misc]
        )
        for number, name in enumerate(names)
    ]
    wanted = {
        (names[0], Sighting(names[1], ("127.0.0.1",), 4_001, Card(1, "f00d", "beef"))),
        (names[1], Sighting(names[0], ("127.0.0.1",), 4_000, Card(1, "f00d", "beef"))),
    }
    try:
        for device in devices:
            await device.start()
        async with asyncio.timeout(10):
            missing = set(wanted)
            while missing:
                missing.discard(await sightings.get())
            await devices[0].link_changed(LinkEvent(LinkChange.CARRIER_UP, 1, "lo"))
            missing = set(wanted)
            while missing:
                missing.discard(await sightings.get())
        assert [device.trouble for device in devices] == [None, None]
    finally:
        for device in devices:
            await device.stop()
        listener.close()


async def test_without_a_link_it_starts_all_the_same_and_stops_at_once() -> None:
    device = Discovery("0" * 16, 4_000, Card(1, "", ""), None, LinkTable(), lambda sighting: None)
    await device.stop()
    await device.start()
    await asyncio.sleep(0)
    began = time.monotonic()
    await device.stop()
    await device.stop()
    assert device.trouble is None
    assert time.monotonic() - began < 1

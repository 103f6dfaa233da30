"""The checks of daemon, links and peers, with what they say as an argument."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.host.doctor.device import check_daemon, check_links, check_peers, is_radio_on
from edge_runtime.host.doctor.finding import Known, Level, Place
from edge_runtime.host.interfaces import Address, Interface

STATUS: dict[str, Any] = {"radio": "on", "trouble": None, "apps_failed": [], "hung_threads": 0, "held": False}
PEER = {"device": "ab", "name": "base", "connected": False, "last_ms": 120_000}
DOWN = Interface(2, "eth0", True, False, False, True)
BARE = Interface(3, "wlan0", True, True, False, True, (Address("fe80::1", 64, False, True, is_tentative=True),))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, None, tmp_path / "control.sock")


@pytest.mark.parametrize(
    ("change", "check", "level", "says"),
    [
        ({}, "daemon", Level.OK, "answers"),
        ({"trouble": "the spool cannot be written: disk full"}, "daemon", Level.ERROR, "disk full"),
        ({"apps_failed": ["survey:app: no such module"]}, "apps", Level.ERROR, "no such module"),
        ({"hung_threads": 2}, "steps", Level.WARNING, "2 step(s)"),
        ({"storage": {"takes_in": False, "reason": "the disk is full"}}, "storage", Level.ERROR, "the disk is full"),
        ({"storage": {"takes_in": True}, "bytes": {"limit": 100 << 20, "used": 95 << 20}}, "storage", Level.WARNING,
         "95.0 of 100 MiB"),
        ({"storage": {"takes_in": True}, "bytes": {"limit": 100 << 20, "used": 5 << 20}}, "storage", Level.OK, "5.0 of"),
        ({"drop": {"trouble": "the drop folder cannot be used: No space left"}}, "drop", Level.ERROR, "No space left"),
        ({"held": True}, "held", Level.WARNING, "no new effects"),
    ],
)
def test_what_the_daemon_says_of_itself_becomes_a_finding(
    change: dict[str, Any], check: str, level: Level, says: str
) -> None:  # fmt: skip
    found = check_daemon(Known({**STATUS, **change}))[-1]
    assert (found.check, found.level) == (check, level) and says in found.says


def test_a_daemon_that_began_before_the_installed_code_is_to_be_restarted() -> None:
    (found,) = check_daemon(Known(STATUS, process=1))
    assert found.level is Level.WARNING and "restart" in found.do, "the machine's first process is older than the code"
    (found,) = check_daemon(Known(STATUS, process=os.getpid()))
    assert found.level is Level.OK


def test_without_a_daemon_it_is_said_how_to_start_one() -> None:
    (found,) = check_daemon(Known(why_not="No daemon answers at x. Start one."))
    assert found.level is Level.WARNING and found.says == "No daemon answers at x." and "edge-runtime run" in found.do


def test_links_without_carrier_or_address_are_named(place: Place) -> None:
    (link, *_) = check_links(place, Known(), [DOWN, BARE])
    assert link.level is Level.WARNING and "eth0 has no carrier, wlan0 has no address" in link.says
    (link, *_) = check_links(place, Known(), [])
    assert "no network interface" in link.says


def test_an_interface_that_the_configuration_names_and_that_is_not_there_must_be_put_right(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[network]\ninterfaces = ["eth0", "wlan7"]\n')
    found = check_links(Place(tmp_path, config, tmp_path / "s"), Known(), [DOWN])
    assert [item.says for item in found if item.level is Level.ERROR] == [
        "The configuration names wlan7, which is no interface here."
    ]


def test_while_the_radio_is_off_nothing_is_sent(place: Place) -> None:
    """Behaviour: 14.10"""
    up = Interface(2, "eth0", True, True, False, True, (Address("192.0.2.1", 24, True),))
    found = check_links(place, Known({**STATUS, "radio": "off"}), [up])
    assert [item.check for item in found] == ["link", "radio"]
    assert not is_radio_on(place, Known(is_refused=True)), "unsure means silence"
    assert is_radio_on(place, Known())
    (place.state / "spool.db").write_bytes(b"no spool")
    assert not is_radio_on(place, Known())


def test_peers_are_counted_and_the_last_contact_is_told() -> None:
    def says(*peers: dict[str, Any]) -> str:
        return check_peers(Known(STATUS, peers))[-1].says

    assert says() == "No other device is known yet. Let a device in: `edge-runtime grant DEVICE -o FILE`."
    assert says(PEER) == "No peer is in contact; the last one was met 2 min ago (1 known)."
    assert says({**PEER, "last_ms": None}) == "No peer is in contact; none was met yet (1 known)."
    assert says(PEER, {**PEER, "connected": True}) == "1 of 2 known peers in contact."
    silent = {**STATUS, "links": {"heard_by_multicast": 0}}
    (alone, _) = check_peers(Known(silent, ({**PEER, "connected": True},)))
    assert alone.level is Level.WARNING and "none is heard by multicast" in alone.says
    (trouble, _) = check_peers(Known({**STATUS, "links": {"discovery_trouble": "no multicast"}}, (PEER,)))
    assert trouble.level is Level.WARNING and "no multicast" in trouble.says

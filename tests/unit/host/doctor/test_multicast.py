"""What a probe's result means; the probe itself on this machine's loopback, and on a real LAN in `tests/netns`."""

from __future__ import annotations

import pytest

from edge_runtime.host.doctor.finding import Level
from edge_runtime.host.doctor.multicast import Heard, count_neighbours, judge, probe, question
from edge_runtime.host.interfaces import Address, Interface

ARP = """IP address       HW type     Flags       HW address            Mask     Device
10.77.0.1        0x1         0x2         aa:bb:cc:dd:ee:01     *        eth0
10.77.0.9        0x1         0x0         00:00:00:00:00:00     *        eth0
10.78.0.1        0x1         0x2         aa:bb:cc:dd:ee:02     *        eth1
"""


@pytest.mark.parametrize(
    ("heard", "neighbours", "level", "says"),
    [
        (Heard("w", True, ("10.0.0.2",), 1), 1, Level.OK, "1 other machine(s) were heard, 1 of them edge-runtime"),
        (Heard("w", True), 0, Level.OK, "nobody else is there"),
        (Heard("w", True), 3, Level.WARNING, "client isolation"),
        (Heard("w", False), 3, Level.ERROR, "a rule of this machine"),
        (Heard("w", error="Network is unreachable"), 0, Level.ERROR, "Network is unreachable"),
    ],
)
def test_what_a_probe_brought_says_where_multicast_ends(
    heard: Heard, neighbours: int, level: Level, says: str
) -> None:  # fmt: skip
    """Behaviour: 14.10"""
    found = judge(heard, neighbours, has_static_peers=False)
    assert found.level is level and says in found.says
    assert ("--peer HOST:PORT" in found.do) is (level is not Level.OK)
    if level is Level.ERROR:
        assert judge(heard, neighbours, has_static_peers=True).level is Level.WARNING, "static peers still work"


def test_neighbours_that_answered_are_counted_by_link() -> None:
    assert [count_neighbours(ARP, name) for name in ("eth0", "eth1", "wlan0")] == [1, 1, 0]
    assert count_neighbours("", "eth0") == 0


def test_the_question_is_one_that_a_responder_understands() -> None:
    from zeroconf import DNSIncoming

    read = DNSIncoming(question(4711))
    assert read.valid and read.is_query()
    assert [asked.name for asked in read.questions] == ["_services._dns-sd._udp.local.", "_edge-runtime._tcp.local."]


def test_on_loopback_our_own_packet_comes_back() -> None:
    """Behaviour: 14.10"""
    loopback = Interface(1, "lo", True, True, True, False, (Address("127.0.0.1", 8, True),))
    (heard,) = probe([loopback], wait_s=1.0)
    assert heard.has_own and not heard.error


def test_a_link_that_cannot_send_says_why_and_costs_the_others_nothing() -> None:
    gone = Interface(99_999, "gone0", True, True, False, True, (Address("192.0.2.9", 24, True),))
    loopback = Interface(1, "lo", True, True, True, False, (Address("127.0.0.1", 8, True),))
    found = {heard.interface: heard for heard in probe([gone, loopback], wait_s=1.0)}
    assert found["gone0"].error and found["lo"].has_own

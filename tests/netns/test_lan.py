"""The LAN harness does what its names say; everything measured on it leans on that."""

from __future__ import annotations

import sys

from tests.support.lan import Ipv6, Lan
from tests.support.requires import require

# Sends COUNT datagrams to an echo at HOST, one after the other, and prints how many came back.
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(float(sys.argv[3]))
back = 0
for number in range(int(sys.argv[2])):
    try:
        s.sendto(b"%d" % number, (sys.argv[1], 7))
        while s.recv(99) != b"%d" % number: pass
        back += 1
    except OSError: pass
print(back)
"""
ECHO = """
import json, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 7))
print(json.dumps({"ready": True}), flush=True)
while True: s.sendto(*s.recvfrom(99))
"""


def ask(lan: Lan, count: int, timeout_s: float = 0.05) -> int:
    argv = [sys.executable, "-c", ASK, lan.address(2), str(count), str(timeout_s)]
    return int(lan.run(1, argv))


def test_each_kind_of_trouble_stops_frames_and_its_end_lets_them_pass() -> None:
    require("command:nft")
    with Lan(2, ipv6=Ipv6.OFF) as lan:
        lan.watch(2, [sys.executable, "-c", ECHO]).wait(lambda line: "ready" in line, 20)
        assert ask(lan, 1, 2) == 1
        for host, bad, good in (
            (1, lan.cut, lan.heal),
            (1, lan.cut_silent, lan.heal_silent),
            (2, lan.set_down, lan.set_up),
            (2, lan.unplug, lan.plug),
        ):
            bad(host)
            assert ask(lan, 2) == 0
            good(host)
            # A carrier that changed a moment ago is told of a second later; what is sent before is lost.
            assert ask(lan, 20, 0.2) > 0
        lan.lose(1, 1_000_000)
        assert ask(lan, 2) == 0
        lan.lose(1, 300_000)  # both ways: 0.7 * 0.7 = 0.49 come back
        assert 60 < ask(lan, 200, 0.005) < 140  # five standard deviations
        lan.clear(1)
        assert ask(lan, 50) == 50


def test_a_silent_cut_keeps_the_carrier_and_a_loud_one_takes_it() -> None:
    with Lan(2, ipv6=Ipv6.OFF) as lan:
        lan.cut_silent(1)
        assert "NO-CARRIER" not in lan.run(1, ["ip", "link", "show", "eth0"])
        lan.cut(1)
        assert "NO-CARRIER" in lan.run(1, ["ip", "link", "show", "eth0"])


def test_a_limited_link_passes_little_more_than_its_rate() -> None:
    with Lan(2, ipv6=Ipv6.OFF) as lan:
        lan.limit(1, 64, queue_ms=100)
        # 2 KiB of burst and 100 ms of queue are 2,848 bytes: of 200 frames of 141 bytes about 20 pass.
        code = (
            "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            f"for _ in range(200): s.sendto(bytes(99), ('{lan.address(2)}', 9))"
        )
        assert "Sent 0 bytes 0 pkt" in lan.run(1, ["tc", "-s", "qdisc", "show", "dev", "eth0"])
        lan.run(1, [sys.executable, "-c", code])
        dropped = int(lan.run(1, ["tc", "-s", "qdisc", "show", "dev", "eth0"]).split("dropped ")[1].split(",")[0])
        assert 150 < dropped < 200
        lan.clear(1)
        assert "tbf" not in lan.run(1, ["tc", "qdisc", "show", "dev", "eth0"])


def test_nothing_is_left_when_the_lan_has_ended() -> None:
    with Lan(2, ipv6=Ipv6.OFF) as lan:
        child = lan.watch(1, [sys.executable, "-c", ECHO])
        child.wait(lambda line: "ready" in line, 20)
        name = lan.namespace(1)
    assert child.child.poll() is not None
    with Lan(1, ipv6=Ipv6.OFF) as other:
        assert name not in other.run(1, ["ip", "netns", "list"]).split()

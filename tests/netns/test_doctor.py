"""`doctor` on a real LAN: multicast that passes, that the network swallows, and that a rule of the machine drops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.daemons import Daemon, make_fleet, wait_until
from tests.support.lan import Lan
from tests.support.requires import require

PORT = 4711


def multicast(device: Daemon) -> dict[str, Any]:
    """Return what `doctor` says of multicast on the one link."""
    done = device.run("doctor", "--json", check=False)
    (row,) = [row for row in json.loads(done.stdout)["findings"] if row["check"] == "multicast"]
    found: dict[str, Any] = row
    return found


def test_blocked_multicast_is_told_apart_from_a_firewall_here_and_static_peers_still_work(tmp_path: Path) -> None:
    """Behaviour: 14.10"""
    require("command:nft")
    with Lan(2) as lan:
        one, two = (
            Daemon(tmp_path / name, *options, prefix=("ip", "netns", "exec", lan.namespace(host)))
            for host, name, options in (
                (1, "one", ("--listen", f"0.0.0.0:{PORT}")), (2, "two", ("--peer", f"{lan.address(1)}:{PORT}")),
            )
        )  # fmt: skip
        make_fleet(one, two)
        with one, two:
            found = wait_until(
                lambda: (row := multicast(two))["level"] == "ok" and row, what="the other device, by multicast"
            )
            assert two.ask("status")["links"]["heard_by_multicast"] == 1
            assert "1 other machine(s) were heard, 1 of them edge-runtime" in found["says"]
        lan.block_multicast(1)
        with one, two:
            wait_until(lambda: [row for row in two.ask("peers") if row["connected"]], what="contact with a static peer")
            assert "nobody is heard by multicast" in two.run("status").stdout
            found = multicast(two)
            assert found["level"] == "warning" and "client isolation" in found["says"], found
            assert "--peer HOST:PORT" in found["do"]
            lan.run(2, ["nft", "add table inet t; add chain inet t i { type filter hook input priority 0; }; "
                        "add rule inet t i udp dport 5353 drop"])  # fmt: skip
            found = multicast(two)
            assert found["level"] == "error" and "a rule of this machine drops it" in found["says"]
            peers = two.run("doctor", check=False).stdout
            assert "1 of 1 known peers in contact" in peers

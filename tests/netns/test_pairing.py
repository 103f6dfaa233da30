"""Pairing on a LAN of two hosts: the README's commands, IPv6 alone, no multicast, a link that comes late, lost frames.

Seconds are printed (`-s`). The commands are those of a newcomer: nothing is told to the tool but the code.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import Exit
from tests.support.daemons import Daemon, wait_until
from tests.support.lan import Ipv6, Lan
from tests.support.page import python_blocks
from tests.support.requires import require

LOSS_PPM = 100_000


class Hosts:
    """A device on each host of a LAN, neither made yet, with the app of the README's page beside it."""

    def __init__(self, folder: Path, lan: Lan, *options: str) -> None:
        (folder / "trip.py").write_text(python_blocks()["trip.py"])
        self.lan = lan
        self.first, self.second = (
            Daemon(
                folder / name, *options, "--app", "trip:app", "--capability", capability, cwd=folder,
                prefix=("ip", "netns", "exec", lan.namespace(host)),
            )
            for host, name, capability in ((1, "first", "camera"), (2, "second", "uplink"))
        )  # fmt: skip

    def join(self, *words: str, wait: str = "60s") -> dict[str, Any]:
        """Run `join` on the second host and return its answer, with its seconds and its exit code beside."""
        began = time.monotonic()
        done = self.second.run("join", *words, "--wait", wait, "--json", check=False)
        answer: dict[str, Any] = json.loads(done.stdout)
        return {**answer, "code": done.returncode, "seconds": time.monotonic() - began}

    def are_in_contact(self) -> bool:
        return all(any(row["connected"] for row in device.ask("peers")) for device in (self.first, self.second))


def enroll(device: Daemon) -> tuple[str, str]:
    """Return the code that `enroll` shows a person, and the address that it shows for `--peer`, if it has one yet."""
    shown = device.run("enroll").stdout
    code, address = re.search(r"\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b", shown), re.search(r"--peer ([^\s`]+)", shown)
    assert code, shown
    return code[0], address[1] if address else ""


def test_from_the_first_device_to_a_working_pair_by_the_readme_alone(tmp_path: Path) -> None:
    """Every command is the README's; the first device has nothing before, and the object ends on the second."""
    with Lan(2) as lan:
        hosts = Hosts(tmp_path, lan)
        began = time.monotonic()
        with hosts.first as first:
            first.run("submit", "trip", "--arg", "cells=4", "--name", "trip-1")
            first.run("fact", "set", "door.open=true")
            code, _ = enroll(first)
            joined = hosts.join(code)
            assert joined["code"] == 0, joined
            with hosts.second:
                wait_until(
                    lambda: "delivered 4" in first.run("show", "trip-1").stdout, 60, "the object handed over and ended"
                )
                took_s = time.monotonic() - began
                trace = first.run("trace", "trip-1").stdout
    print(f"\nfirst device to working pair: {took_s:.1f} s, of them {joined['seconds']:.1f} s of `join`\n{trace}")
    assert took_s < 300, "five minutes, for a machine; a person has to type beside"


@pytest.mark.parametrize("trouble", ["ipv6 alone", "frames are lost", "the link comes late"])
def test_a_code_is_enough(tmp_path: Path, trouble: str) -> None:
    """The code alone, found by discovery: over link-local IPv6; with one frame in ten lost; before there is a link."""
    is_ipv6 = trouble == "ipv6 alone"
    with Lan(2, ipv4=not is_ipv6, ipv6=Ipv6.LINK_LOCAL if is_ipv6 else Ipv6.OFF) as lan:
        if trouble == "frames are lost":
            require("command:nft")
            lan.lose(2, LOSS_PPM)
        hosts = Hosts(tmp_path, lan)
        with hosts.first as first:
            code, _ = enroll(first)
            if trouble != "the link comes late":
                answer = hosts.join(code)
            else:
                answer = _join_before_the_link(hosts, code)
            assert answer["code"] == 0, answer
            with hosts.second:
                wait_until(hosts.are_in_contact, 30, "contact")
    print(f"\n{trouble}: join {answer['seconds']:.1f} s")


def _join_before_the_link(hosts: Hosts, code: str) -> dict[str, Any]:
    """Begin to join while the cable is out; put it in once the newcomer looks. Seconds are from then on."""
    hosts.lan.cut(2)
    looking = subprocess.Popen(
        hosts.second.command("join", code, "--wait", "60s", "--json"), stdout=subprocess.PIPE, text=True,
        env=hosts.second.env, cwd=hosts.second.cwd,
    )  # fmt: skip
    try:
        wait_until(lambda: _watches_links(looking.pid), what="the newcomer looks, and has no link")
        assert looking.poll() is None
        hosts.lan.heal(2)
        began = time.monotonic()
        out, _ = looking.communicate(timeout=70)
    finally:
        looking.kill()
        looking.wait(10)
    return {**json.loads(out), "code": looking.returncode, "seconds": time.monotonic() - began}


def _watches_links(process: int) -> bool:
    """Say whether somebody in a process's host waits for news of links: a route socket that joined groups."""
    rows = [line.split() for line in Path(f"/proc/{process}/net/netlink").read_text().splitlines()[1:]]
    return any(row[1] == "0" and int(row[2]) == process and int(row[3], 16) for row in rows)


def test_where_multicast_is_blocked_the_message_says_what_to_do_and_that_works(tmp_path: Path) -> None:
    """An access point that isolates clients: `--peer` is named, and both `--peer` and an invitation's file work.

    With link-local IPv6 alone, whose addresses say nothing of the link that they are on.
    """
    require("command:nft")
    with Lan(2, ipv4=False, ipv6=Ipv6.LINK_LOCAL) as lan:
        lan.block_multicast(1)
        hosts = Hosts(tmp_path, lan)
        with hosts.first as first:
            file = tmp_path / "boats.invitation"
            wait_until(lambda: first.ask("status")["links"]["addresses"], 10, "an address: the kernel looks for twins")
            first.run("enroll", "--uses", "2", "-o", str(file))
            code, address = enroll(first)
            assert address and address in first.run("status").stdout
            answer = hosts.join(code, wait="2s")
            assert answer["code"] == Exit.FAILED and "--peer HOST:PORT" in answer["error"], answer
            by_peer = hosts.join(code, "--peer", address)
            assert by_peer["code"] == 0, by_peer
            hosts.second = Daemon(tmp_path / "third", *hosts.second.options, cwd=tmp_path, prefix=hosts.second.prefix)
            by_file = hosts.join(str(file))
            assert by_file["code"] == 0 and by_file["fleet"] == by_peer["fleet"], by_file
    print(f"\nno multicast: join with --peer {by_peer['seconds']:.1f} s, with a file {by_file['seconds']:.1f} s")

"""A LAN of real hosts on this machine: one network namespace each, joined by a bridge in another.

    with Lan(2) as lan:
        child = lan.popen(1, [sys.executable, "-m", "..."])
        lan.cut(1)      # the cable is out: host 1 loses its carrier
        lan.heal(1)

Hosts are numbered from 1; each has one interface, `eth0`, address 10.77.0.N/24. Nothing is made in the root
namespace, names carry this process's id, and leaving the context ends every process and namespace made in it.
A test says `require("netns")` first, and `require("netns", "command:nft")` before it uses `lose`.

Links are veth pairs. What the kernel would spare itself between two hosts of one machine (segmentation and
checksum offload) is switched off where `ethtool` is there; without it loss hits large segments only.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import TracebackType
from typing import IO, Any, Self

# iproute2 and nftables live in /usr/sbin, which is not on every PATH.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
PORT = "eth0"
COMMAND_S_MAX = 20
END_S_MAX = 5
_numbers = itertools.count(1)


class Ipv6(Enum):
    """What IPv6 a host has."""

    OFF = "off"
    LINK_LOCAL = "link-local"  # usable 1 to 2 s after the link: duplicate address detection
    OPTIMISTIC = "optimistic"  # usable at once (RFC 4429)


class Lines:
    """What a program prints, line by line as JSON objects, to be waited for.

    Args:
        child: with its standard output a pipe in text mode; a thread of ours reads it to its end.
    """

    def __init__(self, child: subprocess.Popen[Any]) -> None:
        assert child.stdout is not None
        self.child = child
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(child.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def wait(self, wanted: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        """Return the next line that is wanted; those before it are dropped.

        Raises:
            TimeoutError: none came in time. It names the last line that came instead.
            EOFError: the program ended.
        """
        deadline, last = time.monotonic() + seconds, None
        while True:
            try:
                line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"not printed within {seconds} s; last was {last}") from None
            if line is None:
                raise EOFError(f"the program ended; last it printed {last}")
            if wanted(line):
                return line
            last = line

    def drain(self) -> list[dict[str, Any]]:
        """Return what was printed and not waited for so far."""
        lines = []
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                lines.append(line)
        return lines


class Lan:
    """A switch and `hosts` hosts.

    Args:
        hosts: 1..99.
        ipv4: give each host 10.77.0.N/24.
        ipv6: what IPv6 each host has.
        plugged: False leaves every host without its interface, until `plug`.
    """

    def __init__(self, hosts: int, ipv4: bool = True, ipv6: Ipv6 = Ipv6.LINK_LOCAL, plugged: bool = True) -> None:
        assert 1 <= hosts <= 99
        self.hosts = hosts
        self._ipv4, self._ipv6, self._plugged = ipv4, ipv6, plugged
        self._name = f"edge{os.getpid()}n{next(_numbers)}"
        self._switch = f"{self._name}sw"
        self._made: list[str] = []
        self._children: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._unmake()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unmake()

    # --- Hosts and their programs. ---

    def namespace(self, host: int) -> str:
        """Return the name for `ip netns exec`, or under /run/netns."""
        assert 1 <= host <= self.hosts
        return f"{self._name}h{host}"

    def address(self, host: int) -> str:
        return f"10.77.0.{host}"

    def popen(
        self, host: int, argv: Sequence[str], env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a program in a host; its process id is the program's own. It is killed at the end.

        Args:
            env: added to this process's environment.
            options: as for `subprocess.Popen`.
        """
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace(host), *argv],
            env={**os.environ, "PATH": PATH, **(env or {})},
            **options,
        )
        self._children.append(child)
        return child

    def run(self, host: int, argv: Sequence[str]) -> str:
        """Run a program in a host to its end and return what it printed."""
        return _run(["ip", "netns", "exec", self.namespace(host), *argv])

    def watch(self, host: int, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Lines:
        """Start a program that prints lines of JSON in a host."""
        return Lines(self.popen(host, argv, env, stdout=subprocess.PIPE, text=True))

    # --- What can happen to a link. ---

    def cut(self, host: int) -> None:
        """Pull the cable: the host loses its carrier."""
        _ip(self._switch, f"link set p{host} down")

    def heal(self, host: int) -> None:
        """Put the cable back, after `cut`.

        The kernel tells of a carrier at once, but of one that changed within the last second only after it.
        """
        _ip(self._switch, f"link set p{host} up")

    def cut_silent(self, host: int) -> None:
        """Lose every frame while the carrier stays: out of radio range behind an access point."""
        _ip(self._switch, f"link set p{host} nomaster")

    def heal_silent(self, host: int) -> None:
        """Undo `cut_silent`."""
        _ip(self._switch, f"link set p{host} master br0")

    def plug(self, host: int) -> None:
        """Give the host its interface, up and with its address: a USB adapter is plugged in."""
        space = self.namespace(host)
        # A fixed address of the card: an adapter that is put back is the same one to its neighbours.
        card = f"address 02:00:00:00:00:{host:02x}"
        _ip(self._switch, f"link add p{host} type veth peer name {PORT} netns {space} {card}")
        self._calm(host)
        _ip(self._switch, f"link set p{host} master br0 up")
        if self._ipv4:
            _ip(space, f"addr add {self.address(host)}/24 dev {PORT}", f"link set {PORT} up")
        else:
            _ip(space, f"link set {PORT} up")

    def unplug(self, host: int) -> None:
        """Take the interface away, with its addresses."""
        _ip(self._switch, f"link del p{host}")

    def set_up(self, host: int) -> None:
        """Set the host's interface up, after `set_down`; IPv6 addresses are made anew."""
        _ip(self.namespace(host), f"link set {PORT} up")

    def set_down(self, host: int) -> None:
        """Set the host's interface down, as an administrator would."""
        _ip(self.namespace(host), f"link set {PORT} down")

    def add_address(self, host: int, address: str) -> None:
        """Add an address such as `10.77.0.200/24`."""
        _ip(self.namespace(host), f"addr add {address} dev {PORT}")

    def remove_address(self, host: int, address: str) -> None:
        _ip(self.namespace(host), f"addr del {address} dev {PORT}")

    def change_address(self, host: int, old: str, new: str) -> None:
        """Do what a new DHCP lease does: the old address goes, the new one comes."""
        # Not the other way round: a second address of one network goes with the first one.
        _ip(self.namespace(host), f"addr del {old} dev {PORT}", f"addr add {new} dev {PORT}")

    def lose(self, host: int, ppm: int) -> None:
        """Drop this share of the frames, each way, independently: 50,000 ppm is 5 %."""
        drop = "drop" if ppm >= 1_000_000 else f"numgen random mod 1000000 < {ppm} drop"
        rules = f"add table netdev loss{host}\nflush table netdev loss{host}\n"
        for hook in ("ingress", "egress"):
            chain = f"netdev loss{host} {hook}"
            rules += f"add chain {chain} {{ type filter hook {hook} device p{host} priority 0; }}\n"
            rules += f"add rule {chain} {drop}\n"
        _run(["ip", "netns", "exec", self._switch, "nft", "-f", "-"], rules)

    def block_multicast(self, host: int) -> None:
        """Let no multicast of IP pass at this host's port, as an access point does that isolates clients; ends with
        `clear`."""
        rules = f"add table netdev loss{host}\nflush table netdev loss{host}\n"
        for hook in ("ingress", "egress"):
            chain = f"netdev loss{host} {hook}"
            rules += f"add chain {chain} {{ type filter hook {hook} device p{host} priority 0; }}\n"
            rules += f"add rule {chain} ip daddr 224.0.0.0/4 drop\nadd rule {chain} ip6 daddr ff02::fb drop\n"
        _run(["ip", "netns", "exec", self._switch, "nft", "-f", "-"], rules)

    def limit(self, host: int, kbit_per_s: int, queue_ms: int = 2_000) -> None:
        """Limit the rate each way; what waits longer than `queue_ms` is dropped."""
        shape = f"root tbf rate {kbit_per_s}kbit burst 2kb latency {queue_ms}ms"
        for space, device in ((self._switch, f"p{host}"), (self.namespace(host), PORT)):
            _run(["tc", "-n", space, "qdisc", "replace", "dev", device, *shape.split()])

    def clear(self, host: int) -> None:
        """End `lose` and `limit`."""
        rules = f"add table netdev loss{host}\ndelete table netdev loss{host}\n"
        _run(["ip", "netns", "exec", self._switch, "nft", "-f", "-"], rules)
        for space, device in ((self._switch, f"p{host}"), (self.namespace(host), PORT)):
            if "tbf" in _run(["tc", "-n", space, "qdisc", "show", "dev", device]):
                _run(["tc", "-n", space, "qdisc", "del", "dev", device, "root"])

    # --- Making and unmaking. ---

    def _make(self) -> None:
        self._add_namespace(self._switch, Ipv6.OFF)
        _ip(self._switch, "link add br0 type bridge stp_state 0 mcast_snooping 0", "link set br0 up")
        for host in range(1, self.hosts + 1):
            self._add_namespace(self.namespace(host), self._ipv6)
            if self._plugged:
                self.plug(host)

    def _add_namespace(self, name: str, ipv6: Ipv6) -> None:
        _run(["ip", "netns", "add", name])
        self._made.append(name)
        _ip(name, "link set lo up")
        # `default` is what an interface made later begins with.
        settings = {
            Ipv6.OFF: ["all.disable_ipv6=1", "default.disable_ipv6=1"],
            Ipv6.LINK_LOCAL: [],
            # With the first alone the address can be used at once, but nobody is told until detection ends.
            Ipv6.OPTIMISTIC: ["default.optimistic_dad=1", "default.use_optimistic=1"],
        }[ipv6]
        if settings:
            names = [f"net.ipv6.conf.{setting}" for setting in settings]
            _run(["ip", "netns", "exec", name, "sysctl", "-q", *names])

    def _calm(self, host: int) -> None:
        if shutil.which("ethtool", path=PATH) is None:
            return
        for space, device in ((self._switch, f"p{host}"), (self.namespace(host), PORT)):
            off = ["tso", "off", "gso", "off", "gro", "off", "tx", "off"]
            _run(["ip", "netns", "exec", space, "ethtool", "-K", device, *off])

    def _unmake(self) -> None:
        for child in self._children:
            if child.poll() is None:
                child.kill()
        for child in self._children:
            child.wait(END_S_MAX)
            if child.stdout is not None:
                child.stdout.close()
        self._children.clear()
        while self._made:
            subprocess.run(["ip", "netns", "del", self._made.pop()], env={"PATH": PATH}, check=False)


def _ip(namespace: str, *commands: str) -> None:
    """Run commands of `ip` in a namespace, all in one process."""
    _run(["ip", "-n", namespace, "-batch", "-"], "\n".join(commands) + "\n")


def _run(argv: Sequence[str], stdin: str = "") -> str:
    done = subprocess.run(
        list(argv),
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": PATH},
        timeout=COMMAND_S_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}\n{stdin}")
    return done.stdout

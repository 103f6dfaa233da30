"""Find peers on the links of this machine, and be found, the moment a link appears.

Multicast DNS alone does not do it: a device that was started before its link announces into the void, and its
browser asks four times in fourteen seconds and is silent then. So on every link event this module does all
three: serve on the present addresses, announce them, ask anew; and repeats it each second for 40 s, because
a first packet may be lost and a bridge port may swallow the first half minute. Then it is quiet: no timer of
ours.

What comes of it is a proposal of addresses. Who answers there is decided by the channel.

Source: RFC 6762, RFC 6763; the repetition is ours (two devices started before their link never met without).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ..base.errors import PeerError
from ..base.limits import (
    DISCOVERY_DAMP_MS,
    DISCOVERY_PERIOD_MS,
    DISCOVERY_REPEAT_MS,
    DISCOVERY_SENDERS_MAX,
    LOOKUPS_MAX,
    SIGHTING_ADDRESSES_MAX,
    SIGHTING_VALUE_BYTES_MAX,
)
from .interfaces import Interface, LinkChange, LinkEvent, LinkTable

if TYPE_CHECKING:
    from .mdns import Choice, Found, Responder

INSTANCE = re.compile(r"[0-9a-f]{16}")


class Card(Struct, frozen=True):
    """The TXT record: what a device says of itself to everybody on the link.

    Attributes:
        version: of the protocol, 1..999.
        fleet_hint: short salted hash; equal hints are worth a handshake, nothing more.
        key_hint: start of the hash of the channel's key.
    """

    version: int
    fleet_hint: str
    key_hint: str


class Sighting(Struct, frozen=True):
    """A peer says that it can be reached so.

    Attributes:
        instance: 16 lower-case hexadecimal digits of the hash of its device key, unproven.
        addresses: 1..16, IPv4 first; IPv6 link-local ones as `fe80::1%3` with the index of the interface.
        port: 1..65535.
    """

    instance: str
    addresses: tuple[str, ...]
    port: int
    card: Card


class Pulse:
    """When to do the three things again, after link events. Times are ms of one monotonic clock.

    The first event is answered at once; events that follow within `DISCOVERY_DAMP_MS` share the next round,
    and the gap doubles up to one second while they go on: a flapping link costs no more than a quiet one.
    A round that finds no link to use counts for nothing: when an adapter is plugged in, its first events come
    before its address, and the address must not wait for them.
    """

    def __init__(self, repeat_ms: int) -> None:
        self._repeat_ms = repeat_ms
        self._struck_ms: int | None = None
        self._until_ms: int | None = None
        self._last_ms = 0
        self._gap_ms = 0

    @property
    def is_struck(self) -> bool:
        """Whether the next round answers an event, and is not a mere repetition."""
        return self._struck_ms is not None

    def strike(self, now_ms: int) -> None:
        """Take note of a link event."""
        if self._struck_ms is None:
            self._struck_ms = now_ms
        self._until_ms = now_ms + self._repeat_ms

    def end_round(self, now_ms: int, is_idle: bool) -> None:
        """Take note that a round was done, or was idle because no link can be used."""
        was_struck, self._struck_ms = self.is_struck, None
        if is_idle:
            self._until_ms = None  # the link will be an event
            return
        self._last_ms = now_ms
        if not was_struck:
            self._gap_ms = 0
        else:
            self._gap_ms = min(2 * self._gap_ms or DISCOVERY_DAMP_MS, DISCOVERY_PERIOD_MS)

    def next_ms(self) -> int | None:
        """Return when the next round is due (perhaps in the past), or None for quiet."""
        if self._struck_ms is not None:
            return max(self._struck_ms, self._last_ms + self._gap_ms)
        if self._until_ms is None:
            return None
        due_ms = self._last_ms + DISCOVERY_PERIOD_MS
        return due_ms if due_ms <= self._until_ms else None


class Scope:
    """Where to look: the chosen interfaces as they are now, and what follows from them.

    Args:
        names: the interfaces that the user named, or None for every one but loopback.
    """

    def __init__(self, interfaces: Sequence[Interface], names: Sequence[str] | None) -> None:
        self._is_bounded = names is not None
        self._chosen = [
            interface
            for interface in interfaces
            if interface.has_carrier
            and interface.usable_addresses
            and (interface.name in names if names is not None else not interface.is_loopback)
            and (interface.can_multicast or interface.is_loopback)
        ]

    def choices(self) -> list[Choice]:
        """Return where to send: per interface one IPv4 and one IPv6 address, link-local if there is one.

        An IPv6 address that several interfaces have (VLANs on one card do) is given as the interface's index:
        the address alone would always mean the first of them.
        """
        counts: dict[str, int] = {}
        for interface in self._chosen:
            for address in interface.addresses:
                counts[address.text] = counts.get(address.text, 0) + 1
        choices: list[Choice] = []
        for interface in self._chosen:
            ipv4 = [address for address in interface.usable_addresses if address.is_ipv4]
            ipv6 = [address for address in interface.usable_addresses if not address.is_ipv4]
            if ipv4:
                choices.append(ipv4[0].text)
            # Multicast does not work over ::1, and one way to a process on the same machine is enough.
            if ipv6 and not interface.is_loopback:
                best = next((address for address in ipv6 if address.is_link_local), ipv6[0])
                choices.append(best.text if counts[best.text] == 1 else interface.index)
        return choices[:DISCOVERY_SENDERS_MAX]

    def own_addresses(self) -> tuple[str, ...]:
        """Return what to announce; loopback addresses only where there is nothing else."""
        outside = [interface for interface in self._chosen if not interface.is_loopback]
        texts = [
            address.text
            for interface in outside or self._chosen
            for address in interface.usable_addresses
            if address.is_ipv4 or not interface.is_loopback
        ]
        return tuple(dict.fromkeys(texts))[:SIGHTING_ADDRESSES_MAX]

    def reachable(self, addresses: Sequence[str]) -> tuple[str, ...]:
        """Return those of a peer's addresses that may be dialled, each link-local one with its interface.

        A link-local address without scope came in a packet over IPv4, which does not say through which
        interface: one candidate is made for each. Where the user named interfaces, only their networks count.
        """
        result: list[str] = []
        for text in addresses:
            address = ipaddress.ip_address(text)
            if address.is_unspecified or address.is_multicast:
                continue
            if address.version == 4 or not address.is_link_local:
                if self._is_near(ipaddress.ip_address(text.partition("%")[0])):
                    result.append(text)
                continue
            scope = address.scope_id
            if scope is None:
                result += [f"{text}%{one.index}" for one in self._chosen if not one.is_loopback]
            elif not self._is_bounded or any(str(one.index) == scope for one in self._chosen):
                result.append(text)
        return tuple(dict.fromkeys(result))[:SIGHTING_ADDRESSES_MAX]

    def _is_near(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        if address.is_loopback:
            return any(interface.is_loopback for interface in self._chosen)
        return not self._is_bounded or any(
            address in ipaddress.ip_network(f"{own.text}/{own.prefix_bits}", strict=False)
            for interface in self._chosen
            for own in interface.usable_addresses
        )


def read_found(found: Found, scope: Scope) -> Sighting | None:
    """Check what a peer announced; None where it has no address that we may dial.

    Raises:
        PeerError: `announcement`, it breaks a rule or a bound. The caller counts and forgets it.
    """
    pairs = dict(found.pairs)
    version = pairs.get("v", "")
    if not INSTANCE.fullmatch(found.instance):
        raise PeerError("announcement", "the instance name is no fingerprint")
    if not 1 <= found.port <= 65_535:
        raise PeerError("announcement", "no port")
    if not re.fullmatch(r"[1-9][0-9]{0,2}", version, re.ASCII):
        raise PeerError("announcement", "no protocol version")
    hints = [pairs.get("f", ""), pairs.get("k", "")]
    if any(len(hint.encode("utf-8", "replace")) > SIGHTING_VALUE_BYTES_MAX for hint in hints):
        raise PeerError("announcement", "a value is too long")
    try:
        addresses = scope.reachable(found.addresses)
    except ValueError:
        raise PeerError("announcement", "an address is none") from None
    if not addresses:
        return None
    return Sighting(found.instance, addresses, found.port, Card(int(version), *hints))


class Discovery:
    """Announces this device and reports peers, for as long as it is started.

    Args:
        instance: our name, 16 lower-case hexadecimal digits of the hash of the device key.
        port: where the channel listens, the same on every interface; 0: only look, and announce nothing.
        card: goes into the TXT record.
        interfaces: names that bound it (`lo` keeps a demo on its machine), or None for all but loopback.
        links: kept true by a `LinkListener`; read, never written.
        on_peer: called on the loop for each sighting, the same one again with each of the peer's
            announcements and after each link event of ours; telling them apart is the caller's. It must
            not raise.
        repeat_ms: for how long a link event is repeated.

    Attributes:
        trouble: why multicast DNS does not work at present, for `status`; None while it does or has no link.
        refused: announcements that broke a rule, in all.
    """

    def __init__(
        self,
        instance: str,
        port: int,
        card: Card,
        interfaces: Sequence[str] | None,
        links: LinkTable,
        on_peer: Callable[[Sighting], None],
        repeat_ms: int = DISCOVERY_REPEAT_MS,
    ) -> None:
        assert INSTANCE.fullmatch(instance) and 0 <= port <= 65_535
        self.trouble: str | None = None
        self.refused = 0
        self._instance, self._port, self._card = instance, port, card
        self._names = interfaces
        self._links = links
        self._on_peer = on_peer
        self._pulse = Pulse(repeat_ms)
        self._is_awake = asyncio.Event()
        self._stale: dict[str, None] = {}
        self._rounds = 0
        self._responder: Responder | None = None
        self._heard: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._lookups: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Begin; where no link is up it waits for one and does not fail. Imports `zeroconf`."""
        from .mdns import Responder  # here, because it takes long

        assert self._task is None, "started twice"
        self._responder = Responder(self._hear)
        self._strike()
        self._task = asyncio.create_task(self._run(), name="discovery")

    async def link_changed(self, event: LinkEvent) -> None:
        """Take note of a link event, after the table knows of it; returns at once."""
        if event.kind is LinkChange.ADDRESS_REMOVED and event.address is not None:
            self._stale[event.address] = None
        self._strike()

    def own_addresses(self) -> tuple[str, ...]:
        """Return the addresses that this device is reached at now."""
        return self._scope().own_addresses()

    def look_again(self) -> None:
        """Ask anew who is there, as after a link event; returns at once."""
        self._strike()

    async def stop(self) -> None:
        """Say goodbye and close every socket, within 2 s; may be called twice, and before `start`."""
        tasks = [task for task in (self._task, *self._lookups.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None
        if self._responder is not None:
            await self._responder.close()
            self._responder = None

    def _strike(self) -> None:
        self._pulse.strike(_now_ms())
        self._is_awake.set()

    async def _run(self) -> None:
        while True:
            due_ms = self._pulse.next_ms()
            wait_s = None if due_ms is None else (due_ms - _now_ms()) / 1000
            if wait_s is None or wait_s > 0:
                try:
                    async with asyncio.timeout(wait_s):
                        await self._is_awake.wait()
                except TimeoutError:
                    pass
                else:
                    self._is_awake.clear()
                continue
            self._is_awake.clear()
            scope, is_urgent = self._scope(), self._pulse.is_struck
            self._pulse.end_round(_now_ms(), is_idle=not scope.choices())
            await self._do_round(scope, is_urgent)

    async def _do_round(self, scope: Scope, is_urgent: bool) -> None:
        from .mdns import MdnsError, Service

        responder = self._responder
        assert responder is not None
        pairs = (("v", str(self._card.version)), ("f", self._card.fleet_hint), ("k", self._card.key_hint))
        service = Service(self._instance, self._port, pairs, scope.own_addresses() if self._port else ())
        stale, self._stale = self._stale, {}
        try:
            await responder.refresh(scope.choices(), list(stale), service, is_urgent)
            if scope.choices():  # else it would only repeat what it remembers of peers out of reach
                # Every second round asks all, for the sake of several processes behind one address.
                responder.browse(is_unicast_wanted=is_urgent or self._rounds % 2 == 0)
            self.trouble = None
        except MdnsError as error:
            self.trouble = str(error)
            await responder.close()  # the next round opens it anew
        self._rounds += 1

    def _scope(self) -> Scope:
        return Scope(self._links.interfaces, self._names)

    def _hear(self, instance: str) -> None:
        """Note a peer's name; a burst of records about it is looked at once, when all of them are known."""
        if instance == self._instance:
            return
        if not self._heard:
            asyncio.get_running_loop().call_soon(self._look)
        self._heard[instance] = None

    def _look(self) -> None:
        heard, self._heard = self._heard, {}
        for instance in heard:
            if self._responder is None:
                return
            if not INSTANCE.fullmatch(instance):
                self.refused += 1
                continue
            found = self._responder.known(instance)
            if found is not None:
                self._report(found)
            elif instance not in self._lookups and len(self._lookups) < LOOKUPS_MAX:
                self._lookups[instance] = asyncio.create_task(self._ask(instance), name="discovery lookup")

    async def _ask(self, instance: str) -> None:
        try:
            assert self._responder is not None
            found = await self._responder.ask(instance)
            if found is not None:
                self._report(found)
        finally:
            del self._lookups[instance]

    def _report(self, found: Found) -> None:
        try:
            sighting = read_found(found, self._scope())
        except PeerError:
            self.refused += 1
            return
        if sighting is not None:
            self._on_peer(sighting)


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1000)

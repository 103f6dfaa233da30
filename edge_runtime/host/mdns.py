"""The responder: our use of `zeroconf`, and the only module that imports it.

Imported by `discovery` when it starts, never at the top of another module: most commands need no network, and
the import costs a board a second. What arrives here is what a peer says of itself; the caller checks it.

Source: RFC 6762 (multicast DNS), RFC 6763 (service discovery); zeroconf 0.150 and later.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence

from msgspec import Struct
from zeroconf import (
    DNSQuestionType,
    Error,
    IPVersion,
    RecordUpdate,
    RecordUpdateListener,
    ServiceInfo,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from ..base.limits import DISCOVERY_ROUND_MS_MAX, GOODBYE_MS_MAX, LOOKUP_MS_MAX

SERVICE = "_edge-runtime._tcp.local."
TYPE_SRV = 33  # RFC 2782
# What RFC 6762 section 10.2 gives a record that a newer announcement no longer has. The library renews that
# second with each announcement, so that an old address would outlive the 40 s in which a peer repeats itself.
FLUSHED_TTL_S = 1

# An IPv4 or IPv6 address of ours, or the index of an interface whose first IPv6 address is meant.
Choice = str | int


class MdnsError(Exception):
    """The responder does not work at present; the text is for `status`. Close it, try at the next round."""


class Service(Struct, frozen=True):
    """What we announce: instance name, port, TXT pairs, and every address under which we can be reached."""

    instance: str
    port: int
    pairs: tuple[tuple[str, str], ...]
    addresses: tuple[str, ...]


class Found(Struct, frozen=True):
    """What a peer announced, as the library decoded it; nothing in it is checked yet.

    Attributes:
        addresses: IPv6 link-local ones carry `%index` when the packet that brought them came over IPv6.
        pairs: the TXT record; a key without a value is left out.
    """

    instance: str
    port: int
    pairs: tuple[tuple[str, str], ...]
    addresses: tuple[str, ...]


class Responder:
    """Announces one service and hears of those of others.

    Args:
        on_name: called with the instance name each time a record of a peer arrives, and for each peer known
            already when `browse` begins anew. A burst of records is one call.
    """

    def __init__(self, on_name: Callable[[str], None]) -> None:
        self._on_name = on_name
        self._library: AsyncZeroconf | None = None
        self._info: ServiceInfo | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._announcing: asyncio.Future[object] | None = None

    async def refresh(
        self, choices: Sequence[Choice], stale: Sequence[Choice], service: Service, is_urgent: bool
    ) -> None:
        """Serve on exactly these addresses and announce the service there.

        Args:
            choices: where to send and listen; empty closes all but the listening socket.
            stale: of these, the ones that went away since the last call and may have come back: they are
                left and joined anew, because the kernel forgot that we were members.
            is_urgent: send three announcements in half a second, not one.

        Raises:
            MdnsError: the sockets cannot be had.
        """
        try:
            async with asyncio.timeout(DISCOVERY_ROUND_MS_MAX / 1000):
                await self._refresh(list(choices), list(stale), service, is_urgent)
        except (OSError, RuntimeError, Error) as error:
            raise MdnsError(f"{type(error).__name__}: {error}"[:200]) from error

    async def _refresh(self, choices: list[Choice], stale: list[Choice], service: Service, is_urgent: bool) -> None:
        if self._library is None:
            if not choices:
                return
            self._open(choices)
        library = self._library
        assert library is not None
        zeroconf = library.zeroconf
        await zeroconf.async_wait_for_start()
        if self._info is not None:
            # While nothing is registered `async_update_interfaces` returns when the sockets are there; else
            # it announces three times first and we would wait half a second for it.
            zeroconf.registry.async_remove(self._info)
            self._info = None
        if stale:
            await library.async_update_interfaces([one for one in choices if one not in stale])
        await library.async_update_interfaces(choices)
        if not choices or not service.addresses:
            return
        info = _info_of(service)
        if is_urgent:
            # Cooperating: the name is the fingerprint of a key, so nobody else has it and no probing is due.
            self._announcing = asyncio.ensure_future(
                await library.async_register_service(info, cooperating_responders=True)
            )
        else:
            zeroconf.registry.async_add(info)
            zeroconf.async_send(zeroconf.generate_service_broadcast(info, None))
        self._info = info

    def browse(self, is_unicast_wanted: bool) -> None:
        """Ask who is there, now, in a second, and four and nine seconds later, unless called again before.

        Args:
            is_unicast_wanted: the first question asks for answers to us alone, which come at once; those to
                all come 20 to 120 ms later, but also reach one of several processes behind one address.
        """
        if self._library is None:
            return
        if self._browser is not None:
            self._browser._async_cancel()
        self._browser = AsyncServiceBrowser(
            self._library.zeroconf,
            SERVICE,
            handlers=[self._changed],
            question_type=None if is_unicast_wanted else DNSQuestionType.QM,
        )

    def known(self, instance: str) -> Found | None:
        """Return what is known of a peer, or None where a record is missing or has expired."""
        if self._library is None:
            return None
        info = AsyncServiceInfo(SERVICE, f"{instance}.{SERVICE}")
        zeroconf = self._library.zeroconf
        return _found(zeroconf, instance, info) if info.load_from_cache(zeroconf) else None

    async def ask(self, instance: str) -> Found | None:
        """Ask the peer for the records that are missing; None when it does not answer in time."""
        if self._library is None:
            return None
        zeroconf, info = self._library.zeroconf, AsyncServiceInfo(SERVICE, f"{instance}.{SERVICE}")
        try:
            is_found = await info.async_request(zeroconf, LOOKUP_MS_MAX)
        except Error:
            return None  # closed meanwhile
        return _found(zeroconf, instance, info) if is_found else None

    async def close(self) -> None:
        """Say goodbye (three packets in 250 ms) and close every socket; may be called twice."""
        library, self._library = self._library, None
        if self._announcing is not None:
            self._announcing.cancel()
        if library is None:
            return
        if self._browser is not None:
            self._browser._async_cancel()
            self._browser = None
        self._info = None
        try:
            async with asyncio.timeout(GOODBYE_MS_MAX / 1000):
                await library.async_close()
        except (OSError, RuntimeError, Error):
            return  # what could not be closed in order is closed with the process

    def _open(self, choices: list[Choice]) -> None:
        has_ipv6 = True
        try:
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
        except OSError:
            has_ipv6 = False  # a kernel without IPv6
        self._library = AsyncZeroconf(interfaces=choices, ip_version=IPVersion.All if has_ipv6 else IPVersion.V4Only)
        ears = _Ears(self._hear)
        self._library.zeroconf.async_add_listener(ears, None)

    def _changed(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is not ServiceStateChange.Removed:
            self._hear(name)

    def _hear(self, name: str) -> None:
        if name.endswith(f".{SERVICE}"):
            self._on_name(name.removesuffix(f".{SERVICE}"))


class _Ears(RecordUpdateListener):
    """Hears every record, also one that says again what is known.

    A browser tells of a peer once; a peer that went away and came back within the 75 minutes of its record is
    no news to it.
    """

    def __init__(self, on_name: Callable[[str], None]) -> None:
        super().__init__()
        self._on_name = on_name
        self._names: dict[str, None] = {}

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for update in records:
            record = update.new
            # SRV comes with every announcement and every answer; an expired one is a goodbye.
            if record.type == TYPE_SRV and not record.is_expired(now):
                self._names[record.name] = None

    def async_update_records_complete(self) -> None:
        names, self._names = self._names, {}
        for name in names:
            self._on_name(name)


def _info_of(service: Service) -> ServiceInfo:
    return ServiceInfo(
        SERVICE,
        f"{service.instance}.{SERVICE}",
        port=service.port,
        properties=dict(service.pairs),
        server=f"{service.instance}.local.",
        parsed_addresses=list(service.addresses),
    )


def _found(zeroconf: Zeroconf, instance: str, info: ServiceInfo) -> Found:
    flushed = {
        getattr(record, "address", b"")
        for record in zeroconf.cache.entries_with_name(info.server or "")
        if record.ttl <= FLUSHED_TTL_S
    }
    addresses = [
        text
        for text in info.parsed_scoped_addresses()
        if ipaddress.ip_address(text.partition("%")[0]).packed not in flushed
    ]
    pairs = tuple((key, value) for key, value in info.decoded_properties.items() if value is not None)
    return Found(instance, info.port or 0, pairs, tuple(addresses))

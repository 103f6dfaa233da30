"""Links: listening, dialling, and one session per peer at a time. What is said is the node's; this carries it.

A sighting (multicast DNS), a configured address or a lost contact leads to a dial; on a link event everything known is
dialled anew at once, and what ran over a link that went down is dropped. `radio off` closes every socket, and is read
before the first one opens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import CONNECT_MS_MAX, HALF_OPEN_MAX, HALF_OPEN_PER_ADDRESS_MAX, PEERS_MAX
from ..node.events import ContactEnded, ContactOpened, Drained, Heard
from ..node.membership import Membership
from ..node.messages import Entries, decode_message
from ..objects.entries import Entry, verify
from ..objects.grants import check_membership
from ..objects.intents import hash256
from .channel import Channel, Doorway, Ended, Identity, open_channel
from .clock import Clock
from .interfaces import LinkChange, LinkEvent
from .netlink import LinkListener
from .statedir import StateDir
from .thread import NodeThread

if TYPE_CHECKING:
    from .discovery import Discovery, Sighting

log = logging.getLogger("edge_runtime")
PROTOCOL_VERSION = 1
# Two sessions with one peer begun within this are the two sides dialling each other: one rule for both decides.
TWIN_MS = 2_000
# After a lost contact, and for configured addresses: when to dial again without any sign. The last one repeats for
# configured addresses only.
REDIAL_S = (0.2, 1.0, 3.0, 10.0, 30.0, 60.0)
VERIFY_INLINE_MAX = 4
VERIFY_THREADS = 2
SIGHTINGS_MAX = 256


@dataclass(slots=True, eq=False)
class Session:
    """One authenticated connection."""

    number: int
    channel: Channel
    began_ms: int
    initiated: bool
    interface: int
    target: str
    outgoing: asyncio.Queue[tuple[bytes, ...]] = field(default_factory=asyncio.Queue)
    is_closing: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Links:
    """All links of the device."""

    def __init__(
        self, thread: NodeThread, state: StateDir, clock: Clock, membership: Membership, listen: str,
        peers: Sequence[str], interfaces: Sequence[str],
    ) -> None:  # fmt: skip
        self._thread = thread
        self._state = state
        self._clock = clock
        self._membership = membership
        self._listen = listen
        self._static = tuple(peers)
        self._interfaces = tuple(interfaces)
        self._sessions: dict[int, Session] = {}
        self._next_number = 1
        self._doorway = Doorway(HALF_OPEN_MAX, HALF_OPEN_PER_ADDRESS_MAX)
        self._servers: list[asyncio.Server] = []
        self._listener: LinkListener | None = None
        self._discovery: Discovery | None = None
        self._sightings: dict[str, Sighting] = {}
        self._dialling: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool: ThreadPoolExecutor | None = None
        self._changing: asyncio.Task[None] | None = None
        self._identity = self._make_identity()
        self.port = 0
        self.refused: dict[str, int] = {}

    @property
    def count(self) -> int:
        """How many contacts there are."""
        return len(self._sessions)

    def report(self) -> dict[str, Any]:
        """Return what `status` says of links, as plain values."""
        trouble = self._discovery.trouble if self._discovery is not None else None
        return {"port": self.port, "discovery_trouble": trouble, "refused": dict(sorted(self.refused.items()))}

    # --- Life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen and look for peers, unless the radio is off.

        Raises:
            UsageError: the port that was asked for is taken, or the address is not one.
        """
        if self._membership.is_radio_on:
            await self._open()

    async def _open(self) -> None:
        await self._start_listening()
        for peer in self._static:
            self._dial(peer, peer, is_static=True)
        self._spawn(self._look_for_peers())

    async def stop(self, reason: str = "stopping") -> None:
        """Say goodbye to everybody and close every socket."""
        for task in (*self._dialling.values(), *self._tasks):
            task.cancel()
        self._dialling.clear()
        for server in self._servers:
            server.close()
        self._servers.clear()
        discovery, self._discovery = self._discovery, None
        if discovery is not None:
            await discovery.stop()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await asyncio.gather(*(self._end(session, reason) for session in list(self._sessions.values())))
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
        self._sightings.clear()

    def change_membership(self, membership: Membership) -> asyncio.Task[None]:
        """Fleets or the radio changed: contacts begin anew under what holds now. The task ends when that is done."""
        was_on, self._membership = self._membership.is_radio_on, membership
        self._identity = self._make_identity()
        self._changing = asyncio.ensure_future(self._change(was_on, self._changing))
        return self._changing

    async def _change(self, was_on: bool, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        if was_on:
            await self.stop("radio off" if not self._membership.is_radio_on else "membership changed")
        if self._membership.is_radio_on:
            await self._open()

    def _make_identity(self) -> Identity:
        return Identity(self._state.device_key(), self._state.channel_seed(), self._membership.grants)

    def _authorise(self, device: bytes, grants: tuple[bytes, ...]) -> None:
        moment = self._clock.read()
        if device == self._membership.device:
            raise PeerError("self", "that is this device")
        check_membership(grants, device, self._membership.roots, moment.wall_ms, moment.trust)

    def _spawn(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _spawn_free(self, work: object) -> None:
        """Start a task that `stop` does not cancel, since it calls `stop` itself."""
        self._free = asyncio.ensure_future(work)  # type: ignore[call-overload]

    # --- Listening ------------------------------------------------------------------------------------------------

    async def _start_listening(self) -> None:
        host, wanted = _split_address(self._listen) if self._listen else ("", 0)
        is_asked = bool(wanted)
        kept = self._state.path / "port"
        if not wanted and kept.exists():
            text = kept.read_text().strip()
            wanted = int(text) if text.isdigit() else 0
        hosts = [host] if host else (["127.0.0.1"] if self._interfaces == ("lo",) else None)
        try:
            server = await self._bind(hosts, wanted)
        except OSError as error:
            if is_asked:
                raise UsageError(
                    f"Port {wanted} cannot be listened on: {error.strerror or error}. Stop what uses it, or give "
                    "another --listen HOST:PORT.",
                    Exit.FAILED,
                ) from None
            server = await self._bind(hosts, 0)  # the kept port is taken by something else: any will do
        self._servers.append(server)
        self.port = server.sockets[0].getsockname()[1]
        if not is_asked and str(self.port) != (kept.read_text().strip() if kept.exists() else ""):
            kept.write_text(f"{self.port}\n")
        log.info("listening on port %d", self.port)

    async def _bind(self, hosts: list[str] | None, port: int) -> asyncio.Server:
        if port or hosts is not None:
            return await asyncio.start_server(self._welcome, hosts, port)
        # One free port for IPv4 and IPv6 alike: take one, then bind both to it.
        probe = await asyncio.start_server(self._welcome, "0.0.0.0", 0)
        free = probe.sockets[0].getsockname()[1]
        probe.close()
        return await asyncio.start_server(self._welcome, None, free)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = str(writer.get_extra_info("peername")[0])
        if len(self._sessions) >= PEERS_MAX or not self._doorway.enter(address):
            writer.transport.abort()
            return
        try:
            channel = await open_channel(reader, writer, self._identity, self._authorise, is_initiator=False)
        except (PeerError, OSError, TimeoutError) as error:
            self._count(error)
            writer.transport.abort()
            return
        finally:
            self._doorway.leave(address)
        await self._begin(channel, initiated=False, target="")

    # --- Dialling -------------------------------------------------------------------------------------------------

    def _dial(self, key: str, target: str, is_static: bool = False) -> None:
        """Dial a target (`host:port`) under a key, unless that is under way or the peer is in contact."""
        if key in self._dialling or self._is_connected(key) or not self._membership.is_radio_on:
            return
        task = asyncio.ensure_future(self._dial_until(key, target, is_static))
        self._dialling[key] = task
        task.add_done_callback(lambda done: self._dialling.pop(key, None) if self._dialling.get(key) is done else None)

    async def _dial_until(self, key: str, target: str, is_static: bool) -> None:
        number = 0
        while not self._is_connected(key):
            try:
                await self._dial_once(target, key)
                return
            except (OSError, TimeoutError, PeerError) as error:
                self._count(error)
                if isinstance(error, PeerError) and not is_static:
                    return  # it answered and we may not: only a new sighting is a reason to try again
            if number >= len(REDIAL_S) and not is_static:
                return
            await asyncio.sleep(REDIAL_S[min(number, len(REDIAL_S) - 1)])
            number += 1

    async def _dial_once(self, target: str, key: str) -> None:
        host, port = _split_address(target)
        async with asyncio.timeout(CONNECT_MS_MAX / 1000):
            reader, writer = await asyncio.open_connection(host, port)
        try:
            channel = await open_channel(reader, writer, self._identity, self._authorise, is_initiator=True)
        except BaseException:
            writer.transport.abort()
            raise
        await self._begin(channel, initiated=True, target=key)

    def _is_connected(self, key: str) -> bool:
        return any(
            session.target == key or instance_of(session.channel.peer) == key
            for session in self._sessions.values()
        )

    # --- Sessions -------------------------------------------------------------------------------------------------

    async def _begin(self, channel: Channel, initiated: bool, target: str) -> None:
        now_ms = self._clock.read().boot_ms
        rival = next((item for item in self._sessions.values() if item.channel.peer == channel.peer), None)
        session = Session(
            self._next_number, channel, now_ms, initiated, self._interface_of(channel.local_address()), target
        )
        if rival is not None:
            if not self._wins(session, rival):
                await channel.close("another session stands")
                return
            await self._end(rival, "another session stands")
        self._next_number += 1
        self._sessions[session.number] = session
        link = "static" if target in self._static and target else "lan"
        self._thread.post(
            ContactOpened(
                session.number, channel.peer, channel.peer_grants, link, channel.remote_address(), initiated
            )
        )
        session.tasks = [asyncio.ensure_future(self._read(session)), asyncio.ensure_future(self._write(session))]

    def _wins(self, new: Session, old: Session) -> bool:
        """Of twins the one dialled by the lower device id wins on both sides; otherwise the newest."""
        if new.began_ms - old.began_ms > TWIN_MS or new.initiated == old.initiated:
            return True
        ours_is_lower = self._membership.device < new.channel.peer
        return new.initiated == ours_is_lower

    async def _read(self, session: Session) -> None:
        channel = session.channel
        reason = ""
        try:
            while messages := await channel.receive():
                for data in messages:
                    await self._hear(session, data)
            reason = channel.reason if channel.ended is Ended.GOODBYE else f"lost ({channel.reason})"
        except PeerError as error:
            self._count(error)
            reason = f"refused: {error}"
        await self._end(session, reason, is_ours=False)

    async def _hear(self, session: Session, data: bytes) -> None:
        message = decode_message(data)
        entries: tuple[Entry, ...] = ()
        refused = 0
        if isinstance(message, Entries):
            if len(message.entries) <= VERIFY_INLINE_MAX:
                entries, refused = verify_all(message.entries)
            else:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(VERIFY_THREADS, "verify")
                loop = asyncio.get_running_loop()
                entries, refused = await loop.run_in_executor(self._pool, verify_all, message.entries)
        await self._thread.post_when_room(Heard(session.number, message, entries, refused, len(data)))

    async def _write(self, session: Session) -> None:
        try:
            while True:
                messages = await session.outgoing.get()
                await session.channel.send(messages)
                self._thread.post(Drained(session.number, sum(len(message) for message in messages)))
        except (OSError, PeerError):
            session.channel.abort()  # the reader sees the end and ends the session

    def send(self, contact: int, messages: tuple[bytes, ...]) -> None:
        """Queue messages of a contact; the node bounds what it hands over."""
        session = self._sessions.get(contact)
        if session is not None:
            session.outgoing.put_nowait(messages)

    def close(self, contact: int, reason: str) -> None:
        """End a contact with a goodbye."""
        session = self._sessions.get(contact)
        if session is not None:
            self._spawn_free(self._end(session, reason))

    async def _end(self, session: Session, reason: str, is_ours: bool = True) -> None:
        if session.is_closing:
            return
        session.is_closing = True
        self._sessions.pop(session.number, None)
        current = asyncio.current_task()
        for task in session.tasks:
            if task is not current:
                task.cancel()
        self._thread.post(ContactEnded(session.number, reason))
        if is_ours:
            await session.channel.close(reason)
        else:
            session.channel.abort()
        if not is_ours and session.channel.ended is not Ended.GOODBYE:
            self._redial(session)

    def _redial(self, session: Session) -> None:
        """After a lost contact: try the address that worked, and what was seen of the peer."""
        if session.target in self._static and session.target:
            self._dial(session.target, session.target, is_static=True)
            return
        sighting = self._sightings.get(instance_of(session.channel.peer))
        if sighting is not None:
            self._follow(sighting)

    # --- Finding peers --------------------------------------------------------------------------------------------

    async def _look_for_peers(self) -> None:
        from .discovery import Card, Discovery

        listener = self._listener = LinkListener()
        try:
            await listener.start()
        except OSError as error:
            log.warning("links cannot be watched (%s): only configured peers are dialled", error)
            return
        roots = self._membership.roots
        hint = hash256(b"fleet hint" + roots[0]).hex()[:8] if roots else "none"
        device = self._membership.device
        card = Card(PROTOCOL_VERSION, hint, hash256(device).hex()[:8])
        names = self._interfaces or None
        self._discovery = Discovery(instance_of(device), self.port, card, names, listener.table, self._sight)
        await self._discovery.start()
        async for event in listener.events():
            await self._change_link(event)

    def _sight(self, sighting: Sighting) -> None:
        if len(self._sightings) >= SIGHTINGS_MAX and sighting.instance not in self._sightings:
            del self._sightings[next(iter(self._sightings))]
        self._sightings[sighting.instance] = sighting
        self._follow(sighting)

    def _follow(self, sighting: Sighting) -> None:
        """Dial each address of a sighting at once; the first handshake that succeeds stands."""
        if self._is_connected(sighting.instance):
            return
        for address in sighting.addresses[:4]:
            key = f"{sighting.instance} {address}"
            if key not in self._dialling and not self._is_connected(sighting.instance):
                target = f"[{address}]:{sighting.port}" if ":" in address else f"{address}:{sighting.port}"
                self._dial_sighting(key, sighting.instance, target)

    def _dial_sighting(self, key: str, instance: str, target: str) -> None:
        task = asyncio.ensure_future(self._dial_until(instance, target, is_static=False))
        self._dialling[key] = task
        task.add_done_callback(lambda done: self._dialling.pop(key, None) if self._dialling.get(key) is done else None)

    async def _change_link(self, event: LinkEvent) -> None:
        if self._interfaces and event.name not in self._interfaces:
            return
        if event.kind in (LinkChange.CARRIER_DOWN, LinkChange.GONE):
            self._drop_interface(event.index)
        if event.kind is LinkChange.ADDRESS_REMOVED and event.address is not None:
            self._drop_address(event.address)
        if self._discovery is not None:
            await self._discovery.link_changed(event)
        if event.kind in (LinkChange.CARRIER_UP, LinkChange.ADDRESS_ADDED):
            for task in list(self._dialling.values()):
                task.cancel()  # their next try may be far off: begin anew, now
            self._dialling.clear()
            for peer in self._static:
                self._dial(peer, peer, is_static=True)
            for sighting in list(self._sightings.values()):
                self._follow(sighting)

    def _drop_interface(self, index: int) -> None:
        for session in list(self._sessions.values()):
            if session.interface == index:
                self._lose(session, "the link went down")

    def _drop_address(self, address: str) -> None:
        for session in list(self._sessions.values()):
            if session.channel.local_address() == address.split("%")[0]:
                self._lose(session, "the address went away")

    def _lose(self, session: Session, reason: str) -> None:
        """A link is gone: nobody could hear a goodbye, so the connection is dropped at once."""
        session.is_closing = True
        self._sessions.pop(session.number, None)
        for task in session.tasks:
            task.cancel()
        session.channel.abort()
        self._thread.post(ContactEnded(session.number, reason))

    def _interface_of(self, address: str) -> int:
        """Return the index of the interface that has an address, 0 if none is known."""
        for interface in self._listener.table.interfaces if self._listener is not None else ():
            if any(found.text.split("%")[0] == address for found in interface.addresses):
                return interface.index
        return 0

    def _count(self, error: BaseException) -> None:
        reason = error.reason if isinstance(error, PeerError) else type(error).__name__
        if reason not in self.refused:
            log.info("a connection was not made: %s (further ones are only counted)", str(error) or reason)
        self.refused[reason] = self.refused.get(reason, 0) + 1


def verify_all(raws: Sequence[bytes]) -> tuple[tuple[Entry, ...], int]:
    """Verify entries in a pool thread; return those that hold, and how many do not."""
    entries: list[Entry] = []
    for raw in raws:
        try:
            entries.append(verify(raw))
        except PeerError:
            pass
    return tuple(entries), len(raws) - len(entries)


def instance_of(device: bytes) -> str:
    """Return the name under which a device announces itself: it says nothing that the channel does not prove."""
    return hash256(device).hex()[:16]


def _split_address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"{text!r} is no address: write HOST:PORT, such as 0.0.0.0:4711 or [::1]:4711.")
    return host.strip("[]"), int(port)

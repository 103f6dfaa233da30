"""Links: listening, and one session per peer at a time. What is said is the node's; this carries it.

Whom to dial is `dialling`'s. On a link event everything known is dialled anew at once, and what ran over a link that
went down is dropped. `radio off` closes every socket, and is read before the first one opens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import HALF_OPEN_MAX, HALF_OPEN_PER_ADDRESS_MAX, PEERS_MAX
from ..node.events import ContactEnded, ContactOpened, Drained, Heard
from ..node.membership import Membership
from ..node.messages import Entries, decode_message
from ..objects.entries import Entry
from ..objects.grants import check_membership
from ..objects.intents import hash256
from .channel import PAIRING_FIRST_BYTES, Channel, Doorway, Ended, Identity, open_channel, read_first
from .clock import Clock, boot_ms
from .dialling import Dialler, Spawn, hint_of, instance_of, join_address
from .interfaces import LinkChange, LinkEvent, LinkTable
from .listening import start_listening
from .netlink import LinkListener
from .pairing import RADIO_OFF, Pairing, Wanted
from .sessions import Session, Verifier, wins
from .statedir import StateDir
from .thread import NodeThread

if TYPE_CHECKING:
    from .discovery import Discovery, Sighting

log = logging.getLogger("edge_runtime")
PROTOCOL_VERSION = 1


class Links:
    """All links of the device.

    Args:
        spawn: makes a task that the runtime owns: one that fails ends the daemon.

    Raises:
        UsageError: an address that was configured is none.
    """

    def __init__(
        self, thread: NodeThread, state: StateDir, clock: Clock, membership: Membership, listen: str,
        peers: Sequence[str], interfaces: Sequence[str], spawn: Spawn,
    ) -> None:  # fmt: skip
        self._thread = thread
        self._state = state
        self._clock = clock
        self._membership = membership
        self._listen = listen
        self._interfaces = tuple(interfaces)
        self._spawn = spawn
        self._key, self._channel_seed = state.device_key(), state.channel_seed()
        self._sessions: dict[int, Session] = {}
        self._next_number = 1
        self._devices: dict[str, bytes] = {}  # by configured address: who was met there
        self._half_open: dict[asyncio.StreamWriter, None] = {}
        self._doorway = Doorway(HALF_OPEN_MAX, HALF_OPEN_PER_ADDRESS_MAX)
        self._dialler = Dialler(
            instance_of(membership.device), peers, self._meet, self._is_connected, self._count, spawn
        )
        self._servers: list[asyncio.Server] = []
        self._listener: LinkListener | None = None
        self._table = LinkTable()
        self._discovery: Discovery | None = None
        self._looking: asyncio.Task[None] | None = None
        self._changing: asyncio.Task[None] | None = None
        self._verifier = Verifier()
        self.pairing = Pairing(self._identity, lambda: self._membership.invitations)
        self._is_open = False
        self.on_link_up: Callable[[], None] = lambda: None
        self.port = 0
        self.refused: dict[str, int] = {}

    @property
    def count(self) -> int:
        """How many contacts there are."""
        return len(self._sessions)

    def report(self) -> dict[str, Any]:
        """Return what `status` says of links, as plain values."""
        trouble = self._discovery.trouble if self._discovery is not None else None
        own = self._discovery.own_addresses() if self._discovery is not None and self.port else ()
        return {
            "port": self.port, "addresses": [join_address(text, self.port) for text in own],
            "discovery_trouble": trouble, "heard_by_multicast": len(self._dialler.sightings),
            "refused": dict(sorted(self.refused.items())),
        }  # fmt: skip

    # --- Life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen, unless the radio is off.

        Raises:
            UsageError: the port that was asked for is taken, or the address is not one.
        """
        if self._membership.is_radio_on:
            await self._start_listening()

    def look_for_peers(self) -> None:
        """Dial and be found, unless the radio is off."""
        if self._membership.is_radio_on:
            self._is_open = True
            self._dialler.hints = tuple(hint_of(root) for root in self._membership.roots)
            self._dialler.start()
            self._looking = self._spawn(self._watch_links())

    async def stop(self, reason: str = "stopping") -> None:
        """Say goodbye to everybody and close every socket."""
        self._is_open = False
        self._dialler.stop()
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])
        for server in self._servers:
            server.close()
        self._servers.clear()
        for writer in self._half_open:
            writer.transport.abort()  # with the radio off not one more message of a handshake is sent
        discovery, self._discovery = self._discovery, None
        if discovery is not None:
            await discovery.stop()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        sessions = list(self._sessions.values())
        for session in sessions:
            self._retire(session, reason)
        await asyncio.gather(*(session.channel.close(reason) for session in sessions))
        self._verifier.close()

    def change_membership(self, membership: Membership) -> asyncio.Task[None]:
        """Fleets or the radio changed: contacts begin anew under what holds now. The task ends when that is done."""
        had, self._membership = self._membership, membership
        self._changing = self._spawn(self._change(had, self._changing))
        return self._changing

    async def _change(self, had: Membership, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        now = self._membership
        if replace(had, revoked=now.revoked, invitations=now.invitations) == now:
            return  # a revocation alone: the node ends the contacts that it touches, the others tell of it
        if had.is_radio_on:
            if not now.is_radio_on:
                self.pairing.stop()
            await self.stop("radio off" if not self._membership.is_radio_on else "membership changed")
        try:
            await self.start()
        except UsageError as error:
            log.error("%s Until then nobody can dial this device.", error.message)
        self.look_for_peers()

    def _identity(self) -> Identity:
        return Identity(self._key, self._channel_seed, self._membership.grants)

    def _authorise(self, device: bytes, grants: tuple[bytes, ...], is_dialled: bool = False) -> None:
        """Who dials us is told by the node that its grants are withdrawn; nobody is dialled for that."""
        moment, membership = self._clock.read(), self._membership
        if device == membership.device:
            raise PeerError("self", "that is this device")
        roots = membership.standing_with(device) if is_dialled else membership.roots
        check_membership(grants, device, roots, moment.wall_ms, moment.trust)

    # --- Listening ------------------------------------------------------------------------------------------------

    async def _start_listening(self) -> None:
        server, self.port = await start_listening(self._welcome, self._listen, self._interfaces, self._state.path)
        self._servers.append(server)
        log.info("listening on port %d", self.port)

    def _is_chosen(self, writer: asyncio.StreamWriter) -> bool:
        """Say whether a connection came over an interface that `--interface` allows."""
        address, _, *rest = writer.get_extra_info("sockname")
        if not self._interfaces or (address == "127.0.0.1" and "lo" in self._interfaces):
            return True
        found = self._table.get((rest[1] if rest else 0) or self._table.index_of(address.split("%")[0]))
        return found is not None and found.name in self._interfaces

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else ""  # empty: it hung up already
        is_welcome = peer and self._is_open and self._is_chosen(writer) and len(self._sessions) < PEERS_MAX
        if not is_welcome or not self._doorway.enter(address):
            writer.transport.abort()
            return
        self._half_open[writer] = None
        try:
            first = await read_first(reader)
            if len(first) == PAIRING_FIRST_BYTES:
                await self.pairing.respond(reader, writer, first)
                writer.close()
                return
            channel = await open_channel(reader, writer, self._identity(), self._authorise, False, first=first)
        except (PeerError, OSError, TimeoutError) as error:
            self._count(error)
            writer.transport.abort()
            return
        finally:
            self._doorway.leave(address)
            self._half_open.pop(writer, None)
        self._begin(channel, initiated=False, key="")

    async def pair(self, wanted: Wanted, wait_s: float) -> bytes:
        """Look for the device that made an invitation; return the bytes of the membership file that it gives.

        Raises:
            UsageError: the radio is off, nobody was found in time, or it says why not.
        """
        if self._changing is not None:
            await asyncio.wait([self._changing])  # another fleet was just joined: links begin anew
        if not self._is_open:
            raise UsageError(RADIO_OFF, Exit.REFUSED)
        if self._discovery is not None:
            self._discovery.look_again()
        return await self.pairing.look(wanted, wait_s, self._dialler.sightings)

    def _see(self, sighting: Sighting) -> None:
        self.pairing.see(sighting)
        self._dialler.see(sighting)

    # --- Sessions -------------------------------------------------------------------------------------------------

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        """Shake hands on a connection that was dialled, and begin a session."""
        if len(self._sessions) >= PEERS_MAX:
            raise PeerError("full", f"{PEERS_MAX} peers are in contact")
        channel = await open_channel(reader, writer, self._identity(), partial(self._authorise, is_dialled=True), True)
        if key in self._dialler.static:
            self._devices[key] = channel.peer
        self._begin(channel, initiated=True, key=key)

    def _is_connected(self, key: str) -> bool:
        device = self._devices.get(key)
        return any(
            session.key == key or session.channel.peer == device or instance_of(session.channel.peer) == key
            for session in self._sessions.values()
        )

    def _begin(self, channel: Channel, initiated: bool, key: str) -> None:
        if not self._is_open:
            channel.abort()  # it was stopped during the handshake
            return
        interface = channel.local_scope() or self._table.index_of(channel.local_address())
        session = Session(self._next_number, channel, boot_ms(), initiated, interface, key)
        rival = next((item for item in self._sessions.values() if item.channel.peer == channel.peer), None)
        if rival is not None and not wins(session, rival, self._membership.device):
            self._spawn(channel.close("another session stands"))
            return
        if rival is not None:
            # Not waited for: the link of the old one may be gone, and the new one must not lose a second.
            self._retire(rival, "another session stands")
            self._spawn(rival.channel.close("another session stands"))
        self._next_number += 1
        self._sessions[session.number] = session
        link = "static" if key in self._dialler.static else "lan"
        self._thread.post(
            ContactOpened(
                session.number, channel.peer, channel.peer_grants, link, channel.remote_address(), initiated
            )
        )
        session.tasks = [self._spawn(self._read(session)), self._spawn(self._write(session))]

    async def _read(self, session: Session) -> None:
        channel = session.channel
        try:
            while messages := await channel.receive():
                for data in messages:
                    await self._hear(session, data)
            reason = channel.reason if channel.ended is Ended.GOODBYE else f"lost ({channel.reason})"
        except PeerError as error:
            self._count(error)
            reason = f"refused: {error}"
        if session.is_closing:
            return
        self._retire(session, reason)
        channel.abort()
        if channel.ended is Ended.TRUNCATED:
            self._dialler.lose(session.key, instance_of(channel.peer))

    async def _hear(self, session: Session, data: bytes) -> None:
        message = decode_message(data)
        entries: tuple[Entry, ...] = ()
        refused = 0
        if isinstance(message, Entries):
            entries, refused = await self._verifier.verify(message.entries)
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
            self._retire(session, reason)
            self._spawn(session.channel.close(reason))

    def _retire(self, session: Session, reason: str) -> None:
        """Take a session out and tell the node; its channel is still to be closed or dropped."""
        session.is_closing = True
        self._sessions.pop(session.number, None)
        current = asyncio.current_task()
        for task in session.tasks:
            if task is not current:
                task.cancel()
        self._thread.post(ContactEnded(session.number, reason))

    # --- Links and discovery --------------------------------------------------------------------------------------

    async def _watch_links(self) -> None:
        from .discovery import Card, Discovery

        listener = self._listener = LinkListener()
        try:
            await listener.start()
        except OSError as error:
            log.warning("links cannot be watched (%s): only configured peers are dialled", error)
            return
        self._table = listener.table
        roots, device = self._membership.roots, self._membership.device
        card = Card(PROTOCOL_VERSION, hint_of(roots[0]) if roots else "none", hash256(device).hex()[:8])
        names = self._interfaces or None
        self._discovery = Discovery(instance_of(device), self.port, card, names, listener.table, self._see)
        await self._discovery.start()
        async for event in listener.events():
            await self._change_link(event)

    async def _change_link(self, event: LinkEvent) -> None:
        if self._interfaces and event.name not in self._interfaces:
            return
        if event.kind in (LinkChange.CARRIER_DOWN, LinkChange.GONE):
            self._drop_interface(event.index)
        if event.kind is LinkChange.ADDRESS_REMOVED and event.address is not None:
            self._drop_address(event.address)
        if not self._table.can_carry(self._interfaces):
            self._dialler.hold()
        if self._discovery is not None:
            await self._discovery.link_changed(event)
        if event.kind in (LinkChange.CARRIER_UP, LinkChange.ADDRESS_ADDED):
            self._dialler.look_again()
            self.on_link_up()

    def _drop_interface(self, index: int) -> None:
        for session in list(self._sessions.values()):
            if session.interface == index:
                self._lose(session, "the link went down")

    def _drop_address(self, address: str) -> None:
        for session in list(self._sessions.values()):
            if session.channel.local_address() == address.split("%")[0]:
                self._lose(session, "the address went away")

    def _lose(self, session: Session, reason: str) -> None:
        """A link is gone: nobody could hear a goodbye, so the connection is dropped.

        Where another link is left, the peer is dialled anew: that may lead there.
        """
        self._retire(session, reason)
        session.channel.vanish()
        if self._table.can_carry(self._interfaces):
            self._dialler.lose(session.key, instance_of(session.channel.peer))

    def _count(self, error: Exception) -> None:
        reason = error.reason if isinstance(error, PeerError) else type(error).__name__
        if reason not in self.refused:
            log.info("a connection was not made: %s (further ones are only counted)", str(error) or reason)
        self.refused[reason] = self.refused.get(reason, 0) + 1

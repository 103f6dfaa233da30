"""Who is dialled, and when again. One dial per peer at a time: its addresses race, the first connection shakes hands.

A sighting (multicast DNS), a configured address, a lost contact or a link that came up leads to a dial. A peer that
answered and refused is left alone for a while: only counted, never hammered.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import PeerError, UsageError
from ..base.limits import CONNECT_MS_MAX, DIAL_ADDRESSES_MAX, HALF_OPEN_MAX, SIGHTINGS_MAX
from ..objects.intents import hash256
from .clock import boot_ms

if TYPE_CHECKING:
    from .discovery import Sighting

# When to dial again without any sign. The last one repeats for configured addresses only.
REDIAL_S = (0.2, 1.0, 3.0, 10.0, 30.0, 60.0)
# Both sides see each other at once; the one with the larger name waits so long for the other's dial. One handshake
# takes 3 ms on a LAN and 30 ms on a small board.
STAGGER_S = 0.1
# When a link comes up, a port on its way may not pass frames for some ms yet. A dial that comes too early leaves an
# unanswered neighbour entry, and the kernel asks again once a second only (measured: contact after 830 ms, not 20).
# So the first dial is led by an announcement, which proves that frames pass; without one we try after this.
SETTLE_S = 0.3
SETTLE_STATIC_S = 0.1
QUIET_MS = 60_000  # after a refusal

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
# Shake hands as the initiator and begin a session under a key; raises PeerError, OSError or TimeoutError.
Meet = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]


def split_address(text: str) -> tuple[str, int]:
    """Return (host, port) of `host:port` or `[v6]:port`; an empty host means every address.

    Raises:
        UsageError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65_535 or (":" in host and host[0] != "["):
        raise UsageError(f"{text!r} is no address: write HOST:PORT, such as 0.0.0.0:4711 or [::1]:4711.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def join_address(host: str, port: int) -> str:
    """Return the text that `split_address` reads."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def over_each_link(target: str) -> tuple[str, ...]:
    """Return the addresses to dial for one that was written down elsewhere: a link-local one by way of each interface.

    Source: RFC 4007 section 6: the zone of such an address means something on its own device only.
    """
    host, port = split_address(target)
    if not host.lower().startswith("fe80:") or "%" in host:
        return (target,)
    return tuple(join_address(f"{host}%{index}", port) for index, name in socket.if_nameindex() if name != "lo")


def instance_of(device: bytes) -> str:
    """Return the name under which a device announces itself: it says nothing that the channel does not prove."""
    return hash256(device).hex()[:16]


def hint_of(root: bytes) -> str:
    """Return what is announced of a fleet: equal hints are worth a handshake, and say nothing to others."""
    return hash256(b"fleet hint" + root).hex()[:8]


class Dialler:
    """Dials, while it is not stopped.

    Args:
        instance: our own announced name.
        static: configured addresses, dialled for ever.
        meet: what to do with a connection. is_connected: whether a key (instance or configured address) is in contact.
        count: told of each failure. spawn: makes a task that somebody owns.

    Raises:
        UsageError: a configured address is none.
    """

    def __init__(
        self, instance: str, static: Sequence[str], meet: Meet, is_connected: Callable[[str], bool],
        count: Callable[[Exception], None], spawn: Spawn,
    ) -> None:  # fmt: skip
        for address in static:
            if not all(split_address(address)):
                raise UsageError(f"{address!r} cannot be dialled: write HOST:PORT, such as base.local:4711.")
        self.static = tuple(static)
        self.hints: tuple[str, ...] = ()
        self._instance = instance
        self._meet = meet
        self._is_connected = is_connected
        self._count = count
        self._spawn = spawn
        self._sightings: dict[str, Sighting] = {}
        self._quiet_until_ms: dict[str, int] = {}
        self._dials: dict[str, asyncio.Task[None]] = {}
        self._due_s: dict[str, float] = {}  # of a dial that still waits: when it begins, by the loop's clock
        self._turns = asyncio.Semaphore(HALF_OPEN_MAX)

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        """What was seen lately, of strangers too."""
        return tuple(self._sightings.values())

    # --- Reasons to dial ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Dial the configured addresses."""
        self._dial_static(0.0)

    def _dial_static(self, wait_s: float) -> None:
        for address in self.static:
            self._begin(address, (address,), is_static=True, wait_s=wait_s)

    def hold(self) -> None:
        """No link is left: stop dialling until one comes up.

        A dial into a dead link would leave an unanswered neighbour entry (see SETTLE_S).
        """
        self._cancel()

    def stop(self) -> None:
        """Stop dialling and forget what was seen."""
        self._cancel()
        self._sightings.clear()
        self._quiet_until_ms.clear()

    def see(self, sighting: Sighting) -> None:
        """Dial a peer that was announced, unless it is in contact, being dialled, foreign, or refused us lately."""
        self._sightings.pop(sighting.instance, None)
        if len(self._sightings) >= SIGHTINGS_MAX:
            del self._sightings[next(iter(self._sightings))]
        self._sightings[sighting.instance] = sighting
        self._follow(sighting, 0.0)

    def look_again(self) -> None:
        """A link came up: dial everything known; the next try of a dial under way may be far off."""
        self._cancel()
        self._quiet_until_ms.clear()
        self._dial_static(SETTLE_STATIC_S)
        for sighting in list(self._sightings.values()):
            self._follow(sighting, SETTLE_S)

    def lose(self, key: str, instance: str) -> None:
        """A contact was lost: try what led to it, and what was seen of the peer."""
        if key in self.static:
            self._begin(key, (key,), is_static=True)
        elif instance in self._sightings:
            self._follow(self._sightings[instance], 0.0)

    def _follow(self, sighting: Sighting, wait_s: float) -> None:
        key = sighting.instance
        if self._quiet_until_ms.get(key, 0) > boot_ms():
            return
        if sighting.card.fleet_hint not in self.hints:
            if len(self.hints) < 2:
                return  # a stranger
            self._quiet_until_ms[key] = boot_ms() + QUIET_MS  # perhaps we share a fleet that it does not announce
        targets = tuple(join_address(address, sighting.port) for address in sighting.addresses[:DIAL_ADDRESSES_MAX])
        self._begin(key, targets, wait_s=wait_s + (STAGGER_S if self._instance > sighting.instance else 0.0))

    # --- Dialling -------------------------------------------------------------------------------------------------

    def _begin(self, key: str, targets: tuple[str, ...], is_static: bool = False, wait_s: float = 0.0) -> None:
        before, due_s = self._dials.get(key), asyncio.get_running_loop().time() + wait_s
        if self._is_connected(key):
            return
        if before is not None and not before.done():
            if self._due_s.get(key, 0.0) <= due_s:
                return  # it is under way, or will be no later
            before.cancel()
        self._due_s[key] = due_s
        task = self._dials[key] = self._spawn(self._dial_until(key, targets, is_static, wait_s))
        task.add_done_callback(lambda done: self._dials.pop(key) if self._dials.get(key) is done else None)

    def _cancel(self) -> None:
        for task in self._dials.values():
            task.cancel()
        self._dials.clear()
        self._due_s.clear()

    async def _dial_until(self, key: str, targets: tuple[str, ...], is_static: bool, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        self._due_s.pop(key, None)
        number = 0
        while not self._is_connected(key):
            try:
                async with self._turns:
                    await self._dial_once(key, targets)
                return
            except PeerError as error:
                self._count(error)
                self._quiet_until_ms[key] = boot_ms() + QUIET_MS
                if not is_static:
                    return  # it answered, and we may not: only a later sighting is a reason to try again
                number = len(REDIAL_S)
            except (OSError, TimeoutError, UnicodeError) as error:  # the last: a name that cannot be one
                self._count(error)
            if number >= len(REDIAL_S) and not is_static:
                return
            await asyncio.sleep(REDIAL_S[min(number, len(REDIAL_S) - 1)])
            number += 1

    async def _dial_once(self, key: str, targets: tuple[str, ...]) -> None:
        """Meet at the address that connects first; if that turns out to be somebody else, at one of the others.

        A container bridge's address is the same on every machine: it leads to ourselves.
        """
        left = list(targets)
        while True:
            target, (reader, writer) = await connect_first(left)
            left.remove(target)
            is_met = False
            try:
                await self._meet(reader, writer, key)
                is_met = True
                return
            except PeerError:
                if not left:
                    raise
            finally:
                if not is_met:
                    writer.transport.abort()


async def connect_first(targets: Sequence[str]) -> tuple[str, Connection]:
    """Connect to all addresses at once; the first connection stands, the others are dropped.

    Raises:
        OSError, TimeoutError: none could be reached within CONNECT_MS_MAX.
    """
    tasks: dict[asyncio.Future[Connection], str]
    tasks = {asyncio.ensure_future(asyncio.open_connection(*split_address(target))): target for target in targets}
    pending = list(tasks)
    won: asyncio.Future[Connection] | None = None
    error: BaseException = OSError("no address")
    try:
        async with asyncio.timeout(CONNECT_MS_MAX / 1000):
            while pending and won is None:
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in pending if task.done()]:
                    pending.remove(task)
                    error = task.exception() or error
                    if task.exception() is None and won is None:
                        won = task
    finally:
        for task in tasks:
            if task is not won:
                _drop(task)
    if won is None:
        raise error
    return tasks[won], won.result()


def _drop(task: asyncio.Future[Connection]) -> None:
    if not task.done():
        task.cancel()
    elif not task.cancelled() and task.exception() is None:
        task.result()[1].transport.abort()

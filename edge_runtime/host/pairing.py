"""Pairing: a device that knows an invitation's code gets its membership from the device that made it.

The newcomer dials; `Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b`, whose psk is made of the code, so that neither side learns
a thing of the other unless both know it: who does not know the code learns an X25519 key, as everybody who dials a
device does. On the wire: the channel's frames; the first one has the invitation's number before Noise's message, and so
a length that no channel begins with. Then the newcomer's certificate (message 3), and one sealed answer: `[is_admitted,
file or text]`. Source: Noise section 9; ours.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import (
    CONNECT_MS_MAX,
    HALF_OPEN_MAX,
    HANDSHAKE_MS_MAX,
    PAIRING_PAUSE_MS,
    PAIRING_PAUSED_MAX,
    SIGHTINGS_MAX,
)
from ..base.moment import Trust
from ..node.commands import Join
from ..node.events import Enrolling, Event
from ..objects.codec import decode, encode
from ..objects.invitations import Code, derive_key, read_code
from .channel import PAIRING_FIRST_BYTES, SECOND_BYTES, Identity, check_certificate, read_raw, tune, write_raw
from .clock import boot_ms
from .dialling import connect_first, join_address, over_each_link
from .noise import KEY_BYTES, TAG_BYTES, Handshake

if TYPE_CHECKING:
    from .discovery import Sighting

PROLOGUE = b"edge-runtime/1 pairing 1"
THIRD_BYTES = KEY_BYTES + 2 * TAG_BYTES + 256  # a certificate without grants is below 256 bytes
ANSWER_BYTES = 8_192  # at most: a membership file, with one grant and a name
ADMIT_S = 30.0  # for the commit of the grant on a slow card
RADIO_OFF = "The radio is off: nobody can be asked. `edge-runtime radio on`, then join."
RETRY_S = 2.0  # between two tries of one address: it may only just be starting
SAID_CHARS = 300  # of a refusal's words, on somebody's terminal
# The errors of one try. A wrong code and an unknown invitation are told apart by how far the handshake got.
Tried = (PeerError, OSError, TimeoutError, UnicodeError)


# Puts the event that is made of a ticket to the node, and returns its answer's value; raises UsageError if it refuses.
Ask = Callable[[Callable[[int], Event]], Awaitable[Any]]


async def _nobody(make_event: Callable[[int], Event]) -> Any:
    raise UsageError("This device lets nobody in yet.", Exit.REFUSED)


class Pairing:
    """Pairings of one daemon: it answers newcomers, one event of the node each, and looks for who invited itself.

    Args:
        identity: of this device. invitations: the open ones, (number, key).

    Attributes:
        ask: puts a question to the node and returns its answer's value; set before anybody may be let in.
    """

    def __init__(
        self, identity: Callable[[], Identity], invitations: Callable[[], Sequence[tuple[int, bytes]]]
    ) -> None:
        self._identity = identity
        self._invitations = invitations
        self.ask: Ask = _nobody
        self._quiet_until_ms: dict[str, int] = {}  # by address, oldest first
        self._newcomers: list[Newcomer] = []

    async def look(self, wanted: Wanted, wait_s: float, sightings: Sequence[Sighting]) -> bytes:
        """Look for who invited this device, among those seen and those who are yet to be; see `Newcomer.look`."""
        newcomer = Newcomer(self._identity(), wanted)
        for sighting in sightings:
            newcomer.see(sighting)
        self._newcomers.append(newcomer)
        try:
            return await newcomer.look(wait_s)
        finally:
            self._newcomers.remove(newcomer)

    def see(self, sighting: Sighting) -> None:
        """A device was sighted."""
        for newcomer in self._newcomers:
            newcomer.see(sighting)

    def stop(self) -> None:
        """The radio goes off: who looks gives up at once and transmits nothing more."""
        for newcomer in self._newcomers:
            newcomer.give_up(UsageError(RADIO_OFF, Exit.REFUSED))

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes) -> None:
        """Answer one newcomer, whose first frame was read; the caller closes the connection.

        Raises:
            PeerError: `pairing`: no such invitation, a wrong code, or asked within a second of one from that address.
            OSError, TimeoutError: the connection broke, or took longer than HANDSHAKE_MS_MAX.
        """
        number = first[0]
        key = dict(self._invitations()).get(number)
        if key is None:
            raise PeerError("pairing", "no invitation of that number is open")
        address = str((writer.get_extra_info("peername") or ("",))[0])
        if self._quiet_until_ms.get(address, 0) > boot_ms():
            raise PeerError("pairing", "asked too soon after a wrong code")
        identity = self._identity()
        handshake = _handshake(False, identity, number, key)
        async with asyncio.timeout(HANDSHAKE_MS_MAX / 1000):
            handshake.read(first[1:])
            write_raw(writer, handshake.write())
            third = await read_raw(reader, SECOND_BYTES - KEY_BYTES, THIRD_BYTES)
        try:
            text = handshake.read(third)
        except PeerError:
            self._pause(address)
            raise PeerError("pairing", "a wrong code") from None
        device = check_certificate(text, handshake.remote_static, lambda device, grants: None).device
        try:
            async with asyncio.timeout(ADMIT_S):
                admitted = await self.ask(lambda ticket: Enrolling(ticket, number, key, device))
            said = encode([True, bytes.fromhex(admitted["file"])])
        except UsageError as error:
            said = encode([False, error.message[:1_000]])
        write_raw(writer, handshake.split()[0].encrypt(said))
        async with asyncio.timeout(HANDSHAKE_MS_MAX / 1000):
            await writer.drain()
            await reader.read(1)  # the newcomer hangs up once it has the answer

    def _pause(self, address: str) -> None:
        # By address: were it by invitation, whoever guesses without end would keep everybody else out.
        self._quiet_until_ms.pop(address, None)
        if len(self._quiet_until_ms) >= PAIRING_PAUSED_MAX:
            del self._quiet_until_ms[next(iter(self._quiet_until_ms))]
        self._quiet_until_ms[address] = boot_ms() + PAIRING_PAUSE_MS


class Wanted(Struct, frozen=True):
    """What a newcomer looks for. `root`: the only fleet that will do, or empty. `key` is made of the code."""

    code: Code
    key: bytes
    peers: tuple[str, ...] = ()
    root: bytes = b""


async def read_wanted(command: Join) -> Wanted:
    """Return what a `join` with a code looks for; the key is made beside the loop.

    Raises:
        UsageError: the code has a slip, or the root key is none.
    """
    code = read_code(command.code)
    try:
        root = bytes.fromhex(command.root)
    except ValueError:
        raise UsageError("The fleet's root key is not hex. Use the invitation's file as it was written.") from None
    return Wanted(code, await asyncio.to_thread(derive_key, code.secret), tuple(command.peers), root)


class Newcomer:
    """The side that joins: tries configured addresses and every device that is sighted, until one admits it.

    All are tried side by side: one that takes the handshake and then says nothing costs the others no time.
    """

    def __init__(self, identity: Identity, wanted: Wanted) -> None:
        self._identity = identity
        self._wanted = wanted
        self._targets: dict[tuple[str, ...], None] = {}
        self._is_new = asyncio.Event()
        self._met_wrong = ""
        self._turns = asyncio.Semaphore(HALF_OPEN_MAX)
        self._given_up: UsageError | None = None
        self.tried: dict[str, None] = {}
        for peer in wanted.peers:
            self._add((peer,))

    def see(self, sighting: Sighting) -> None:
        """A device was sighted: it may be the one that invited; its addresses are tried."""
        self._add(tuple(join_address(address, sighting.port) for address in sighting.addresses))

    def give_up(self, error: UsageError) -> None:
        """End `look` with this error."""
        self._given_up = error
        self._is_new.set()

    def _add(self, targets: tuple[str, ...]) -> None:
        if targets not in self._targets and len(self._targets) < SIGHTINGS_MAX:
            self._targets[targets] = None
            self._is_new.set()

    async def look(self, wait_s: float) -> bytes:
        """Return the bytes of the membership file.

        Raises:
            UsageError: nobody admitted this device in time, or whoever invited says why not; nothing was changed.
        """
        try:
            async with asyncio.timeout(wait_s):
                return await self._look()
        except TimeoutError:
            raise UsageError(self._why_not(wait_s), Exit.FAILED) from None

    async def _look(self) -> bytes:
        tries: dict[tuple[str, ...], asyncio.Task[bytes]] = {}
        news: asyncio.Task[Any] | None = None
        try:
            while True:
                self._is_new.clear()
                for targets in self._targets:
                    if targets not in tries:
                        tries[targets] = asyncio.create_task(self._try_again(targets))
                news = asyncio.create_task(self._is_new.wait())
                done, _ = await asyncio.wait((*tries.values(), news), return_when=asyncio.FIRST_COMPLETED)
                if self._given_up is not None:
                    raise self._given_up
                ended = [task for task in tries.values() if task in done]
                if ended:  # a file goes before a refusal
                    return min(ended, key=lambda task: task.exception() is not None).result()
        finally:
            left = [task for task in (*tries.values(), news) if task is not None]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _try_again(self, targets: tuple[str, ...]) -> bytes:
        """Try one device until it says yes, or no with a reason (UsageError)."""
        while True:
            async with self._turns:
                try:
                    return await self._try(targets)
                except Tried:
                    pass
            await asyncio.sleep(RETRY_S)

    async def _try(self, targets: tuple[str, ...]) -> bytes:
        async with asyncio.timeout(CONNECT_MS_MAX / 1000):
            there = [found for target in targets for found in over_each_link(target)]
            target, (reader, writer) = await connect_first(there)
        self.tried[target] = None
        try:
            tune(writer)
            text = await self._ask(reader, writer, target)
        finally:
            writer.transport.abort()
        # Whoever sealed this knows the code: what is wrong with it is for the person, and asking again mends nothing.
        try:
            return self._read_answer(text, target)
        except PeerError as error:
            raise UsageError(
                f"{target} knows the code, but its answer is no membership of this device ({error}). Nothing was "
                "joined. Is the code of whom you think, and is the same version installed on both?", Exit.REFUSED,
            ) from None  # fmt: skip

    def _read_answer(self, text: bytes, target: str) -> bytes:
        match decode(text):
            case [True, bytes() as file]:
                return self._check(file, target)
            case [False, str() as reason]:
                # A terminal must not obey it.
                plain = "".join(char if char.isprintable() else " " for char in reason[:SAID_CHARS])
                raise UsageError(f"{target} does not let this device in: {plain}", Exit.REFUSED)
        raise PeerError("pairing", "an answer that is none")

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> bytes:
        code, wanted = self._wanted.code, self._wanted
        handshake = _handshake(True, self._identity, code.number, wanted.key)
        async with asyncio.timeout(HANDSHAKE_MS_MAX / 1000):
            write_raw(writer, bytes((code.number,)) + handshake.write())
            handshake.read(await read_raw(reader, SECOND_BYTES, SECOND_BYTES))
            certificate = msgspec.structs.replace(self._identity, grants=()).certificate()
            write_raw(writer, handshake.write(certificate))
        try:
            async with asyncio.timeout(ADMIT_S + HANDSHAKE_MS_MAX / 1000):
                sealed = await read_raw(reader, TAG_BYTES + 1, ANSWER_BYTES)
            return handshake.split()[1].decrypt(sealed)
        except Tried:
            self._met_wrong = target  # it has an invitation of that number, and another code
            raise

    def _check(self, file: bytes, target: str) -> bytes:
        from ..objects.grants import MembershipFile, check_membership

        found = MembershipFile.from_bytes(file)
        if self._wanted.root not in (b"", found.root):
            raise UsageError(
                f"{target} has this code, but leads to the fleet {found.fleet_name!r}, not to the one of the file. Ask "
                "the operator for a fresh invitation.", Exit.REFUSED,
            )  # fmt: skip
        # Whose it is, and who signed it; its time is the node's to judge, which knows what its clock is worth.
        check_membership(found.grants, self._identity.key.public, (found.root,), 0, min(Trust))
        return file

    def _why_not(self, wait_s: float) -> str:
        if self._met_wrong:
            return (
                f"{self._met_wrong} has an invitation of that number, but another code. Read the code again, or ask "
                "for a fresh one: `edge-runtime enroll`."
            )
        tried = f" Tried: {', '.join(list(self.tried)[:5])}." if self.tried else ""
        return (
            f"No device with this invitation answered within {wait_s:.0f} s.{tried} Does its daemon run, on the same "
            "network, and is the invitation still open (`edge-runtime enroll --list` there)? `--peer HOST:PORT` says "
            "where to ask when it cannot be found by itself."
        )


def _handshake(is_initiator: bool, identity: Identity, number: int, key: bytes) -> Handshake:
    prologue = PROLOGUE + bytes((number,))
    return Handshake(is_initiator, identity.static_secret, os.urandom(32), prologue, key)


assert PAIRING_FIRST_BYTES == 1 + KEY_BYTES + TAG_BYTES

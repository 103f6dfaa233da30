"""An authenticated, encrypted, framed stream between two devices: Noise XX, then messages.

On the wire: frames of a 2-byte big-endian length and that many bytes. After the three handshake messages each frame's
plaintext begins with its type; data frames carry a stream of messages, each behind a 4-byte length.

The initiator's certificate travels in message 3; message 2 has an empty payload, and the responder's certificate
follows in its first frame, after it has verified the initiator. So a stranger learns an X25519 key and nothing else.
An end without a goodbye is told apart from one with it. Source: ours, `docs/format.md`; Noise section 14 on truncation.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ..base.errors import PeerError
from ..base.limits import (
    CHANNEL_GRANTS_MAX,
    FRAME_BYTES_MAX,
    GOODBYE_BYTES_MAX,
    GRANT_BYTES_MAX,
    HANDSHAKE_MS_MAX,
    MESSAGE_BYTES_MAX,
    REKEY_FRAMES,
    REKEY_MS,
)
from ..objects.codec import decode, encode
from ..objects.keys import SigningKey, signature_holds
from .clock import boot_ms
from .noise import KEY_BYTES, TAG_BYTES, Cipher, Handshake, public_of

PROLOGUE = b"edge-runtime/1 channel 1"
CERTIFICATE_PREFIX = b"edge-runtime/1/channel"
TEXT_BYTES = FRAME_BYTES_MAX - TAG_BYTES - 1  # that fit one frame
# What a stranger may make us hold. The first two messages have no payload, so their lengths are exact; the third has a
# certificate at most: its envelope (two byte strings, heads) is below 256 bytes, and each grant's head is 3.
FIRST_BYTES = KEY_BYTES
PAIRING_FIRST_BYTES = 1 + KEY_BYTES + TAG_BYTES  # of `pairing`: no channel begins so
SECOND_BYTES = 2 * KEY_BYTES + 2 * TAG_BYTES
THIRD_BYTES = KEY_BYTES + 2 * TAG_BYTES + 256 + CHANNEL_GRANTS_MAX * (GRANT_BYTES_MAX + 3)
DATA, GOODBYE, CERTIFICATE, REKEY = 0, 1, 2, 3
# Unanswered bytes end a connection after this: a link that vanished without losing its carrier is noticed.
USER_TIMEOUT_MS = 5_000
KEEPALIVE_IDLE_S, KEEPALIVE_EVERY_S, KEEPALIVE_COUNT = 10, 3, 3


class Ended(Enum):
    """How a channel ended."""

    GOODBYE = "goodbye"
    TRUNCATED = "truncated"
    REFUSED = "refused"


class Certificate(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A device's word that an X25519 key is its own, with the grants it presents."""

    device: Annotated[bytes, Meta(min_length=32, max_length=32)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]
    grants: Annotated[
        tuple[Annotated[bytes, Meta(max_length=GRANT_BYTES_MAX)], ...], Meta(max_length=CHANNEL_GRANTS_MAX)
    ]


class Identity(Struct, frozen=True):
    """Who this device is on a channel; `static_secret` is the X25519 secret of 32 bytes."""

    key: SigningKey
    static_secret: bytes
    grants: tuple[bytes, ...]

    def certificate(self) -> bytes:
        """Return the certificate's bytes."""
        signature = self.key.sign(CERTIFICATE_PREFIX + public_of(self.static_secret))
        body = Certificate(self.key.public, signature, self.grants[:CHANNEL_GRANTS_MAX])
        return encode(msgspec.to_builtins(body, builtin_types=(bytes,)))


# Raises PeerError where a device with these grants may not connect.
Authorise = Callable[[bytes, tuple[bytes, ...]], None]


def check_certificate(data: bytes, static: bytes, authorise: Authorise) -> Certificate:
    """Return the certificate of the peer that proved to hold an X25519 key.

    Raises:
        PeerError: malformed, signed for another key, or not authorised; the caller ends the connection.
    """
    try:
        found = msgspec.convert(decode(data), Certificate, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise PeerError("certificate", str(error)[:100]) from None
    if not signature_holds(found.device, CERTIFICATE_PREFIX + static, found.signature):
        raise PeerError("certificate", "not for this channel key")
    authorise(found.device, found.grants)
    return found


class Channel:
    """One open channel. Made by `open_channel`; one reader and one writer at a time.

    Keys change after REKEY_FRAMES, which both sides count, and after REKEY_MS, which the sender announces.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sending: Cipher, receiving: Cipher,
        now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._reader = reader
        self._writer = writer
        self._sending = sending
        self._receiving = receiving
        self._now_ms = now_ms
        self._rekey_at_ms = now_ms() + REKEY_MS
        self._buffer = bytearray()
        self.peer = b""
        self.peer_grants: tuple[bytes, ...] = ()
        self.ended: Ended | None = None
        self.reason = ""

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send messages, coalesced into full frames; returns when the transport took them (back-pressure).

        Raises:
            OSError: the connection is gone.
        """
        stream = b"".join(len(message).to_bytes(4, "big") + message for message in messages)
        for at in range(0, len(stream), TEXT_BYTES):
            self._rekey_if_due()
            self._write(DATA, stream[at : at + TEXT_BYTES])
            await self._writer.drain()

    async def receive(self) -> list[bytes]:
        """Return the messages that are complete after the next frame; an empty list at the end (see `ended`).

        Raises:
            PeerError: what came is not authentic, or out of bounds. Nothing more is received (`ended` is REFUSED, each
                further call raises `closed`); the caller aborts the channel.
        """
        if self.ended is Ended.REFUSED:
            raise PeerError("closed", self.reason)
        try:
            while self.ended is None:
                found = await self._receive()
                if found:
                    return found
        except PeerError as error:
            self.ended, self.reason = Ended.REFUSED, error.reason
            self._buffer.clear()
            raise
        return []

    async def _receive(self) -> list[bytes]:
        kind, text = await self._read()
        if kind == GOODBYE:
            self.ended, self.reason = Ended.GOODBYE, text[:GOODBYE_BYTES_MAX].decode(errors="replace")
        elif kind == REKEY:
            self._receiving.rekey()
        elif kind == DATA:
            self._buffer += text
            return self._take_messages()
        elif kind is not None:
            raise PeerError("frame", f"type {kind}")
        return []

    def _take_messages(self) -> list[bytes]:
        found: list[bytes] = []
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if length > MESSAGE_BYTES_MAX:
                raise PeerError("oversize", f"a message is at most {MESSAGE_BYTES_MAX} bytes")
            if len(self._buffer) < 4 + length:
                break
            found.append(bytes(self._buffer[4 : 4 + length]))
            del self._buffer[: 4 + length]
        return found

    def say_goodbye(self, reason: str) -> None:
        """Write an authenticated goodbye; the peer knows then that nothing was cut off."""
        if self.ended is None and not self._writer.is_closing():
            self._write(GOODBYE, reason.encode()[:GOODBYE_BYTES_MAX])

    async def close(self, reason: str = "closed") -> None:
        """Say goodbye and close; waits for the transport at most a second."""
        try:
            self.say_goodbye(reason)
            self._writer.close()
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
        except (OSError, TimeoutError, PeerError):
            self.abort()

    def abort(self) -> None:
        """Drop the connection at once: the link is gone, nobody could hear a goodbye."""
        self._writer.transport.abort()

    def vanish(self) -> None:
        """Drop the connection without a packet on its link, which is down.

        A FIN or RST into a dead link would leave an unanswered neighbour entry, and the kernel asks again for that once
        a second only: the link's return would cost a second (measured: contact after 830 ms, not 20). So what the
        kernel still sends goes to loopback, where nobody has the address.
        """
        found = self._writer.get_extra_info("socket")
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (AttributeError, OSError):
            pass  # before Linux 5.7 only root may: then the return is slower
        self.abort()

    def local_address(self) -> str:
        """Return this end's address, without its scope."""
        found = self._writer.get_extra_info("sockname")
        return str(found[0]).split("%")[0] if found else ""

    def local_scope(self) -> int:
        """Return the index of the interface of a link-local IPv6 address, 0 for any other."""
        found = self._writer.get_extra_info("sockname")
        return int(found[3]) if found and len(found) == 4 else 0

    def remote_address(self) -> str:
        """Return the other end's address, for people."""
        found = self._writer.get_extra_info("peername")
        return f"{found[0]}:{found[1]}" if found else ""

    def _rekey_if_due(self) -> None:
        now_ms = self._now_ms()
        if now_ms >= self._rekey_at_ms:
            self._rekey_at_ms = now_ms + REKEY_MS
            self._write(REKEY, b"")
            self._sending.rekey()

    def _write(self, kind: int, text: bytes) -> None:
        sealed = self._sending.encrypt(bytes((kind,)) + text)
        if self._sending.nonce % REKEY_FRAMES == 0:
            self._sending.rekey()
        self._writer.write(len(sealed).to_bytes(2, "big") + sealed)

    async def _read(self) -> tuple[int | None, bytes]:
        try:
            length = int.from_bytes(await self._reader.readexactly(2), "big")
            sealed = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError) as error:
            self.ended, self.reason = Ended.TRUNCATED, type(error).__name__
            return None, b""
        text = self._receiving.decrypt(sealed)
        if self._receiving.nonce % REKEY_FRAMES == 0:
            self._receiving.rekey()
        if not text:
            raise PeerError("frame", "empty")
        return text[0], text[1:]


async def open_channel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, identity: Identity, authorise: Authorise,
    is_initiator: bool, now_ms: Callable[[], int] = boot_ms, first: bytes = b"",
) -> Channel:  # fmt: skip
    """Shake hands and verify each other; nothing is said before both sides are verified.

    Args:
        identity: who this device is. authorise: whom it lets in.
        is_initiator: who dialled. first: the dialler's first message, if it was read already.
        now_ms: a monotonic clock, for the hour of a key.

    Raises:
        PeerError: the peer broke the handshake, is not who it says, or may not connect.
        OSError, TimeoutError: the connection broke, or took longer than HANDSHAKE_MS_MAX.
    """
    tune(writer)
    async with asyncio.timeout(HANDSHAKE_MS_MAX / 1000):
        handshake = Handshake(is_initiator, identity.static_secret, os.urandom(32), PROLOGUE)
        if is_initiator:
            return await _initiate(reader, writer, identity, authorise, handshake, now_ms)
        return await _respond(reader, writer, identity, authorise, handshake, first, now_ms)


async def _initiate(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, identity: Identity, authorise: Authorise,
    handshake: Handshake, now_ms: Callable[[], int],
) -> Channel:  # fmt: skip
    write_raw(writer, handshake.write())
    handshake.read(await read_raw(reader, SECOND_BYTES, SECOND_BYTES))
    write_raw(writer, handshake.write(identity.certificate()))
    channel = Channel(reader, writer, *handshake.split(), now_ms)
    kind, text = await channel._read()
    if kind != CERTIFICATE:
        reason = text[:GOODBYE_BYTES_MAX].decode(errors="replace") if kind == GOODBYE else "hung up"
        raise PeerError("refused", reason)
    _adopt(channel, check_certificate(text, handshake.remote_static, authorise))
    return channel


async def _respond(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, identity: Identity, authorise: Authorise,
    handshake: Handshake, first: bytes, now_ms: Callable[[], int],
) -> Channel:  # fmt: skip
    handshake.read(first or await read_raw(reader, FIRST_BYTES, FIRST_BYTES))
    write_raw(writer, handshake.write())
    text = handshake.read(await read_raw(reader, SECOND_BYTES - KEY_BYTES, THIRD_BYTES))
    certificate = check_certificate(text, handshake.remote_static, authorise)
    channel = Channel(reader, writer, *handshake.split(), now_ms)
    _adopt(channel, certificate)
    channel._write(CERTIFICATE, identity.certificate())
    return channel


def _adopt(channel: Channel, certificate: Certificate) -> None:
    channel.peer, channel.peer_grants = certificate.device, certificate.grants


def write_raw(writer: asyncio.StreamWriter, message: bytes) -> None:
    """Write one message of a handshake, in a frame."""
    writer.write(len(message).to_bytes(2, "big") + message)


async def read_first(reader: asyncio.StreamReader) -> bytes:
    """Return the first message of whoever dialled: of a channel, or of a pairing. Its length says which.

    Raises:
        PeerError: `handshake`: neither.
        TimeoutError: it took longer than HANDSHAKE_MS_MAX.
    """
    async with asyncio.timeout(HANDSHAKE_MS_MAX / 1000):
        first = await read_raw(reader, FIRST_BYTES, PAIRING_FIRST_BYTES)
    if len(first) not in (FIRST_BYTES, PAIRING_FIRST_BYTES):
        raise PeerError("handshake", "a length that no such message has")
    return first


async def read_raw(reader: asyncio.StreamReader, least: int, most: int) -> bytes:
    """Read one handshake message; one whose length cannot be is refused before its bytes are waited for."""
    try:
        length = int.from_bytes(await reader.readexactly(2), "big")
        if not least <= length <= most:
            raise PeerError("handshake", "a length that no such message has")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        raise PeerError("handshake", "hung up") from None


def tune(writer: asyncio.StreamWriter) -> None:
    """Set the options of a channel's socket: no delay, and a dead link is noticed within seconds."""
    found = writer.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for level, option, value in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY_S),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT),
    ):
        found.setsockopt(level, option, value)


class Doorway:
    """Bounds handshakes under way, in all and per address: strangers cannot fill the memory."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._by_address: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count one more handshake; say whether it may go on."""
        count = self._by_address.get(address, 0)
        if count >= self._most_per_address or sum(self._by_address.values()) >= self._most:
            return False
        self._by_address[address] = count + 1
        return True

    def leave(self, address: str) -> None:
        """One handshake is over."""
        count = self._by_address.get(address, 0) - 1
        if count > 0:
            self._by_address[address] = count
        else:
            self._by_address.pop(address, None)

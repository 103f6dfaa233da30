"""Channels between two ends of one process: real streams over a socket pair, identities from a seed, captured bytes."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass

from edge_runtime.base.errors import PeerError
from edge_runtime.host.channel import Authorise, Channel, Identity, open_channel
from edge_runtime.host.clock import boot_ms
from edge_runtime.objects.keys import SigningKey


@dataclass(frozen=True, slots=True)
class End:
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_frame(self) -> bytes:
        """Return the next frame without its length."""
        return await self.reader.readexactly(int.from_bytes(await self.reader.readexactly(2), "big"))

    def write_frame(self, frame: bytes) -> None:
        """Write a frame behind its length."""
        self.writer.write(len(frame).to_bytes(2, "big") + frame)


async def connect() -> tuple[End, End]:
    """Return the two ends of a new connection."""
    first, second = socket.socketpair()
    return End(*await asyncio.open_connection(sock=first)), End(*await asyncio.open_connection(sock=second))


def make_identity(seed: int, grants: tuple[bytes, ...] = (b"grant",)) -> Identity:
    """Return the identity of that number."""
    rng = random.Random(f"identity {seed}")
    return Identity(SigningKey.from_seed(rng.randbytes(32)), rng.randbytes(32), grants)


def admit(*identities: Identity) -> Authorise:
    """Return what lets in these devices, with the grants they hold, and nobody else."""
    welcome = {identity.key.public: identity.grants for identity in identities}

    def authorise(device: bytes, grants: tuple[bytes, ...]) -> None:
        if welcome.get(device) != grants:
            raise PeerError("stranger", "of no fleet of ours")

    return authorise


async def open_pair(
    first: Identity, second: Identity, ends: tuple[End, End], now_ms: Callable[[], int] = boot_ms
) -> tuple[Channel, Channel]:
    """Return the channels of two devices that let each other in; the first one dialled."""
    async with asyncio.TaskGroup() as group:
        opened = [
            group.create_task(open_channel(end.reader, end.writer, identity, admit(other), is_initiator, now_ms))
            for end, identity, other, is_initiator in (
                (ends[0], first, second, True),
                (ends[1], second, first, False),
            )
        ]
    return opened[0].result(), opened[1].result()

"""Hostile bytes against the channel: 10,000 broken streams of frames, thousands of broken handshakes, floods.

What is received is always a true beginning of what was sent; what follows is one clear refusal, or the news that the
stream was cut; never a goodbye that was not said, never another exception, and memory stays bounded.
"""

from __future__ import annotations

import asyncio
import copy
import os
import random
import tracemalloc
from collections.abc import Callable

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import FRAME_BYTES_MAX, MESSAGE_BYTES_MAX
from edge_runtime.base.units import KIB, MIB
from edge_runtime.host.channel import DATA, PROLOGUE, Channel, Ended, open_channel
from edge_runtime.host.clock import boot_ms
from edge_runtime.host.noise import Cipher, Handshake
from tests.support.channels import End, admit, connect, make_identity, open_pair

STREAMS = 10_000
HANDSHAKES = 3_000
PEAK_BYTES_MAX = 1 * MIB  # one stream reader's buffer, a frame and a message, with room
FIRST, SECOND = make_identity(1), make_identity(2)

Frames = list[bytes]


def flip_a_bit(frames: Frames, rng: random.Random) -> Frames:
    """Flip one bit anywhere, lengths included."""
    at = rng.randrange(len(frames))
    frame = bytearray(frames[at])
    frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
    return [*frames[:at], bytes(frame), *frames[at + 1 :]]


def cut(frames: Frames, rng: random.Random) -> Frames:
    """End early, between frames or within one."""
    stream = b"".join(frames)
    return [stream[: rng.randrange(len(stream))]]


def swap(frames: Frames, rng: random.Random) -> Frames:
    """Let two frames change places."""
    first, second = rng.sample(range(len(frames)), 2)
    changed = list(frames)
    changed[first], changed[second] = frames[second], frames[first]
    return changed


def replay(frames: Frames, rng: random.Random) -> Frames:
    """Send one frame again, at once or later, but before the end."""
    at = rng.randrange(len(frames) - 1)
    later = rng.randrange(at + 1, len(frames))
    return [*frames[:later], frames[at], *frames[later:]]


def drop(frames: Frames, rng: random.Random) -> Frames:
    """Leave one frame out, but not the last: that would be a cut."""
    at = rng.randrange(len(frames) - 1)
    return [*frames[:at], *frames[at + 1 :]]


def insert(frames: Frames, rng: random.Random) -> Frames:
    """Put a frame of chance between two others."""
    at = rng.randrange(len(frames))
    body = rng.randbytes(rng.choice((0, 1, 15, 16, 17, 200)))
    return [*frames[:at], len(body).to_bytes(2, "big") + body, *frames[at:]]


def lie_about_length(frames: Frames, rng: random.Random) -> Frames:
    """Give one frame another length."""
    at = rng.randrange(len(frames))
    other = (int.from_bytes(frames[at][:2], "big") + rng.randrange(1, 65_536)) % 65_536
    return [*frames[:at], other.to_bytes(2, "big") + frames[at][2:], *frames[at + 1 :]]


MUTATIONS: list[Callable[[Frames, random.Random], Frames]] = [
    flip_a_bit,
    cut,
    swap,
    replay,
    drop,
    insert,
    lie_about_length,
]


async def record() -> tuple[list[bytes], Frames, Cipher, Channel]:
    """Return what one channel said, its frames (the last a goodbye), the receiver's cipher, and the receiver."""
    near, far = await connect()
    one, two = await open_pair(FIRST, SECOND, (near, far))
    cipher = copy.copy(two._receiving)
    rng = random.Random(7)
    messages = [rng.randbytes(rng.randrange(300)) for _ in range(8)]
    for message in messages:
        await one.send([message])
    one.say_goodbye("done")
    frames = [await far.read_frame() for _ in range(len(messages) + 1)]
    return messages, [len(frame).to_bytes(2, "big") + frame for frame in frames], cipher, two


def replaying(stream: bytes, cipher: Cipher, writer: asyncio.StreamWriter) -> Channel:
    """Return a channel that is about to receive a stream and then the end."""
    reader = asyncio.StreamReader()
    reader.feed_data(stream)
    reader.feed_eof()
    return Channel(reader, writer, Cipher(), copy.copy(cipher), boot_ms)


async def drain(channel: Channel) -> tuple[list[bytes], PeerError | None]:
    """Receive until it ends; any other exception fails the test."""
    found: list[bytes] = []
    try:
        while messages := await channel.receive():
            found += messages
    except PeerError as error:
        return found, error
    return found, None


async def test_the_stream_as_it_was_sent_is_received_whole() -> None:
    messages, frames, cipher, two = await record()
    channel = replaying(b"".join(frames), cipher, two._writer)
    assert await drain(channel) == (messages, None)
    assert (channel.ended, channel.reason) == (Ended.GOODBYE, "done")


async def test_ten_thousand_broken_streams_give_a_true_beginning_and_one_refusal() -> None:
    messages, frames, cipher, two = await record()
    rng = random.Random(10_000)
    refused = dict.fromkeys(Ended, 0)
    tracemalloc.start()
    for number in range(STREAMS):
        mutate = MUTATIONS[number % len(MUTATIONS)]
        channel = replaying(b"".join(mutate(frames, rng)), cipher, two._writer)
        found, error = await drain(channel)
        assert found == messages[: len(found)], mutate
        assert (error is None) == (channel.ended is Ended.TRUNCATED), (mutate, channel.ended)
        assert channel.ended is not None
        refused[channel.ended] += 1
        if error is not None:
            with pytest.raises(PeerError):
                await channel.receive()
        else:
            assert await channel.receive() == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused[Ended.GOODBYE] == 0
    # A cut is a truncation, and so is a length that reaches beyond the end; all the rest is refused.
    assert refused[Ended.REFUSED] > STREAMS // 2 and refused[Ended.TRUNCATED] > STREAMS // len(MUTATIONS) - 1
    assert peak < PEAK_BYTES_MAX


async def test_an_authenticated_peer_cannot_make_us_gather_more_than_one_message() -> None:
    near, far = await connect()
    one, two = await open_pair(FIRST, SECOND, (near, far))

    async def flood() -> None:
        one._write(DATA, MESSAGE_BYTES_MAX.to_bytes(4, "big"))  # a message that is promised and never completed ...
        for _ in range(MESSAGE_BYTES_MAX // KIB - 1):
            one._write(DATA, bytes(KIB))
            await near.writer.drain()
        for _ in range(20_000):  # ... and frames that hold nothing
            one._write(DATA, b"")
            await near.writer.drain()
        near.writer.close()

    tracemalloc.start()
    flooding = asyncio.create_task(flood())
    assert await drain(two) == ([], None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await flooding
    assert two.ended is Ended.TRUNCATED
    assert peak < 2 * PEAK_BYTES_MAX  # both ends are counted


async def test_garbage_before_the_handshake_is_refused_and_neither_gathered_nor_answered() -> None:
    rng = random.Random(3)
    near, far = await connect()
    tracemalloc.start()
    for length in (0, 1, 2, 3, 33, 100, FRAME_BYTES_MAX, 8 * MIB):
        opening = asyncio.create_task(open_channel(far.reader, far.writer, SECOND, admit(FIRST), is_initiator=False))
        junk = b"\x55" + rng.randbytes(min(length, KIB))
        near.writer.write(junk[:length])
        sent = len(junk[:length])
        while sent < length and not opening.done():
            near.writer.write(junk)
            await asyncio.sleep(0)
            sent += len(junk)
        near.writer.close()
        with pytest.raises(PeerError):
            await opening
        assert sent < 1 * MIB  # it was refused long before all of it was sent
        far.writer.close()
        assert await near.reader.read() == b""
        near, far = await connect()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < PEAK_BYTES_MAX


async def test_thousands_of_broken_handshakes_are_refused_and_answered_by_two_keys_at_most() -> None:
    rng = random.Random(4)
    for number in range(HANDSHAKES):
        near, far = await connect()
        opening = asyncio.create_task(open_channel(far.reader, far.writer, SECOND, admit(FIRST), is_initiator=False))
        handshake = Handshake(True, FIRST.static_secret, rng.randbytes(32), PROLOGUE)
        near.write_frame(handshake.write())
        handshake.read(await near.read_frame())
        third = handshake.write(FIRST.certificate())
        mutate = (flip_a_bit, cut, lie_about_length, insert)[number % 4]
        near.writer.write(b"".join(mutate([len(third).to_bytes(2, "big") + third], rng)))
        near.writer.close()
        with pytest.raises(PeerError):
            await opening
        far.writer.transport.abort()
        assert await near.reader.read() == b""  # nothing after message 2


async def test_a_recorded_handshake_opens_nothing_when_it_is_played_again() -> None:
    near, far = await connect()
    opening = asyncio.create_task(open_channel(far.reader, far.writer, SECOND, admit(FIRST), is_initiator=False))
    handshake = Handshake(True, FIRST.static_secret, os.urandom(32), PROLOGUE)
    first = handshake.write()
    near.write_frame(first)
    handshake.read(await near.read_frame())
    third = handshake.write(FIRST.certificate())
    near.write_frame(third)
    assert (await opening).peer == FIRST.key.public
    for _ in range(100):
        near, far = await connect()
        for message in (first, third):
            near.write_frame(message)
        with pytest.raises(PeerError) as refused:
            await open_channel(far.reader, far.writer, SECOND, admit(FIRST), is_initiator=False)
        assert refused.value.reason == "decrypt"
        far.writer.close()


async def test_a_peer_that_echoes_what_it_hears_is_refused() -> None:
    for is_initiator in (True, False):
        near, far = await connect()

        async def echo(end: End) -> None:
            while chunk := await end.reader.read(4_096):
                end.writer.write(chunk)
            end.writer.close()

        if not is_initiator:
            near.write_frame(os.urandom(32))
        echoing = asyncio.create_task(echo(near))
        with pytest.raises(PeerError):
            await open_channel(far.reader, far.writer, FIRST, lambda device, grants: None, is_initiator)
        far.writer.close()
        await echoing


async def test_a_man_in_the_middle_cannot_put_his_certificate_into_anothers_handshake() -> None:
    # He shakes hands with his own channel key and presents a certificate that he once received from a true device.
    near, far = await connect()
    opening = asyncio.create_task(open_channel(far.reader, far.writer, SECOND, admit(FIRST), is_initiator=False))
    handshake = Handshake(True, make_identity(666).static_secret, os.urandom(32), PROLOGUE)
    near.write_frame(handshake.write())
    handshake.read(await near.read_frame())
    near.write_frame(handshake.write(FIRST.certificate()))
    with pytest.raises(PeerError) as refused:
        await opening
    assert refused.value.reason == "certificate"

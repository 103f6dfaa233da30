"""Liars on both sides of a pairing: who joins may lie, and who invites may. Nobody is let in, led astray or kept out."""

from __future__ import annotations

import asyncio
import random
import time
import tracemalloc
from collections.abc import Callable

import pytest

from edge_runtime.base.errors import Exit, PeerError, UsageError
from edge_runtime.base.units import MIB
from edge_runtime.host import channel, pairing
from edge_runtime.host.noise import Handshake
from edge_runtime.host.pairing import PROLOGUE
from edge_runtime.objects.codec import encode
from edge_runtime.objects.keys import SigningKey
from tests.support.inviters import CODE, KEY, ROOT, Inviter, identity, membership, newcomer

SOON_S = 10.0
JUNK = 400
GUESSERS = 6
NEW = identity(b"n").key.public
FIRST = bytes((CODE.number,))

Answer = Callable[[Handshake], bytes]


def handshake(is_initiator: bool, letter: bytes, key: bytes = KEY) -> Handshake:
    rng = random.Random(letter)
    return Handshake(is_initiator, identity(letter).static_secret, rng.randbytes(32), PROLOGUE + FIRST, key)


# --- Who invites lies. --------------------------------------------------------------------------------------------


async def look_at_a_liar(answer: Answer, wait_s: float, root: bytes = b"") -> UsageError:
    """Return what a person is told of somebody who shakes hands with the code and then answers so."""

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = handshake(False, b"i")
        try:
            side.read((await channel.read_first(reader))[1:])
            channel.write_raw(writer, side.write())
            side.read(await channel.read_raw(reader, 1, 1_000))
            channel.write_raw(writer, answer(side))
            await reader.read()
        except (PeerError, OSError):
            pass
        writer.transport.abort()

    server = await asyncio.start_server(lie, "127.0.0.1", 0)
    try:
        with pytest.raises(UsageError) as refusal:
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await newcomer(None, peers=(address,), root=root).look(wait_s)
    finally:
        server.close()
    assert "\n" not in refusal.value.message and len(refusal.value.message) < 500
    return refusal.value


def sealed(text: bytes) -> Answer:
    return lambda side: side.split()[0].encrypt(text)


def file_of(device: bytes, root: SigningKey = ROOT) -> bytes:
    return encode([True, membership(device, root).to_bytes()])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(b"\xff\xff\xff", "encoding", id="garbage for CBOR"),
        pytest.param(encode([1, 2, 3]), "an answer that is none", id="no answer"),
        pytest.param(encode([True, b"x" * 4_000]), "encoding", id="no membership file"),
        pytest.param(encode([True, encode(["boats", b"r" * 32, []])]), "not a membership file", id="no grant in it"),
        pytest.param(file_of(b"o" * 32), "audience is another device", id="for another device"),
        pytest.param(
            encode([True, encode(["boats", b"r" * 32, list(membership(NEW).grants)])]), "another fleet",
            id="a grant that another root signed",
        ),
        pytest.param(b"", "length|answered within", id="nothing at all"),
    ],
)  # fmt: skip
async def test_an_answer_that_is_no_membership_is_told_in_one_line(text: bytes, words: str) -> None:
    refusal = await look_at_a_liar(sealed(text), SOON_S if text else 0.5)
    if text:
        assert refusal.exit is Exit.REFUSED and "its answer is no membership" in refusal.message
        assert words in refusal.message
    else:
        assert "another code" in refusal.message


async def test_with_a_file_a_liar_that_knows_the_code_leads_to_no_fleet_of_its_own() -> None:
    own = SigningKey.from_seed(b"l" * 32)
    refusal = await look_at_a_liar(sealed(file_of(NEW, own)), SOON_S, root=ROOT.public)
    assert "not to the one of the file" in refusal.message and refusal.exit is Exit.REFUSED


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda side: b"x" * 65_535, id="64 KiB"),
        pytest.param(lambda side: b"x" * 500, id="not sealed"),
        pytest.param(lambda side: side.split()[1].encrypt(file_of(NEW)), id="sealed the wrong way round"),
    ],
)
async def test_what_is_not_sealed_by_the_code_is_no_answer_at_all(answer: Answer) -> None:
    """Nobody who lacks the code can end the looking: the right device may still come."""
    refusal = await look_at_a_liar(answer, 0.5)
    assert "another code" in refusal.message and refusal.exit is Exit.FAILED


async def test_a_refusal_cannot_write_to_the_persons_terminal() -> None:
    text = encode([False, "no\x1b]0;owned\x07\r\n" + "x" * 5_000])
    refusal = await look_at_a_liar(sealed(text), SOON_S)
    assert refusal.message.isprintable() and "does not let this device in: no" in refusal.message


# --- Who joins lies. ----------------------------------------------------------------------------------------------


async def dial(inviter: Inviter, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", inviter.port, local_addr=(host, 0))


async def guess(inviter: Inviter, host: str, letter: bytes = b"g") -> bytes:
    """Try a wrong code to the end; return what came back after the third message."""
    reader, writer = await dial(inviter, host)
    side = handshake(True, letter, b"wrong" + bytes(27))
    try:
        channel.write_raw(writer, FIRST + side.write())
        side.read(await channel.read_raw(reader, channel.SECOND_BYTES, channel.SECOND_BYTES))
        channel.write_raw(writer, side.write(identity(letter).certificate()))
        return await reader.read()
    except (PeerError, OSError):
        return b""
    finally:
        writer.transport.abort()


async def test_while_many_guess_without_end_the_right_code_works_within_seconds() -> None:
    """A flood from six addresses: each is paused alone, memory stays bounded, and nobody else waits."""
    async with Inviter() as inviter, asyncio.TaskGroup() as group:
        count = 0

        async def flood(host: str) -> None:
            nonlocal count
            while True:
                assert await guess(inviter, host) == b""
                inviter.failures.clear()
                count += 1

        tracemalloc.start()
        guessers = [group.create_task(flood(f"127.0.0.{number + 2}")) for number in range(GUESSERS)]
        try:
            async with asyncio.timeout(SOON_S):
                while count < 300:
                    await asyncio.sleep(0)
            held = tracemalloc.get_traced_memory()[0]
            began = time.monotonic()
            assert await newcomer(inviter).look(SOON_S)
            took_s = time.monotonic() - began
            async with asyncio.timeout(SOON_S):
                while count < 900:
                    await asyncio.sleep(0)
            grown = tracemalloc.get_traced_memory()[0] - held
        finally:
            tracemalloc.stop()
            for task in guessers:
                task.cancel()
    print(f"\n{count} wrong codes; the right one took {took_s * 1000:.0f} ms; {grown} bytes more are held")
    assert took_s < 3.0 and grown < MIB and inviter.admitted == [NEW]


async def test_more_guessing_addresses_than_are_remembered_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "PAIRING_PAUSED_MAX", 8)
    async with Inviter() as inviter:
        for number in range(20):
            await guess(inviter, f"127.0.1.{number + 1}")
        assert len(inviter.pairing._quiet_until_ms) == 8
        assert await newcomer(inviter).look(SOON_S)


async def test_a_recorded_pairing_that_is_played_again_lets_nobody_in() -> None:
    """Both sides make a key of the moment: what one newcomer said is a wrong code to the next handshake."""
    async with Inviter() as inviter:
        sent: list[bytes] = []

        async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await dial(inviter)

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: list[bytes]) -> None:
                while data := await source.read(65_536):
                    kept.append(data)
                    sink.write(data)
                sink.close()

            await asyncio.gather(pump(reader, back, sent), pump(there, writer, []), return_exceptions=True)

        relay = await asyncio.start_server(record, "127.0.0.1", 0)
        address = f"127.0.0.1:{relay.sockets[0].getsockname()[1]}"
        try:
            assert await newcomer(inviter, peers=(address,)).look(SOON_S)
        finally:
            relay.close()
        inviter.failures.clear()
        reader, writer = await dial(inviter)
        writer.write(b"".join(sent))
        came = await asyncio.wait_for(reader.read(), SOON_S)
        writer.transport.abort()
        assert len(came) == 2 + channel.SECOND_BYTES, "a second message, and not a byte of an answer"
        assert inviter.failures == ["pairing: a wrong code"] and inviter.admitted == [NEW]


async def test_hundreds_of_broken_handshakes_end_in_one_refusal_each_and_the_code_still_works() -> None:
    """Junk, cut, too long, one bit wrong: of the first message and of the third; every one from an address of its own."""
    rng = random.Random("pairing")
    async with Inviter() as inviter:
        for number in range(JUNK):
            reader, writer = await dial(inviter, f"127.0.{2 + number // 200}.{1 + number % 200}")
            side = handshake(True, b"n")
            first, third = FIRST + side.write(), b""
            if is_late := bool(number % 2):
                channel.write_raw(writer, first)
                side.read(await channel.read_raw(reader, channel.SECOND_BYTES, channel.SECOND_BYTES))
                third = side.write(identity(b"n").certificate())
            message = bytearray(third or first)
            match number // 2 % 4:
                case 0:
                    message[rng.randrange(0 if is_late else 1, len(message))] ^= 1 << rng.randrange(8)
                case 1:
                    message = message[: rng.randrange(len(message))]
                case 2:
                    message += rng.randbytes(rng.randrange(1, 400))
                case 3:
                    message = bytearray(rng.randbytes(len(message)))
            channel.write_raw(writer, bytes(message))
            writer.write_eof()
            await asyncio.wait_for(_drain(reader), SOON_S)
            writer.transport.abort()
        assert inviter.admitted == [] and len(inviter.failures) == JUNK
        assert await newcomer(inviter).look(SOON_S)


async def _drain(reader: asyncio.StreamReader) -> None:
    try:
        await reader.read()
    except OSError:
        pass


@pytest.mark.parametrize("stage", ["nothing", "one byte at a time", "no third message", "never hangs up"])
async def test_whoever_is_slow_is_hung_up_on(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of a handshake has a bound, which is 0.3 s here and HANDSHAKE_MS_MAX on a device."""
    for module in (channel, pairing):
        monkeypatch.setattr(module, "HANDSHAKE_MS_MAX", 300)
    async with Inviter() as inviter:
        reader, writer = await dial(inviter)
        side = handshake(True, b"n")
        first = FIRST + side.write()
        trickle: asyncio.Task[None] | None = None
        if stage == "one byte at a time":
            trickle = asyncio.create_task(_trickle(writer, len(first).to_bytes(2, "big") + first))
        elif stage != "nothing":
            channel.write_raw(writer, first)
        if stage == "never hangs up":
            side.read(await channel.read_raw(reader, channel.SECOND_BYTES, channel.SECOND_BYTES))
            channel.write_raw(writer, side.write(identity(b"n").certificate()))
        began = time.monotonic()
        await asyncio.wait_for(_drain(reader), SOON_S)
        took_s = time.monotonic() - began
        if trickle is not None:
            trickle.cancel()
        writer.transport.abort()
        assert took_s < 2.0 and bool(inviter.admitted) == (stage == "never hangs up")
        assert await newcomer(inviter).look(SOON_S)


async def _trickle(writer: asyncio.StreamWriter, data: bytes) -> None:
    for at in range(len(data)):
        writer.write(data[at : at + 1])
        await asyncio.sleep(0.05)

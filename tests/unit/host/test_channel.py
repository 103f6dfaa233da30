"""The channel over real streams: who is let in, what a stranger learns, coalescing, keys, how it ends."""

from __future__ import annotations

import asyncio
import copy
import os
import random
import socket

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import (
    CHANNEL_GRANTS_MAX,
    FRAME_BYTES_MAX,
    GRANT_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    REKEY_MS,
)
from edge_runtime.host import channel as under_test
from edge_runtime.host.channel import (
    CERTIFICATE,
    DATA,
    PROLOGUE,
    TEXT_BYTES,
    Channel,
    Doorway,
    Ended,
    check_certificate,
    open_channel,
    tune,
)
from edge_runtime.host.noise import Handshake, public_of
from edge_runtime.objects.codec import encode
from tests.support.channels import End, admit, connect, make_identity, open_pair

FIRST, SECOND, STRANGER = make_identity(1, (b"grant of one",)), make_identity(2, (b"grant of two",)), make_identity(3)


async def receive_all(channel: Channel) -> list[bytes]:
    """Return all messages until the end."""
    found: list[bytes] = []
    while messages := await channel.receive():
        found += messages
    return found


async def shake_raw(end: End) -> tuple[Handshake, bytes, bytes]:
    """Be an initiator by hand, with a stranger's keys: return the handshake and the two messages that passed."""
    handshake = Handshake(True, STRANGER.static_secret, os.urandom(32), PROLOGUE)
    end.write_frame(first := handshake.write())
    second = await end.read_frame()
    handshake.read(second)
    return handshake, first, second


async def test_both_sides_learn_who_the_other_is_and_what_it_was_granted() -> None:
    one, two = await open_pair(FIRST, SECOND, await connect())
    assert (one.peer, one.peer_grants) == (SECOND.key.public, SECOND.grants)
    assert (two.peer, two.peer_grants) == (FIRST.key.public, FIRST.grants)


@pytest.mark.parametrize("is_dialler_sending", [True, False])
async def test_messages_of_every_size_arrive_whole_and_in_order(is_dialler_sending: bool) -> None:
    opened = await open_pair(FIRST, SECOND, await connect())
    sender, receiver = opened if is_dialler_sending else opened[::-1]
    rng = random.Random(1)
    edges = [0, 1, TEXT_BYTES - 5, TEXT_BYTES - 4, TEXT_BYTES - 3, TEXT_BYTES, MESSAGE_BYTES_MAX]
    messages = [rng.randbytes(size) for size in (*edges, *(rng.randrange(3_000) for _ in range(300)))]
    reading = asyncio.create_task(receive_all(receiver))
    for at in range(0, len(messages), 50):
        await sender.send(messages[at : at + 50])
    sender.say_goodbye("done")
    assert await reading == messages


async def test_small_messages_are_coalesced_into_full_frames() -> None:
    near, far = await connect()
    one, two = await open_pair(FIRST, SECOND, (near, far))
    messages = [b"x" * 100] * 1_000  # 104,000 bytes with their lengths: one full frame and a rest
    await one.send(messages)
    frames = [await far.read_frame(), await far.read_frame()]
    assert len(frames[0]) == FRAME_BYTES_MAX
    assert sum(map(len, frames)) == 104_000 + 2 * 17


async def test_a_peer_of_another_fleet_is_refused_and_learns_only_the_channel_key() -> None:
    near, far = await connect()
    opening = asyncio.create_task(open_channel(far.reader, far.writer, SECOND, admit(FIRST), is_initiator=False))
    handshake, _, second = await shake_raw(near)
    near.write_frame(handshake.write(STRANGER.certificate()))
    with pytest.raises(PeerError) as refused:
        await opening
    assert refused.value.reason == "stranger"
    far.writer.transport.abort()
    # All that came back is message 2: two keys and two tags. Nothing after it, refused or not.
    assert len(second) == 32 + 48 + 16
    assert await near.reader.read() == b""
    assert handshake.remote_static == public_of(SECOND.static_secret)
    secrets = SECOND.key.public, SECOND.grants[0], public_of(SECOND.static_secret)
    assert not any(hidden in second for hidden in secrets)


async def test_an_initiator_refuses_a_responder_of_another_fleet() -> None:
    near, far = await connect()
    opening = asyncio.create_task(open_channel(far.reader, far.writer, STRANGER, admit(FIRST), is_initiator=False))
    with pytest.raises(PeerError) as refused:
        await open_channel(near.reader, near.writer, FIRST, admit(SECOND), is_initiator=True)
    assert refused.value.reason == "stranger"
    await opening


async def test_an_initiator_that_is_refused_is_told_so() -> None:
    near, far = await connect()

    async def refuse() -> None:
        with pytest.raises(PeerError):
            await open_channel(far.reader, far.writer, SECOND, admit(), is_initiator=False)
        far.writer.transport.abort()

    refusing = asyncio.create_task(refuse())
    with pytest.raises(PeerError) as refused:
        await open_channel(near.reader, near.writer, FIRST, admit(SECOND), is_initiator=True)
    assert refused.value.reason == "refused"
    await refusing


async def test_nothing_but_keys_is_readable_on_the_wire() -> None:
    (near, inner), (outer, far) = await connect(), await connect()
    heard = bytearray()

    async def relay(source: End, target: End) -> None:
        while chunk := await source.reader.read(4_096):
            heard.extend(chunk)
            target.writer.write(chunk)

    relays = [asyncio.create_task(relay(inner, outer)), asyncio.create_task(relay(outer, inner))]
    one, two = await open_pair(FIRST, SECOND, (near, far))
    await one.send([b"hello"])
    assert await two.receive() == [b"hello"]
    for task in relays:
        task.cancel()
    hidden = [b"hello"]
    for identity in (FIRST, SECOND):
        hidden += [identity.key.public, public_of(identity.static_secret), *identity.grants]
    # Three messages, the responder's certificate, one data frame: each 2 bytes of length, then keys, tags, types.
    overhead = (2 + 32) + (2 + 96) + (2 + 64) + (2 + 17) + (2 + 17 + 4 + len(b"hello"))
    assert len(heard) == overhead + len(FIRST.certificate()) + len(SECOND.certificate())
    assert not any(item in heard for item in hidden)


async def test_as_many_and_as_large_grants_as_are_allowed_fit_the_handshake() -> None:
    grants = tuple(os.urandom(GRANT_BYTES_MAX) for _ in range(CHANNEL_GRANTS_MAX))
    one, two = await open_pair(make_identity(1, grants), make_identity(2, grants), await connect())
    assert one.peer_grants == two.peer_grants == grants


def test_a_certificate_of_another_channel_key_is_refused() -> None:
    data = FIRST.certificate()
    assert check_certificate(data, public_of(FIRST.static_secret), admit(FIRST)).device == FIRST.key.public
    with pytest.raises(PeerError) as refused:
        check_certificate(data, public_of(SECOND.static_secret), admit(FIRST))
    assert refused.value.reason == "certificate"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "encoding"),
        (b"\xff", "encoding"),
        (encode([]), "certificate"),
        (encode([b"d" * 31, b"s" * 64, []]), "certificate"),
        (encode([b"d" * 32, b"s" * 63, []]), "certificate"),
        (encode([b"d" * 32, b"s" * 64, ["text"]]), "certificate"),
        (encode([b"d" * 32, b"s" * 64, [], 1]), "certificate"),
        (encode([b"d" * 32, b"s" * 64, [b""] * (CHANNEL_GRANTS_MAX + 1)]), "certificate"),
        (encode([b"d" * 32, b"s" * 64, [bytes(GRANT_BYTES_MAX + 1)]]), "certificate"),
        (encode([b"\0" * 32, b"\0" * 64, []]), "certificate"),
        (FIRST.certificate() + b"\0", "encoding"),
    ],
)
def test_a_malformed_certificate_is_refused_before_anybody_is_asked(data: bytes, reason: str) -> None:
    def authorise(device: bytes, grants: tuple[bytes, ...]) -> None:
        pytest.fail("asked")

    with pytest.raises(PeerError) as refused:
        check_certificate(data, public_of(FIRST.static_secret), authorise)
    assert refused.value.reason == reason


async def test_a_peer_of_another_protocol_version_is_refused() -> None:
    near, far = await connect()
    opening = asyncio.create_task(open_channel(far.reader, far.writer, SECOND, admit(FIRST), is_initiator=False))
    handshake = Handshake(True, FIRST.static_secret, os.urandom(32), b"edge-runtime/2 channel 1")
    near.write_frame(handshake.write())
    with pytest.raises(PeerError):
        handshake.read(await near.read_frame())
    near.writer.transport.abort()
    with pytest.raises((PeerError, OSError)):
        await opening


async def test_a_peer_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "HANDSHAKE_MS_MAX", 1)
    _, far = await connect()
    with pytest.raises(TimeoutError):
        await open_channel(far.reader, far.writer, SECOND, admit(FIRST), is_initiator=False)


@pytest.mark.parametrize("head", [b"\x00\x00", b"\x00\x1f", b"\x00\x21", b"\xff\xff", b"GE"])
async def test_a_first_message_of_another_length_is_refused_at_its_head(head: bytes) -> None:
    near, far = await connect()
    near.writer.write(head)  # and nothing more: it is not waited for
    with pytest.raises(PeerError) as refused:
        await open_channel(far.reader, far.writer, SECOND, admit(FIRST), is_initiator=False)
    assert refused.value.reason == "handshake"


async def test_a_goodbye_and_its_reason_arrive_after_all_messages() -> None:
    one, two = await open_pair(FIRST, SECOND, await connect())
    await one.send([b"last words"])
    closing = asyncio.create_task(one.close("radio off"))
    assert await receive_all(two) == [b"last words"]
    assert (two.ended, two.reason) == (Ended.GOODBYE, "radio off")
    assert await two.receive() == []
    await closing


async def test_nothing_is_received_after_a_goodbye() -> None:
    one, two = await open_pair(FIRST, SECOND, await connect())
    one.say_goodbye("bye")
    await one.send([b"one thing more"])
    assert await two.receive() == []
    assert await two.receive() == []
    assert two.ended is Ended.GOODBYE


async def test_an_end_between_frames_is_told_apart_from_a_goodbye() -> None:
    near, far = await connect()
    one, two = await open_pair(FIRST, SECOND, (near, far))
    await one.send([b"whole"])
    near.writer.close()  # the transport ends cleanly, as a man in the middle can make it
    assert await receive_all(two) == [b"whole"]
    assert two.ended is Ended.TRUNCATED


async def test_an_end_within_a_frame_or_a_message_is_a_truncation() -> None:
    near, far = await connect()
    one, two = await open_pair(FIRST, SECOND, (near, far))
    one._write(DATA, (10).to_bytes(4, "big") + b"half")
    near.writer.write(b"\x00\x40half a frame")
    near.writer.close()
    assert await receive_all(two) == []
    assert two.ended is Ended.TRUNCATED


async def test_a_lost_connection_is_a_truncation() -> None:
    server_end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda *pair: server_end.set_result(End(*pair)), "127.0.0.1", 0)
    near = End(*await asyncio.open_connection(*server.sockets[0].getsockname()))
    far = await server_end
    one, two = await open_pair(FIRST, SECOND, (near, far))
    near.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    one.abort()  # with a reset, as from a machine that has restarted
    assert await two.receive() == []
    assert two.ended is Ended.TRUNCATED
    server.close()


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (DATA, (MESSAGE_BYTES_MAX + 1).to_bytes(4, "big"), "oversize"),
        (CERTIFICATE, b"", "frame"),
        (99, b"", "frame"),
    ],
)
async def test_a_peer_that_breaks_the_rules_is_refused_for_good(kind: int, text: bytes, reason: str) -> None:
    one, two = await open_pair(FIRST, SECOND, await connect())
    one._write(kind, text)
    await one.send([b"as if nothing was"])
    with pytest.raises(PeerError) as refused:
        await two.receive()
    assert (refused.value.reason, two.ended) == (reason, Ended.REFUSED)
    for _ in range(2):
        with pytest.raises(PeerError) as refused:
            await two.receive()
        assert refused.value.reason == "closed"


async def test_a_frame_without_a_type_is_refused() -> None:
    near, far = await connect()
    one, two = await open_pair(FIRST, SECOND, (near, far))
    near.write_frame(one._sending.encrypt(b""))
    with pytest.raises(PeerError) as refused:
        await two.receive()
    assert refused.value.reason == "frame"


async def test_keys_change_after_so_many_frames_and_messages_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "REKEY_FRAMES", 4)
    near, far = await connect()
    one, two = await open_pair(FIRST, SECOND, (near, far))
    old = copy.copy(two._receiving)
    for number in range(20):
        await one.send([b"%d" % number])
        await two.send([b"%d back" % number])
        assert await two.receive() == [b"%d" % number]
        assert await one.receive() == [b"%d back" % number]
    await one.send([b"under another key"])
    sealed = await far.read_frame()
    old.nonce = two._receiving.nonce
    with pytest.raises(PeerError):
        old.decrypt(sealed)
    assert two._receiving.decrypt(sealed).endswith(b"under another key")


async def test_keys_change_after_an_hour_of_the_sender_and_messages_go_on() -> None:
    now = [5_000]
    near, far = await connect()
    one, two = await open_pair(FIRST, SECOND, (near, far), lambda: now[0])
    kept = copy.copy(one._sending)
    for hour in range(3):
        now[0] += REKEY_MS - 1
        await one.send([b"within the hour"])
        assert one._sending._key == kept._key
        now[0] += 1
        await one.send([b"after it", b"%d" % hour])
        assert one._sending._key != kept._key
        assert await two.receive() == [b"within the hour"]
        assert await two.receive() == [b"after it", b"%d" % hour]
        kept = copy.copy(one._sending)
        await two.send([b"the other direction has its own keys"])
        assert len(await one.receive()) == 1


async def test_a_sender_waits_while_the_receiver_does_not_read() -> None:
    near, far = await connect()
    one, two = await open_pair(FIRST, SECOND, (near, far))
    sending = asyncio.create_task(one.send([bytes(MESSAGE_BYTES_MAX)] * 40))
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert not sending.done()
    assert near.writer.transport.get_write_buffer_size() < 4 * FRAME_BYTES_MAX
    received = 0
    while received < 40:
        received += len(await two.receive())
    await sending


async def test_a_tcp_socket_is_tuned_and_any_other_left_alone() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    tune(writer)
    found = writer.get_extra_info("socket")
    assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5_000
    assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    writer.close()
    server.close()
    near, _ = await connect()
    tune(near.writer)


def test_a_doorway_bounds_handshakes_per_address_and_in_all() -> None:
    doorway = Doorway(5, 2)
    assert [doorway.enter("fe80::1") for _ in range(3)] == [True, True, False]
    assert [doorway.enter("fe80::2") for _ in range(2)] == [True, True]
    assert [doorway.enter("fe80::3") for _ in range(2)] == [True, False]
    doorway.leave("fe80::1")
    assert doorway.enter("fe80::3")
    assert not doorway.enter("fe80::1")


def test_a_doorway_forgets_addresses_that_have_left() -> None:
    doorway = Doorway(5, 2)
    for number in range(1_000):
        assert doorway.enter(f"fe80::{number:x}")
        doorway.leave(f"fe80::{number:x}")
    assert not doorway._by_address

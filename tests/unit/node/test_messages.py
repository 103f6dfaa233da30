"""Messages between devices: one spelling, strict and bounded."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import HEADS_PER_MESSAGE_MAX, MET_TOLD_MAX
from edge_runtime.node.messages import (
    Adverts,
    Entries,
    Head,
    Heads,
    Hello,
    Message,
    Denied,
    Likely,
    Met,
    Refuse,
    Revocations,
    Want,
    decode_message,
    encode_message,
)
from edge_runtime.objects.codec import encode

HASH = bytes(range(32))


@pytest.mark.parametrize(
    "message",
    [
        Hello("base", 1_700_000_000_000, 3, HASH, 7),
        Adverts((b"advert", b"")),
        Heads((Head(HASH, (HASH,)), Head(HASH, ())), True),
        Want((Head(HASH, ()),)),
        Entries(HASH, (b"grant",), (b"entry",), 5, False, 1_700_000_000_000, 3),
        Refuse(HASH, HASH, 33), Denied(("camera",)), Revocations(HASH, (b"r",)), Met((Likely(HASH[:8], 5),)),
    ],
)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 50,
        encode([]),
        encode([99]),
        encode(["hello"]),
        encode([1, "base", 0, 9, HASH, 0]),  # no such trust
        encode([1, "base", 0, 3, HASH[:31], 0]),
        encode([1, "base", 0, 3, HASH, 0]).replace(b"\x00\x03", b"\x20\x03"),
        encode([1, "base", 0, 3, HASH, 0, "more"]),
        encode([4, [[HASH, []]] * (HEADS_PER_MESSAGE_MAX + 1)]),
        encode([6, HASH, HASH, 256]),
        encode([5, HASH, [], [b"x" * 65_537], 0, True, 0, 0]),
        encode([5, HASH, [], [], 0, True, 0, 5]),
        encode([2, [b"x"] * 65]),
        encode([11, [[HASH[:8], 1]] * (MET_TOLD_MAX + 1)]),
        encode([11, [[HASH[:8], 1_000_000_001]]]),
        encode([11, [[HASH, 1]]]),
    ],
)
def test_what_is_no_message_is_a_peer_error(data: bytes) -> None:
    with pytest.raises(PeerError):
        decode_message(data)

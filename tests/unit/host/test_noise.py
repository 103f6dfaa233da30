"""The Noise state machine: agreement, each way to break it, and that what is broken stays closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.host.noise import LAST_NONCE, Cipher, Handshake, public_of

STATICS = bytes(range(32)), bytes(range(100, 132))
EPHEMERALS = bytes(range(50, 82)), bytes(range(150, 182))
PAYLOADS = b"", b"", b"a certificate"
# Points of small order and their twins above the prime: with each, every secret agrees on zero.
# Source: RFC 7748 section 6.1 refuses the zero; the list is the seven of libsodium's own check.
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def make_sides(
    prologues: tuple[bytes, bytes] = (b"p", b"p"), psks: tuple[bytes, bytes] = (b"", b"")
) -> tuple[Handshake, Handshake]:
    """Return an initiator and a responder, with what each of them believes."""
    return (
        Handshake(True, STATICS[0], EPHEMERALS[0], prologues[0], psks[0]),
        Handshake(False, STATICS[1], EPHEMERALS[1], prologues[1], psks[1]),
    )


def exchange(initiator: Handshake, responder: Handshake) -> Iterator[tuple[Handshake, bytes]]:
    """Yield (reader, message) for each message, before it is read; read it on resumption if the test did not."""
    for turn, payload in enumerate(PAYLOADS):
        writer, reader = (initiator, responder) if turn % 2 == 0 else (responder, initiator)
        message = writer.write(payload)
        yield reader, message
        assert reader.read(message) == payload


def finish(initiator: Handshake, responder: Handshake) -> None:
    """Pass all three messages."""
    for _ in exchange(initiator, responder):
        pass


def reach(turn: int, psk: bytes = b"") -> tuple[Handshake, bytes]:
    """Return the reader and the message of one turn of a fresh handshake."""
    for number, found in enumerate(exchange(*make_sides(psks=(psk, psk)))):
        if number == turn:
            return found
    raise AssertionError("three turns")


@pytest.mark.parametrize("psk", [b"", b"k" * 32], ids=["XX", "XXpsk3"])
def test_both_sides_end_with_one_hash_and_each_others_static_key(psk: bytes) -> None:
    initiator, responder = make_sides(psks=(psk, psk))
    finish(initiator, responder)
    assert initiator.is_finished and responder.is_finished
    assert initiator.handshake_hash == responder.handshake_hash
    assert initiator.remote_static == public_of(STATICS[1])
    assert responder.remote_static == public_of(STATICS[0])
    there, back = initiator.split(), responder.split()
    assert back[1].decrypt(there[0].encrypt(b"to the responder")) == b"to the responder"
    assert there[1].decrypt(back[0].encrypt(b"to the initiator")) == b"to the initiator"


def test_the_three_messages_are_32_96_and_64_bytes_before_payloads() -> None:
    sides = make_sides()
    lengths = [len(message) for _, message in exchange(*sides)]
    assert lengths == [32, 96, 64 + len(PAYLOADS[2])]


def test_nothing_of_a_static_key_or_a_payload_is_readable_on_the_wire() -> None:
    wire = b"".join(message for _, message in exchange(*make_sides()))
    assert not any(hidden in wire for hidden in (*map(public_of, STATICS), *STATICS, PAYLOADS[2]))


@pytest.mark.parametrize("psk", [b"", b"k" * 32], ids=["XX", "XXpsk3"])
@pytest.mark.parametrize("turn", [1, 2])
def test_each_flipped_byte_of_an_encrypted_message_is_refused_for_good(turn: int, psk: bytes) -> None:
    _, message = reach(turn, psk)
    for at in range(len(message)):
        reader, good = reach(turn, psk)
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        with pytest.raises(PeerError) as refused:
            reader.read(bytes(bad))
        assert refused.value.reason in ("decrypt", "handshake")
        with pytest.raises(PeerError):
            reader.read(good)
        assert not reader.is_finished


def test_a_changed_first_message_is_found_out_by_the_second() -> None:
    for at in range(32):
        for bit in range(8):
            initiator, responder = make_sides()
            bad = bytearray(initiator.write())
            bad[at] ^= 1 << bit
            responder.read(bytes(bad))
            with pytest.raises(PeerError):
                initiator.read(responder.write())


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_a_message_cut_anywhere_is_refused_for_good(turn: int) -> None:
    _, message = reach(turn)
    for length in range(len(message)):
        reader, good = reach(turn)
        with pytest.raises(PeerError):
            reader.read(good[:length])
        with pytest.raises(PeerError):
            reader.read(good)


@pytest.mark.parametrize("turn", [1, 2])
def test_a_message_with_bytes_added_is_refused(turn: int) -> None:
    reader, good = reach(turn)
    with pytest.raises(PeerError):
        reader.read(good + b"\0")


def test_a_message_longer_than_a_frame_is_refused() -> None:
    _, responder = make_sides()
    with pytest.raises(PeerError) as refused:
        responder.read(EPHEMERALS[0] + bytes(65_535))
    assert refused.value.reason == "handshake"


def test_another_prologue_is_refused_at_the_second_message() -> None:
    initiator, responder = make_sides(prologues=(b"version 1", b"version 2"))
    responder.read(initiator.write())
    with pytest.raises(PeerError):
        initiator.read(responder.write())


def test_another_code_is_refused_at_the_third_message() -> None:
    # The code is mixed in last: until then the keys depend on what is public or ephemeral.
    initiator, responder = make_sides(psks=(b"a" * 32, b"b" * 32))
    responder.read(initiator.write())
    initiator.read(responder.write())
    with pytest.raises(PeerError):
        responder.read(initiator.write(PAYLOADS[2]))
    assert not responder.is_finished


def test_a_side_without_the_code_is_refused_at_once() -> None:
    initiator, responder = make_sides(psks=(b"", b"b" * 32))
    with pytest.raises(PeerError):
        responder.read(initiator.write())


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_an_ephemeral_key_of_small_order_is_refused_for_good(point: str) -> None:
    _, responder = make_sides()
    responder.read(bytes.fromhex(point))
    for why in ("small order", "closed"):
        with pytest.raises(PeerError) as refused:
            responder.write()
        assert refused.value.reason == "handshake"
        assert why in str(refused.value)
    initiator, _ = make_sides()
    initiator.write()
    with pytest.raises(PeerError) as refused:
        initiator.read(bytes.fromhex(point) + bytes(64))
    assert "small order" in str(refused.value)


def test_a_static_key_of_small_order_is_refused() -> None:
    initiator, responder = make_sides()
    message = initiator.write()
    responder.read(message)
    # A responder that encrypts a zero key in place of its own: the peer lies with a valid tag.
    responder._static = bytes(32)
    responder._encrypt, encrypt = lambda text: encrypt(bytes(len(text))), responder._encrypt  # type: ignore[method-assign]
    with pytest.raises(PeerError) as refused:
        initiator.read(responder.write())
    assert "small order" in str(refused.value)


def test_a_side_that_speaks_out_of_turn_is_told() -> None:
    initiator, responder = make_sides()
    acts: list[Callable[[], bytes]] = [responder.write, lambda: initiator.read(bytes(96))]
    for act in acts:
        with pytest.raises(PeerError):
            act()


def test_after_the_third_message_nothing_more_is_read_or_written() -> None:
    initiator, responder = make_sides()
    finish(initiator, responder)
    acts: list[Callable[[], bytes]] = [responder.write, initiator.write, lambda: responder.read(bytes(64))]
    for act in acts:
        with pytest.raises(PeerError):
            act()


def test_a_nonce_advances_after_success_only_and_a_failure_closes_the_cipher() -> None:
    sending, receiving = Cipher(b"k" * 32), Cipher(b"k" * 32)
    first, second = sending.encrypt(b"one"), sending.encrypt(b"two")
    assert sending.nonce == 2
    assert receiving.decrypt(first) == b"one"
    assert receiving.nonce == 1
    with pytest.raises(PeerError) as refused:
        receiving.decrypt(first)  # replayed
    assert refused.value.reason == "decrypt"
    assert receiving.nonce == 1
    with pytest.raises(PeerError):
        receiving.decrypt(second)


def test_the_last_nonce_is_never_used() -> None:
    cipher = Cipher(b"k" * 32)
    cipher.nonce = LAST_NONCE - 1
    cipher.encrypt(b"the last")
    for act in (cipher.encrypt, cipher.decrypt):
        with pytest.raises(PeerError):
            act(bytes(16))


def test_after_a_rekey_the_old_key_opens_nothing_and_the_nonce_goes_on() -> None:
    sending, receiving, left_behind = (Cipher(b"k" * 32) for _ in range(3))
    for cipher in (receiving, left_behind):
        cipher.nonce = 1
    sending.encrypt(b"before")
    sending.rekey()
    receiving.rekey()
    sealed = sending.encrypt(b"after")
    assert receiving.decrypt(sealed) == b"after"
    assert receiving.nonce == sending.nonce == 2
    with pytest.raises(PeerError):
        left_behind.decrypt(sealed)


def test_what_is_bound_to_other_data_is_refused() -> None:
    sealed = Cipher(b"k" * 32).encrypt(b"text", b"this")
    with pytest.raises(PeerError):
        Cipher(b"k" * 32).decrypt(sealed, b"that")

"""The handshake against a foreign implementation, the package `noiseprotocol`, in both roles."""

from __future__ import annotations

import random
from typing import Any

import pytest

from edge_runtime.host.noise import Cipher, Handshake, public_of
from tests.support.requires import require

require("module:noise")

from noise.connection import Keypair, NoiseConnection  # type: ignore[import-untyped]  # noqa: E402

ROUNDS = 25
MESSAGES = 20
PLAIN_BYTES_MAX = 65_535 - 16


class Ours:
    """Our side, with the calls that the test needs."""

    def __init__(self, is_initiator: bool, static: bytes, ephemeral: bytes, prologue: bytes, psk: bytes) -> None:
        self._handshake = Handshake(is_initiator, static, ephemeral, prologue, psk)
        self._sending, self._receiving = Cipher(), Cipher()
        self.write, self.read = self._handshake.write, self._handshake.read

    def finish(self) -> bytes:
        self._sending, self._receiving = self._handshake.split()
        return self._handshake.handshake_hash

    def remote_static(self) -> bytes:
        return self._handshake.remote_static

    def encrypt(self, text: bytes) -> bytes:
        return self._sending.encrypt(text)

    def decrypt(self, sealed: bytes) -> bytes:
        return self._receiving.decrypt(sealed)

    def rekey_sending(self) -> None:
        self._sending.rekey()

    def rekey_receiving(self) -> None:
        self._receiving.rekey()


class Theirs:
    """The foreign side, behind the same calls."""

    def __init__(self, is_initiator: bool, static: bytes, ephemeral: bytes, prologue: bytes, psk: bytes) -> None:
        pattern = "XXpsk3" if psk else "XX"
        self._noise: Any = NoiseConnection.from_name(f"Noise_{pattern}_25519_ChaChaPoly_BLAKE2b".encode())
        if is_initiator:
            self._noise.set_as_initiator()
        else:
            self._noise.set_as_responder()
        self._noise.set_keypair_from_private_bytes(Keypair.STATIC, static)
        self._noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
        self._noise.set_prologue(prologue)
        if psk:
            self._noise.set_psks(psk)
        self._noise.start_handshake()
        # It drops its handshake state when the last message has passed; the peer's key is read from here.
        self._state: Any = self._noise.noise_protocol.handshake_state

    def write(self, payload: bytes) -> bytes:
        return bytes(self._noise.write_message(payload))

    def read(self, message: bytes) -> bytes:
        return bytes(self._noise.read_message(message))

    def finish(self) -> bytes:
        assert self._noise.handshake_finished
        return bytes(self._noise.get_handshake_hash())

    def remote_static(self) -> bytes:
        return bytes(self._state.rs.public_bytes)

    def encrypt(self, text: bytes) -> bytes:
        return bytes(self._noise.encrypt(text))

    def decrypt(self, sealed: bytes) -> bytes:
        return bytes(self._noise.decrypt(sealed))

    def rekey_sending(self) -> None:
        self._noise.rekey_outbound_cipher()

    def rekey_receiving(self) -> None:
        self._noise.rekey_inbound_cipher()


@pytest.mark.filterwarnings("ignore:One of ephemeral keypairs")  # it is set on purpose: chance comes from the test
@pytest.mark.parametrize("has_psk", [False, True], ids=["XX", "XXpsk3"])
@pytest.mark.parametrize("is_initiator", [True, False], ids=["we-begin", "they-begin"])
def test_a_foreign_implementation_and_ours_understand_each_other(is_initiator: bool, has_psk: bool) -> None:
    rng = random.Random(f"noise {is_initiator} {has_psk}")
    for _ in range(ROUNDS):
        prologue = rng.randbytes(rng.randrange(80))
        psk = rng.randbytes(32) if has_psk else b""
        statics = rng.randbytes(32), rng.randbytes(32)
        ours = Ours(is_initiator, statics[0], rng.randbytes(32), prologue, psk)
        theirs = Theirs(not is_initiator, statics[1], rng.randbytes(32), prologue, psk)
        sides: list[Ours | Theirs] = [ours, theirs] if is_initiator else [theirs, ours]
        for turn in range(3):
            payload = rng.randbytes(rng.choice((0, 1, 200, 5_000)))
            assert sides[1 - turn % 2].read(sides[turn % 2].write(payload)) == payload
        assert ours.finish() == theirs.finish()
        assert ours.remote_static() == public_of(statics[1])
        assert theirs.remote_static() == public_of(statics[0])
        for _ in range(MESSAGES):
            sender, receiver = rng.sample(sides, 2)
            text = rng.randbytes(rng.choice((0, 1, 64, 1_400, PLAIN_BYTES_MAX)))
            assert receiver.decrypt(sender.encrypt(text)) == text
            if rng.random() < 0.3:
                sender.rekey_sending()
                receiver.rekey_receiving()

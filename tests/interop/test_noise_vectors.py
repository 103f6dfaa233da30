"""The handshake and its ciphers against public vectors: each byte on the wire is the one that others send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta, Struct

from edge_runtime.host.noise import Handshake

Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]


class Vector(Struct, frozen=True, forbid_unknown_fields=True):
    """One handshake and the messages that follow, all in hexadecimal."""

    name: str
    prologue: Hex
    psk: Hex
    initiator_static: Hex
    initiator_ephemeral: Hex
    responder_static: Hex
    responder_ephemeral: Hex
    messages: tuple[tuple[Hex, Hex], ...]


class Vectors(Struct, frozen=True, forbid_unknown_fields=True):
    """The file, with where it is from."""

    source: str
    licence: str
    messages: str
    vectors: tuple[Vector, ...]


VECTORS = msgspec.json.decode((Path(__file__).parent / "vectors/noise.json").read_bytes(), type=Vectors).vectors


def name_of(vector: Vector) -> str:
    """Return what tells one vector from the others."""
    extras = (vector.prologue and "prologue", vector.messages[0][0] and "payloads")
    return "-".join((vector.name.split("_")[1], *(extra for extra in extras if extra)))


def test_the_vectors_are_of_both_patterns_with_and_without_prologue_and_payloads() -> None:
    assert len({name_of(vector) for vector in VECTORS}) == len(VECTORS) == 8


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_each_message_is_the_one_of_the_public_vector(vector: Vector) -> None:
    psk, prologue = bytes.fromhex(vector.psk), bytes.fromhex(vector.prologue)
    assert bool(psk) == ("psk3" in vector.name)
    initiator = Handshake(
        True, bytes.fromhex(vector.initiator_static), bytes.fromhex(vector.initiator_ephemeral), prologue, psk
    )
    responder = Handshake(
        False, bytes.fromhex(vector.responder_static), bytes.fromhex(vector.responder_ephemeral), prologue, psk
    )
    exchanged = [(bytes.fromhex(payload), bytes.fromhex(wire)) for payload, wire in vector.messages]
    for (payload, wire), (writer, reader) in zip(
        exchanged[:3], ((initiator, responder), (responder, initiator)) * 2, strict=False
    ):
        assert writer.write(payload) == wire
        assert reader.read(wire) == payload
    assert initiator.is_finished and responder.is_finished
    assert initiator.handshake_hash == responder.handshake_hash
    (first, second), (second_reader, first_reader) = initiator.split(), responder.split()
    # `split` returns (for sending, for receiving): the responder sends under the second key.
    for (payload, wire), writing, reading in (
        (exchanged[3], first, first_reader),
        (exchanged[4], second_reader, second),
    ):
        assert writing.encrypt(payload) == wire
        assert reading.decrypt(wire) == payload

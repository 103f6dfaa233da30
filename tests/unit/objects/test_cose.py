"""COSE_Sign1: the bytes as RFC 9052 has them, and every other shape refused."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.objects.codec import encode
from edge_runtime.objects.cose import ADVERT_AAD, ENTRY_AAD, GRANT_AAD, PROTECTED, check1, sign1, split1
from edge_runtime.objects.keys import SigningKey
from tests.support import cbor_strict
from tests.support.cbor_strict import OURS

KEY = SigningKey.from_seed(b"1" * 32)
LENGTHS = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 70_000]


@pytest.mark.parametrize("length", LENGTHS)
def test_the_bytes_are_what_the_standard_says_spelled_by_another_encoder(length: int) -> None:
    """RFC 9052 sections 4.2 and 4.4; each length of a head is met."""
    payload = b"p" * length
    to_be_signed = cbor_strict.encode(["Signature1", bytes.fromhex("a10127"), ENTRY_AAD, payload], OURS)
    message = [bytes.fromhex("a10127"), {}, payload, KEY.sign(to_be_signed)]
    assert sign1(KEY, ENTRY_AAD, payload) == cbor_strict.encode(message, OURS)


def test_what_was_signed_splits_and_checks() -> None:
    payload, signature = split1(sign1(KEY, GRANT_AAD, b"payload"))
    assert payload == b"payload"
    check1(KEY.public, GRANT_AAD, payload, signature)


@pytest.mark.parametrize("aad", [ENTRY_AAD, ADVERT_AAD, b"", GRANT_AAD + b"\x00"])
def test_a_signature_counts_for_one_purpose(aad: bytes) -> None:
    payload, signature = split1(sign1(KEY, GRANT_AAD, b"payload"))
    with pytest.raises(PeerError, match="signature"):
        check1(KEY.public, aad, payload, signature)


@pytest.mark.parametrize(
    "message",
    [
        [PROTECTED, {}, b"p"],
        [PROTECTED, {}, b"p", b"s" * 64, 0],
        [PROTECTED, {}, b"p", b"s" * 63],
        [PROTECTED, {}, b"p", "s" * 64],
        [PROTECTED, {}, None, b"s" * 64],
        [PROTECTED, {1: 1}, b"p", b"s" * 64],
        [PROTECTED, [], b"p", b"s" * 64],
        [b"", {}, b"p", b"s" * 64],
        [bytes.fromhex("a10126"), {}, b"p", b"s" * 64],
        [bytes.fromhex("a2012704 4131".replace(" ", "")), {}, b"p", b"s" * 64],
        {"protected": PROTECTED},
        b"bytes",
        7,
        None,
    ],
    ids=repr,
)
def test_another_shape_is_no_message_of_ours(message: object) -> None:
    """Another algorithm, another header, a detached payload: refused before any key is looked at."""
    with pytest.raises(PeerError) as caught:
        split1(encode(message))
    assert caught.value.reason == "cose"


def test_a_tagged_message_is_refused() -> None:
    with pytest.raises(PeerError) as caught:
        split1(b"\xd2" + sign1(KEY, ENTRY_AAD, b"p"))
    assert caught.value.reason == "encoding"

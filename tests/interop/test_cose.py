"""A foreign COSE library checks what we sign, and we accept what it signs: entries, grants and adverts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.objects.codec import decode
from edge_runtime.objects.cose import ADVERT_AAD, ENTRY_AAD, GRANT_AAD, split1
from edge_runtime.objects.entries import verify
from edge_runtime.objects.grants import Advert, Role, issue_grant, sign_advert, verify_advert, verify_grant
from edge_runtime.objects.keys import SigningKey
from tests.support.histories import ROOT, first_entry, key, random_history

pytest.importorskip("pycose", reason="module:pycose")
from pycose.algorithms import EdDSA  # noqa: E402
from pycose.headers import KID, Algorithm  # noqa: E402
from pycose.keys import OKPKey  # noqa: E402
from pycose.keys.curves import Ed25519  # noqa: E402
from pycose.messages import Sign1Message  # noqa: E402

ONE = key(1)
GRANT = issue_grant(ROOT, ONE.public, (Role.EXECUTOR, Role.RELAY), 5)
ADVERT = Advert(ONE.public, 1, "one", ("camera",), ("valve",), (("survey", 1),), GRANT.raw)


@dataclass(frozen=True)
class Sample:
    """Bytes of ours, who signed them, for what, and the function with which we take them in."""

    name: str
    raw: bytes
    signer: SigningKey
    aad: bytes
    take: Callable[[bytes], object]


SAMPLES = [
    Sample("entry", first_entry(ONE).raw, ONE, ENTRY_AAD, verify),
    Sample("grant", GRANT.raw, ROOT, GRANT_AAD, verify_grant),
    Sample("advert", sign_advert(ONE, ADVERT), ONE, ADVERT_AAD, verify_advert),
]
each = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)


def foreign_check(raw: bytes, public: bytes, aad: bytes) -> bool:
    message = Sign1Message.from_cose_obj(decode(raw), True)
    message.external_aad = aad
    message.key = OKPKey(crv=Ed25519, x=public)
    return bool(message.verify_signature())


def foreign_sign(payload: bytes, signer: SigningKey, aad: bytes, tag: bool = False, **headers: object) -> bytes:
    message = Sign1Message(phdr={Algorithm: EdDSA}, payload=payload, external_aad=aad, **headers)
    message.key = OKPKey(crv=Ed25519, x=signer.public, d=signer.seed)
    return bytes(message.encode(tag=tag))


@each
def test_a_foreign_library_verifies_what_we_sign_for_its_purpose_only(sample: Sample) -> None:
    for aad in (ENTRY_AAD, GRANT_AAD, ADVERT_AAD):
        assert foreign_check(sample.raw, sample.signer.public, aad) == (aad == sample.aad)
    assert not foreign_check(sample.raw, key(9).public, sample.aad)


@each
def test_we_accept_what_a_foreign_library_signs_and_it_is_the_same_bytes(sample: Sample) -> None:
    """Ed25519 is deterministic and there is one spelling: two implementations cannot differ."""
    payload, _ = split1(sample.raw)
    raw = foreign_sign(payload, sample.signer, sample.aad)
    assert raw == sample.raw and sample.take(raw) == sample.take(sample.raw)


@each
def test_what_a_foreign_library_signs_otherwise_is_refused(sample: Sample) -> None:
    payload, _ = split1(sample.raw)
    signer = sample.signer
    for raw, reason in (
        (foreign_sign(payload, signer, sample.aad, tag=True), "encoding"),
        (foreign_sign(payload, signer, sample.aad, uhdr={KID: b"1"}), "cose"),
        (foreign_sign(payload, signer, b""), "signature"),
        (foreign_sign(payload, key(9), sample.aad), "signature"),
    ):
        with pytest.raises(PeerError) as caught:
            sample.take(raw)
        assert caught.value.reason == reason


def test_a_foreign_library_verifies_every_entry_of_random_histories() -> None:
    """Custody, inputs, void entries, many records: all sizes of heads."""
    for seed in range(10):
        for entry in random_history(seed):
            assert foreign_check(entry.raw, entry.author, ENTRY_AAD)
            assert foreign_check(entry.raw, key(9).public, ENTRY_AAD) is False


@each
def test_both_refuse_any_flipped_bit_of_the_payload_and_the_signature(sample: Sample) -> None:
    """Behaviour: 12.1, as another implementation sees it."""
    payload, signature = split1(sample.raw)
    for bit in range(0, 8 * (len(payload) + len(signature)), 7):
        changed = bytearray(payload + signature)
        changed[bit // 8] ^= 1 << bit % 8
        message = Sign1Message(phdr={Algorithm: EdDSA}, payload=bytes(changed[: len(payload)]))
        message.external_aad = sample.aad
        message.key = OKPKey(crv=Ed25519, x=sample.signer.public)
        message._signature = bytes(changed[len(payload) :])
        assert not message.verify_signature()
    middle = sample.raw.index(payload) + len(payload) // 2
    broken = bytearray(sample.raw)
    broken[middle] ^= 1
    with pytest.raises(PeerError):
        sample.take(bytes(broken))

"""COSE_Sign1 with EdDSA over Ed25519: what entries, grants, adverts and revocations are signed as.

Untagged four-item array `[protected, {}, payload, signature]`; the context string goes into `external_aad`, so a
signature of one purpose never counts for another. Any COSE library can check it (`tests/interop`).

Source: RFC 9052 sections 4.2 and 4.4 (Sig_structure), RFC 9053 section 2.2 (EdDSA, algorithm -8).
"""

from __future__ import annotations

from ..base.errors import PeerError
from .codec import decode
from .keys import SigningKey, signature_holds

# {1: -8}: algorithm EdDSA. Our own integers are unsigned, so these three bytes are written out.
PROTECTED = bytes.fromhex("a10127")

ENTRY_AAD = b"edge-runtime/1"
GRANT_AAD = b"edge-runtime/1/grant"
ADVERT_AAD = b"edge-runtime/1/advert"
REVOCATION_AAD = b"edge-runtime/1/revocation"


def _to_be_signed(aad: bytes, payload: bytes) -> bytes:
    # encode(["Signature1", PROTECTED, aad, payload]) spelled by hand: it is made for every entry.
    return b"\x84\x6aSignature1\x43" + PROTECTED + _head(0x40, len(aad)) + aad + _head(0x40, len(payload)) + payload


def _head(major: int, length: int) -> bytes:
    if length < 24:
        return bytes((major | length,))
    if length < 256:
        return bytes((major | 24, length))
    if length < 65_536:
        return bytes((major | 25,)) + length.to_bytes(2, "big")
    return bytes((major | 26,)) + length.to_bytes(4, "big")


def sign1(key: SigningKey, aad: bytes, payload: bytes) -> bytes:
    """Return the COSE_Sign1 bytes of a payload."""
    signature = key.sign(_to_be_signed(aad, payload))
    return b"\x84\x43" + PROTECTED + b"\xa0" + _head(0x40, len(payload)) + payload + b"\x58\x40" + signature


def split1(data: bytes) -> tuple[bytes, bytes]:
    """Return (payload, signature) of COSE_Sign1 bytes, not yet checked against a key.

    Raises:
        PeerError: `cose`, for any other shape; the caller refuses the bytes.
    """
    value = decode(data)
    match value:
        case [bytes() as protected, dict() as unprotected, bytes() as payload, bytes() as signature] if (
            protected == PROTECTED and not unprotected and len(signature) == 64
        ):
            return payload, signature
    raise PeerError("cose", "not an untagged COSE_Sign1 with EdDSA and nothing unprotected")


def check1(public: bytes, aad: bytes, payload: bytes, signature: bytes) -> None:
    """Check the signature of a payload.

    Raises:
        PeerError: `signature`; the caller refuses the bytes.
    """
    if not signature_holds(public, _to_be_signed(aad, payload), signature):
        raise PeerError("signature", "does not match author and content")

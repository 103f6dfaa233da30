"""How calls and attempts are named, the same on every device and on every branch.

Source: ours, `docs/format.md` section "Names"; the shape of an idempotency key follows the IETF draft
`Idempotency-Key` header: equal call, equal key, however often and wherever it is sent.
"""

from __future__ import annotations

from ..base.digests import blake2b
from .codec import encode


def hash256(data: bytes) -> bytes:
    """Return BLAKE2b-256 of the bytes: the only hash of ids."""
    return blake2b(data, digest_size=32).digest()


def hash128(data: bytes) -> bytes:
    """Return BLAKE2b-128 of the bytes: fingerprints and attempt ids, which name things inside one object."""
    return blake2b(data, digest_size=16).digest()


def lineage_by_name(fleet: bytes, name: str) -> bytes:
    """Return the lineage of an object submitted under a name: two devices that submit it name the same effects.

    Args:
        fleet: the fleet's root public key, 32 bytes.
        name: as given by the user, compared as bytes.
    """
    return hash256(encode(["name", fleet, name]))


def lineage_of_child(parent: bytes, path: str, slot: int) -> bytes:
    """Return the lineage of a child: a parent that is re-run makes no second set."""
    return hash256(encode(["child", parent, path, slot]))


def attempt_id(lineage: bytes, run: int, path: str, fingerprint: bytes) -> bytes:
    """Return the 16 bytes that name one attempted call: the idempotency key of its effect."""
    return hash128(encode(["attempt", lineage, run, path, fingerprint]))


def fingerprint_of(name: str, arguments: bytes) -> bytes:
    """Return 16 bytes that name what a call asks for: its name and its arguments' canonical bytes."""
    return hash128(encode(["call", name, arguments]))

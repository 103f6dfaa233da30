"""Names: pinned, because two devices with different versions must give one call one name."""

from __future__ import annotations

from hashlib import blake2b

from edge_runtime.objects.intents import (
    attempt_id,
    fingerprint_of,
    hash128,
    hash256,
    lineage_by_name,
    lineage_of_child,
)
from tests.support import cbor_strict
from tests.support.cbor_strict import OURS


def spelled(size: int, *items: object) -> bytes:
    return blake2b(cbor_strict.encode(list(items), OURS), digest_size=size).digest()


def test_the_hash_is_blake2b_unkeyed() -> None:
    """Source: BLAKE2b-256 of nothing, as in the reference implementation's known answers."""
    assert hash256(b"").hex() == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
    assert len(hash128(b"")) == 16 and hash128(b"") != hash256(b"")[:16]


def test_each_name_is_the_hash_of_what_the_format_page_says() -> None:
    root, parent, value = b"r" * 32, b"p" * 32, b"\x81\x01"
    assert lineage_by_name(root, "nightly") == spelled(32, "name", root, "nightly")
    assert lineage_of_child(parent, "0/0/split:1", 2) == spelled(32, "child", parent, "0/0/split:1", 2)
    fingerprint = fingerprint_of("shoot", value)
    assert fingerprint == spelled(16, "call", "shoot", value)
    assert attempt_id(parent, 1, "1/0/shoot:1", fingerprint) == spelled(
        16, "attempt", parent, 1, "1/0/shoot:1", fingerprint
    )


def test_the_names_of_this_version_never_change() -> None:
    """Golden: made by this version; an attempt id is an idempotency key in other people's systems."""
    fingerprint = fingerprint_of("shoot", b"\x81\x01")
    attempt = "5ae665e5397118e1d637ff87442959ed"
    lineage = "b50510b26fdb8563205cb169542049abdde27ed1e68ad67e145a773c37674769"
    assert attempt_id(b"p" * 32, 0, "0/0/shoot:1", fingerprint).hex() == attempt
    assert lineage_by_name(b"r" * 32, "nightly").hex() == lineage


def test_no_two_parts_of_a_name_can_be_exchanged() -> None:
    found = {
        attempt_id(b"p" * 32, 0, "0/0/a:1", b"f" * 16), attempt_id(b"p" * 32, 1, "0/0/a:1", b"f" * 16),
        attempt_id(b"q" * 32, 0, "0/0/a:1", b"f" * 16), attempt_id(b"p" * 32, 0, "0/0/a:2", b"f" * 16),
        attempt_id(b"p" * 32, 0, "0/0/a:1", b"g" * 16), hash128(b""),
        fingerprint_of("ab", b"c"), fingerprint_of("a", b"bc"),
    }  # fmt: skip
    assert len(found) == 8

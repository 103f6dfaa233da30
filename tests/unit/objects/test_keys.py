"""Device keys: the published vectors, and every way in which a signature can be wrong."""

from __future__ import annotations

import pytest

from edge_runtime.objects.keys import SigningKey, signature_holds

# RFC 8032 section 7.1, TEST 1 (empty message) and TEST 2 (one byte).
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b"
        "be24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb430"
        "2aeeb00d291612bb0c00",
    ),
]
# The order of the group, RFC 8032 section 5.1: a signature's second half must be below it.
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_the_published_vectors_hold(seed: str, public: str, message: str, signature: str) -> None:
    key = SigningKey.from_seed(bytes.fromhex(seed))
    assert key.public.hex() == public and key.seed.hex() == seed
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert signature_holds(key.public, bytes.fromhex(message), bytes.fromhex(signature))


def test_a_signature_of_other_words_or_by_another_does_not_hold() -> None:
    one, other = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
    signature = one.sign(b"message")
    assert not signature_holds(one.public, b"massage", signature)
    assert not signature_holds(other.public, b"message", signature)


@pytest.mark.parametrize("length", [0, 31, 33, 63, 65])
def test_keys_and_signatures_of_another_length_do_not_hold(length: int) -> None:
    key = SigningKey.from_seed(b"1" * 32)
    assert not signature_holds(key.public, b"m", b"\x00" * length)
    assert not signature_holds(b"\x00" * length, b"m", key.sign(b"m"))


def test_a_second_signature_cannot_be_made_of_a_first_one() -> None:
    """Else one entry could have two ids: S + L signs the same in a verifier that does not look."""
    key = SigningKey.from_seed(b"1" * 32)
    signature = key.sign(b"m")
    twin = signature[:32] + (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")
    assert not signature_holds(key.public, b"m", twin)


def test_a_key_under_which_everything_verifies_is_refused() -> None:
    """The point of order one: a device whose key it is could deny every entry, and claim every other."""
    neutral = (1).to_bytes(32, "little")
    assert not signature_holds(neutral, b"m", neutral + b"\x00" * 32)

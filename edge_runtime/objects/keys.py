"""Device keys: Ed25519 for signing. A device's id is its public key, 32 bytes, hex for people."""

from __future__ import annotations

from msgspec import Struct
from nacl.bindings import (
    crypto_sign,
    crypto_sign_BYTES,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError


class SigningKey(Struct, frozen=True):
    """A secret key, held by one device (or one fleet's root).

    Attributes:
        public: 32 bytes, the id. secret: 64 bytes, seed followed by public key (libsodium's form).
    """

    public: bytes
    secret: bytes

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Return the key of a seed of 32 random bytes (chance comes from the caller)."""
        public, secret = crypto_sign_seed_keypair(seed)
        return cls(public, secret)

    @property
    def seed(self) -> bytes:
        """The 32 bytes to store (file mode 0600) to have the key again."""
        return self.secret[:32]

    def sign(self, message: bytes) -> bytes:
        """Return a signature of 64 bytes. Cost: 25 to 30 microseconds on a desktop core."""
        return crypto_sign(message, self.secret)[:crypto_sign_BYTES]


def signature_holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the signature of 64 bytes was made over the message by the key. Cost: 60 to 100 microseconds."""
    if len(public) != 32 or len(signature) != crypto_sign_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public)
    except (BadSignatureError, ValueError):
        return False
    return True

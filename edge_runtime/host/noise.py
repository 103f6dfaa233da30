"""Noise_XX_25519_ChaChaPoly_BLAKE2b, and XXpsk3, on libsodium's primitives. Pure: bytes in, bytes out. Unaudited.

Written here because no maintained Python implementation exists, and TLS in the standard library can neither meet an
unknown peer nor live without a clock. Any failure closes a handshake or a cipher for good.

Source: The Noise Protocol Framework, revision 34; `tests/interop` holds it against the public vectors of flynn/noise
and against the package `noiseprotocol`.
"""

from __future__ import annotations


from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

from ..base.digests import blake2b
from ..base.errors import PeerError
from ..base.limits import FRAME_BYTES_MAX

KEY_BYTES = 32
TAG_BYTES = 16
HASH_BYTES = 64
BLOCK_BYTES = 128  # of BLAKE2b, for HMAC
LAST_NONCE = 2**64 - 1  # reserved for rekey (section 5.1)

# The three messages of XX (section 7.5), as tokens.
XX = (("e",), ("e", "ee", "s", "es"), ("s", "se"))


def _hash(data: bytes) -> bytes:
    return blake2b(data).digest()


# RFC 2104 by hand, for keys of one hash: `hmac` loads OpenSSL.
INNER, OUTER = bytes(byte ^ 0x36 for byte in range(256)), bytes(byte ^ 0x5C for byte in range(256))


def _hmac(key: bytes, data: bytes) -> bytes:
    block = key.ljust(BLOCK_BYTES, b"\0")
    assert len(block) == BLOCK_BYTES
    return _hash(block.translate(OUTER) + _hash(block.translate(INNER) + data))


def _hkdf(chaining: bytes, material: bytes, outputs: int) -> list[bytes]:
    """Derive two or three keys of 64 bytes (section 4.3)."""
    secret = _hmac(chaining, material)
    found: list[bytes] = []
    last = b""
    for number in range(1, outputs + 1):
        last = _hmac(secret, last + bytes((number,)))
        found.append(last)
    return found


def public_of(secret: bytes) -> bytes:
    """Return the X25519 public key of a secret of 32 bytes."""
    return crypto_scalarmult_base(secret)


def _agree(secret: bytes, public: bytes) -> bytes:
    """Return the shared secret; a peer's key of small order gives zero, which is refused (RFC 7748 section 6.1)."""
    try:
        shared = crypto_scalarmult(secret, public)
    except CryptoError:
        raise PeerError("handshake", "a key of small order") from None
    if not any(shared):
        raise PeerError("handshake", "a key of small order")
    return shared


class Cipher:
    """A key and its counter (section 5.1). The counter advances only after success; a failure closes for good."""

    def __init__(self, key: bytes = b"") -> None:
        self._key = key
        self.nonce = 0
        self._is_closed = False

    @property
    def has_key(self) -> bool:
        """Whether there is a key yet; without one, text passes through."""
        return bool(self._key)

    def encrypt(self, text: bytes, ad: bytes = b"") -> bytes:
        """Return text with its tag of 16 bytes."""
        if not self._key:
            return text
        self._check()
        sealed = crypto_aead_chacha20poly1305_ietf_encrypt(text, ad or None, self._nonce(self.nonce), self._key)
        self.nonce += 1
        return sealed

    def decrypt(self, sealed: bytes, ad: bytes = b"") -> bytes:
        """Return the text.

        Raises:
            PeerError: `decrypt`; the cipher is closed, the caller ends the contact.
        """
        if not self._key:
            return sealed
        self._check()
        try:
            text = crypto_aead_chacha20poly1305_ietf_decrypt(sealed, ad or None, self._nonce(self.nonce), self._key)
        except (CryptoError, ValueError, TypeError):
            self._is_closed = True
            raise PeerError("decrypt", "not from this peer in this session, or out of order") from None
        self.nonce += 1
        return text

    def rekey(self) -> None:
        """Replace the key by a one-way function of it (section 4.2, default REKEY)."""
        nonce = self._nonce(LAST_NONCE)
        self._key = crypto_aead_chacha20poly1305_ietf_encrypt(bytes(KEY_BYTES), None, nonce, self._key)[:KEY_BYTES]

    def _check(self) -> None:
        if self._is_closed or self.nonce >= LAST_NONCE:
            raise PeerError("decrypt", "the session is closed")

    @staticmethod
    def _nonce(number: int) -> bytes:
        return bytes(4) + number.to_bytes(8, "little")


class Handshake:
    """One side of a handshake (section 5.3): write and read in turn until `is_finished`, then `split`.

    Args:
        is_initiator: who writes first.
        static_secret: this side's X25519 secret. ephemeral_secret: fresh chance of 32 bytes, used once.
        prologue: bytes that both sides must share.
        psk: 32 bytes shared beforehand for XXpsk3; empty for XX.
    """

    def __init__(
        self, is_initiator: bool, static_secret: bytes, ephemeral_secret: bytes, prologue: bytes, psk: bytes = b""
    ) -> None:
        self._is_initiator = is_initiator
        self._static = static_secret
        self._ephemeral = ephemeral_secret
        self._psk = psk
        self._turn = 0
        self._is_closed = False
        self._cipher = Cipher()
        self._remote_ephemeral = b""
        self.remote_static = b""
        name = b"Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b" if psk else b"Noise_XX_25519_ChaChaPoly_BLAKE2b"
        self._h = name.ljust(HASH_BYTES, b"\0")
        self._ck = self._h
        self._mix_hash(prologue)

    @property
    def is_finished(self) -> bool:
        """Whether all three messages have passed."""
        return self._turn == len(XX)

    @property
    def handshake_hash(self) -> bytes:
        """64 bytes that name this session on both sides (section 11.2)."""
        return self._h

    def write(self, payload: bytes = b"") -> bytes:
        """Return this side's next message.

        Raises:
            PeerError: `handshake`: a key that the peer sent is of small order. The handshake is closed.
        """
        self._begin(is_writing=True)
        try:
            message = self._write(payload)
        except PeerError:
            self._is_closed = True
            raise
        self._turn += 1
        return message

    def _write(self, payload: bytes) -> bytes:
        parts: list[bytes] = []
        for token in self._tokens():
            if token == "e":
                public = public_of(self._ephemeral)
                parts.append(public)
                self._mix_hash(public)
                if self._psk:
                    self._mix_key(public)
            elif token == "s":
                parts.append(self._encrypt(public_of(self._static)))
            else:
                self._mix_token(token)
        parts.append(self._encrypt(payload))
        return b"".join(parts)

    def read(self, message: bytes) -> bytes:
        """Return the payload of the peer's next message.

        Raises:
            PeerError: `handshake` or `decrypt`: too short, a bad key, or not authentic. The handshake is closed.
        """
        self._begin(is_writing=False)
        try:
            payload = self._read(message)
        except PeerError:
            self._is_closed = True
            raise
        self._turn += 1
        return payload

    def _read(self, message: bytes) -> bytes:
        if len(message) > FRAME_BYTES_MAX:
            raise PeerError("handshake", "too long")
        for token in self._tokens():
            if token == "e":
                self._remote_ephemeral, message = _cut(message, KEY_BYTES)
                self._mix_hash(self._remote_ephemeral)
                if self._psk:
                    self._mix_key(self._remote_ephemeral)
            elif token == "s":
                sealed, message = _cut(message, KEY_BYTES + (TAG_BYTES if self._cipher.has_key else 0))
                self.remote_static = self._decrypt(sealed)
            else:
                self._mix_token(token)
        return self._decrypt(message)

    def split(self) -> tuple[Cipher, Cipher]:
        """Return (for sending, for receiving) after the last message (section 5.2)."""
        assert self.is_finished and not self._is_closed
        first, second = (Cipher(key[:KEY_BYTES]) for key in _hkdf(self._ck, b"", 2))
        return (first, second) if self._is_initiator else (second, first)

    def _begin(self, is_writing: bool) -> None:
        is_ours = (self._turn % 2 == 0) == self._is_initiator
        if self._is_closed or self.is_finished or is_ours != is_writing:
            raise PeerError("handshake", "closed, finished, or out of turn")

    def _tokens(self) -> tuple[str, ...]:
        tokens = XX[self._turn]
        return (*tokens, "psk") if self._psk and self._turn == 2 else tokens

    def _mix_token(self, token: str) -> None:
        if token == "psk":
            chaining, mixed, key = _hkdf(self._ck, self._psk, 3)
            self._ck = chaining
            self._mix_hash(mixed)
            self._cipher = Cipher(key[:KEY_BYTES])
            return
        # "es" is initiator's ephemeral with responder's static; which secret is ours depends on the side.
        is_ephemeral_ours = token == "ee" or (token == "es") == self._is_initiator
        is_remote_ephemeral = token == "ee" or not is_ephemeral_ours
        secret = self._ephemeral if is_ephemeral_ours else self._static
        self._mix_key(_agree(secret, self._remote_ephemeral if is_remote_ephemeral else self.remote_static))

    def _mix_key(self, material: bytes) -> None:
        self._ck, key = _hkdf(self._ck, material, 2)
        self._cipher = Cipher(key[:KEY_BYTES])

    def _mix_hash(self, data: bytes) -> None:
        self._h = _hash(self._h + data)

    def _encrypt(self, text: bytes) -> bytes:
        sealed = self._cipher.encrypt(text, self._h)
        self._mix_hash(sealed)
        return sealed

    def _decrypt(self, sealed: bytes) -> bytes:
        text = self._cipher.decrypt(sealed, self._h)
        self._mix_hash(sealed)
        return text


def _cut(message: bytes, length: int) -> tuple[bytes, bytes]:
    if len(message) < length:
        raise PeerError("handshake", "too short")
    return message[:length], message[length:]

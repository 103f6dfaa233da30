"""Invitations: the code that a person types, the file that a stick carries, and the key that both sides make of it.

A code is 16 characters in groups of four: the number of the invitation (1), its secret (14: 70 bits) and a check (1).
The alphabet is Crockford's base 32: no I, L, O or U, and what looks like another digit is read as that. The check is a
weighted sum over GF(32): one wrong character, or two neighbours exchanged, is told before anybody is asked. Source:
ours; D. Crockford, "Base 32"; the field's polynomial x^5 + x^2 + 1.
"""

from __future__ import annotations

from msgspec import Struct
from nacl.bindings import crypto_pwhash_ALG_ARGON2ID13, crypto_pwhash_alg

from ..base.errors import PeerError, UsageError
from ..base.limits import INVITATION_PEERS_MAX, INVITATIONS_MAX, NAME_BYTES_MAX
from .codec import decode, encode

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOOKALIKES = str.maketrans("OIL", "011")
SECRET_CHARS = 14
CODE_CHARS = 1 + SECRET_CHARS + 1
SECRET_BYTES = 9  # of chance; 70 of the 72 bits are used
GROUP = 4
FILE_KIND = "edge-runtime/1 invitation"
# Guessing is hopeless with 70 bits; this makes each guess cost 16 MiB and some 20 ms (a small board: 0.2 s).
KDF_OPERATIONS, KDF_MEMORY_BYTES = 2, 16 << 20
KDF_SALT = b"edge-runtime/1 p"  # 16 bytes; the secret is chance, so the salt need not be
assert INVITATIONS_MAX == len(ALPHABET) and len(KDF_SALT) == 16


class Code(Struct, frozen=True):
    """A code that was read. `number` is 0..31; `secret` has 14 characters of the alphabet."""

    number: int
    secret: str

    def __str__(self) -> str:
        """Return it as it is shown and typed."""
        data = ALPHABET[self.number] + self.secret
        whole = data + ALPHABET[_check_of(data)]
        return "-".join(whole[at : at + GROUP] for at in range(0, CODE_CHARS, GROUP))


def spell_secret(chance: bytes) -> str:
    """Return the secret part of a code from SECRET_BYTES of chance."""
    assert len(chance) == SECRET_BYTES
    bits = int.from_bytes(chance, "big")
    return "".join(ALPHABET[bits >> 5 * at & 31] for at in range(SECRET_CHARS))


def read_code(text: str) -> Code:
    """Return the code that a person typed; case, blanks and hyphens do not matter.

    Raises:
        UsageError: it is none: too short, a character that is in no code, or a slip that the check shows.
    """
    plain = "".join(text.upper().split()).replace("-", "").translate(LOOKALIKES)
    strange = next((char for char in plain if char not in ALPHABET), None)
    if strange is not None:
        raise UsageError(f"{strange!r} is in no code. A code looks like 7K3M-9QXT-2B4C-W8RD.")
    if len(plain) != CODE_CHARS:
        raise UsageError(f"A code has {CODE_CHARS} characters, such as 7K3M-9QXT-2B4C-W8RD; this has {len(plain)}.")
    if ALPHABET[_check_of(plain[:-1])] != plain[-1]:
        raise UsageError("The code has a slip: one character is wrong, or two are exchanged. Read it again.")
    return Code(ALPHABET.index(plain[0]), plain[1:-1])


def derive_key(secret: str) -> bytes:
    """Return the 32 bytes that both sides of a pairing share (the psk of XXpsk3).

    Cost: KDF_MEMORY_BYTES and some 20 ms: neither on the loop nor on the node thread.
    Source: Argon2id, RFC 9106, version 1.3.
    """
    key: bytes = crypto_pwhash_alg(
        32, secret.encode(), KDF_SALT, KDF_OPERATIONS, KDF_MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13
    )
    return key


class InvitationFile(Struct, frozen=True):
    """What `enroll -o FILE` writes and `join FILE` reads: a code, whose fleet it must lead to, and where to ask.

    Attributes:
        root: the fleet's root key: with a file nobody else's fleet is joined by mistake.
        peers: `host:port`, at most INVITATION_PEERS_MAX; asked beside whoever is found on the LAN.
    """

    code: Code
    fleet_name: str
    root: bytes
    peers: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return the canonical CBOR `[kind, code, fleet name, root key, [peer]]`."""
        return encode([FILE_KIND, str(self.code), self.fleet_name, self.root, list(self.peers)])

    @classmethod
    def from_bytes(cls, data: bytes) -> InvitationFile | None:
        """Return the parsed file; None where it is no invitation at all.

        Raises:
            UsageError: it is an invitation, and damaged.
        """
        try:
            parts = decode(data)
        except PeerError:
            return None
        match parts:
            case [kind, str() as code, str() as name, bytes() as root, [*peers]] if kind == FILE_KIND:
                are_texts = all(isinstance(peer, str) and len(peer) <= 300 for peer in peers)
                if len(root) == 32 and len(name) <= NAME_BYTES_MAX and len(peers) <= INVITATION_PEERS_MAX and are_texts:
                    return cls(read_code(code), name, root, tuple(peers))
            case [kind, *_] if kind == FILE_KIND:
                pass
            case _:
                return None
        raise UsageError("The invitation is damaged. Ask for a fresh one: `edge-runtime enroll -o FILE`.")


def _check_of(data: str) -> int:
    total, weight = 0, 1
    for char in data:
        weight = _double(weight)
        total ^= _times(weight, ALPHABET.index(char))
    return total


def _double(value: int) -> int:
    value <<= 1
    return value ^ 0b100101 if value & 32 else value


def _times(one: int, other: int) -> int:
    total = 0
    while other:
        if other & 1:
            total ^= one
        one, other = _double(one), other >> 1
    return total

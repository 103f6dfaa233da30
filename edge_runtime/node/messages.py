"""What two devices say to each other inside a contact: one CBOR array a message, its first item the number.

Decoding is strict and bounded; what does not fit is a `PeerError` and ends the contact. Source: ours, `docs/format.md`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from ..base.errors import PeerError
from ..base.limits import (
    ADVERT_BYTES_MAX,
    ENTRY_BYTES_MAX,
    ENTRY_PARENTS_MAX,
    GRANT_BYTES_MAX,
    HEADS_PER_MESSAGE_MAX,
    INTEGER_MAX,
    LIST_ITEMS_MAX,
    MET_TOLD_MAX,
    NAME_BYTES_MAX,
    REVOCATION_BYTES_MAX,
    REVOCATIONS_PER_MESSAGE_MAX,
)
from ..objects.codec import decode as decode_cbor
from ..objects.codec import encode as encode_cbor

MET_HINT_BYTES = 8
Unsigned = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
# The heads of one object; an object with more (a swarm of unordered inputs) tells its newest ones.
HashList = Annotated[tuple[Hash, ...], Meta(max_length=ENTRY_PARENTS_MAX * 4)]


class Refusal(IntEnum):
    """Why a device does not take custody. 3, 4, 7, 8 are the reason codes of RFC 5050 section 6.1.1."""

    REDUNDANT = 3
    STORAGE = 4
    NO_CONTACT = 7
    UNINTELLIGIBLE = 8
    INCAPABLE = 32
    POLICY = 33
    VERSION = 34


class Wire(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of all messages."""


class Hello(Wire, frozen=True, tag=1):
    """First message of each side: clock, and a digest of all heads this side would show this peer."""

    name: Annotated[str, Meta(max_length=128)]
    wall_ms: Unsigned
    trust: Annotated[int, Meta(ge=0, le=4)]
    digest: Hash
    objects: Unsigned


class Adverts(Wire, frozen=True, tag=2):
    """Signed adverts, own one first."""

    items: Annotated[tuple[Annotated[bytes, Meta(max_length=ADVERT_BYTES_MAX)], ...], Meta(max_length=64)]


class Head(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One object and its heads, ascending."""

    object: Hash
    heads: HashList


class Heads(Wire, frozen=True, tag=3):
    """Heads of objects this side holds, most urgent first; `is_last` ends the list."""

    items: Annotated[tuple[Head, ...], Meta(max_length=HEADS_PER_MESSAGE_MAX)]
    is_last: bool


class Want(Wire, frozen=True, tag=4):
    """Send me what is not behind these heads (empty: everything) of each object, in this order."""

    items: Annotated[tuple[Head, ...], Meta(max_length=HEADS_PER_MESSAGE_MAX)]


class Entries(Wire, frozen=True, tag=5):
    """Entries of one object in causal order, the grants they need, and the object's age at the sender's wall time."""

    object: Hash
    grants: Annotated[tuple[Annotated[bytes, Meta(max_length=GRANT_BYTES_MAX)], ...], Meta(max_length=64)]
    entries: Annotated[tuple[Annotated[bytes, Meta(max_length=ENTRY_BYTES_MAX)], ...], Meta(max_length=256)]
    age_ms: Unsigned
    age_is_exact: bool
    wall_ms: Unsigned
    trust: Annotated[int, Meta(ge=0, le=4)]


class Refuse(Wire, frozen=True, tag=6):
    """I do not take custody of this object under this offer."""

    object: Hash
    offer: Hash
    reason: Annotated[int, Meta(ge=0, le=255)]


class Denied(Wire, frozen=True, tag=7):
    """What this device cannot do now although its advert names it; replaces what it said before in this contact."""

    subjects: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)], ...], Meta(max_length=LIST_ITEMS_MAX)
    ]


class Revocations(Wire, frozen=True, tag=8):
    """Signed revocations of the shared fleets, or none of them; `digest` is of all that this side holds."""

    digest: Hash
    items: Annotated[
        tuple[Annotated[bytes, Meta(max_length=REVOCATION_BYTES_MAX)], ...],
        Meta(max_length=REVOCATIONS_PER_MESSAGE_MAX),
    ]


class Gone(Wire, frozen=True, tag=9):
    """Objects that went from this side, with the heads that it had: they are not wanted, and not to be had here."""

    items: Annotated[tuple[Head, ...], Meta(max_length=HEADS_PER_MESSAGE_MAX)]


class Ended(Wire, frozen=True, tag=10):
    """The entry that ended an object, ahead of its history or without it: a live copy of it is to be let be."""

    object: Hash
    grants: Annotated[tuple[Annotated[bytes, Meta(max_length=GRANT_BYTES_MAX)], ...], Meta(max_length=4)]
    entry: Annotated[bytes, Meta(max_length=ENTRY_BYTES_MAX)]


class Likely(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A device, by the beginning of its id, and how likely it is met, in ppb.

    Two devices that share a beginning are told apart by neither side, which costs a detour at most.
    """

    hint: Annotated[bytes, Meta(min_length=MET_HINT_BYTES, max_length=MET_HINT_BYTES)]
    ppb: Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Met(Wire, frozen=True, tag=11):
    """Devices of the shared fleets that this side is likely to meet; each once."""

    items: Annotated[tuple[Likely, ...], Meta(max_length=MET_TOLD_MAX)]


Message: TypeAlias = (
    Hello | Adverts | Heads | Want | Entries | Refuse | Denied | Revocations | Gone | Ended | Met
)


def encode_message(message: Message) -> bytes:
    """Return the bytes of a message."""
    return encode_cbor(msgspec.to_builtins(message, builtin_types=(bytes,)))


def decode_message(data: bytes) -> Message:
    """Return the message.

    Raises:
        PeerError: `message`; the caller closes the contact and counts it.
    """
    try:
        message: Message = msgspec.convert(decode_cbor(data), Message, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise PeerError("message", str(error)[:120]) from None
    return message

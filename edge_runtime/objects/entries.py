"""Entries: the signed unit of history. Only `verify` and `seal` make one; holding one is proof that it was checked.

Received bytes are what is hashed, stored and forwarded: nothing is re-encoded to be verified, and any spelling but
the canonical one is refused. Entry id = BLAKE2b-256 of the COSE_Sign1 bytes; object id = id of its first entry.

Source: `docs/format.md`; RFC 9052 for the envelope.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from msgspec import Struct

from ..base.errors import PeerError
from ..base.limits import ENTRY_BYTES_MAX, ENTRY_PARENTS_MAX, ENTRY_RECORDS_MAX, INTEGER_MAX
from ..base.moment import Trust
from .codec import decode, encode_typed
from .cose import ENTRY_AAD, check1, sign1, split1
from .intents import hash256
from .keys import SigningKey
from .kinds import Kind, is_input
from .records import Record, check_record

FORMAT_VERSION = 1
_PROOF = object()


class Draft(Struct, frozen=True):
    """What an author wants to say; `seal` makes an entry of it.

    Attributes:
        object: 32 bytes, or None for an object's first entry.
        parents: heads known, any order; `seal` sorts them. At most ENTRY_PARENTS_MAX.
        grant: hash of the grant under which the author writes.
        boot: 8 random bytes of the process start. sequence: per-device counter, reserved on disk before use.
        height: 1 + the largest height among parents; 0 in the first.
        epoch: custody epoch the author believes in.
        age_is_exact: False where a power-off of unknown length makes the age a lower bound.
    """

    object: bytes | None
    parents: tuple[bytes, ...]
    grant: bytes
    boot: bytes
    sequence: int
    height: int
    epoch: int
    wall_ms: int
    trust: Trust
    age_ms: int
    age_is_exact: bool
    records: tuple[Record, ...]


class Entry(Struct, frozen=True):
    """A checked entry. `object` is filled in for the first entry too; `raw` are the bytes that count."""

    id: bytes
    object: bytes
    parents: tuple[bytes, ...]
    author: bytes
    grant: bytes
    boot: bytes
    sequence: int
    height: int
    epoch: int
    wall_ms: int
    trust: Trust
    age_ms: int
    age_is_exact: bool
    records: tuple[Record, ...]
    raw: bytes
    proof: Any

    def __post_init__(self) -> None:
        """Refuse to exist but by the two functions that check."""
        assert self.proof is _PROOF, "an Entry is made by verify() or seal() only"

    @property
    def is_first(self) -> bool:
        """Whether this is the entry that made the object."""
        return not self.parents

    @property
    def is_input(self) -> bool:
        """Whether the records are inputs (else they are turns): never both."""
        return is_input(self.records[0].kind)


def seal(key: SigningKey, draft: Draft) -> Entry:
    """Sign a draft and return the entry: what `verify` would refuse is not signed.

    Raises:
        ValueError: the entry would break a bound or a rule of shape. Beyond the bytes or the records of one entry the
            caller splits the turn; the rest is a bug in this program.
    """
    parents = tuple(sorted(draft.parents))
    _check_draft(draft, parents)
    records = [[record.kind, record.clear, record.sealed] for record in draft.records]
    payload = encode_typed(
        [
            FORMAT_VERSION,
            draft.object,
            list(parents),
            key.public,
            draft.grant,
            draft.boot,
            draft.sequence,
            draft.height,
            draft.epoch,
            [draft.wall_ms, int(draft.trust), draft.age_ms, 1 if draft.age_is_exact else 0],
            records,
        ]
    )
    raw = sign1(key, ENTRY_AAD, payload)
    if len(raw) > ENTRY_BYTES_MAX:
        raise ValueError(f"an entry of {len(raw)} bytes is out of bounds")
    entry_id = hash256(raw)
    return Entry(
        entry_id, draft.object or entry_id, parents, key.public, draft.grant, draft.boot, draft.sequence,
        draft.height, draft.epoch, draft.wall_ms, draft.trust, draft.age_ms, draft.age_is_exact, draft.records,
        raw, _PROOF,
    )  # fmt: skip


def _check_draft(draft: Draft, parents: tuple[bytes, ...]) -> None:
    numbers = (draft.sequence, draft.height, draft.epoch, draft.wall_ms, draft.age_ms)
    if not all(0 <= number <= INTEGER_MAX for number in numbers):
        raise ValueError(f"a number of the entry is out of bounds: {numbers}")
    if len(draft.grant) != 32 or len(draft.boot) != 8:
        raise ValueError("the grant's id has 32 bytes, the boot 8")
    try:
        _check_place(draft.object, parents, draft.height, draft.epoch)
        _check_count(draft.records)
        _check_mix(draft.records, not parents)
    except PeerError as error:
        raise ValueError(str(error)) from None


def verify(raw: bytes) -> Entry:
    """Check bytes from anywhere and return the entry: size, spelling, shape, bounds, signature, in this order.

    Says nothing about grants, parents or custody: those need the history (`history`, `grants`).

    Raises:
        PeerError: `oversize`, `encoding`, `cose`, `version`, `entry`, `record` or `signature`; the caller refuses the
            bytes and counts the reason. `version`: a newer format, which may be carried but not turned.
    """
    if len(raw) > ENTRY_BYTES_MAX:
        raise PeerError("oversize", f"an entry is at most {ENTRY_BYTES_MAX} bytes")
    payload, signature = split1(raw)
    entry = _parse(decode(payload), raw)
    check1(entry.author, ENTRY_AAD, payload, signature)
    return entry


def reopen(raw: bytes) -> Entry:
    """Return an entry from this device's own store, where `verify` or `seal` let it in; the signature is not redone.

    A flipped bit at rest is still found: the caller compares `id` with the id it stored.

    Raises:
        PeerError: as `verify`; the caller quarantines the object.
    """
    payload, _ = split1(raw)
    return _parse(decode(payload), raw)


def _parse(fields: Any, raw: bytes) -> Entry:
    if not isinstance(fields, list) or not fields or type(fields[0]) is not int:
        raise PeerError("entry", "not an array that begins with a version")
    if fields[0] != FORMAT_VERSION:
        raise PeerError("version", f"format {fields[0]}, known is {FORMAT_VERSION}")
    match fields:
        case [
            _, object_id, list() as parents, bytes() as author, bytes() as grant, bytes() as boot, sequence, height,
            epoch, [wall_ms, trust, age_ms, exact], list() as items,
        ]:  # fmt: skip
            pass
        case _:
            raise PeerError("entry", "not the eleven fields of an entry")
    if not all(type(number) is int for number in (sequence, height, epoch, wall_ms, trust, age_ms, exact)):
        raise PeerError("entry", "a number is not an integer")
    if len(author) != 32 or len(grant) != 32 or len(boot) != 8 or trust > Trust.GPS or exact > 1:
        raise PeerError("entry", "a field is out of its bounds")
    _check_place(object_id, parents, height, epoch)
    _check_count(items)
    records = tuple(check_record(item) for item in items)
    _check_mix(records, not parents)
    entry_id = hash256(raw)
    return Entry(
        entry_id, object_id or entry_id, tuple(parents), author, grant, boot, sequence, height, epoch, wall_ms,
        Trust(trust), age_ms, exact == 1, records, raw, _PROOF,
    )  # fmt: skip


def _is_hash(value: object) -> TypeGuard[bytes]:
    return type(value) is bytes and len(value) == 32


def _check_place(object_id: object, parents: Sequence[Any], height: int, epoch: int) -> None:
    """Check object, parents, height and epoch against each other: the first entry has none of them."""
    if len(parents) > ENTRY_PARENTS_MAX or not all(_is_hash(parent) for parent in parents):
        raise PeerError("entry", "parents are not at most 16 hashes")
    if any(parents[i] >= parents[i + 1] for i in range(len(parents) - 1)):
        raise PeerError("entry", "parents are not ascending")
    if parents:
        if not _is_hash(object_id) or height == 0:
            raise PeerError("entry", "a later entry names its object and has a height")
    elif object_id is not None or height != 0 or epoch != 0:
        raise PeerError("entry", "a first entry names no object and has height and epoch 0")


def _check_count(records: Sequence[Any]) -> None:
    if not 1 <= len(records) <= ENTRY_RECORDS_MAX:
        raise PeerError("entry", f"{len(records)} records, not 1 to 64")


def _check_mix(records: tuple[Record, ...], is_first: bool) -> None:
    """Check that records are inputs or turns, and that `created` stands first in the first entry and nowhere else."""
    if len({is_input(record.kind) for record in records}) != 1:
        raise PeerError("entry", "inputs and turns in one entry")
    for index, record in enumerate(records):
        if (record.kind == Kind.CREATED) != (is_first and index == 0):
            raise PeerError("entry", "`created` stands first in the first entry and nowhere else")

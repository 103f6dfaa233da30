"""Records: what one turn did, or what one input says. Typed bodies on top of bytes that any relay may carry.

A record is `[kind, clear, sealed or null]`. The first byte of `sealed` names how it is sealed: 0 plain CBOR follows;
1 is kept for XChaCha20-Poly1305 under the object's content key.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ..base.errors import PeerError
from . import bodies as b
from .children import DelegatedSealed
from .codec import decode, encode_typed
from .kinds import Kind, is_input, is_turn

PLAIN = b"\x00"
# Most kinds have nothing in the clear: one body and its one spelling, which are not made again for each record.
EMPTY, EMPTY_BYTES = b.Empty(), b"\x80"

# Which bodies a kind has: (clear, sealed). A kind that is not here is carried, verified and exported as opaque.
SHAPES: dict[int, tuple[type[b.Body], type[b.Body] | None]] = {
    Kind.SIGNALLED: (b.Empty, b.SignalledSealed),
    Kind.ADVISED: (b.Empty, b.AdvisedSealed),
    Kind.CANCEL_REQUESTED: (b.Empty, b.CancelSealed),
    Kind.CANNOT: (b.Empty, b.CannotSealed),
    Kind.UNIT: (b.Empty, b.UnitSealed),
    Kind.HOLDING: (b.HoldingClear, None),
    Kind.CREATED: (b.CreatedClear, b.CreatedSealed),
    Kind.REENTERED: (b.Empty, b.ReenteredSealed),
    Kind.TOOK: (b.Empty, b.TookSealed),
    Kind.LEARNED: (b.Empty, b.LearnedSealed),
    Kind.ATTEMPTED: (b.Empty, b.AttemptedSealed),
    Kind.EXECUTED: (b.Empty, b.ExecutedSealed),
    Kind.REFINED: (b.Empty, b.RefinedSealed),
    Kind.DENIED: (b.Empty, b.DeniedSealed),
    Kind.DELEGATED: (b.Empty, DelegatedSealed),
    Kind.DORMANT: (b.DormantClear, b.DormantSealed),
    Kind.POLLED: (b.Empty, b.PolledSealed),
    Kind.PUBLISHED: (b.Empty, b.PublishedSealed),
    Kind.OFFERED: (b.OfferedClear, None),
    Kind.ACCEPTED: (b.AcceptedClear, None),
    Kind.CLAIMED: (b.ClaimedClear, None),
    Kind.AGAIN: (b.Empty, b.AgainSealed),
    Kind.TERMINATED: (b.TerminatedClear, b.TerminatedSealed),
}


class Record(Struct, frozen=True, eq=False):
    """One record as bytes. `clear` was checked against its shape if the kind is known here; `sealed` was not."""

    kind: int
    clear: bytes
    sealed: bytes | None
    # What `make` spelled into `sealed`, so that this device does not parse its own words again.
    body: b.Body | None = None

    def __eq__(self, other: object) -> bool:
        """Records are their bytes: whether one was made or read here makes no difference."""
        return isinstance(other, Record) and self._key() == other._key()

    def __hash__(self) -> int:
        """As equality."""
        return hash(self._key())

    def _key(self) -> tuple[int, bytes, bytes | None]:
        return self.kind, self.clear, self.sealed


def make(kind: Kind, clear: b.Body, sealed: b.Body | None = None) -> Record:
    """Return the record of these bodies. The pair must be that of `SHAPES`: anything else is a bug here.

    Raises:
        ValueError: a field is beyond its bound. It must not be signed: here it would count and elsewhere be void, so
            the caller says less.
    """
    clear_type, sealed_type = SHAPES[kind]
    assert type(clear) is clear_type and (sealed is None if sealed_type is None else type(sealed) is sealed_type)
    sealed_bytes = None if sealed is None else PLAIN + _spell(sealed)
    return Record(int(kind), _spell(clear), sealed_bytes, sealed)


def read_clear(record: Record) -> b.Body | None:
    """Return the clear body, or None for a kind that is opaque here.

    Raises:
        PeerError: `record`: the clear bytes do not have the kind's shape; intake refuses the entry.
    """
    shape = SHAPES.get(record.kind)
    return None if shape is None else _parse(record.clear, shape[0])


def read_sealed(record: Record) -> b.Body | None:
    """Return the sealed body; None where there is none, it is withheld here, or the kind is opaque.

    Raises:
        PeerError: `record`: malformed; the entry is kept and void, since only readers can tell.
    """
    if record.body is not None:
        return record.body
    shape = SHAPES.get(record.kind)
    if shape is None or shape[1] is None:
        return None
    if record.sealed is None or record.sealed[:1] != PLAIN:
        return None
    return _parse(record.sealed[1:], shape[1])


def check_record(item: Any) -> Record:
    """Return a decoded array item as a `Record`, clear part checked.

    Raises:
        PeerError: `record`; intake refuses the entry.
    """
    match item:
        case [int() as kind, bytes() as clear, (bytes() | None) as sealed] if type(kind) is int:
            if not (is_input(kind) or is_turn(kind)):
                raise PeerError("record", f"kind {kind} is neither input nor turn")
            record = Record(kind, clear, sealed)
            shape = SHAPES.get(kind)
            if shape is None:
                decode(clear)
                return record
            if shape[1] is None and sealed is not None:
                raise PeerError("record", f"kind {kind} is wholly clear")
            read_clear(record)
            return record
    raise PeerError("record", "not [kind, clear, sealed]")


def _spell(body: b.Body) -> bytes:
    if type(body) is b.Empty:
        return EMPTY_BYTES
    plain = msgspec.to_builtins(body, builtin_types=(bytes,))
    try:
        msgspec.convert(plain, type(body), builtin_types=(bytes,))  # a Struct does not check what it is made of
    except msgspec.ValidationError as error:
        raise ValueError(f"{type(body).__name__}: {str(error)[:100]}") from None
    return encode_typed(plain)


def _parse(data: bytes, shape: type[b.Body]) -> b.Body:
    if shape is b.Empty and data == EMPTY_BYTES:
        return EMPTY
    try:
        return msgspec.convert(decode(data), shape, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise PeerError("record", f"{shape.__name__}: {str(error)[:100]}") from None

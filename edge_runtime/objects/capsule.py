"""The capsule: the portable file of one object, a CBOR sequence. Bytes in, bytes out; files are the host's.

`[header map][array of grants][entry as byte string]…`, entries in causal order. Importing one equals receiving it
from a peer: same checks, same dedupe.

Source: RFC 8742 (CBOR sequences); layout in `docs/format.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..base.errors import PeerError
from ..base.limits import ENTRY_BYTES_MAX, OBJECT_BYTES_MAX, OBJECT_ENTRIES_MAX
from .bodies import Hash, Unsigned
from .codec import decode, encode, split_sequence
from .entries import Entry, verify

FORMAT_NAME = "edge-runtime/1"


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """First item: what follows, and the object's age when the file was written."""

    format: str
    object: Hash
    entries: Unsigned
    age_ms: Unsigned
    age_is_exact: bool
    wall_ms: Unsigned
    trust: Annotated[int, Meta(ge=0, le=4)]


class Capsule(Struct, frozen=True):
    """A capsule whose entries' own signatures hold, in an order in which every parent comes first."""

    header: Header
    grants: tuple[bytes, ...]
    entries: tuple[Entry, ...]

    @property
    def heads(self) -> tuple[bytes, ...]:
        """The newest entries, ascending: `verify` says "valid up to these". A cut-off tail cannot be seen here."""
        parents = {parent: None for entry in self.entries for parent in entry.parents}
        return tuple(sorted(entry.id for entry in self.entries if entry.id not in parents))


def write_capsule(header: Header, grants: Sequence[bytes], entries: Iterable[bytes]) -> bytes:
    """Return the bytes of a capsule."""
    parts = [encode(msgspec.to_builtins(header, builtin_types=(bytes,))), encode(list(grants))]
    parts.extend(encode(raw) for raw in entries)
    return b"".join(parts)


def read_capsule(data: bytes, advance: Callable[[int], None] | None = None) -> Capsule:
    """Return the capsule, every entry verified and linked.

    Args:
        advance: told after each entry how many bytes of entries were verified so far, for whoever waits.

    Raises:
        PeerError: `capsule`, with the number of the first bad item, or what `verify` says of that entry; the caller
            names the file, and nothing of it is stored.
    """
    if len(data) > 2 * OBJECT_BYTES_MAX:
        raise PeerError("capsule", f"larger than {2 * OBJECT_BYTES_MAX} bytes")
    items = split_sequence(data, OBJECT_ENTRIES_MAX + 2)
    if len(items) < 3:
        raise PeerError("capsule", "cut short: a header, the grants and at least one entry are expected")
    try:
        header = msgspec.convert(decode(items[0]), Header, builtin_types=(bytes,))
        grants = msgspec.convert(decode(items[1]), tuple[bytes, ...], builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise PeerError("capsule", f"header or grants: {str(error)[:100]}") from None
    if header.format != FORMAT_NAME:
        raise PeerError("capsule", f"format {header.format[:40]!r}, known is {FORMAT_NAME!r}")
    if header.entries != len(items) - 2:
        raise PeerError("capsule", f"cut short: {len(items) - 2} entries of {header.entries} announced")
    return Capsule(header, grants, _verify_all(header, items[2:], advance))


def _verify_all(
    header: Header, items: Sequence[bytes], advance: Callable[[int], None] | None
) -> tuple[Entry, ...]:  # fmt: skip
    entries: list[Entry] = []
    done = 0
    known: dict[bytes, None] = {}
    for number, item in enumerate(items, start=1):
        try:
            entry = _entry_of(decode(item))
        except PeerError as error:
            raise PeerError(error.reason, f"entry {number}: {error}") from None
        if entry.object != header.object or entry.is_first != (number == 1):
            raise PeerError("capsule", f"entry {number} ({entry.id.hex()[:16]}) is not of this object or not in order")
        if entry.id in known:
            raise PeerError("capsule", f"entry {number} ({entry.id.hex()[:16]}) is there twice")
        if any(parent not in known for parent in entry.parents):
            raise PeerError("capsule", f"entry {number} ({entry.id.hex()[:16]}) names a parent that is not before it")
        known[entry.id] = None
        entries.append(entry)
        done += len(item)
        if advance is not None:
            advance(done)
    return tuple(entries)


def _entry_of(value: Any) -> Entry:
    if not isinstance(value, bytes) or len(value) > ENTRY_BYTES_MAX:
        raise PeerError("capsule", "an entry is a byte string of at most 64 KiB")
    return verify(value)

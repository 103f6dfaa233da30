"""Revocations: an operator's signed word that a device's grants in a fleet permit nothing any more.

Either its grants are *withdrawn* (what it writes stays data, and is flagged), as a whole or for some kinds of work
while it stays a member, or it is declared *compromised* from a sequence number on (its entries with that number or a
higher one are void). Both are final for that key: a device comes back under a new one. Which of them count follows
from the set of them alone, never from the order in which they came.

Source: ours, `docs/format.md`; eventual, offline revocation by signed statements after RFC 5280 section 5 (lists told
on by anybody), without its issue dates as proof of freshness: across a partition nobody could give one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

from ..base.errors import PeerError
from ..base.limits import GRANT_BYTES_MAX, INTEGER_MAX, REVOCATION_BYTES_MAX, REVOCATIONS_MAX
from ..base.moment import Moment, Trust
from .bodies import Hash, Names, Unsigned
from .cose import REVOCATION_AAD, check1, sign1, split1
from .grants import GrantBody, Role, read_map, spell_map, verify_grant
from .intents import hash256
from .keys import SigningKey


class Revoked(IntEnum):
    """What is said of the device."""

    WITHDRAWN = 0
    COMPROMISED = 1


class RevocationBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The signed map. `sequence` is of the issuing device's counter, `grant` the operator's own (root: empty).

    `operations`: intents or steps that are withdrawn; empty: everything.
    """

    issuer: Hash
    fleet: Hash
    device: Hash
    sequence: Unsigned
    issued_ms: Unsigned
    trust: Annotated[int, Meta(ge=0, le=4)]
    what: Annotated[int, Meta(ge=0, le=1)] = 0
    from_sequence: Unsigned = 0
    grant: Annotated[bytes, Meta(max_length=GRANT_BYTES_MAX)] = b""
    operations: Names = ()


class Revocation(Struct, frozen=True):
    """A revocation whose signature holds, by one who may. `id` is the hash of its bytes."""

    id: bytes
    body: RevocationBody
    raw: bytes


def issue_revocation(
    key: SigningKey, grant: bytes, fleet: bytes, device: bytes, from_sequence: int | None, sequence: int,
    moment: Moment, operations: Sequence[str] = (),
) -> Revocation:  # fmt: skip
    """Sign a revocation with a fleet's root key (`grant` empty), or with an operator's under its grant.

    Args:
        from_sequence: declares the device compromised from this number on; None withdraws its grants.
        operations: withdraws these kinds of work alone; only without `from_sequence`.
    """
    what = Revoked.WITHDRAWN if from_sequence is None else Revoked.COMPROMISED
    body = RevocationBody(
        key.public, fleet, device, sequence, moment.wall_ms, int(moment.trust), int(what), from_sequence or 0, grant,
        tuple(operations),
    )  # fmt: skip
    raw = sign1(key, REVOCATION_AAD, spell_map(body))
    return Revocation(hash256(raw), body, raw)


def verify_revocation(raw: bytes) -> Revocation:
    """Return the revocation if its bytes are in order and its issuer is the fleet's root or an operator of it.

    Raises:
        PeerError: `revocation`, `oversize`, `encoding`, `cose`, `signature` or what `verify_grant` raises; the caller
            refuses the bytes and counts it.
    """
    if len(raw) > REVOCATION_BYTES_MAX:
        raise PeerError("oversize", f"a revocation is at most {REVOCATION_BYTES_MAX} bytes")
    payload, signature = split1(raw)
    body: RevocationBody = read_map(payload, RevocationBody, "revocation")
    if spell_map(body) != payload:
        raise PeerError("revocation", "a field that is empty or 0 is spelled out")
    if body.what == Revoked.WITHDRAWN and body.from_sequence:
        raise PeerError("revocation", "a withdrawal has no sequence")
    if body.what == Revoked.COMPROMISED and body.operations:
        raise PeerError("revocation", "a compromised device is so as a whole")
    check1(body.issuer, REVOCATION_AAD, payload, signature)
    if body.issuer != body.fleet:
        grant = verify_grant(body.grant)
        if (grant.body.audience, grant.body.fleet) != (body.issuer, body.fleet) or Role.OPERATOR not in grant.roles:
            raise PeerError("revocation", "its issuer is no operator of the fleet")
        if body.trust > Trust.RESTORED and _had_expired(grant.body, body.issued_ms):
            raise PeerError("revocation", "its issuer's grant had expired")
    elif body.grant:
        raise PeerError("revocation", "the fleet's root needs no grant")
    return Revocation(hash256(raw), body, raw)


def _had_expired(grant: GrantBody, issued_ms: int) -> bool:
    return bool(grant.expires_ms) and issued_ms >= grant.expires_ms


class Revocations:
    """All revocations that are here, and what follows from those that count.

    The root's count always. An operator's count unless the root declared that operator compromised, from its sequence
    or a lower one: so two operators who revoke each other are both revoked, and the root has the last word.
    """

    def __init__(self) -> None:
        self.by_id: dict[bytes, tuple[Revocation, int]] = {}
        # (fleet, device), or (fleet, `work_of`) where one kind of work alone is withdrawn
        self.revoked: frozenset[tuple[bytes, bytes]] = frozenset()
        self._void_from: dict[tuple[bytes, bytes], int] = {}
        self._counting: list[Revocation] = []

    def add(self, revocations: Collection[tuple[Revocation, int]]) -> None:
        """Take revocations in, each with the life time at which it became known here.

        Raises:
            PeerError: `revocations`: there are REVOCATIONS_MAX by operators already, or by roots.
        """
        for revocation, heard_ms in revocations:
            is_root = _is_by_root(revocation)
            if sum(_is_by_root(had) == is_root for had, _ in self.by_id.values()) >= REVOCATIONS_MAX:
                raise PeerError("revocations", f"more than {REVOCATIONS_MAX}")
            self.by_id.setdefault(revocation.id, (revocation, heard_ms))
        self._derive()

    def _derive(self) -> None:
        everything = [revocation for revocation, _ in self.by_id.values()]
        cuts = _lowest(item for item in everything if _is_by_root(item))
        self._counting = [
            item for item in everything
            if _is_by_root(item) or item.body.sequence < cuts.get((item.body.fleet, item.body.issuer), INTEGER_MAX + 1)
        ]  # fmt: skip
        self.revoked = frozenset(
            (item.body.fleet, what) for item in self._counting
            for what in ([work_of(item.body.device, name) for name in item.body.operations] or [item.body.device])
        )  # fmt: skip
        self._void_from = _lowest(self._counting)

    def void_from(self, roots: Sequence[bytes]) -> Mapping[bytes, int]:
        """Return from which sequence on the entries of compromised devices are void in an object of these roots."""
        found: dict[bytes, int] = {}
        for (fleet, device), sequence in self._void_from.items():
            if fleet in roots:
                found[device] = min(sequence, found.get(device, sequence))
        return found

    def is_compromised(self, fleet: bytes, device: bytes) -> bool:
        """Say whether a device is declared compromised in a fleet."""
        return (fleet, device) in self._void_from

    def is_withdrawn(self, device: bytes, roots: Sequence[bytes]) -> bool:
        """Say whether a device's grants are withdrawn in one of these fleets; compromised ones are, too."""
        return any((root, device) in self.revoked for root in roots)

    def against(
        self, device: bytes, roots: Sequence[bytes], work: Collection[str] = ()
    ) -> tuple[Revocation, int] | None:
        """Return the revocation of a device in these fleets that was issued first, and when it became known here.

        Args:
            work: that it did: a revocation of such work counts, too.
        """
        found = [
            item for item in self._counting if item.body.device == device and item.body.fleet in roots
            and (not item.body.operations or any(name in work for name in item.body.operations))
        ]  # fmt: skip
        if not found:
            return None
        return self.by_id[min(found, key=lambda item: (item.body.issued_ms, item.id)).id]

    def says_already(
        self, fleet: bytes, device: bytes, from_sequence: int | None, operations: Sequence[str] = ()
    ) -> bool:
        """Say whether what counts here already says so much of a device: another word would add nothing."""
        if from_sequence is None:
            are_all = bool(operations) and all((fleet, work_of(device, name)) in self.revoked for name in operations)
            return are_all or (fleet, device) in self.revoked
        return self._void_from.get((fleet, device), INTEGER_MAX) <= from_sequence

    def of(self, roots: Sequence[bytes]) -> list[Revocation]:
        """Return those of some fleets, by id; those that do not count as well: others may not know yet why."""
        found = [self.by_id[key][0] for key in sorted(self.by_id)]
        return [item for item in found if item.body.fleet in roots]

    def digest(self, roots: Sequence[bytes]) -> bytes:
        """Return bytes[32] that two devices share exactly when they hold the same ones of these fleets."""
        return hash256(b"".join(item.id for item in self.of(roots)))


def work_of(device: bytes, name: str) -> bytes:
    """Return what stands in `revoked` for one kind of work of a device: longer than any device's id."""
    return device + name.encode()


def _is_by_root(revocation: Revocation) -> bool:
    return revocation.body.issuer == revocation.body.fleet


def _lowest(revocations: Iterable[Revocation]) -> dict[tuple[bytes, bytes], int]:
    """Return the lowest sequence from which each (fleet, device) is compromised."""
    found: dict[tuple[bytes, bytes], int] = {}
    for item in revocations:
        if item.body.what == Revoked.COMPROMISED:
            key = (item.body.fleet, item.body.device)
            found[key] = min(item.body.from_sequence, found.get(key, item.body.from_sequence))
    return found

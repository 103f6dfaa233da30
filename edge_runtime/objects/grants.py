"""Grants: who may do what, signed, checked offline with the fleet's root key alone. Adverts: what a device offers.

A grant is a COSE_Sign1 over a CBOR map. Membership of a fleet is a grant from its root (depth 1 in this version; a
longer chain is refused by name). Source: ours, `docs/format.md`; attenuation after Macaroons (Birgisson et al. 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..base.errors import PeerError
from ..base.limits import ADVERT_BYTES_MAX, GRANT_BYTES_MAX, GRANT_DEPTH_MAX, LIST_ITEMS_MAX, NAME_BYTES_MAX
from ..base.moment import Trust
from .bodies import Hash, Name, Names, Unsigned
from .codec import decode, encode
from .cose import ADVERT_AAD, GRANT_AAD, check1, sign1, split1
from .intents import hash256
from .keys import SigningKey
from .kinds import Kind


class Role(Enum):
    """What a member is in a fleet; a member may have several."""

    EXECUTOR = "executor"  # turns objects: all kinds but `revoked` and `holding`
    RELAY = "relay"  # carries: appends nothing
    ADVISOR = "advisor"  # appends `advised` only
    OPERATOR = "operator"  # all kinds


ROLES = tuple(role.value for role in Role)


class GrantBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The signed map. `parent` is empty for a grant by the fleet's root; `expires_ms` 0 means never.

    `expires_ms` and `max_age_ms` (of an object, up to which effects are permitted in it) bound effects, not entries.
    `operations` and `resources` narrow a grant. This version enforces neither, and so refuses a grant that has one:
    whoever narrowed it would be taken for more than was meant.
    """

    issuer: Hash
    audience: Hash
    roles: Names
    fleet: Hash
    not_before_ms: Unsigned = 0
    expires_ms: Unsigned = 0
    max_age_ms: Unsigned = 0
    depth_left: Annotated[int, Meta(ge=0, le=GRANT_DEPTH_MAX)] = 0
    operations: Names = ()
    resources: Names = ()
    parent: Annotated[bytes, Meta(max_length=32)] = b""
    replaces: Annotated[bytes, Meta(max_length=32)] = b""


class Grant(Struct, frozen=True):
    """A grant whose signature holds. `id` is the hash of its bytes."""

    id: bytes
    body: GrantBody
    raw: bytes

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles it gives, in the order of `Role`."""
        return tuple(role for role in Role if role.value in self.body.roles)


def issue_grant(
    root: SigningKey, audience: bytes, roles: Sequence[Role], wall_ms: int = 0, replaces: bytes = b""
) -> Grant:
    """Sign a membership grant for a device under a fleet's root key."""
    words = tuple(role.value for role in roles)
    body = GrantBody(root.public, audience, words, root.public, wall_ms, replaces=replaces)
    raw = sign1(root, GRANT_AAD, spell_map(body))
    return Grant(hash256(raw), body, raw)


def verify_grant(raw: bytes) -> Grant:
    """Return the grant if its bytes are in order and its issuer signed them.

    Raises:
        PeerError: `grant`, `oversize`, `encoding`, `cose` or `signature`; the caller refuses the bytes.
    """
    if len(raw) > GRANT_BYTES_MAX:
        raise PeerError("oversize", f"a grant is at most {GRANT_BYTES_MAX} bytes")
    payload, signature = split1(raw)
    body: GrantBody = read_map(payload, GrantBody, "grant")
    if spell_map(body) != payload:
        raise PeerError("grant", "a field that is empty or 0 is spelled out")
    check1(body.issuer, GRANT_AAD, payload, signature)
    if body.operations or body.resources:
        raise PeerError("grant", "narrowed in a way that this version does not enforce")
    if body.parent or body.issuer != body.fleet:
        raise PeerError("grant", "issued by another than the fleet's root: chains are not accepted by this version")
    unknown = [role for role in body.roles if role not in ROLES]
    if unknown:
        raise PeerError("grant", f"unknown role {unknown[0]!r}")
    return Grant(hash256(raw), body, raw)


def check_membership(
    grants: Sequence[bytes], device: bytes, roots: Sequence[bytes], wall_ms: int, trust: Trust
) -> tuple[Grant, ...]:
    """Return the grants that make a device a member of a fleet whose root is trusted here.

    Validity in time counts only while the wall clock is trusted above `RESTORED`.

    Raises:
        PeerError: `grant`: none of them does; the caller refuses the contact.
    """
    valid, reason = [], "no grant presented"
    for raw in grants[:LIST_ITEMS_MAX]:
        try:
            grant = verify_grant(raw)
        except PeerError as error:
            reason = str(error)
            continue
        if grant.body.audience != device:
            reason = "audience is another device"
        elif grant.body.fleet not in roots:
            reason = "another fleet"
        elif trust > Trust.RESTORED and not _is_valid_at(grant.body, wall_ms):
            reason = "not valid at this time"
        else:
            valid.append(grant)
    if not valid:
        raise PeerError("grant", reason)
    return tuple(valid)


# A grant made on a board whose clock ran ahead must not lock its audience out for days: one hour of grace.
NOT_BEFORE_GRACE_MS = 3_600_000


def _is_valid_at(body: GrantBody, wall_ms: int) -> bool:
    return body.not_before_ms <= wall_ms + NOT_BEFORE_GRACE_MS and (not body.expires_ms or wall_ms < body.expires_ms)


def may_append(roles: Sequence[Role], kind: int) -> bool:
    """Say whether a role permits a kind of record (`docs/format.md`, table of kinds)."""
    if Role.OPERATOR in roles:
        return True
    if Role.EXECUTOR in roles:
        return kind not in (Kind.REVOKED, Kind.HOLDING)
    return Role.ADVISOR in roles and kind == Kind.ADVISED


# --- The file that hands a membership over ----------------------------------------------------------------------


class MembershipFile(Struct, frozen=True):
    """What `grant -o FILE` writes and `join FILE` reads: who joins with it trusts that root."""

    fleet_name: str
    root: bytes
    grants: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """Return the canonical CBOR `[fleet name, root key, grant chain]`."""
        return encode([self.fleet_name, self.root, list(self.grants)])

    @classmethod
    def from_bytes(cls, data: bytes) -> MembershipFile:
        """Return the parsed file.

        Raises:
            PeerError: `grant` or `encoding`; the caller names the file.
        """
        match decode(data):
            case [str() as name, bytes() as root, [bytes(), *_] as grants] if (
                len(root) == 32 and len(name) <= NAME_BYTES_MAX and all(isinstance(item, bytes) for item in grants)
            ):
                return cls(name, root, tuple(grants))
        raise PeerError("grant", "not a membership file")


# --- Adverts ----------------------------------------------------------------------------------------------------


class Advert(Struct, frozen=True, forbid_unknown_fields=True):
    """What a device says of itself. The highest counter of a device wins; `intents` are [name, version] pairs."""

    device: Hash
    counter: Unsigned
    name: Annotated[str, Meta(max_length=NAME_BYTES_MAX)]
    capabilities: Names
    resources: Names
    intents: Annotated[tuple[tuple[Name, Unsigned], ...], Meta(max_length=256)]
    grant: Annotated[bytes, Meta(max_length=GRANT_BYTES_MAX)]

    def can(self, needs: Sequence[str]) -> bool:
        """Say whether the device has every need."""
        return all(need in self.capabilities for need in needs)

    def has(self, needs: Sequence[str], intent: str) -> bool:
        """Say whether the device offers the intent and every need."""
        return self.can(needs) and any(name == intent for name, _ in self.intents)


def sign_advert(key: SigningKey, advert: Advert) -> bytes:
    """Return the signed bytes of one's own advert."""
    return sign1(key, ADVERT_AAD, spell_map(advert))


def verify_advert(raw: bytes) -> Advert:
    """Return an advert that its device signed.

    Raises:
        PeerError: `advert`, `oversize`, `encoding`, `cose` or `signature`.
    """
    if len(raw) > ADVERT_BYTES_MAX:
        raise PeerError("oversize", f"an advert is at most {ADVERT_BYTES_MAX} bytes")
    payload, signature = split1(raw)
    advert: Advert = read_map(payload, Advert, "advert")
    check1(advert.device, ADVERT_AAD, payload, signature)
    return advert


def spell_map(body: Struct) -> bytes:
    """Return the canonical CBOR of a signed map; of fields that may be left out the default ones are."""
    return encode(msgspec.to_builtins(body, builtin_types=(bytes,)))


def read_map(payload: bytes, shape: Any, reason: str) -> Any:
    """Return the Struct of a signed map's payload.

    Raises:
        PeerError: `encoding`, or `reason`: it is another map.
    """
    try:
        return msgspec.convert(decode(payload), shape, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise PeerError(reason, str(error)[:120]) from None

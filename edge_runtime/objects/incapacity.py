"""Negative capability: who said that it cannot do a thing, and whether that still binds.

A `cannot` is an input. Only the device it is about speaks for it, and an operator for a whole fleet; what others say
is kept as evidence and binds nobody. Of one signer's words about one subject and scope the newest counts. Silence means
unknown: neither can nor cannot.

| cause | ends |
|---|---|
| the capability is not there | when the device's advert changes (its counter rises) |
| a resource is short for now | at `until_age_ms` |
| a condition of the device's own configuration | when the condition no longer holds, as its hello then tells |

Source: ours, `docs/architecture.md` (Negative capability).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from msgspec import Struct

from .bodies import CannotSealed
from .grants import Role


class Scope(IntEnum):
    """Of whom an incapacity speaks; the numbers are part of the format."""

    DEVICE = 0
    FLEET = 1


class Incapacity(Struct, frozen=True):
    """One `cannot` with who signed it.

    Attributes:
        about: the device it speaks of; of a fleet-wide one the signer. subject: a capability's or an intent's name.
        until_age_ms: the object's age at which it lapses, 0 for never. advert: counter of the device's advert with
            which it lapses when a newer one is known, 0 for not bound to one.
        binds: it counts, by who signed it; else it is evidence for people.
    """

    about: bytes
    subject: str
    scope: int
    evidence: str
    condition: bytes
    until_age_ms: int
    advert: int
    author: bytes
    height: int
    ref: bytes
    binds: bool


def is_binding(author: bytes, about: bytes, scope: int, roles: Sequence[Role]) -> bool:
    """Say whether a signer may speak so: of itself, or as an operator of the fleet; an unknown scope binds nobody."""
    if scope == Scope.DEVICE:
        return author == about
    return scope == Scope.FLEET and Role.OPERATOR in roles


def stands(incapacity: Incapacity, age_ms: int, adverts: Mapping[bytes, int]) -> bool:
    """Say whether an incapacity still counts.

    Args:
        age_ms: of the object. adverts: the newest counter known of each device.
    """
    if not incapacity.binds or (incapacity.until_age_ms and age_ms >= incapacity.until_age_ms):
        return False
    return not incapacity.advert or adverts.get(incapacity.about, incapacity.advert) <= incapacity.advert


def who_cannot(
    said: Iterable[Incapacity], subjects: Sequence[str], age_ms: int, adverts: Mapping[bytes, int]
) -> tuple[bytes, ...]:
    """Return the devices that cannot do one of the subjects, each once; all known ones if a fleet-wide word says so."""
    found: dict[bytes, None] = {}
    for incapacity in said:
        if incapacity.subject in subjects and stands(incapacity, age_ms, adverts):
            found.update(dict.fromkeys(adverts if incapacity.scope == Scope.FLEET else (incapacity.about,)))
    return tuple(found)


class Incapacities:
    """The newest `cannot` of each signer about each subject; a set, whatever came first."""

    def __init__(self) -> None:
        self._newest: dict[tuple[bytes, bytes, str, int], Incapacity] = {}

    def keep(self, body: CannotSealed, author: bytes, height: int, ref: bytes, roles: Sequence[Role]) -> None:
        """Take one record in; `height` and `ref` (entry id and index) say which of two is newer."""
        said = Incapacity(
            body.about, body.subject, body.scope, body.evidence, body.condition, body.until_age_ms, body.advert, author,
            height, ref, is_binding(author, body.about, body.scope, roles),
        )  # fmt: skip
        key = (author, body.about, body.subject, body.scope)
        had = self._newest.get(key)
        if had is None or (had.height, had.ref) < (height, ref):
            self._newest[key] = said

    def all(self) -> tuple[Incapacity, ...]:
        """Return them in the order of their entries."""
        return tuple(sorted(self._newest.values(), key=lambda said: (said.height, said.ref)))

"""Work that many devices share without anybody sharing it out: units, soft claims, results of everybody.

The custodian's body announces units by name. Whoever holds the object and can do the work claims an open unit, does
it, and appends the result; all three are inputs, so custody stays where it is. A claim saves work and locks nothing:

- it lapses `claim_ms` after its newest progress, and only the first `claims_each` of a device stand at once, so that
  one that claims everything, or dies, gives the work back;
- its ages are its author's word: from further ahead of the reader than `claim_ms` they are not believed, and the claim
  does not stand. So no lie keeps a unit for longer than twice `claim_ms`;
- of two claims of one unit the one with more progress wins, then the lower hash of (unit, device): both devices see
  the same winner as soon as they have met, and the loser goes elsewhere;
- results are kept side by side with who found them; nothing is overwritten. So are the parts that progress hands on:
  whoever does the unit next begins with them, and the body gets them with their finders.

Source: ours, `docs/architecture.md` (Swarm); soft claims after market-free task allocation (response thresholds,
Bonabeau et al. 1999), the hash order after rendezvous hashing (Thaler & Ravishankar 1998).
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from msgspec import Struct

from ..base.errors import PeerError
from ..base.limits import CLAIM_MS_MAX, CLAIMS_EACH_MAX, NAME_BYTES_MAX, UNIT_PARTS_MAX, UNITS_MAX
from .bodies import UnitSealed
from .codec import decode_value, encode
from .intents import hash128

# Published names under which the custodian announces units, and signals' names under which results reach its body. No
# `signalled` of such a name counts: who found what is said by the signature of a `unit` alone.
ANNOUNCED_PREFIX = "units."
RESULT_PREFIX = "unit:"


class Said(IntEnum):
    """What a `unit` record says; the numbers are part of the format."""

    CLAIM = 0
    PROGRESS = 1
    RESULT = 2


class Announcement(Struct, frozen=True):
    """What the custodian's body published about one kind of work.

    Attributes:
        work: name of the function that does a unit. units: their names, each once, 1 .. UNITS_MAX.
        claim_ms: how long a claim stands without progress. claims_each: claims of one device that stand at once.
    """

    work: str
    units: tuple[str, ...]
    claim_ms: int
    claims_each: int

    def to_value(self) -> dict[str, Any]:
        """Return it as plain data, as it is published."""
        return {"units": list(self.units), "claim_ms": self.claim_ms, "claims_each": self.claims_each}


class Claim(Struct, frozen=True):
    """One device's claim of one unit, with its newest progress (‰) and the age up to which it stands."""

    device: bytes
    height: int
    ref: bytes
    age_ms: int
    permille: int = 0
    progress_age_ms: int = -1

    def stands_until_ms(self, claim_ms: int) -> int:
        """Return the object's age at which the claim lapses."""
        return max(self.age_ms, self.progress_age_ms) + claim_ms

    def stands(self, claim_ms: int, age_ms: int) -> bool:
        """Say whether it stands for a reader for whom the object is so old: neither lapsed nor of a time to come."""
        until_ms = self.stands_until_ms(claim_ms)
        return until_ms - 2 * claim_ms <= age_ms < until_ms


class Result(Struct, frozen=True):
    """What one device found; `value` is canonical CBOR."""

    device: bytes
    value: bytes
    age_ms: int


class Part(Struct, frozen=True):
    """What one device has of a unit that it has not done, as far as it was (‰); `value` is canonical CBOR."""

    height: int
    ref: bytes
    device: bytes
    permille: int
    value: bytes


class Units:
    """All that was said about units of one object: sets, whatever came first."""

    def __init__(self) -> None:
        self.claims: dict[tuple[str, str], dict[bytes, Claim]] = {}
        self.results: dict[tuple[str, str], dict[bytes, Result]] = {}
        self.parts: dict[tuple[str, str], list[Part]] = {}
        self._progress: dict[tuple[str, str, bytes], tuple[int, int]] = {}
        self._result_refs: dict[tuple[str, str, bytes], tuple[int, bytes]] = {}

    def keep(self, body: UnitSealed, author: bytes, height: int, ref: bytes, age_ms: int) -> None:
        """Take one record in. Of a device's claims of one unit the newest counts, of its results the first, of its
        progress the most; progress without a claim counts as none.
        """
        key = (body.work, body.unit)
        match body.said:
            case Said.CLAIM:
                mine = self.claims.setdefault(key, {})
                had = mine.get(author)
                if had is None or (had.height, had.ref) < (height, ref):
                    mine[author] = Claim(author, height, ref, age_ms)
            case Said.PROGRESS:
                permille, newest_ms = self._progress.get((*key, author), (0, -1))
                self._progress[(*key, author)] = (max(permille, body.permille), max(newest_ms, age_ms))
                if body.value:
                    part = Part(height, ref, author, body.permille, body.value)
                    insort(self.parts.setdefault(key, []), part, key=lambda part: (part.height, part.ref))
            case Said.RESULT:
                place = self._result_refs.get((*key, author))
                if place is None or (height, ref) < place:
                    self._result_refs[(*key, author)] = (height, ref)
                    self.results.setdefault(key, {})[author] = Result(author, body.value, age_ms)
            case _:
                pass  # of a later version

    def claims_of(self, work: str, unit: str) -> list[Claim]:
        """Return every device's newest claim of a unit, with its progress; lapsed ones too."""
        found = []
        for claim in self.claims.get((work, unit), {}).values():
            permille, newest_ms = self._progress.get((work, unit, claim.device), (0, -1))
            found.append(Claim(claim.device, claim.height, claim.ref, claim.age_ms, permille, newest_ms))
        return found

    def parts_of(self, work: str, unit: str) -> list[Part]:
        """Return what progress handed on of a unit, UNIT_PARTS_MAX of each device at most, by (height, ref)."""
        told: Counter[bytes] = Counter()
        found = []
        for part in self.parts.get((work, unit), []):
            told[part.device] += 1
            if told[part.device] <= UNIT_PARTS_MAX:
                found.append(part)
        return found

    def standing(self, announced: Announcement, age_ms: int) -> dict[str, Claim]:
        """Return the winning claim of each unit that is claimed now and has no result."""
        by_device: dict[bytes, list[tuple[int, bytes, str, Claim]]] = {}
        for unit in announced.units:
            if (announced.work, unit) in self.results:
                continue
            for claim in self.claims_of(announced.work, unit):
                if claim.stands(announced.claim_ms, age_ms):
                    by_device.setdefault(claim.device, []).append((claim.height, claim.ref, unit, claim))
        found: dict[str, Claim] = {}
        for claims in by_device.values():
            for _, _, unit, claim in sorted(claims, key=lambda item: item[:2])[: announced.claims_each]:
                if unit not in found or _rank(unit, claim) < _rank(unit, found[unit]):
                    found[unit] = claim
        return found

    def open_units(self, announced: Announcement, age_ms: int) -> list[str]:
        """Return the units without result that nobody's standing claim covers, in the announced order."""
        taken = self.standing(announced, age_ms)
        return [unit for unit in announced.units if (announced.work, unit) not in self.results and unit not in taken]

    def next_lapse_ms(self, announced: Announcement, age_ms: int) -> int | None:
        """Return the age at which a standing claim lapses first; None if none stands."""
        ends = (claim.stands_until_ms(announced.claim_ms) for claim in self.standing(announced, age_ms).values())
        return min(ends, default=None)

    def to_plain(self) -> list[Any]:
        """Return the whole as sorted plain data: equal on devices with the same entries."""
        claims = [
            [work, unit, claim.device, claim.ref, claim.permille]
            for work, unit in self.claims for claim in self.claims_of(work, unit)
        ]  # fmt: skip
        results = [
            [work, unit, result.device, result.value]
            for (work, unit), by_device in self.results.items() for result in by_device.values()
        ]  # fmt: skip
        parts = [
            [work, unit, part.device, part.ref, part.permille, part.value]
            for (work, unit), found in self.parts.items() for part in found
        ]  # fmt: skip
        return [sorted(claims), sorted(results), sorted(parts)]


def _rank(unit: str, claim: Claim) -> tuple[int, bytes]:
    return -claim.permille, hash128(unit.encode() + claim.device)


def announcements(published: Mapping[str, bytes]) -> list[Announcement]:
    """Return what is announced among published values; a value that is no announcement announces nothing."""
    found = []
    for name, data in sorted(published.items()):
        if name.startswith(ANNOUNCED_PREFIX):
            announced = _announcement_of(name.removeprefix(ANNOUNCED_PREFIX), data)
            if announced is not None:
                found.append(announced)
    return found


def _announcement_of(work: str, data: bytes) -> Announcement | None:
    try:
        value = decode_value(data)
    except PeerError:
        return None
    match value:
        case {"units": list(units), "claim_ms": int(claim_ms), "claims_each": int(claims_each)}:
            names = dict.fromkeys(unit for unit in units if isinstance(unit, str))
            fits = 1 <= claim_ms <= CLAIM_MS_MAX and 1 <= claims_each <= CLAIMS_EACH_MAX
            if fits and 1 <= len(names) == len(units) <= UNITS_MAX and all(map(is_unit_name, names)):
                return Announcement(work, tuple(names), claim_ms, claims_each)
    return None


def is_unit_name(name: str) -> bool:
    """Say whether a text names a unit: 1 .. NAME_BYTES_MAX bytes."""
    return 1 <= len(name.encode("utf-8", "replace")) <= NAME_BYTES_MAX


def result_signal(body: UnitSealed, device: bytes) -> tuple[str, bytes]:
    """Return name and value of the signal by which a result, or a part, reaches the body; `Finding`s are read from it.

    The signal of a part alone says `permille`.
    """
    value: dict[str, Any] = {"unit": body.unit, "device": device, "value": body.value}
    if body.said == Said.PROGRESS:
        value["permille"] = body.permille
    return RESULT_PREFIX + body.work, encode(value)

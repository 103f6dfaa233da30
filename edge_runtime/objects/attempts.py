"""What the ruling chain remembers of attempts: per step and place how the last ones went, and what the object spent.

A *place* is where a try went: the peer that its record names, else the device that ran it. How often a try failed in
a row, and what the other side asked for, belong to the place: whoever goes on elsewhere begins anew there. Deaths of
processes and what was spent are counted over the whole chain, whichever devices it passed.

Source: ours (`docs/architecture.md`, Outcomes); pushback after gRPC A6: what was asked for is no back-off of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from msgspec import Struct, field

from ..base.errors import PeerError
from ..base.limits import PLACES_MAX
from . import bodies as b
from .codec import decode, decode_value, encode

# Numbers of outcomes (`judge.outcomes`, which stands a floor higher).
_PARTIAL, _UNREACHABLE, _TIMEOUT, _BUSY = 1, 2, 3, 5
# ok, timeout, slow, busy, invalid, crashed, unknown, fenced: something was asked of somebody. The rest spent nothing.
SPENDS_AN_ATTEMPT = (0, 3, 4, 5, 8, 9, 10, 11)
# How an observer that was itself late marks what it saw (Lifeguard): nobody is blamed for it.
DEGRADED = "observer_degraded"
DEVICE_NAME = re.compile("[0-9a-f]{64}")


class Dimension(Enum):
    """What an envelope bounds."""

    ATTEMPTS = "attempts"
    BYTES = "bytes"
    ENERGY = "energy"


# What is said of the peer, whoever asked it; the rest (no way there, no right, a bug) is of the device that tried.
_OF_THE_PEER = (_TIMEOUT, _BUSY)


class PlaceMemory(Struct):
    """How the newest tries of one step went at one place.

    Attributes:
        in_a_row: the same outcome so many times in a row, 1 for the first; a wait that was asked for starts it anew.
        silences: timeouts in a row that an observer in good health saw.
        device: that made the newest try.
    """

    outcome: int = 0
    age_ms: int = 0
    hint_ms: int | None = None
    in_a_row: int = 0
    silences: int = 0
    evidence: str = ""
    device: bytes = b""

    def concerns(self, device: bytes) -> bool:
        """Say whether the newest try is held against a try of this device, too."""
        return self.device == device or self.outcome in _OF_THE_PEER

    def take(self, body: b.ExecutedSealed, device: bytes, age_ms: int) -> None:
        """Remember one more try."""
        is_same = self.in_a_row and self.outcome == body.outcome
        was_asked = self.outcome == _BUSY and self.hint_ms is not None
        self.in_a_row = self.in_a_row + 1 if is_same and not was_asked else 1
        if body.outcome != _TIMEOUT:
            self.silences = 0
        elif not body.evidence.startswith(DEGRADED):
            self.silences += 1
        self.outcome, self.age_ms, self.device = body.outcome, age_ms, device
        self.hint_ms, self.evidence = body.hint_ms, body.evidence


class StepMemory(Struct):
    """What the ruling chain remembers of one step that has no final outcome yet.

    Attributes:
        free: tries that reached nobody or did a part: they are held against nobody.
        deaths: process deaths over the whole chain. died_at: device of the newest one.
        places: by the name of a peer or a device's id in hex, the one used longest ago first, at most PLACES_MAX.
        done: what earlier tries committed, canonical CBOR each, in order.
        rest: canonical CBOR of what is left, None while nothing was committed.
    """

    attempt: bytes
    tries: int = 0
    free: int = 0
    outcome: int = 0
    age_ms: int = 0
    deaths: int = 0
    died_at: bytes = b""
    error: str = ""
    places: dict[str, PlaceMemory] = field(default_factory=dict)
    done: list[bytes] = field(default_factory=list)
    rest: bytes | None = None

    @property
    def failures(self) -> int:
        """How many tries failed for a reason that waiting for a way does not mend."""
        return max(0, self.tries - self.free)

    def take(self, body: b.ExecutedSealed, author: bytes, age_ms: int) -> None:
        """Remember one more try that is not the last."""
        self.tries, self.outcome, self.age_ms, self.error = body.try_number, body.outcome, age_ms, body.error
        self.free += body.outcome in (_PARTIAL, _UNREACHABLE)
        self.deaths += body.deaths
        self.died_at = author if body.deaths else self.died_at
        name = body.peer or author.hex()
        place = self.places.pop(name, None) or PlaceMemory()
        place.take(body, author, age_ms)
        self.places[name] = place
        while len(self.places) > PLACES_MAX:
            del self.places[next(iter(self.places))]
        if body.outcome == _PARTIAL:
            parts = read_partial(body.value)
            if parts is not None:
                self.done.append(parts[0])
                self.rest = parts[1]


def write_partial(done: bytes, rest: bytes) -> bytes:
    """Return the value of a record with outcome `partial`: what was committed and what is left, canonical CBOR each."""
    return encode([done, rest])


def read_partial(value: bytes) -> tuple[bytes, bytes] | None:
    """Return what was committed and what is left, or None where a peer wrote something else."""
    try:
        match decode(value):
            case [bytes() as done, bytes() as rest]:
                decode_value(done)
                decode_value(rest)
                return done, rest
    except PeerError:
        pass
    return None


def silent_devices(steps: Iterable[StepMemory], silences_min: int) -> tuple[bytes, ...]:
    """Return the devices on which steps were silent so often in a row: not where to go on."""
    names = [name for step in steps for name, place in step.places.items() if place.silences >= silences_min]
    return tuple(dict.fromkeys(bytes.fromhex(name) for name in names if DEVICE_NAME.fullmatch(name)))


class Spending(Struct):
    """What an object's envelope allows and what the chain spent, 0 for no bound; kept only where there is one.

    Each try is one item (age, attempts, bytes, millijoules): an operator's `resume` forgives what came before it.
    """

    attempts_max: int = 0
    bytes_max: int = 0
    energy_max_mj: int = 0
    tries: list[tuple[int, int, int, int]] = field(default_factory=list)

    def take(self, body: b.ExecutedSealed, age_ms: int) -> None:
        """Count one try."""
        if self.attempts_max or self.bytes_max or self.energy_max_mj:
            attempts = int(body.outcome in SPENDS_AN_ATTEMPT)
            self.tries.append((age_ms, attempts, body.bytes_used, body.energy_mj))

    def exhausted(self, since_age_ms: int) -> Dimension | None:
        """Return the first dimension that is used up by what came since an age; None while something is left.

        What came in the same millisecond counts: else a try that fails at once would be forgiven for ever.
        """
        spent = [0, 0, 0]
        for age_ms, *amounts in self.tries:
            if age_ms >= since_age_ms:
                spent = [total + amount for total, amount in zip(spent, amounts, strict=True)]
        bounds = (self.attempts_max, self.bytes_max, self.energy_max_mj)
        for dimension, bound, used in zip(Dimension, bounds, spent, strict=True):
            if bound and used >= bound:
                return dimension
        return None

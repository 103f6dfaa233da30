"""The snapshot: everything a decision about one object may look at, taken before the evaluation and then closed.

Its digest is recorded when an object reenters, so that a decision can be recomputed and explained later.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ..base.digests import blake2b
from ..base.moment import Moment, Trust
from ..objects.codec import encode_value
from ..objects.conditions import Scalar
from ..objects.due import ByTime, minute_of_day
from .facts import Fact


class Snapshot(Struct, frozen=True):
    """One object's view of this device; implements `TriggerView` and `FactView`.

    Attributes:
        facts: by name. life_ms: the device's clock, against which facts age.
        capabilities: of this device. met: capabilities, intents and ids of peers in contact. known: those of all
            devices with an advert here.
        signals: names of untaken signals. ended: object id -> has it ended.
        policy: 16-byte hash of the policy in force. advice: topics with fresh advice; no condition can ask for them.
    """

    facts: Mapping[str, Fact]
    life_ms: int
    age_ms: int
    wall_ms: int
    trust: Trust
    capabilities: tuple[str, ...]
    met: frozenset[str]
    known: frozenset[str]
    signals: frozenset[str]
    outcomes: Mapping[int, int]
    policy: bytes
    ended: Mapping[bytes, bool]
    advice: frozenset[str] = frozenset()

    def fact_value(self, name: str, max_age_ms: int | None = None) -> Scalar | None:
        """Return a fact's value, None while it is unknown or too old."""
        fact = self.facts.get(name)
        if fact is None or not fact.is_known_at(self.life_ms, max_age_ms):
            return None
        return fact.value

    def has_capability(self, name: str) -> bool:
        """Say whether a peer in contact has a capability."""
        return name in self.met

    def knows_peer(self, name: str) -> bool:
        """Say whether a device with that capability, intent or id is known or in contact."""
        return name in self.known or name in self.met

    def outcome_count(self, outcome: int) -> int:
        """Return how many attempts of the object ended so."""
        return self.outcomes.get(outcome, 0)

    def object_age_ms(self) -> int:
        """Return the object's age."""
        return self.age_ms

    def minute_of_day(self) -> int | None:
        """Return the minute of the day in UTC; None while the clock is not trusted."""
        return minute_of_day(self.wall_ms, self.trust)

    def wall_clock(self) -> tuple[int, Trust]:
        """Return the wall clock and its trust."""
        return self.wall_ms, self.trust

    def by_time(self) -> ByTime:
        """Return the view that knows nothing but the time, for what only time may change."""
        return ByTime(self.age_ms, Moment(self.life_ms, self.wall_ms, self.trust))

    def has_signal(self, name: str) -> bool:
        """Say whether an untaken signal of that name is there."""
        return name in self.signals

    def has_advice(self, topic: str) -> bool:
        """Say whether fresh advice on a topic is there."""
        return topic in self.advice

    def has_ended(self, object_id: bytes) -> bool | None:
        """Say whether another object has ended; None if it is not here."""
        return self.ended.get(object_id)

    def digest(self) -> bytes:
        """Return 16 bytes that two devices share when they see alike, and so judge alike.

        Facts count with their ages, for `fresh` reads those; a fact too old to be known does not count.
        """
        facts = {
            name: [fact.value, self.life_ms - fact.set_ms]
            for name, fact in sorted(self.facts.items())
            if fact.is_known_at(self.life_ms)
        }
        parts = [facts, self.age_ms, self.wall_ms, int(self.trust), list(self.capabilities), sorted(self.met),
                 sorted(self.known), sorted(self.signals), sorted(self.advice), dict(self.outcomes), self.policy,
                 [[object_id, self.ended[object_id]] for object_id in sorted(self.ended)]]  # fmt: skip
        return blake2b(encode_value(parts), digest_size=16).digest()

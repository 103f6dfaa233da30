"""A view of the world for conditions and triggers, spelled out by a test."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_runtime.base.moment import Trust
from edge_runtime.objects.conditions import Scalar


@dataclass(frozen=True)
class View:
    """What a condition or trigger sees; whatever is not named is unknown (facts) or not there (the rest)."""

    facts: dict[str, Scalar] = field(default_factory=dict)
    fact_ages_ms: dict[str, int] = field(default_factory=dict)
    met: tuple[str, ...] = ()
    outcomes: dict[int, int] = field(default_factory=dict)
    age_ms: int = 0
    minute: int | None = None
    wall: tuple[int, Trust] = (0, Trust.NONE)
    signals: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    ended: dict[bytes, bool] = field(default_factory=dict)

    def fact_value(self, name: str, max_age_ms: int | None) -> Scalar | None:
        if max_age_ms is not None and self.fact_ages_ms.get(name, 0) > max_age_ms:
            return None
        return self.facts.get(name)

    def has_capability(self, name: str) -> bool | None:
        return name in self.met

    def outcome_count(self, outcome: int) -> int | None:
        return self.outcomes.get(outcome, 0)

    def object_age_ms(self) -> int:
        return self.age_ms

    def minute_of_day(self) -> int | None:
        return self.minute

    def wall_clock(self) -> tuple[int, Trust]:
        return self.wall

    def has_signal(self, name: str) -> bool | None:
        return name in self.signals

    def has_advice(self, topic: str) -> bool | None:
        return topic in self.advice

    def knows_peer(self, name: str) -> bool | None:
        return name in self.met

    def has_ended(self, object_id: bytes) -> bool | None:
        return self.ended.get(object_id)

"""Facts: what a device knows of itself and its surroundings, each with age and origin."""

from __future__ import annotations

from msgspec import Struct



class Fact(Struct, frozen=True):
    """One fact.

    Attributes:
        name: lower-case dotted words.
        set_ms: when it was read, on the device's life clock.
        origin: who said so: `user`, `link`, `sensor`, …
        max_age_ms: older than that it is unknown.
    """

    name: str
    value: bool | int | float | str
    set_ms: int
    origin: str
    max_age_ms: int

    def is_known_at(self, life_ms: int, max_age_ms: int | None = None) -> bool:
        """Say whether the fact is young enough at a time, by its own bound or a stricter one."""
        bound_ms = self.max_age_ms if max_age_ms is None else min(self.max_age_ms, max_age_ms)
        return life_ms - self.set_ms <= bound_ms

"""The last few values of each fact, in memory: so that `explain` can say when a condition held for the last time.

Losing it costs that one answer and nothing else; no decision reads it.
"""

from __future__ import annotations

from collections import deque

from ..base.limits import FACT_PAST_MAX, FACTS_MAX
from ..judge.facts import Fact
from ..objects.conditions import Leaf, Scalar, Truth, evaluate
from ..objects.due import ByTime


class FactPast:
    """Values that facts had, newest last, at most FACT_PAST_MAX of FACTS_MAX; the oldest are forgotten."""

    def __init__(self) -> None:
        self._by_name: dict[str, deque[Fact]] = {}

    def note(self, gone: Fact, until_ms: int) -> None:
        """A fact gets another value: remember the old one as known until then, or until it was too old."""
        known_until_ms = min(until_ms, gone.set_ms + gone.max_age_ms)
        past = self._by_name.setdefault(gone.name, deque(maxlen=FACT_PAST_MAX))
        if len(self._by_name) > FACTS_MAX:
            del self._by_name[next(iter(self._by_name))]
        past.append(Fact(gone.name, gone.value, known_until_ms, gone.origin, gone.max_age_ms))

    def changed_ms(self, name: str) -> int | None:
        """Return when a fact got its present value, None if it has not changed in this process."""
        past = self._by_name.get(name)
        return past[-1].set_ms if past else None

    def last_true_ms(self, leaf: Leaf, name: str, now: Fact | None, life_ms: int) -> int | None:
        """Return when a leaf that reads one fact held for the last time, on the device's clock; None if not known.

        Args:
            now: the fact as it is, also if it is too old to be known.
        """
        latest = [] if now is None else [Fact(name, now.value, min(life_ms, now.set_ms + now.max_age_ms), "", 0)]
        for fact in (*latest, *reversed(self._by_name.get(name, ()))):
            if evaluate(leaf, _Was(0, None, name, fact.value)) is Truth.TRUE:
                return fact.set_ms
        return None


class _Was(ByTime, frozen=True):
    """A view in which one fact has one value, and nothing else is known."""

    name: str = ""
    value: Scalar = ""

    def fact_value(self, name: str, max_age_ms: int | None) -> Scalar | None:
        """Return the value of that fact."""
        return self.value if name == self.name else None

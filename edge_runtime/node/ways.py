"""The ways to destinations: which fact says that one is up, and when it is expected to be.

A destination is known by its name. The fact `link.<name>`, set by contacts, users or bridges, says `up` or `down` of
the way there; the configuration's contact plan of that name says when it will be.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..base.limits import OBJECT_BYTES_MAX, OBJECT_ENTRIES_MAX
from ..base.moment import Trust
from ..judge.evaluate import Decision
from ..judge.prober import Destination
from .parts import Parts
from .spool import Live
from .surroundings import link_fact_of

# What one probe in vain leaves in a history: reentered, executed, dormant; and one more, so that some room stays.
PROBE_ENTRIES = 4


def spare_history(decision: Decision, live: Live, age_ms: int) -> Decision:
    """Return the sleep of one who probes, longer where its history is half full.

    What is left of the room is spread over what is left of the lifetime: no object is parked for having waited.
    """
    history = live.state.history
    used = max(len(history), history.bytes_size * OBJECT_ENTRIES_MAX // OBJECT_BYTES_MAX)
    if 2 * used < OBJECT_ENTRIES_MAX or decision.until_age_ms is None:
        return decision
    left_ms = max(0, history.created.lifetime_ms - age_ms)
    least_ms = left_ms * PROBE_ENTRIES // max(1, OBJECT_ENTRIES_MAX - used)
    return replace(decision, until_age_ms=max(decision.until_age_ms, age_ms + least_ms))


class Ways:
    """What the device knows of the ways to destinations, besides what attempts met there."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def link_of(self, name: str) -> str:
        """Return the fact about the way to a destination, empty while there is none."""
        fact = link_fact_of(name)
        return fact if fact in self.parts.facts.by_name else ""

    def fit(self, destination: Destination, name: str) -> None:
        """Tell a destination what is known of the way to it.

        A plan is in wall time: while the clock is not trusted, or only restored, it is as if there were none.
        """
        settings, timeline = self.parts.settings, self.parts.timeline
        fact = self.parts.facts.by_name.get(link_fact_of(name))
        destination.hear_way(None if fact is None or not fact.is_known_at(timeline.life_ms) else fact.value)
        destination.cost_ms = settings.probe_cost_ms
        is_known = timeline.moment.trust > Trust.RESTORED
        destination.plan = settings.plans.get(name) if is_known else None
        destination.plan_offset_ms = timeline.moment.wall_ms - timeline.life_ms

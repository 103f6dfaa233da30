"""What may end a refusal: another policy, another grant, another advert of this device, or the fact that was named.

`refused` and `incapable` are not tried again by time. Whether something has changed since is a level, read from the
store: a device that was off meanwhile finds out all the same.
"""

from __future__ import annotations

from ..judge.backoff import Failure
from ..judge.evaluate import GRANT_FACT
from ..judge.outcomes import Outcome
from .parts import Parts
from .spool import Live

POLICY_META, GRANT_META = "policy_ms", "grant_ms"


class Renewals:
    """Compares when an attempt failed with when what it waits for last changed."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def are_since(self, live: Live, failure: Failure) -> bool:
        """Say whether what a failure waits for has changed since it was met."""
        if failure.outcome not in (Outcome.REFUSED, Outcome.INCAPABLE):
            return False
        parts = self.parts
        failed_ms = parts.spool.life_ms_of(live, failure.age_ms)
        if failure.outcome is Outcome.INCAPABLE:
            own = parts.adverts.by_device.get(parts.device)
            return own is not None and own[2] > failed_ms
        if any(int(parts.store.get_meta(name, 0)) > failed_ms for name in (POLICY_META, GRANT_META)):
            return True
        fact = parts.facts.by_name.get(failure.fact)
        return fact is not None and fact.set_ms > failed_ms


def note_policy(parts: Parts, policy: bytes) -> None:
    """Another policy is in force, unless it is the one that was: write down since when."""
    if parts.store.get_meta("policy", "") != policy.hex():
        parts.store.set_meta(POLICY_META, parts.timeline.life_ms)


def note_grant(parts: Parts) -> None:
    """This device has another grant: what was refused for want of one is looked at."""
    parts.store.set_meta(GRANT_META, parts.timeline.life_ms)
    parts.agenda.wake_topic(f"fact:{GRANT_FACT}")

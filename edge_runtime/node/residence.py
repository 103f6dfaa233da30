"""How old an object is when it arrives: what the sender said, and the time on the way.

Hand-over messages and capsule headers carry the object's age with the sender's wall time and trust. Where both wall
clocks are trusted the time between counts: on a stick always, on a link from a minute on, below which two clocks in
step may disagree. Where they are not, what lay on a stick has a lower bound for an age; a link that is not known to
be slow is taken for quick. A wall clock that is plainly wrong adds nothing to any age.

Source: ours, behaviour 16.4; after the bundle age block of RFC 9171 section 4.4.2.
"""

from __future__ import annotations

from typing import NamedTuple

from ..base.limits import INTEGER_MAX, TRANSIT_MS_MAX
from ..base.moment import Moment, Trust
from .timeline import IN_STEP, SLACK_MS, Anchor


class Age(NamedTuple):
    """An object's age in ms; not `is_exact`: it is at least that old."""

    ms: int
    is_exact: bool


def age_from_link(age_ms: int, is_exact: bool, sent_ms: int, trust: int, now: Moment) -> Age:
    """Return the age of what a peer has just sent.

    Args:
        sent_ms, trust: the sender's wall clock when it said the age.
    """
    passed_ms = now.wall_ms - sent_ms if _are_in_step(trust, now) else 0
    is_slow = SLACK_MS < passed_ms <= TRANSIT_MS_MAX
    return Age(min(age_ms + passed_ms, INTEGER_MAX) if is_slow else age_ms, is_exact)


def age_from_file(age_ms: int, is_exact: bool, written_ms: int, trust: int, now: Moment) -> Age:
    """Return the age of what a capsule brings; `written_ms`, `trust`: the wall clock in its header."""
    if not _are_in_step(trust, now):
        return Age(age_ms, False)
    passed_ms = Anchor(0, written_ms).gap_ms(0, now.wall_ms)
    return Age(age_ms, False) if passed_ms is None else Age(min(age_ms + passed_ms, INTEGER_MAX), is_exact)


def _are_in_step(trust: int, now: Moment) -> bool:
    return min(Trust(trust), now.trust) >= IN_STEP

"""Dates that cannot be right: an entry from the future, or from before what it builds on.

Such an entry counts like any other, since order comes from hashes: whoever looks at it is told. Dates that nobody
trusted say nothing. Source: ours, behaviour 12.10.
"""

from __future__ import annotations

from ..base.moment import Moment
from ..objects.entries import Entry
from ..objects.history import History
from .timeline import IN_STEP, SLACK_MS

AHEAD = "in the future"
BEHIND = "before what it builds on"


def odd_date(history: History, entry: Entry, now: Moment) -> str | None:
    """Return what is wrong with an entry's wall time, None for nothing; a minute is nothing."""
    if entry.trust < IN_STEP:
        return None
    if now.trust >= IN_STEP and entry.wall_ms > now.wall_ms + SLACK_MS:
        return AHEAD
    parents = (history.placed[parent].entry for parent in entry.parents)
    if any(parent.trust >= IN_STEP and entry.wall_ms < parent.wall_ms - SLACK_MS for parent in parents):
        return BEHIND
    return None

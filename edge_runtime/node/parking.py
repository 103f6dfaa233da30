"""What takes an object back that was set aside for the operator, wherever the operator's word was said."""

from __future__ import annotations

from ..judge.outranking import REASON
from ..objects import bodies as b
from ..objects.entries import Entry
from ..objects.kinds import Kind
from ..objects.records import read_clear
from .spool import Live

RESUME = 2  # as `HoldingClear.what`


def is_freed_by(live: Live, entry: Entry) -> bool:
    """Say whether an entry, stored just now, takes a parked object back.

    A `resume` does, and a `cancel` where somebody else flies the vehicle: ending is one of the ways out of that. A
    word from before the object was set aside says nothing about why it was.
    """
    dormancy = live.state.content.dormancy
    if live.state.history.placed[entry.id].void or (dormancy is not None and entry.age_ms < dormancy.since_age_ms):
        return False
    if live.parked == REASON and any(record.kind == Kind.CANCEL_REQUESTED for record in entry.records):
        return True
    clears = [read_clear(record) for record in entry.records if record.kind == Kind.HOLDING]
    return any(isinstance(clear, b.HoldingClear) and clear.what == RESUME for clear in clears)

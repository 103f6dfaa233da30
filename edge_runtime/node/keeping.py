"""What may not go from this device, whatever the need, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.limits import HANDED_KEPT_MS, INTEGER_MAX
from ..objects import bodies as b
from ..objects.kinds import Kind
from ..objects.records import read_clear

if TYPE_CHECKING:
    from .spool import Live, Spool


def kept_until_ms(spool: Spool, live: Live) -> int:
    """Return until when, on the life clock, an object is kept; 0: it may go at any time, INTEGER_MAX: while this holds.

    Kept is what this device is custodian of, and has not ended; what is offered to it; custody that it handed over,
    until the new custodian wrote something after its acceptance, or HANDED_KEPT_MS are over; and units that it claimed.
    """
    history, device = live.state.history, spool.members.device
    view = history.view
    if live.state.content.finish is not None or live.staged:
        return 0
    if view.holder == device:
        return INTEGER_MAX
    kept = [0]
    if view.is_frozen:
        offered = read_clear(history.placed[view.tip].entry.records[-1])
        if isinstance(offered, b.OfferedClear) and offered.to == device:
            kept.append(spool.life_ms_of(live, offered.expires_age_ms))
    if view.tip == view.act:  # nothing of the new custodian since
        entry = history.placed[view.act].entry
        accepted = read_clear(entry.records[0]) if entry.records[0].kind == Kind.ACCEPTED else None
        if isinstance(accepted, b.AcceptedClear) and history.placed[accepted.offer].entry.author == device:
            kept.append(spool.life_ms_of(live, entry.age_ms) + HANDED_KEPT_MS)
    if any(device in claims for claims in live.state.units.claims.values()):
        kept.append(spool.life_ms_of(live, history.created.lifetime_ms))
    return min(max(kept), INTEGER_MAX)  # an offer may say any age

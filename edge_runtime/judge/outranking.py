"""Who outranks this device at a vehicle: the autopilot's failsafe, and a pilot on the stick.

A step that needs the capability `mavlink` acts on the vehicle behind that bridge. While `mavlink.outranked` is true
it is not begun and its object is set aside until an operator resumes it, also if the pilot hands back meanwhile:
whoever took over did so for a reason that no device knows. While the fact is unknown the step waits for it.

Source: ours; the order of authority of PX4 and ArduPilot (RC override and failsafe before companion computers).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..objects.conditions import FactView, Truth

VEHICLE = "mavlink"  # the capability
OUTRANKED = "mavlink.outranked"  # the fact
REASON = "outranked: the autopilot's failsafe or a pilot flies; an operator resumes"


def is_outranked(needs: Sequence[str], view: FactView) -> Truth:
    """Say whether somebody else flies; false for a step that does not act on the vehicle."""
    if VEHICLE not in needs:
        return Truth.FALSE
    value = view.fact_value(OUTRANKED, None)
    if value is None:
        return Truth.UNKNOWN
    return Truth.FALSE if value is False else Truth.TRUE

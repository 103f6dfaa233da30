"""From MAVLink messages to facts: pure, over plain fields, so that it needs no vehicle and no package.

The autopilot outranks us: its failsafe, and a pilot on the stick. We see that as a state of CRITICAL or worse, or as
a mode, while armed, in which the autopilot takes no orders from a companion.

Source: MAVLink common message set (HEARTBEAT, SYS_STATUS, BATTERY_STATUS, GLOBAL_POSITION_INT; MAV_STATE).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...base.units import HOUR_MS, MINUTE_MS, SECOND_MS
from ..sensors.readers import Value

ARMED = 128  # MAV_MODE_FLAG_SAFETY_ARMED
STATE_CRITICAL, STATE_EMERGENCY, STATE_TERMINATION = 5, 6, 8  # 7 is powering off
UNKNOWN_PERCENT = -1
# A vehicle that says nothing for so long is not connected: three of its heartbeats, which come once a second.
SILENT_MS = 3 * SECOND_MS
# The age of the last heartbeat is told in these steps: a lost vehicle must not wake the node for ever.
AGE_STEPS_MS = (
    0, SILENT_MS, 5 * SECOND_MS, 10 * SECOND_MS, 30 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, HOUR_MS,
)  # fmt: skip


def facts_of(kind: str, fields: Mapping[str, Any], mode: str, modes: Sequence[str]) -> dict[str, Value]:
    """Return the facts that one message tells.

    Args:
        kind: the message's name. fields: its fields. mode: of a heartbeat, as people write it, such as `GUIDED`.
        modes: in which the autopilot takes orders.
    """
    match kind:
        case "HEARTBEAT":
            is_armed = bool(fields["base_mode"] & ARMED)
            is_failsafe = fields["system_status"] in (STATE_CRITICAL, STATE_EMERGENCY, STATE_TERMINATION)
            return {
                "mavlink.connected": True, "mavlink.heartbeat_age_ms": 0, "mavlink.mode": mode,
                "mavlink.armed": is_armed, "mavlink.outranked": is_failsafe or (is_armed and mode not in modes),
            }  # fmt: skip
        case "SYS_STATUS" | "BATTERY_STATUS":
            percent = fields["battery_remaining"]
            return {} if percent == UNKNOWN_PERCENT else {"mavlink.battery_percent": int(percent)}
        case "GLOBAL_POSITION_INT":
            # Six decimals are 0.1 m; the sensor's seventh is noise.
            return {
                "mavlink.latitude": round(fields["lat"] / 1e7, 6), "mavlink.longitude": round(fields["lon"] / 1e7, 6),
                "mavlink.altitude_m": round(fields["alt"] / 1e3, 1),
                "mavlink.height_m": round(fields["relative_alt"] / 1e3, 1),
            }  # fmt: skip
        case _:
            return {}


def facts_of_silence(age_ms: int) -> dict[str, Value]:
    """Return what is told of a vehicle whose last heartbeat is so old."""
    step_ms = max(step for step in AGE_STEPS_MS if step <= max(0, age_ms))
    return {"mavlink.connected": age_ms < SILENT_MS, "mavlink.heartbeat_age_ms": step_ms}

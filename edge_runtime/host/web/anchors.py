"""Ages and waits as points in time: the page counts them on by itself, and only what changed is sent again.

Answers of the node say "3 s ago" and "in 5 s", which is another value at each look. Here they become `…_at`, ms on
this machine's boot clock; each event tells the page what that clock says now.
"""

from __future__ import annotations

from typing import Any

# Fields that say how long ago, and how long until. An object's own ages (`age_ms` of a trace row) are neither.
AGO = {
    "age_ms": "set_at", "last_true_ms": "last_true_at", "last_try_ms": "last_try_at", "last_ms": "last_at",
    "started_ms_ago": "started_at",
}  # fmt: skip
AHEAD = {"expires_in_ms": "expires_at", "due_in_ms": "due_at", "next": "next_at"}
# Two looks at the same moment differ by how long the answers took: that is no change.
SAME_MS = 1_000


def anchor(value: Any, now_ms: int) -> Any:
    """Return an answer with every relative time as a point in time; all else as it is."""
    if isinstance(value, list):
        return [anchor(item, now_ms) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, item in value.items():
        is_ms = isinstance(item, int) and not isinstance(item, bool)
        if name in AGO and (is_ms or item is None):
            found[AGO[name]] = now_ms - item if item is not None else None
        elif name in AHEAD and (is_ms or item is None):
            found[AHEAD[name]] = now_ms + item if item is not None else None
        else:
            found[name] = anchor(item, now_ms)
    return found


def settle(old: Any, new: Any, name: str = "") -> Any:
    """Return `new`, or `old` itself where they say the same but for how exactly a moment was read."""
    if isinstance(old, dict) and isinstance(new, dict):
        merged = {key: settle(old[key], item, key) if key in old else item for key, item in new.items()}
        return old if merged == old else merged
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        items = [settle(was, item) for was, item in zip(old, new, strict=True)]
        return old if items == old else items
    if name.endswith("_at") and isinstance(old, int) and isinstance(new, int) and abs(new - old) <= SAME_MS:
        return old
    return new

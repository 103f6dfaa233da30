"""How `status` tells people what takes the room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def size_text(size: int) -> str:
    """Return a size for people, in powers of a thousand as disks are sold: `812 bytes`, `1.3 MB`."""
    value, unit = float(size), 0
    while value >= 999.95 and unit < len(UNITS) - 1:
        value, unit = value / 1_000, unit + 1
    return f"{size} bytes" if not unit else f"{value:.1f} {UNITS[unit]}"


def render_disk_use(
    sizes: Mapping[str, Any], carried_for: Sequence[Mapping[str, Any]], disk_reserve: int | None = None
) -> list[str]:
    """Return the lines of `status` about the spool: how full it is, and of what.

    Args:
        disk_reserve: bytes set aside on the disk for when it is full, 0 where they were given up; None: not known.
    """
    limit = "no limit"
    if sizes["limit"] is not None:
        limit = f"{size_text(sizes['limit'])}, {size_text(sizes['reserve'])} of it held back for what runs"
    parts = ", ".join(f"{name} {size_text(sizes[name])}" for name in ("own", "carried", "ended", "tombstones", "blobs"))
    lines = [f"  spool: {size_text(sizes['used'])} of {limit}", f"    {parts}"]
    lines.extend(
        f"    carried for {row['name']}: {row['objects']} objects, {size_text(row['bytes'])}" for row in carried_for
    )
    if disk_reserve is not None:
        held = f"{size_text(disk_reserve)} set aside" if disk_reserve else "given up for what runs: the disk is full"
        lines.append(f"  reserve on the disk: {held}")
    return lines

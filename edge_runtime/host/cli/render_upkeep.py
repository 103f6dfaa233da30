"""Answers of the commands that look after a device, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .render import count


def _render_fleet_made(value: dict[str, Any]) -> str:
    return (
        f"Fleet {value['name']}, {value['fleet']}.\n"
        "Its root key is on this device alone: who loses it lets no device in again.\n"
        "Next: `edge-runtime fleet backup -o FILE` and keep the file offline; then "
        "`edge-runtime grant DEVICE_ID -o FILE`."
    )


def _render_fleet_backup(value: dict[str, Any]) -> str:
    return (
        f"Written and read back: {value['file']}, the root key of fleet {value['name']}.\n"
        "Keep it offline: whoever has it lets devices in. It comes back with `edge-runtime fleet restore FILE`."
    )


def _render_doctor(value: dict[str, Any]) -> str:
    marks = {"ok": "  ok ", "warning": "NOTE ", "error": "WRONG"}
    lines = []
    for row in value["findings"]:
        lines.append(f"{marks[row['level']]}  {row['check']}: {row['says']}")
        if row["do"]:
            lines.append(f"       -> {row['do']}")
    bad = sum(row["level"] == "error" for row in value["findings"])
    lines.append("Nothing must be put right." if not bad else f"{count(bad, 'thing', 'things')} must be put right.")
    return "\n".join(lines)


RENDERERS: dict[str, Callable[[Any], str]] = {
    "doctor": _render_doctor,
    "fleet-backup": _render_fleet_backup,
    "fleet-create": _render_fleet_made,
}

"""Answers of the commands that look after a device, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...base.units import format_duration
from .render import count, table


def _render_fleet_made(value: dict[str, Any]) -> str:
    return (
        f"Fleet {value['name']}, {value['fleet']}.\n"
        "Its root key is on this device alone: who loses it lets no device in again.\n"
        "Next: `edge-runtime fleet backup -o FILE` and keep the file offline; then "
        "`edge-runtime enroll`."
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


def _render_schedules(value: list[dict[str, Any]]) -> str:
    if not value:
        return "No schedules. Write a [[schedule]] into the configuration: docs/operating.md shows one."
    rows = []
    for row in value:
        when = f"every {format_duration(row['every_ms'])}" if row["every_ms"] else f"daily {row['daily']} UTC"
        due = "waits for a trusted clock" if row["waits_for_clock"] else f"in {format_duration(row['next_in_ms'])}"
        last = row["error"] or (row["object"] or "")[:12]
        rows.append([row["name"], row["intent"], when, due, last, str(row["missed"])])
    return table(rows, ["SCHEDULE", "INTENT", "WHEN", "NEXT", "LAST", "MISSED"])


def _render_enroll(value: dict[str, Any]) -> str:
    minutes = value["expires_in_ms"] // 60_000
    long = f"{minutes} minutes" if minutes < 180 else f"{minutes // 60} hours"
    lines = [
        f"Invitation {value['number']} into {value['name']}, for {count(value['uses'], 'device', 'devices')} as "
        f"{', '.join(value['roles'])}; it ends in {long}.",
        "", f"    edge-runtime join {value['code']}", "",
        "Run that on the new device, on the same network. Whoever has the code can join: give it to nobody else.",
    ]  # fmt: skip
    if value.get("file"):
        lines.append(f"The same is in {value['file']}: `edge-runtime join FILE`.")
    if addresses := value.get("addresses"):
        best = next((text for text in addresses if not text.startswith("[fe80:")), addresses[0])
        lines.append(f"If it finds nobody by itself, add `--peer {best}` there.")
    if not value["daemon"]:
        lines.append("No daemon runs here: start `edge-runtime run`, or nobody answers the new device.")
    return "\n".join(lines)


def _render_invitations(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "No invitation is open. Make one: `edge-runtime enroll`."
    cells = [
        [str(row["number"]), ",".join(row["roles"]), str(row["uses_left"]), f"{row['expires_in_ms'] // 60_000} min",
         " ".join(device[:16] for device in row["devices"])]
        for row in rows
    ]  # fmt: skip
    return table(cells, ("number", "roles", "uses left", "ends in", "joined")) + (
        "\nEnd one: `edge-runtime enroll --withdraw NUMBER`."
    )


def _render_uninvite(value: dict[str, Any]) -> str:
    return f"Invitation {value['number']} has ended. Who joined with it stays a member: `revoke` takes that back."


def _render_replay(value: dict[str, Any]) -> str:
    lines = [
        f"{row['verdict'].upper()}  {row['name']} ({row['intent'] or row['object'][:12]}): {row['difference']}"
        for row in value["found"]
    ]
    rest = f", {value['no_app']} without an app here" if value["no_app"] else ""
    lines.append(f"{value['same']} of {count(value['objects'], 'object', 'objects')} replay as recorded{rest}.")
    return "\n".join(lines)


def _render_backup(value: dict[str, Any]) -> str:
    return (
        f"Written: {value['file']}, {count(value['files'], 'file', 'files')} of device {value['device'][:16]}, "
        f"{value['bytes'] / 1e6:.1f} MB.\nIt holds the keys: keep it as safe as the card. It comes back with "
        "`edge-runtime restore FILE`."
    )


def _render_restore(value: dict[str, Any]) -> str:
    lines = [f"Restored device {value['device'][:16]}. Its old card must never run again."]
    if value["quarantine"]:
        lines.append(
            "It is in quarantine: it writes nothing until a full contact with a device of its fleet. If there is none, "
            "`edge-runtime resume` with no object ends that.\nNext: start the daemon, then `edge-runtime status`."
        )
    else:
        lines.append("What it did since the backup is done again, but for what its objects' records show.")
    return "\n".join(lines)


RENDERERS: dict[str, Callable[[Any], str]] = {
    "backup": _render_backup,
    "doctor": _render_doctor,
    "enroll": _render_enroll,
    "invitations": _render_invitations,
    "uninvite": _render_uninvite,
    "fleet-backup": _render_fleet_backup,
    "fleet-create": _render_fleet_made,
    "replay": _render_replay,
    "restore": _render_restore,
    "schedules": _render_schedules,
}

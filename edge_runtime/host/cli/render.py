"""Answers for people: short tables and sentences, and what to do next."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ...base.units import format_duration


def render(command: str, value: Any) -> str:
    """Return the text of an answer."""
    return RENDERERS.get(command, _render_any)(value)


def table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    """Return rows as aligned columns under heads."""
    widths = [max(len(str(row[at])) for row in (heads, *rows)) for at in range(len(heads))]
    lines = ["  ".join(str(cell).ljust(widths[at]) for at, cell in enumerate(row)) for row in (heads, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def _time(ms: int | None) -> str:
    return "-" if ms is None else format_duration(ms)


def _render_any(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(_render_any(item) for item in value) or "(nothing)"
    if not isinstance(value, dict):
        return str(value)
    return "\n".join(f"{key}: {_inline(item)}" for key, item in value.items() if item not in (None, [], {}))


def _inline(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _render_object(value: dict[str, Any]) -> str:
    title = f"{value['intent']} {value['name'] or ''}".strip()
    lines = [f"{title}  ({value['object'][:16]})"]
    if value["status"] == "ended":
        lines.append(f"  {value['end']}" + (f": {_inline(value['result'])}" if value["end"] == "completed" else ""))
        if value["error"]:
            lines.append(f"  {value['error']}")
    else:
        lines.append(f"  {value['status']}" + (f": {value['reason']}" if value["reason"] else ""))
        lines.extend(f"  waits for {wait['leaf']}" for wait in value["waits"])
        lines.append(f"  expires in {_time(value['expires_in_ms'])}")
    lines.append(f"  custodian {value['custodian_name']}, epoch {value['epoch']}, {value['entries']} entries")
    lines.extend(f"  {name} = {_inline(item)}" for name, item in value["published"].items())
    if value["status"] != "ended":
        lines.append(f"  next: `edge-runtime explain {value['object'][:12]}`")
    return "\n".join(lines)


def _render_rows(value: list[dict[str, Any]]) -> str:
    if not value:
        return "No objects here. Make one: `edge-runtime submit INTENT`."
    if "objects" in value[0]:
        return table([[row["status"], row["reason"] or "", str(row["objects"])] for row in value],
                     ["STATUS", "REASON", "OBJECTS"])  # fmt: skip
    rows = [
        [row["object"][:12], row["name"] or "", row["intent"], row["end"] or row["status"], row["custodian_name"],
         "" if row["end"] else (row["reason"] or "")[:60]]
        for row in value
    ]  # fmt: skip
    return table(rows, ["OBJECT", "NAME", "INTENT", "STATUS", "CUSTODIAN", "REASON"])


def _render_trace(value: list[dict[str, Any]]) -> str:
    lines = []
    for row in value:
        body = {key: item for key, item in row["body"].items() if item not in (None, "", [], {}, 0, False)}
        shown = ", ".join(f"{key}={_inline(item)[:48]}" for key, item in list(body.items())[:5])
        void = f"  VOID: {row['void']}" if row["void"] else ""
        place = f"{_time(row['age_ms']):>12}  {row['device_name']:<12} {row['stage']:<9}"
        lines.append(f"{place} {row['kind']}  {shown}{void}")
    return "\n".join(lines)


def _render_explain(value: dict[str, Any]) -> str:
    verdict = value["verdict"]
    lines = [f"{value['intent']}: {value['action']}" + (f", {value['reason']}" if value["reason"] else "")]
    lines.append(f"  policy: {verdict['effect']} ({verdict['rule']})")
    for wait in value["waits"]:
        who = f"; could be {', '.join(wait['who_could'])}" if wait["who_could"] else ""
        lines.append(f"  waits for {wait['leaf']}: now {wait['value']}{who}")
    if value["history"]:
        lines.append("  so far: " + ", ".join(f"{count} {name}" for name, count in value["history"].items()))
    lines.append(f"  next look in {_time(value['next'])}, expires in {_time(value['expires_in_ms'])}")
    return "\n".join(lines)


def _render_reached(value: dict[str, Any]) -> str:
    if value.get("reached", True):
        return "Done."
    last = value.get("last_contact_ms")
    met = "not met yet" if last is None else f"last met {_time(last)} ago"
    return f"Written here; the custodian {value['custodian_name']} ({met}) hears of it at the next contact."


def _render_facts(value: list[dict[str, Any]]) -> str:
    if not value:
        return "No facts yet. Set one: `edge-runtime fact set door.open=true`."
    return table([[row["name"], _inline(row["value"]), _time(row["age_ms"]), row["origin"]] for row in value],
                 ["FACT", "VALUE", "AGE", "ORIGIN"])  # fmt: skip


def _render_peers(value: list[dict[str, Any]]) -> str:
    if not value:
        return "No other device is known yet. Let one in: `edge-runtime grant DEVICE -o FILE`."
    rows = [
        [row["name"] or "", row["device"][:12], "in contact" if row["connected"] else f"{_time(row['last_ms'])} ago",
         row["address"] or "", ", ".join(row["capabilities"])]
        for row in value
    ]  # fmt: skip
    return table(rows, ["NAME", "DEVICE", "CONTACT", "ADDRESS", "CAPABILITIES"])


def _render_contacts(value: list[dict[str, Any]]) -> str:
    if not value:
        return "No contacts yet."
    rows = [
        [row["name"], f"{_time(row['started_ms_ago'])} ago", _time(row["lasted_ms"]), str(row["bytes_in"]),
         str(row["bytes_out"]), row["reason"] or "now"]
        for row in value
    ]  # fmt: skip
    return table(rows, ["PEER", "BEGAN", "LASTED", "BYTES IN", "BYTES OUT", "ENDED"])


def _render_status(value: dict[str, Any]) -> str:
    objects = value["objects"]
    lines = [f"{value['name']} ({value['device'][:16]}), radio {value['radio']}" + (", HELD" if value["held"] else "")]
    lines.append("  fleets: " + ", ".join(fleet["name"] for fleet in value["fleets"]))
    lines.append("  objects: " + ", ".join(f"{count} {name}" for name, count in objects.items()))
    lines.extend(f"    {row['objects']} dormant: {row['reason']}" for row in value["dormant_by_reason"][:5])
    lines.append(f"  contacts now: {value['contacts']}; bytes own {value['bytes']['own']}, "
                 f"carried {value['bytes']['carried']}")  # fmt: skip
    if value["refused"]:
        lines.append("  refused: " + ", ".join(f"{count} {reason}" for reason, count in value["refused"].items()))
    return "\n".join(lines)


RENDERERS: dict[str, Callable[[Any], str]] = {
    "submit": _render_object,
    "show": _render_object,
    "wait": _render_object,
    "ls": _render_rows,
    "trace": _render_trace,
    "explain": _render_explain,
    "signal": _render_reached,
    "cancel": _render_reached,
    "hold": _render_reached,
    "release": _render_reached,
    "resume": _render_reached,
    "claim": _render_reached,
    "hand": _render_reached,
    "facts": _render_facts,
    "peers": _render_peers,
    "contacts": _render_contacts,
    "status": _render_status,
}

"""Answers for people: short tables and sentences, and what to do next."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ...base.units import format_duration
from .disk_use import render_disk_use

# Names, reasons and results come from other devices too: what would steer a terminal is shown, never sent. C0 and C1
# but tab and line feed, and the marks that turn the direction of text. Source: ECMA-48; Unicode UAX 9, section 2.
_STEERING = (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _STEERING}


ADVICE_SHOWN = 5  # the newest; `--json` has all


def render(command: str, value: Any) -> str:
    """Return the text of an answer."""
    found = RENDERERS.get(command)
    if found is None:
        from .render_upkeep import RENDERERS as OTHERS

        found = OTHERS.get(command, _render_any)
    return clean(found(value))


def clean(text: str) -> str:
    """Return a text with everything that would steer a terminal shown as an escape."""
    return text.translate(_SHOWN)


def table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    """Return rows as aligned columns under heads."""
    cells = [[str(cell).replace("\n", " ") for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(heads))]
    lines = ["  ".join(cell.ljust(widths[at]) for at, cell in enumerate(row)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _time(ms: int | None) -> str:
    return "-" if ms is None else format_duration(ms)


def count(number: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else many}"


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
    lines.extend(_family_lines(value))
    lines.extend(_right_line(row) for row in value.get("rights", []))
    if value["status"] != "ended":
        lines.append(f"  next: `edge-runtime explain {value['object'][:12]}`")
    return "\n".join(lines)


def _family_lines(value: dict[str, Any]) -> list[str]:
    lines = [
        f"  child {child['slot']}: {child['intent']} {child['object'][:12]}, {child['end'] or 'not ended yet'}"
        + ("" if child["is_held"] else " as far as is known: it is not held here")
        for child in value.get("children", ())
    ]
    parent = value.get("parent")
    if parent is not None:
        line = "lineage verified" if parent["broken"] is None else f"lineage not verified: {parent['broken']}"
        above = (parent["object"] or parent["lineage"])[:12]
        lines.append(f"  child {parent['slot']} of {above}, {parent['depth']} deep, {line}")
    return lines


def _right_line(row: dict[str, Any]) -> str:
    whats = ("left", "spent", "delegated", "offered", "frozen")
    words = ", ".join(f"{row[what]} {what}" for what in whats if row[what])
    return f"  rights {row['name']}: {words} of {row['granted']}"


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
    from .explanations import explain_policy, explain_wait

    lines = [f"{value['intent']}: {value['action']}" + (f", {value['reason']}" if value["reason"] else "")]
    lines.extend(explain_policy(value))
    lines.extend(explain_wait(wait) for wait in value["waits"])
    lines.extend(f"  {_advice_line(row)}" for row in value.get("advice", [])[-ADVICE_SHOWN:])
    if value["history"]:
        lines.append("  so far: " + ", ".join(f"{count} {name}" for name, count in value["history"].items()))
    if value["expires_in_ms"] is not None:
        look = "no look is due" if value["next"] is None else f"next look in {_time(value['next'])}"
        lines.append(f"  {look}, expires in {_time(value['expires_in_ms'])}")
    return "\n".join(lines)


def _advice_line(row: dict[str, Any]) -> str:
    stands = f"stale, {row['stale']}" if row["stale"] else f"fresh for {_time(row['expires_in_ms'])}"
    word = _inline(row["proposal"])[:60]
    return f"advice on {row['topic']} by {row['advisor_name']}: {word} (confidence {row['confidence']}; {stands})"


def _render_reached(value: dict[str, Any]) -> str:
    if value.get("reached", True):
        return "Done."
    last = value.get("last_contact_ms")
    met = "not met yet" if last is None else f"last met {_time(last)} ago"
    return f"Written here; the custodian {value['custodian_name']} ({met}) hears of it at the next contact."


def _render_facts(value: list[dict[str, Any]]) -> str:
    if not value:
        return "No facts yet. Set one: `edge-runtime fact set door.open=true`."
    rows = [
        [row["name"], _inline(row["value"]) + (" (unknown: too old)" if row["age_ms"] > row["max_age_ms"] else ""),
         _time(row["age_ms"]), row["origin"], _time(row["max_age_ms"])]
        for row in value
    ]  # fmt: skip
    return table(rows, ["FACT", "VALUE", "AGE", "ORIGIN", "HOLDS FOR"])


def _render_peers(value: list[dict[str, Any]]) -> str:
    if not value:
        return "No other device is known yet. Let one in: `edge-runtime enroll`."
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
    if value.get("quarantine"):
        lines.append(f"  IN QUARANTINE: {value['quarantine']}; it writes nothing until it has met its fleet")
    if value.get("suspects"):
        lines.append(f"  {count(value['suspects'], 'key has', 'keys have')} two writers: see `peers` and `doctor`")
    lines.append("  fleets: " + ", ".join(fleet["name"] for fleet in value["fleets"]))
    lines.append("  objects: " + ", ".join(f"{count} {name}" for name, count in objects.items()))
    lines.extend(f"    {row['objects']} dormant: {row['reason']}" for row in value["dormant_by_reason"][:5])
    lines.append(f"  contacts now: {value['contacts']}")
    if addresses := (value.get("links") or {}).get("addresses"):
        lines.append(f"  others find it at {', '.join(addresses[:3])}")
    lines.extend(render_disk_use(value["bytes"], value["carried_for"], value["storage"].get("reserve")))
    if (value.get("scrub") or {}).get("problem"):
        lines.append(f"  STORED BYTES ARE DAMAGED: {value['scrub']['problem']}. Next: back up, take another card")
    if not value["storage"]["takes_in"]:
        lines.append(f"  TAKES IN NOTHING MORE: {value['storage']['reason']}")
    if value["contacts"] and (value.get("links") or {}).get("heard_by_multicast") == 0:
        lines.append("  nobody is heard by multicast: found by address alone. Next: `edge-runtime doctor`")
    if value["refused"]:
        lines.append("  refused: " + ", ".join(f"{count} {reason}" for reason, count in value["refused"].items()))
    lines.extend(f"  app not loaded: {failure}" for failure in value.get("apps_failed", ()))
    if value.get("hung_threads"):
        lines.append(f"  {count(value['hung_threads'], 'step', 'steps')} never came back: see the log")
    if value.get("trouble"):
        lines.append(f"  TROUBLE: {value['trouble']}")
    return "\n".join(lines)


def _render_apps(value: list[dict[str, Any]]) -> str:
    if not value:
        return "No app is loaded and none is known. Load one: `edge-runtime run --app module:name`."
    return table([[row["intent"], str(row["version"]), row["name"] or row["device"][:12]] for row in value],
                 ["INTENT", "VERSION", "DEVICE"])  # fmt: skip


def _render_query(value: list[dict[str, Any]]) -> str:
    if not value:
        return "No rows."
    heads = list(value[0])
    return table([["" if row[head] is None else _inline(row[head]) for head in heads] for row in value], heads)


def _render_init(value: dict[str, Any]) -> str:
    return (
        f"This device is {value['name']}, {value['device']}.\n"
        "Next: `edge-runtime fleet create NAME` here; or `enroll` where the fleet was made, and `join` here."
    )


def _render_fleet(value: dict[str, Any]) -> str:
    lines = [f"Fleet {value['name']}, {value['fleet']}."]
    lines.extend(f"  also {other['name']}, {other['fleet']}" for other in value.get("all", ())
                 if other["fleet"] != value["fleet"])  # fmt: skip
    return "\n".join([*lines, "Let a device in: `edge-runtime enroll`."])


def _render_grant(value: dict[str, Any]) -> str:
    return (
        f"Written: {value['file']} ({', '.join(value['roles'])}).\n"
        "Next: carry it to that device and run `edge-runtime join FILE` there."
    )


def _render_join(value: dict[str, Any]) -> str:
    after = "peers" if value.get("daemon", True) else "run"
    name = value.get("name") or value["fleet"]
    return f"Joined {name} as {', '.join(value['roles'])}.\nNext: `edge-runtime {after}`."


def _render_revoke(value: dict[str, Any]) -> str:
    what = "Its grants are withdrawn." if value["from_sequence"] is None else (
        f"It is compromised: what it wrote from sequence {value['from_sequence']} on is void."
    )  # fmt: skip
    held = value["objects_held"]
    if value["operations"]:
        done = ", ".join(value["operations"])
        who = f"{value['name']} ({value['device'][:16]})"
        return f"Withdrew {done} from {who}; it stays a member.\nDevices hear of it at their next contact."
    after = f"\nIt holds {count(held, 'object', 'objects')}. Next: `edge-runtime claim OBJECT`." if held else ""
    return f"Revoked {value['name']} ({value['device'][:16]}). {what}\nDevices hear of it at their next contact.{after}"


def _render_radio(value: dict[str, Any]) -> str:
    return "The radio speaks." if value["radio"] == "on" else "The radio is silent until `edge-runtime radio on`."


def _render_done(value: dict[str, Any]) -> str:
    return "Done."


def _render_event(value: dict[str, Any]) -> str:
    woken = value.get("woken")
    return "Done." if woken is None else f"Done: {count(int(woken), 'object', 'objects')} woken."


def _render_hand(value: dict[str, Any]) -> str:
    offered = value["offered"]
    if not offered:
        return "Nothing is held here that could be handed over."
    return f"Offered to {value['to'][:12]}: {count(offered, 'object', 'objects')}. It takes over at the next contact."


def _render_config(value: dict[str, Any]) -> str:
    offers = ", ".join(value["capabilities"]) or "no capabilities"
    return f"{value['file']} is right: {count(value['apps'], 'app', 'apps')}, {offers}."


def _render_policy(value: dict[str, Any]) -> str:
    if "cases" in value:
        from .policies import render_cases

        return render_cases(value)
    return f"{value['file']} is right: {count(value['rules'], 'rule', 'rules')}."


def _render_export(value: dict[str, Any] | list[dict[str, Any]]) -> str:
    if isinstance(value, list):
        entries = count(sum(row["entries"] for row in value), "entry", "entries")
        return f"Written: {count(len(value), 'object', 'objects')}, {entries}. Next: `edge-runtime import FILE…`."
    return (
        f"Written: {value['file']}, {count(value['entries'], 'entry', 'entries')} of {value['object'][:12]}.\n"
        "Next: `edge-runtime verify FILE`, or `edge-runtime import FILE` on a device of the fleet."
    )


def _render_verify(value: dict[str, Any]) -> str:
    heads = ", ".join(head[:12] for head in value["head"])
    entries = count(value["entries"], "entry", "entries")
    return f"{value['object'][:12]}: {entries}, all signatures hold (verified: {value['verified']}), up to {heads}."


def _render_import(value: dict[str, Any]) -> str:
    new = f"{value['new']} new of {count(value['entries'], 'entry', 'entries')}"
    refused = f", {value['refused']} refused" if value.get("refused") else ""
    return f"{value['file']}: {new}{refused}. Next: `edge-runtime show {value['object'][:12]}`."


RENDERERS: dict[str, Callable[[Any], str]] = {
    "apps": _render_apps,
    "cancel": _render_reached,
    "claim": _render_reached,
    "config": _render_config,
    "contacts": _render_contacts,
    "event": _render_event,
    "explain": _render_explain,
    "export": _render_export,
    "fact": _render_done,
    "facts": _render_facts,
    "fleet": _render_fleet,
    "grant": _render_grant,
    "hand": _render_hand,
    "hold": _render_reached,
    "import": _render_import,
    "init": _render_init,
    "join": _render_join,
    "ls": _render_rows,
    "peers": _render_peers,
    "policy": _render_policy,
    "query": _render_query,
    "radio": _render_radio,
    "revoke": _render_revoke,
    "release": _render_reached,
    "resume": _render_reached,
    "show": _render_object,
    "signal": _render_reached,
    "status": _render_status,
    "submit": _render_object,
    "trace": _render_trace,
    "verify": _render_verify,
    "wait": _render_object,
}

"""Answers for people: what a device says, readable; the answers are of the shapes that `node` makes."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.host.cli.main import PLACES
from edge_runtime.host.cli.render import RENDERERS, clean, render, table
from edge_runtime.host.cli.render_upkeep import RENDERERS as UPKEEP

OBJECT, DEVICE = "ab" * 32, "cd" * 32
SHOWN: dict[str, Any] = {
    "object": OBJECT, "name": "n1", "intent": "greet", "status": "dormant", "end": None, "result": None, "error": None,
    "published": {"photo": 3}, "custodian": DEVICE, "custodian_name": "base", "epoch": 2, "reason": "no camera",
    "waits": [{"leaf": "peer(camera)", "kind": "onpeer"}], "expires_in_ms": 86_400_000, "entries": 7,
}  # fmt: skip
ENDED = {**SHOWN, "status": "ended", "end": "completed", "result": {"of": "Ada"}, "expires_in_ms": None}
ROW = {
    "object": OBJECT, "name": None, "intent": "greet", "status": "awake", "end": None, "reason": None,
    "custodian_name": "base",
}  # fmt: skip
TRACED = {
    "entry": "ef" * 32, "at_ms": 1, "age_ms": 61_000, "device": DEVICE, "device_name": "base", "stage": "executed",
    "kind": "executed", "epoch": 0, "void": None, "body": {"outcome": "ok", "value": None, "try_number": 0},
}  # fmt: skip
EXPLAINED = {
    "intent": "greet", "action": "dormancy", "reason": "no camera", "history": {"timeout": 3}, "next": None,
    "verdict": {"effect": "permit", "rule": "default"}, "expires_in_ms": 5_000,
    "waits": [{"leaf": "peer(camera)", "value": "false", "who_could": ["drone-2"]}],
}  # fmt: skip
RULED = {
    **EXPLAINED,
    "verdict": {"effect": "reject", "rule": "reserve", "step": "shoot", "why": None, "rules": [
        {"rule": "night", "effect": "defer", "when": "dark", "look": "its condition is false", "reads": {"dark": False}},
        {"rule": "reserve", "effect": "reject", "when": "battery.percent < 30", "look": "decided",
         "reads": {"battery.percent": 25}},
        {"rule": "rest", "effect": "permit", "when": "", "look": "an earlier rule decided", "reads": {}}]},
    "denials": [{"device_name": "base", "age_ms": 5_000, "rule": "reserve", "waits_for": "battery.percent"}],
    "facts": [{"name": "battery.percent", "value": 25, "age_ms": 12_000, "max_age_ms": 180_000, "origin": "sensor",
               "known": True},
              {"name": "dark", "value": None, "age_ms": None, "max_age_ms": None, "origin": None, "known": False},
              {"name": "load", "value": 1, "age_ms": 60_000, "max_age_ms": 5_000, "origin": "sensor", "known": False}],
    "waits": [{"leaf": "battery.percent >= 40", "value": 25, "holds": "false", "fact": "battery.percent",
               "age_ms": 12_000, "last_true_ms": 3_600_000, "who_could": []}],
}  # fmt: skip
ADVICE = {
    "topic": "route", "proposal": "by the river", "confidence": 900, "advisor_name": "drone-2", "expires_in_ms": 60_000,
    "stale": None,
}  # fmt: skip
REACHED = {"ok": True, "reached": True, "custodian": DEVICE, "custodian_name": "base", "last_contact_ms": None}
FACT = {"name": "door.open", "value": True, "age_ms": 3_000, "origin": "user", "max_age_ms": 60_000}
PEER = {
    "device": DEVICE, "name": "base", "connected": False, "address": None, "capabilities": ["camera"],
    "last_ms": 120_000,
}  # fmt: skip
CONTACT = {
    "name": "base", "started_ms_ago": 61_000, "lasted_ms": 4_000, "bytes_in": 1, "bytes_out": 2, "reason": "goodbye",
}  # fmt: skip
SLOTS = {
    "name": "water", "intent": "sample", "next_in_ms": 61_000, "waits_for_clock": False, "slots": 3, "missed": 1,
    "object": OBJECT, "made_ms_ago": 5, "error": None,
}  # fmt: skip
SIZES = {
    "own": 10, "carried": 20, "ended": 0, "tombstones": 300, "blobs": 0, "used": 180_000, "limit": 1_000_000_000,
    "free": 999_820_000, "reserve": 16_777_216, "file": 200_000,
}  # fmt: skip
STATUS: dict[str, Any] = {
    "device": DEVICE, "name": "base", "radio": "off", "held": True, "fleets": [{"name": "field", "fleet": OBJECT}],
    "objects": {"awake": 0, "dormant": 5, "attempting": 0, "ended": 1}, "contacts": 0, "refused": {"signature": 2},
    "dormant_by_reason": [{"reason": "no camera", "objects": 5}], "bytes": SIZES, "carried_for": [{"device": DEVICE, "name": "drone", "objects": 2, "bytes": 20}],
    "storage": {"takes_in": True, "reason": None},
}  # fmt: skip
CAPSULE = {"object": OBJECT, "entries": 3, "verified": "full", "head": ["ef" * 32], "file": "a.capsule"}
FLEET = {"fleet": OBJECT, "name": "field", "all": [{"fleet": OBJECT, "name": "field"}, {"fleet": DEVICE, "name": "b"}]}

INVITED = {
    "code": "7K3M-9QXT-2B4C-W8RD", "number": 3, "fleet": OBJECT, "name": "field", "roles": ["executor"], "uses": 1,
    "expires_in_ms": 3_600_000, "daemon": False, "file": "d.invitation",
}  # fmt: skip
ANSWERS: list[tuple[str, Any, tuple[str, ...]]] = [
    ("show", SHOWN, ("greet n1", "dormant: no camera", "waits for peer(camera)", "photo = 3", "base", "explain abab")),
    ("show", ENDED, ("completed", '{"of": "Ada"}', "7 entries")),
    ("submit", {**ENDED, "end": "failed", "error": "no film"}, ("failed", "no film")),
    ("wait", ENDED, ("completed",)),
    ("ls", [ROW, {**ROW, "name": "n2", "end": "failed"}], ("OBJECT", "abababababab", "n2", "failed", "base")),
    ("ls", [{"status": "dormant", "reason": "no camera", "objects": 5}], ("REASON", "no camera", "5")),
    ("ls", [], ("submit INTENT",)),
    ("trace", [TRACED, {**TRACED, "void": "lower epoch"}], ("1 min", "base", "outcome=ok", "VOID: lower epoch")),
    ("explain", EXPLAINED, ("dormancy, no camera", "default", "drone-2", "3 timeout", "no look is due", "5 s")),
    ("explain", {**EXPLAINED, "next": 1_000, "waits": []}, ("next look in 1 s",)),
    (
        "explain", RULED,
        ("policy: reject for step shoot (reserve)", "rule 'night' [dark]: its condition is false (dark = False)",
         "rule 'reserve' [battery.percent < 30]: decided (battery.percent = 25)",
         "denied on base 5 s ago by reserve, until battery.percent changes",
         "fact battery.percent = 25, 12 s old, from sensor", "fact dark: unknown", "too old to be known (holds for 5 s)",
         "waits for battery.percent >= 40: now 25, 12 s old, last 1 h ago"),
    ),
    (
        "explain", {**EXPLAINED, "advice": [ADVICE, {**ADVICE, "stale": "expired"}]},
        ("route by drone-2: by the river (confidence 900; fresh for 1 min)", "900; stale, expired)"),
    ),
    ("signal", REACHED, ("Done.",)),
    ("cancel", {**REACHED, "reached": False, "last_contact_ms": 120_000}, ("base", "2 min ago", "next contact")),
    ("claim", {**REACHED, "reached": False}, ("not met yet",)),
    ("hold", {"ok": True, "reached": True, "custodian": DEVICE, "last_contact_ms": None}, ("Done.",)),
    ("release", REACHED, ("Done.",)),
    ("resume", REACHED, ("Done.",)),
    ("hand", {"ok": True, "offered": 1, "to": DEVICE}, ("cdcdcdcdcdcd", "1 object.")),
    ("hand", {"ok": True, "offered": 0, "to": DEVICE}, ("Nothing",)),
    ("fact", {"ok": True}, ("Done.",)),
    ("event", {"ok": True, "woken": 2}, ("2 objects",)),
    ("facts", [FACT], ("door.open", "true", "3 s", "HOLDS FOR", "1 min")),
    ("facts", [{**FACT, "age_ms": 61_000}], ("unknown: too old",)),
    ("facts", [], ("fact set",)),
    ("peers", [PEER, {**PEER, "name": None, "connected": True}], ("base", "2 min ago", "in contact", "camera")),
    ("peers", [], ("enroll",)),
    ("contacts", [CONTACT, {**CONTACT, "lasted_ms": None, "reason": None}], ("1 min ago", "4 s", "goodbye", "now")),
    ("contacts", [], ("No contacts",)),
    ("status", STATUS, ("radio off", "HELD", "field", "5 dormant", "no camera", "carried 20", "2 signature")),
    ("status", {**STATUS, "storage": {"takes_in": True, "reason": None, "reserve": 8 << 20}}, ("8.4 MB set aside",)),
    ("status", {**STATUS, "storage": {"takes_in": False, "reason": "full", "reserve": 0}}, ("given up for what runs",)),
    ("status", {**STATUS, "scrub": {"problem": "cannot be read"}}, ("STORED BYTES ARE DAMAGED: cannot be read",)),
    (
        "status", {**STATUS, "apps_failed": ["a:b: no module."], "hung_threads": 1, "trouble": "the disk is full"},
        ("app not loaded: a:b", "1 step never", "TROUBLE: the disk is full"),
    ),
    ("apps", [{"device": DEVICE, "name": "base", "intent": "greet", "version": 3}], ("greet", "3", "base")),
    ("apps", [], ("--app",)),
    ("query", [{"n": 1, "name": None}, {"n": 22, "name": "x"}], ("n   name", "22  x")),
    ("query", [], ("No rows",)),
    ("init", {"device": DEVICE, "name": "base"}, ("base", DEVICE, "fleet create", "enroll")),
    ("fleet", FLEET, (f"Fleet field, {OBJECT}", f"also b, {DEVICE}")),
    ("grant", {"grant": OBJECT, "roles": ["executor", "relay"], "file": "d.grant"}, ("d.grant", "relay", "join")),
    ("join", {"grant": OBJECT, "roles": ["executor"], "fleet": OBJECT, "name": "field"}, ("field", "executor")),
    ("backup", {"file": "d.backup", "device": DEVICE, "bytes": 2_500_000, "files": 4}, ("d.backup", "4 files", "2.5 MB")),
    ("restore", {"device": DEVICE, "made_ms": 0, "quarantine": True}, ("in quarantine", "never run again", "status")),
    ("restore", {"device": DEVICE, "made_ms": 0, "quarantine": False}, ("is done again",)),
    ("enroll", INVITED, ("edge-runtime join 7K3M", "1 device", "60 minutes", "in d.invitation", "start `edge-runtime run`")),
    ("invitations", [{"number": 3, "fleet": OBJECT, "roles": ["relay"], "uses_left": 0, "expires_in_ms": 120_000,
                      "devices": [DEVICE]}], ("3", "relay", "2 min", DEVICE[:16], "--withdraw")),
    ("invitations", [], ("edge-runtime enroll",)),
    ("uninvite", {"ok": True, "number": 3}, ("Invitation 3 has ended", "revoke")),
    ("revoke", {"device": DEVICE, "name": "drone", "from_sequence": None, "operations": [], "objects_held": 2},
     ("Revoked drone", "withdrawn", "2 objects", "claim")),
    ("revoke", {"device": DEVICE, "name": "drone", "from_sequence": 7, "operations": [], "objects_held": 0},
     ("sequence 7 on is void",)),
    ("revoke", {"device": DEVICE, "name": "drone", "from_sequence": None, "operations": ["fly"], "objects_held": 0},
     ("Withdrew fly", "stays a member")),
    ("radio", {"ok": True, "radio": "off"}, ("silent", "radio on")),
    ("radio", {"ok": True, "radio": "on"}, ("speaks",)),
    ("config", {"ok": True, "file": "c.toml", "apps": 1, "capabilities": []}, ("c.toml", "1 app,", "no capab")),
    ("policy", {"ok": True, "file": "p.toml", "rules": 2}, ("p.toml", "2 rules")),
    ("export", CAPSULE, ("a.capsule", "3 entries", "import")),
    ("export", [CAPSULE, CAPSULE], ("2 objects", "6 entries", "import")),
    ("verify", CAPSULE, ("3 entries", "full", "efefefefefef")),
    ("fleet-create", FLEET, (f"Fleet field, {OBJECT}", "fleet backup -o FILE", "enroll")),
    ("fleet-backup", {**FLEET, "file": "r.toml"}, ("r.toml", "fleet field", "fleet restore FILE")),
    ("doctor", {"ok": False, "findings": [
        {"check": "disk", "level": "error", "says": "The disk is full.", "do": "Make room."},
        {"check": "clock", "level": "ok", "says": "The clock is right.", "do": ""},
    ]}, ("WRONG  disk: The disk is full.\n       -> Make room.", "ok   clock: The clock is right.", "1 thing must")),
    ("replay", {"ok": False, "objects": 3, "same": 1, "differ": 1, "no_app": 1, "unreadable": 0, "found": [
        {"object": OBJECT, "name": "trip-1", "intent": "trip", "verdict": "differs", "difference": "step b, not a"}]},
     ("DIFFERS  trip-1 (trip): step b, not a", "1 of 3 objects replay", "1 without an app")),
    ("schedules", [], ("[[schedule]]",)),
    ("schedules", [{**SLOTS, "every_ms": 3_600_000, "daily": None}], ("every 1 h", "in 1 min", OBJECT[:12])),
    ("schedules", [{**SLOTS, "every_ms": None, "daily": "06:00", "next_in_ms": None, "waits_for_clock": True,
                    "error": "no camera"}], ("daily 06:00 UTC", "waits for a trusted clock", "no camera")),
    ("doctor", {"ok": True, "findings": []}, ("Nothing must be put right.",)),
    ("import", {**CAPSULE, "new": 2, "refused": 1}, ("a.capsule", "2 new of 3", "1 refused")),
]  # fmt: skip


@pytest.mark.parametrize(("command", "value", "says"), ANSWERS, ids=lambda item: item if isinstance(item, str) else "")
def test_an_answer_says_what_matters_and_is_no_python_or_json(command: str, value: Any, says: tuple[str, ...]) -> None:
    text = render(command, value)
    for part in says:
        assert part in text
    assert "None" not in text and "null" not in text


@pytest.mark.parametrize(
    ("command", "value"), [(command, value) for command, value, _ in ANSWERS if command != "query"]
)
def test_fields_that_a_newer_device_adds_change_nothing(command: str, value: Any) -> None:
    more = {"colour": {"of": "later"}}
    newer = [{**row, **more} for row in value] if isinstance(value, list) else {**value, **more}
    assert render(command, newer) == render(command, value)


def test_every_command_that_answers_has_a_text_of_its_own() -> None:
    known = {*RENDERERS, *UPKEEP}
    assert {command for command, _, _ in ANSWERS} == known
    assert set(PLACES) - known == {"run", "demo", "completion", "man"}


def test_what_would_steer_a_terminal_is_shown() -> None:
    hostile = "a\x1b]0;title\x07b\rc\x9bd\u202ee\u2066f"
    assert clean(hostile) == "a\\x1b]0;title\\x07b\\x0dc\\x9bd\\u202ee\\u2066f"
    assert clean("ä\tb\nc 你") == "ä\tb\nc 你"
    for command, value in (
        ("show", {**ENDED, "result": hostile, "name": hostile}),
        ("ls", [{**ROW, "name": hostile, "custodian_name": hostile}]),
        ("peers", [{**PEER, "name": hostile, "capabilities": [hostile]}]),
        ("query", [{hostile: hostile}]),
    ):
        text = render(command, value)
        assert "\\x1b]0;title\\x07" in text and "\x1b" not in text and "\u202e" not in text


def test_a_line_feed_in_a_name_makes_no_row_of_a_table() -> None:
    assert table([["a\nb", "c"]], ["X", "Y"]) == "X    Y\na b  c"


def test_an_object_names_its_children_and_a_child_its_parent() -> None:
    children = [
        {"path": "0/0/delegate:1", "slot": 0, "object": OBJECT, "intent": "shoot", "end": "failed", "is_held": True},
        {"path": "0/0/delegate:1", "slot": 1, "object": OBJECT, "intent": "shoot", "end": None, "is_held": False},
    ]
    text = render("show", {**SHOWN, "children": children, "parent": None})
    assert "child 0: shoot abababababab, failed\n" in text
    assert "child 1: shoot abababababab, not ended yet as far as is known: it is not held here" in text
    parent = {"object": None, "lineage": DEVICE, "path": "p", "slot": 1, "depth": 2, "ancestors": [], "broken": None}
    assert "child 1 of cdcdcdcdcdcd, 2 deep, lineage verified" in render("show", {**SHOWN, "parent": parent})
    parent |= {"object": OBJECT, "broken": "beyond its parent: depth"}
    assert "of abababababab, 2 deep, lineage not verified: beyond" in render("show", {**SHOWN, "parent": parent})

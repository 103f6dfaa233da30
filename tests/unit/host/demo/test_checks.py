"""Each claim of the demo is one that can fail: here each one does, and only that one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge_runtime.host.demo.checks import Capsule, Evidence, Killing, Start, check, executed, read_starts
from edge_runtime.host.demo.images import make_png

KILLED_MS = 1_000
VERIFIES = "every entry verifies on every device"
WHOLE = Capsule(9, "full", ("aa",))
HEADS = "all devices hold the same heads"
ONCE = "one delivery at the server, of the true hashes"
FINAL = "one final record for each step"
MIDDLE = "the kill came in the middle: a begun step has the outcome `crashed`"
AGAIN = "no recorded step was started again"
PLACES = "photographs on the drone, delivery on the base"


def row(path: str, device: str, at_ms: int, outcome: str = "ok", void: str | None = None) -> dict[str, Any]:
    """Return one `executed` row of a trace, as `trace` prints it."""
    body = {"path": path, "attempt": f"attempt of {path}", "outcome": outcome, "is_final": outcome == "ok"}
    return {"kind": "executed", "device_name": device, "at_ms": at_ms, "void": void, "body": body}


def start(path: str, device: str) -> Start:
    return Start(path, f"attempt of {path}", device)


@pytest.fixture
def good(tmp_path: Path) -> Evidence:
    """Two photographs, the second killed and taken again; a delivery that was told `busy` once."""
    images = [tmp_path / f"{number}.png" for number in (1, 2)]
    for number, file in enumerate(images):
        file.write_bytes(make_png(4, 4, number))
    hashes = [{"hash": hashlib.sha256(file.read_bytes()).hexdigest()} for file in images]
    starts = (start("shoot 1", "drone"), start("shoot 2", "drone"))
    rows = [
        row("shoot 1", "drone", 900), row("shoot 2", "drone", 1_100, "crashed"), row("shoot 2", "drone", 1_600),
        row("deliver", "base", 3_000, "busy"), row("deliver", "base", 4_000),
        {"kind": "terminated", "device_name": "base", "at_ms": 4_000, "void": None, "body": {}},
    ]  # fmt: skip
    after = (start("shoot 2", "drone"), start("deliver", "base"), start("deliver", "base"))
    return Evidence(
        images, [WHOLE] * 3, rows, (*starts, *after), Killing(KILLED_MS, starts),
        {"key": json.dumps(hashes).encode()},
    )  # fmt: skip


def test_what_went_well_holds_in_every_claim(good: Evidence) -> None:
    found = check(good)
    assert set(found) == {VERIFIES, HEADS, ONCE, FINAL, MIDDLE, AGAIN, PLACES}
    assert all(found.values())


BAD: list[tuple[str, str, Callable[[Evidence], Evidence]]] = [
    (VERIFIES, "not whole", lambda e: replace(e, capsules=[WHOLE, replace(WHOLE, verified="from run 2")])),
    (VERIFIES, "empty", lambda e: replace(e, capsules=[*e.capsules[1:], Capsule(0, "full", ("aa",))])),
    (HEADS, "one behind", lambda e: replace(e, capsules=[*e.capsules[1:], Capsule(8, "full", ("bb",))])),
    (ONCE, "two keys", lambda e: replace(e, deliveries={**e.deliveries, "other": e.deliveries["key"]})),
    (ONCE, "none", lambda e: replace(e, deliveries={})),
    (ONCE, "one image missing", lambda e: replace(e, deliveries={"key": b"[]"})),
    (FINAL, "a step recorded twice", lambda e: replace(e, rows=[*e.rows, row("shoot 1", "drone", 1_700)])),
    (FINAL, "a record is void", lambda e: replace(e, rows=[*e.rows[:2], row("shoot 2", "drone", 1_600, void="late"),
                                                           row("shoot 2", "drone", 1_650, "crashed"), *e.rows[3:]])),
    (MIDDLE, "nothing crashed", lambda e: replace(e, rows=[
        row("shoot 2", "drone", 1_100, "timeout") if item["body"].get("outcome") == "crashed" else item
        for item in e.rows])),
    (AGAIN, "after its record", lambda e: replace(e, starts=(*e.starts, start("shoot 1", "drone")))),
    (AGAIN, "after its record, hidden by a start that was not logged", lambda e: replace(
        e, starts=(*e.starts, start("shoot 1", "drone")),
        rows=[row("shoot 1", "drone", 800, "crashed"), *e.rows])),
    (PLACES, "the base has no camera", lambda e: replace(
        e, starts=(*e.starts, start("shoot 3", "base")), rows=[*e.rows, row("shoot 3", "base", 1_700, "crashed")])),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "why", "change"), BAD, ids=[f"{claim}: {why}" for claim, why, _ in BAD])
def test_a_claim_that_does_not_hold_is_the_only_one_that_fails(
    good: Evidence, claim: str, why: str, change: Callable[[Evidence], Evidence]
) -> None:
    found = check(change(good))
    assert [name for name, holds in found.items() if not holds] == [claim]


def test_what_is_void_does_not_count() -> None:
    assert executed([row("a", "drone", 1, void="not the custodian"), {"kind": "took", "void": None}]) == []


def test_no_log_is_no_starts_and_each_line_is_one(tmp_path: Path) -> None:
    file = tmp_path / "starts.log"
    assert read_starts(file) == ()
    file.write_text('{"what": "shoot a", "attempt": "ab", "device": "drone"}\n')
    assert read_starts(file) == (Start("shoot a", "ab", "drone"),)

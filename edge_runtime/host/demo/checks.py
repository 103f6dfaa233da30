"""What the demo claims, checked on what was left behind: capsules, traces, the start log and the server's books."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct


class Start(Struct, frozen=True):
    """One line of the log that each step writes, durably, when it begins."""

    what: str
    attempt: str
    device: str


class Killing(Struct, frozen=True):
    """What stood on the disk when the process was gone: when (wall ms), and what had begun."""

    at_ms: int
    starts: tuple[Start, ...]


class Capsule(Struct, frozen=True):
    """What `verify` said of one device's export."""

    entries: int
    verified: str
    heads: tuple[str, ...]


class Evidence(Struct, frozen=True):
    """All that is checked. `rows` is the trace; `deliveries` is the server's map of idempotency key to body."""

    images: Sequence[Path]
    capsules: Sequence[Capsule]
    rows: Sequence[dict[str, Any]]
    starts: Sequence[Start]
    killing: Killing
    deliveries: dict[str, bytes]


def read_starts(file: Path) -> tuple[Start, ...]:
    """Return the lines of the start log, in order; none where no step has begun."""
    if not file.exists():
        return ()
    return tuple(Start(**json.loads(line)) for line in file.read_text().splitlines())


def executed(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the outcomes of steps on the ruling chain: what is void does not count."""
    return [row for row in rows if row["kind"] == "executed" and row["void"] is None]


def check(found: Evidence) -> dict[str, bool]:
    """Return claim -> does it hold."""
    rows = executed(found.rows)
    finals = Counter(row["body"]["path"] for row in rows if row["body"]["is_final"])
    records = Counter((row["body"]["attempt"], row["device_name"]) for row in rows)
    starts = Counter((start.attempt, start.device) for start in found.starts)
    heads = {capsule.heads for capsule in found.capsules}
    return {
        "every entry verifies on every device": all(
            capsule.verified == "full" and capsule.entries > 0 for capsule in found.capsules
        ),
        "all devices hold the same heads": len(heads) == 1,
        "one delivery at the server, of the true hashes": _is_delivered_once(found),
        "one final record for each step": len(finals) == len(found.images) + 1 and set(finals.values()) == {1},
        "the kill came in the middle: a begun step has the outcome `crashed`": any(
            row["body"]["outcome"] == "crashed" and not row["body"]["is_final"] for row in rows
        ),
        "no recorded step was started again": all(starts[key] <= records[key] for key in starts)
        and not _started_again(found),
        "photographs on the drone, delivery on the base": {
            (start.what.split()[0], start.device) for start in found.starts
        } == {("shoot", "drone"), ("deliver", "base")},
    }  # fmt: skip


def _is_delivered_once(found: Evidence) -> bool:
    if len(found.deliveries) != 1:
        return False
    (body,) = found.deliveries.values()
    told = [shot["hash"] for shot in json.loads(body)]
    return told == [hashlib.sha256(file.read_bytes()).hexdigest() for file in found.images]


def _started_again(found: Evidence) -> set[str]:
    """Attempts whose final record was on the disk at the kill and that began once more after it."""
    durable = {
        row["body"]["attempt"]
        for row in executed(found.rows)
        if row["body"]["is_final"] and row["at_ms"] <= found.killing.at_ms
    }
    before = Counter(start.attempt for start in found.killing.starts)
    after = Counter(start.attempt for start in found.starts)
    return {attempt for attempt in durable if after[attempt] != before[attempt]}

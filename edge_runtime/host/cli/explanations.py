"""Parts of what `explain` says to a person: what policy decided and read, and what is waited for."""

from __future__ import annotations

import json
from typing import Any

from ...base.units import format_duration
from .policies import render_looks


def explain_policy(value: dict[str, Any]) -> list[str]:
    """Return lines about the verdict: the rule, why, what the rules read, and the facts with their ages."""
    verdict = value["verdict"]
    of_step = f" for step {verdict['step']}" if verdict.get("step") else ""
    why = f": {verdict['why']}" if verdict.get("why") else ""
    lines = [f"  policy: {verdict['effect']}{of_step} ({verdict['rule']}){why}"]
    lines.extend(f"    {line}" for line in render_looks(verdict.get("rules", ())))
    lines.extend(
        f"  denied on {item['device_name']} {format_duration(item['age_ms'])} ago by {item['rule']}, "
        f"until {item['waits_for']} changes" for item in value.get("denials", ())
    )  # fmt: skip
    lines.extend(_fact_line(row) for row in value.get("facts", ()))
    return lines


def _fact_line(row: dict[str, Any]) -> str:
    if row["age_ms"] is None:
        return f"  fact {row['name']}: unknown, nobody has said it here"
    known = "" if row["known"] else f", too old to be known (holds for {format_duration(row['max_age_ms'])})"
    value, age = json.dumps(row["value"]), format_duration(row["age_ms"])
    return f"  fact {row['name']} = {value}, {age} old, from {row['origin']}{known}"


def explain_wait(wait: dict[str, Any]) -> str:
    """Return one line about one thing that is waited for."""
    value = wait["value"]
    now = "unknown" if value is None else value if isinstance(value, str) else json.dumps(value)
    age = f", {format_duration(wait['age_ms'])} old" if wait.get("age_ms") is not None and wait.get("fact") else ""
    last = wait.get("last_true_ms")
    was = "" if last is None else ", holds" if last == 0 else f", last {format_duration(last)} ago"
    who = f"; could be {', '.join(wait['who_could'])}" if wait["who_could"] else ""
    return f"  waits for {wait['leaf']}: now {now}{age}{was}{who}"

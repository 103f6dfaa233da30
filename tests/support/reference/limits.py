"""The page of all bounds, read off `edge_runtime/base/limits.py`: value and reason of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.base import limits
from edge_runtime.base.units import format_duration

NAME = re.compile(r"^([A-Z][A-Z0-9_]*)\s*(?::[^=]*)?= (.*)$")
UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
SECTION = re.compile(r"^# --- (.*?) ---$")


def page() -> str:
    """Return the page."""
    lines = [
        "# Limits",
        "",
        "Every bound in one place: its value, why it is so, and what happens when it is reached. They are constants of",
        "`edge_runtime/base/limits.py`, checked against each other at import; docstrings and error texts name them.",
        *_rows(Path(limits.__file__).read_text()),
    ]
    return "\n".join(lines)


def _rows(text: str) -> Iterator[str]:
    reason: list[str] = []
    for line in text.splitlines():
        if found := SECTION.match(line):
            title, _, more = found[1].partition(". ")
            yield from ("", f"## {title.rstrip('.')}", *(("", more) if more else ()))
            yield from ("", "| limit | value | reason |", "|---|---|---|")
            reason = []
        elif line.startswith("# "):
            reason.append(line[2:])
        elif found := NAME.match(line):
            code, _, comment = line.partition("  # ")
            value = getattr(limits, found[1])
            said = " ".join([*reason, comment]).strip().replace("|", "\\|")
            if isinstance(value, int):
                yield f"| `{found[1]}` | {_shown(found[1], value)} | {_sentence(said)} |"
            reason = []
        elif not line.strip():
            reason = []


def _shown(name: str, value: int) -> str:
    if "_MS" in name and value >= 1_000:
        return f"{value:,} ({format_duration(value)})".replace(",", " ")
    if "BYTES" in name and value >= 1_024 and value % 1_024 == 0:
        unit, size = next((unit, size) for unit, size in UNITS if value % size == 0)
        return f"{value // size:,} {unit}".replace(",", " ")
    return f"{value:,}".replace(",", " ")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]

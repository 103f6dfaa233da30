"""Probes inside a world: a map is read as it is, a list is a log that is read from the cursor on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..node.effects import StartProbe
from ..node.events import ProbeAnswered
from ..objects.codec import encode_value


def answer_probe(probes: Mapping[str, Any], start: StartProbe) -> ProbeAnswered:
    """Return what a probe of a device reads now."""
    if start.refusal:
        return ProbeAnswered(start.object, start.probe, start.number, error=start.refusal)
    source = probes.get(start.probe)
    if source is None:
        return ProbeAnswered(start.object, start.probe, start.number, error=f"no source for {start.probe} here")
    if not isinstance(source, list):
        return ProbeAnswered(start.object, start.probe, start.number, encode_value(dict(source)))
    begin = int.from_bytes(start.cursor, "big")
    if begin > len(source):
        return ProbeAnswered(start.object, start.probe, start.number, error="the log is shorter than what was read")
    reading = encode_value({"lines": source[begin:], "count": len(source) - begin})
    cursor = len(source).to_bytes(8, "big") if source else b""
    return ProbeAnswered(start.object, start.probe, start.number, reading, "", cursor, True)

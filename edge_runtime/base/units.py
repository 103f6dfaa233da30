"""Units. Below `host/` durations are integers in milliseconds and sizes are bytes."""

from __future__ import annotations

from datetime import timedelta

KIB = 1 << 10
MIB = 1 << 20

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

SUFFIX_MS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


def duration_ms(value: timedelta | int | float) -> int:
    """Return a duration in whole milliseconds, rounded up so that nothing fires early.

    Args:
        value: a timedelta, or seconds as a number (what `asyncio.sleep` takes).

    Returns:
        milliseconds, >= 0; a negative duration is 0.
    """
    if isinstance(value, timedelta):
        microseconds = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    else:
        microseconds = round(value * 1_000_000)
    return max(0, -(-microseconds // 1_000))


def parse_duration_ms(text: str) -> int:
    """Return milliseconds for text such as `250ms`, `30s`, `15m`, `24h`, `7d` or `1h30m`.

    Raises:
        ValueError: the text is not of that form; the caller names the option and shows an example.
    """
    total, number = 0, ""
    rest = text.strip()
    if not rest:
        raise ValueError("empty duration")
    while rest:
        number = ""
        while rest and rest[0].isdigit():
            number, rest = number + rest[0], rest[1:]
        unit = "ms" if rest.startswith("ms") else rest[:1]
        if not number or unit not in SUFFIX_MS:
            raise ValueError(f"not a duration: {text!r}")
        total, rest = total + int(number) * SUFFIX_MS[unit], rest[len(unit) :]
    return total


def format_duration(ms: int) -> str:
    """Return a short text for people: `850 ms`, `12 s`, `3 min`, `2 h 10 min`, `5 d`."""
    if ms < SECOND_MS:
        return f"{ms} ms"
    if ms < MINUTE_MS:
        return f"{ms // SECOND_MS} s"
    if ms < HOUR_MS:
        return f"{ms // MINUTE_MS} min"
    if ms < 2 * DAY_MS:
        hours, minutes = ms // HOUR_MS, ms % HOUR_MS // MINUTE_MS
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{ms // DAY_MS} d"

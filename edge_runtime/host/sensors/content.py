"""What a file or a message holds, as facts: a number, true or false, a text, or JSON with such values in it."""

from __future__ import annotations

import re

import msgspec

from ...base.limits import FACT_CONTENT_BYTES_MAX, FACT_FIELDS_MAX
from .readers import Value


def read_content(name: str, data: bytes) -> dict[str, Value]:
    """Return facts by name. A JSON map gives one for each of its values that is a number, true, false or a text.

    Args:
        data: at most FACT_CONTENT_BYTES_MAX bytes; of a map at most FACT_FIELDS_MAX members count.

    Raises:
        ValueError: too large, empty, no UTF-8, or a list or null.
    """
    if len(data) > FACT_CONTENT_BYTES_MAX:
        raise ValueError(f"larger than {FACT_CONTENT_BYTES_MAX} bytes")
    text = data.decode().strip()
    if not text:
        raise ValueError("it is empty")
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        value = text
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if isinstance(value, dict):
        members = {f"{name}.{word_of(key)}": item for key, item in value.items() if _is_value(item)}
        if not 0 < len(members) <= FACT_FIELDS_MAX:
            raise ValueError(f"the map has {len(members)} values; 1 to {FACT_FIELDS_MAX} are taken")
        return members
    if not _is_value(value):
        raise ValueError("a list or null is no fact")
    return {name: value}


def word_of(text: str) -> str:
    """Return a text as one word of a fact's name."""
    return re.sub(r"[^a-z0-9_]", "_", text.lower()) or "_"


def _is_value(value: object) -> bool:
    return isinstance(value, (bool, int, float, str))

"""Whether the handlers are the same as before: what waits for another version is looked at only if they are not."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import CodeType
from typing import Any

from ..objects.codec import encode
from ..objects.intents import hash128
from .app import Intent


def digest_of(intents: Iterable[Intent]) -> bytes:
    """Return 16 bytes that change with a handler's name, version or own code; not with what it calls.

    The same in every process of one interpreter. Where only a helper was mended, `resume` looks at an object again.
    """
    return hash128(encode(sorted([intent.name, intent.version, _spell(intent.function)] for intent in intents)))


def _spell(function: Any) -> bytes:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return repr(_parts(code)).encode() if isinstance(code, CodeType) else b""


def _parts(code: CodeType) -> list[Any]:
    return [code.co_name, code.co_code, code.co_names, [_constant(item) for item in code.co_consts]]


def _constant(item: object) -> Any:
    if isinstance(item, CodeType):
        return _parts(item)
    return sorted(map(repr, item)) if isinstance(item, frozenset) else repr(item)  # a set's order is each process's own

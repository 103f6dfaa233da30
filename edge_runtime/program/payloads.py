"""A user's values as bytes, and back: dataclasses, msgspec Structs, enums, zoned datetimes, bytes, containers.

The value becomes plain data (msgspec), then canonical CBOR (`objects.codec`): equal values are equal bytes on every
device, so that a hash of arguments means one thing. Never pickle: bytes from another device must not run code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import isroutine
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

import msgspec

from ..base.errors import PeerError, UsageError
from ..objects.codec import decode_value, encode_value

PLAIN = (str, int, bool, float, bytes, type(None))
RECORDABLE = "dataclasses, msgspec Structs, enums, zoned datetimes, text, numbers, bytes and containers of them"


class PayloadTooLarge(UsageError):
    """The value can be recorded, but it is larger than there is room for."""


def encode_payload(value: object, what: str, bytes_max: int) -> bytes:
    """Return the canonical CBOR of a user's value.

    Args:
        value: what is to be recorded.
        what: how to call it in the error, such as `the result of step 'shoot'`.
        bytes_max: the bound on the bytes.

    Raises:
        PayloadTooLarge: more bytes than that; give a file's path instead of its content.
        UsageError: names what the value holds that cannot be recorded.
    """
    try:
        if type(value) not in PLAIN:
            value = msgspec.to_builtins(value, builtin_types=(bytes,), order="deterministic")
        data = encode_value(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = "keys of one map, and items of one set, must be of one type" if _is_mixed(error) else error
        raise UsageError(f"{what} cannot be recorded: {reason}. Use {RECORDABLE}.") from None
    if len(data) > bytes_max:
        raise PayloadTooLarge(
            f"{what} has {len(data)} bytes, at most {bytes_max} can be recorded "
            f"({bytes_max // 1024} KiB). Write it to a file and pass the file's path."
        )
    return data


def _is_mixed(error: Exception) -> bool:
    """Say whether sorting failed, as it does for a map or a set of texts and numbers."""
    return isinstance(error, TypeError) and "not supported between" in str(error)


def decode_payload(data: bytes, wanted: Any, what: str) -> Any:
    """Return the value of canonical CBOR as the wanted type (`Any`: as plain data).

    Raises:
        UsageError: the bytes hold something else than that type; the text says where.
    """
    try:
        value = decode_value(data)
        if wanted is Any:
            return value
        return msgspec.convert(value, wanted, builtin_types=(bytes,))
    except PeerError as error:
        raise UsageError(f"{what} cannot be read: {error}") from None
    except (msgspec.ValidationError, TypeError) as error:
        raise UsageError(f"{what} does not fit: {error}") from None


def resolve_hints(function: Callable[..., Any], skip: str | None = None) -> dict[str, Any]:
    """Return a function's annotations as types, `return` among them; empty for one that has none.

    Args:
        skip: name of a parameter whose annotation is left out.

    Raises:
        UsageError: an annotation names a type that cannot be found where the function is defined.
    """
    annotations = dict(getattr(function, "__annotations__", None) or {})
    if skip is not None:
        annotations.pop(skip, None)
    holder = type("Annotated", (), {"__annotations__": annotations})
    try:
        return get_type_hints(holder, getattr(function, "__globals__", {}), {}, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        name = getattr(function, "__qualname__", repr(function))
        raise UsageError(
            f"the annotations of {name} cannot be resolved: {error}. "
            "Define the types at the top of its module, not under TYPE_CHECKING or inside a function."
        ) from None


# Resolving a text takes some 20 us and a body calls the same few functions; a closure made anew is resolved anew.
_RESOLVED: WeakKeyDictionary[Callable[..., Any], Any] = WeakKeyDictionary()


def result_type_of(function: Callable[..., Any]) -> Any:
    """Return the type that a step's result is converted to: the return annotation, `Any` if there is none.

    An annotation that cannot be resolved counts as none: a step's function is often somebody else's.
    """
    while isinstance(function, partial):
        function = function.func
    if not isroutine(function) and not isinstance(function, type):
        function = type(function).__call__
    annotation = (getattr(function, "__annotations__", None) or {}).get("return", Any)
    if isinstance(annotation, str):
        function = getattr(function, "__func__", function)  # a bound method is made anew each time
        if function not in _RESOLVED:
            try:
                _RESOLVED[function] = resolve_hints(function).get("return", Any)
            except UsageError:
                _RESOLVED[function] = Any
        return _RESOLVED[function]
    return type(None) if annotation is None else annotation

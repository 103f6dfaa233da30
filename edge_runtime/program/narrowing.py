"""The arguments of a step by the names of its parameters: what rules compare, and what a constraint lowers.

Only a copy of the call is narrowed: the attempt's id and the fingerprint stay those of the call as the body made it,
so that replay under any policy is equal. Source: ours; attenuation of what is asked, after Macaroons' caveats.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from msgspec.structs import replace

from ..base.errors import UsageError
from .calls import Retry, StepCall


def named_arguments(call: StepCall) -> dict[str, Any]:
    """Return a call's arguments as plain values by parameter's name, defaults included.

    A function whose parameters cannot be known (some are written in C) has its positional ones under `0`, `1`, ….
    A value that cannot be made plain is left out: a rule that reads it finds nothing, and defers.
    """
    found: dict[str, Any] = {}
    for name, value in _by_name(call).items():
        try:
            found[name] = msgspec.to_builtins(value, builtin_types=(bytes,))
        except (TypeError, ValueError, RecursionError):
            continue
    return found


def narrow(
    call: StepCall, bounds: tuple[tuple[str, int], ...], timeout_ms: int | None, attempts: int | None
) -> tuple[StepCall, str]:
    """Return the call with each bounded number lowered to its bound, and what was lowered, for people.

    Args:
        bounds: (parameter's name, the most it may be). timeout_ms, attempts: the most, None for no bound.

    Raises:
        UsageError: the call has no such argument, or it is no number: the constraint says nothing about this call,
            and it may not run under it.
    """
    changes: list[str] = []
    inner, _, _ = _unwrap(call)
    bound = _bind(call) if bounds else None
    for name, most in bounds:
        holder = _holder(bound, name)
        value = None if holder is None else holder[name]
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
            raise UsageError(f"{name} is no number in this call")
        assert holder is not None
        if value > most:
            holder[name] = most
            changes.append(f"{name} {value} to {most}")
    if bound is not None:
        function = partial(inner, **bound.kwargs) if bound.kwargs else inner
        call = replace(call, function=function, arguments=bound.args)
    if timeout_ms is not None and timeout_ms < call.timeout_ms:
        changes.append(f"timeout {call.timeout_ms} to {timeout_ms} ms")
        call = replace(call, timeout_ms=timeout_ms)
    if attempts is not None and (call.retry.attempts is None or attempts < call.retry.attempts):
        changes.append(f"attempts to {attempts}")
        call = replace(call, retry=Retry(attempts, call.retry.first_ms, call.retry.max_ms))
    return call, ", ".join(changes)


def _unwrap(call: StepCall) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Return the function under all `partial`s, with what they and the call pass to it."""
    function, args, keywords = call.function, call.arguments, dict[str, Any]()
    while isinstance(function, partial):
        args = (*function.args, *args)
        keywords = {**function.keywords, **keywords}
        function = function.func
    return function, args, keywords


def _bind(call: StepCall) -> inspect.BoundArguments | None:
    """Return the call's arguments bound to its parameters, None where that cannot be known or the call is wrong."""
    function, args, keywords = _unwrap(call)
    try:
        bound = _signature_of(function).bind(*args, **keywords)
    except (TypeError, ValueError):
        return None
    bound.apply_defaults()
    return bound


# Reading a signature takes some 20 us, of a function written in C a millisecond; a bound method is made anew each time.
_SIGNATURES: WeakKeyDictionary[Callable[..., Any], inspect.Signature] = WeakKeyDictionary()


def _signature_of(function: Callable[..., Any]) -> inspect.Signature:
    if not inspect.isroutine(function) or inspect.ismethod(function):
        return inspect.signature(function)
    found = _SIGNATURES.get(function)
    if found is None:
        found = _SIGNATURES[function] = inspect.signature(function)
    return found


def _holder(bound: inspect.BoundArguments | None, name: str) -> dict[str, Any] | None:
    """Return the map that holds an argument: that of the parameters, or of the keywords beyond them."""
    if bound is None:
        return None
    kinds = {item.kind: item.name for item in bound.signature.parameters.values()}
    rest = bound.arguments.get(kinds.get(inspect.Parameter.VAR_KEYWORD, ""))
    if name in bound.arguments:
        return bound.arguments
    return rest if isinstance(rest, dict) and name in rest else None


def _by_name(call: StepCall) -> dict[str, Any]:
    bound = _bind(call)
    if bound is None:
        _, args, keywords = _unwrap(call)
        return {**{str(at): value for at, value in enumerate(args)}, **keywords}
    kinds = {item.name: item.kind for item in bound.signature.parameters.values()}
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if kinds[name] is inspect.Parameter.VAR_KEYWORD:
            found = {**value, **found}  # a keyword never passes for a parameter
        else:
            found[name] = value
    return found

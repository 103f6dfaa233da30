"""What a step may know about the try that it is: above all the key that makes its effect idempotent."""

from __future__ import annotations

from contextvars import ContextVar

from msgspec import Struct

from ..base.errors import UsageError


class Attempt(Struct, frozen=True):
    """One try of one step, as seen from inside.

    Attributes:
        id: 32 hex digits, the same on every device, try and branch: send it as the idempotency key.
        try_number: 1 for the first.
        object: id of the object, 64 hex digits.
        not_after_ms: age of the object after which the effect must not begin; None for none.
    """

    id: str
    try_number: int
    object: str
    not_after_ms: int | None = None


_CURRENT: ContextVar[Attempt] = ContextVar("edge_runtime_attempt")


def current_attempt() -> Attempt:
    """Return the attempt that the running step is.

    Raises:
        UsageError: called outside a step, such as in a body.
    """
    try:
        return _CURRENT.get()
    except LookupError:
        raise UsageError(
            "current_attempt() is known only inside a step: call it in the function given to ctx.run"
        ) from None


def enter_attempt(attempt: Attempt) -> None:
    """Say which attempt the current `contextvars.Context` is; the host runs each step in a context of its own."""
    _CURRENT.set(attempt)

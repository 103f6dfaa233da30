"""What a step may know about the try that it is: above all the key that makes its effect idempotent."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from msgspec import Struct, field

from ..base.errors import UsageError


class Meter(Struct):
    """What a try says it spent, so far."""

    bytes_used: int = 0
    energy_mj: int = 0


class Attempt(Struct, frozen=True):
    """One try of one step, as seen from inside.

    Attributes:
        id: 32 hex digits, the same on every device, try and branch: send it as the idempotency key.
        try_number: 1 for the first.
        object: id of the object, 64 hex digits.
        not_after_ms: age of the object after which the effect must not begin; None for none.
        peer: the one of `ctx.run(to=…)` to ask now; empty where the step names nobody.
        done: what earlier tries committed and said with `PartialError`, in order. The step's first argument is then
            what is left; with `done` it can return the whole.
    """

    id: str
    try_number: int
    object: str
    not_after_ms: int | None = None
    peer: str = ""
    done: tuple[Any, ...] = ()
    meter: Meter = field(default_factory=Meter)

    def spend(self, *, bytes: int = 0, energy_mj: int = 0) -> None:
        """Count bytes sent or received, and energy in millijoules, against the object's envelope; adds up.

        Raises:
            UsageError: a negative number, or none.
        """
        for name, value in (("bytes", bytes), ("energy_mj", energy_mj)):
            if type(value) is not int or value < 0:
                raise UsageError(f"spend({name}={value!r}): give a whole number that is not negative")
        self.meter.bytes_used += bytes
        self.meter.energy_mj += energy_mj


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

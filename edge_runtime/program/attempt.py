"""What a step may know about the try that it is: above all the key that makes its effect idempotent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from msgspec import Struct, field

from ..base.errors import UsageError
from ..base.limits import RESULT_BYTES_MAX, UNIT_PARTS_MAX
from ..objects.codec import encode_value


T = TypeVar("T")


class Meter(Struct):
    """What a try says it spent, so far."""

    bytes_used: int = 0
    energy_mj: int = 0
    parts: int = 0


class Attempt(Struct, frozen=True):
    """One try of one step, as seen from inside.

    Attributes:
        id: 32 hex digits, the same on every device, try and branch: send it as the idempotency key.
        try_number: 1 for the first.
        object: id of the object, 64 hex digits.
        not_after_ms: age of the object after which the effect must not begin; None for none.
        peer: the one of `ctx.run(to=…)` to ask now; empty where the step names nobody.
        done: what earlier tries committed and said with `PartialError`, in order. The step's first argument is then
            what is left; with `done` it can return the whole. In a unit of a swarm: the parts that devices told with
            `progress`, in the order in which the object holds them.
    """

    id: str
    try_number: int
    object: str
    not_after_ms: int | None = None
    peer: str = ""
    done: tuple[Any, ...] = ()
    meter: Meter = field(default_factory=Meter)
    tell: Callable[[int, bytes], None] | None = None
    listen: Callable[[Awaitable[Any]], Awaitable[Any]] | None = None

    async def reply(self, awaited: Awaitable[T]) -> T:
        """Await the answer to a request of this try, such as `await current_attempt().reply(client.get(url))`.

        The step is cancelled at its time limit as ever. The answer is listened for up to LISTEN_MS_MAX longer, and how
        late it came is measured: so the next tries are given the time that the peer takes. It has no other effect: the
        step is over, and its outcome is `timeout`. `awaited` must do nothing more than this one request.

        Raises:
            whatever `awaited` raises.
        """
        value: T = await (awaited if self.listen is None else self.listen(awaited))
        return value

    def progress(self, permille: int, part: Any = None) -> None:
        """Tell how far a unit of a swarm is: the claim stands anew, and wins against one that is less far.

        Args:
            permille: of the whole unit, 0 .. 1000.
            part: what is done so far of it, if it is worth something without the rest: whoever does the unit next
                finds it in `done`, and the body in `Swarmed.parts`. At most UNIT_PARTS_MAX parts in one try.

        Without a part it is recorded when it rose by UNIT_RISE_PERMILLE, or half of the claim's time has passed.

        Raises:
            UsageError: this step is no unit, or the number or the part is beyond its bound. Nothing was told.
        """
        if self.tell is None:
            raise UsageError("progress() is told by the units of ctx.swarm; another step raises PartialError")
        if type(permille) is not int or not 0 <= permille <= 1_000:
            raise UsageError(f"progress({permille!r}): give a whole number from 0 to 1000")
        value = b""
        if part is not None:
            if self.meter.parts >= UNIT_PARTS_MAX:
                raise UsageError(f"progress(): {UNIT_PARTS_MAX} parts of this unit were told; return the rest at once")
            try:
                value = encode_value(part)
            except ValueError as error:
                raise UsageError(f"progress(): the part cannot be recorded: {error}") from None
            if len(value) > RESULT_BYTES_MAX:
                raise UsageError(f"progress(): the part takes {len(value)} bytes; at most {RESULT_BYTES_MAX} are kept")
            self.meter.parts += 1
        self.tell(permille, value)

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

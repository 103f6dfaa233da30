"""What a body waits for, makes, and ends with: the values that pass between a body and the node.

All are immutable. A *path* is a call path, `run/scope/name:counter` (`objects.bodies`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from ..base.errors import UsageError
from ..base.limits import ATTEMPTS_MAX, DORMANCY_MS_MAX, LIFETIME_MS_MAX
from ..objects.bodies import EffectClass, RefinedSealed
from ..objects.gated import OnUnknown
from ..objects.rights import Amounts
from ..objects.triggers import Trigger


class World(Protocol):
    """What the node lets a body see while it is driven; what was seen is recorded and never asked again."""

    def fact(self, name: str) -> bool | int | float | str | None:
        """Return a fact's value, None while it is unknown or too old."""
        ...

    def advice(self, topic: str) -> bytes:
        """Return the fresh advice on a topic as canonical CBOR of [advisor, confidence, proposal]; empty for none."""
        ...

    def state_get(self, name: str) -> bytes | None:
        """Return the canonical CBOR of a keyed state's value, None if it was never set."""
        ...

    def child_end(self, path: str, slots: tuple[int, ...]) -> tuple[bytes, bytes]:
        """Return how the first child of some slots that has ended did: CBOR of [slot, end, error, its type], result."""
        ...

    def missing_rights(self, made: Sequence[Delegated]) -> str:
        """Return which rights of children to be made the object has not left, empty if none is missing."""
        ...


class Start(Struct, frozen=True):
    """Which object a body belongs to: its id, its lineage, the device that runs it (32 bytes each), and its terms."""

    object: bytes
    lineage: bytes
    device: bytes
    lifetime_ms: int = LIFETIME_MS_MAX
    depth: int = 0


class Retry(Struct, frozen=True):
    """How often a step is tried before the body hears of it, and how far apart at most.

    Attributes:
        attempts: tries in all, 1 .. ATTEMPTS_MAX; None: as often as the object's terms and lifetime allow.
        first_ms: the first wait, 1 .. DORMANCY_MS_MAX; None: decided by why the try failed.
        max_ms: no wait is longer, first_ms .. DORMANCY_MS_MAX; None as above.

    Raises:
        UsageError: a number outside its bounds.
    """

    attempts: int | None = None
    first_ms: int | None = None
    max_ms: int | None = None

    def __post_init__(self) -> None:
        _check_bound("attempts", self.attempts, 1, ATTEMPTS_MAX)
        _check_bound("first_ms", self.first_ms, 1, DORMANCY_MS_MAX)
        _check_bound("max_ms", self.max_ms, self.first_ms or 1, DORMANCY_MS_MAX)


def _check_bound(name: str, value: object, low: int, high: int) -> None:
    if value is not None and (type(value) is not int or not low <= value <= high):
        raise UsageError(f"Retry({name}={value!r}) is out of range: give a whole number from {low} to {high}")


class StepCall(Struct, frozen=True):
    """A step that the body awaits and that has no final outcome yet.

    Attributes:
        function, arguments: what to call; keywords travel in a `functools.partial`.
        fingerprint: 16 bytes; what the call asks for.
        attempt: 16 bytes; the idempotency key.
        needs: replaces the intent's needs; None inherits them.
        resource: empty for none.
        not_after_ms: age of the object after which no try may begin.
        timeout_ms: of one try.
        result_type: annotation that the result must fit, `Any` for none.
        to: peers that can answer it, best first; empty where the step names nobody.
        bytes_size: of the arguments as recorded.
        on_unknown: of a gated step. rights: that each try of a bounded step spends.
    """

    path: str
    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    fingerprint: bytes
    attempt: bytes
    needs: tuple[str, ...] | None
    effect: EffectClass
    resource: str
    not_after_ms: int | None
    timeout_ms: int
    retry: Retry
    result_type: Any
    to: tuple[str, ...] = ()
    bytes_size: int = 0
    on_unknown: OnUnknown = OnUnknown.ASK
    rights: Amounts = ()


class InputWait(Struct, frozen=True):
    """A promise or the next signal is awaited; an input of that name goes to the first wait with it.

    `is_bounded`: the call has a timeout of its own.
    """

    path: str
    name: str
    why: str = ""  # for people, where the name alone does not say what is asked of them
    is_bounded: bool = False


class ConditionWait(Struct, frozen=True):
    """An `until` or `event`: its trigger, and as it was written. `is_bounded`: the call has a timeout of its own."""

    path: str
    trigger: Trigger
    text: str
    is_bounded: bool = False


class AdviceWait(Struct, frozen=True):
    """Fresh advice on a topic is awaited."""

    path: str
    topic: str


class PollWait(Struct, frozen=True):
    """A probe is polled until a reading ends the wait.

    Attributes:
        probe: name of the probe; what it does is the device's business.
        least_ms, most_ms: bounds of the interval.
        since_age_ms: when the wait began.
        until: canonical CBOR of a condition's tree over the reading's fields; empty for a change.
        text: the condition as it was written, or `changed`.
    """

    path: str
    probe: str
    least_ms: int
    most_ms: int
    since_age_ms: int
    until: bytes
    text: str


class ChildWait(Struct, frozen=True):
    """The end of a child is awaited: of any in some slots of the delegation made at `call`."""

    path: str
    call: str
    slots: tuple[int, ...]


class Timer(Struct, frozen=True):
    """A durable timer; due when the object is that old."""

    path: str
    due_age_ms: int


def may_expire(wait: InputWait | ConditionWait) -> bool:
    """Say whether a wait is told when its sleep expires: one with a timeout of its own is not.

    Nor is one that is called `timer`: in the records its expiry would look like that of a timer.
    """
    return not wait.is_bounded and not wait.path.rpartition("/")[2].startswith("timer:")


Wait: TypeAlias = StepCall | InputWait | ConditionWait | AdviceWait | PollWait | ChildWait


class Learned(Struct, frozen=True):
    """What the body read: becomes a `learned` record. `value` is canonical CBOR, empty for a state never set."""

    path: str
    value: bytes


class Published(Struct, frozen=True):
    """A value for onlookers: becomes a `published` record."""

    path: str
    name: str
    value: bytes


class StateSet(Struct, frozen=True):
    """A value for the keyed state: becomes a `learned` record and, in the same commit, the state's value."""

    path: str
    name: str
    value: bytes


class Refined(Struct, frozen=True):
    """The intent was refined: becomes a `refined` record."""

    body: RefinedSealed


class Birth(Struct, frozen=True):
    """A child to be made; `arguments` are canonical CBOR, `lifetime_ms` 0 stands for what is left of the parent's."""

    slot: int
    intent: str
    arguments: bytes
    fingerprint: bytes
    needs: tuple[str, ...]
    lifetime_ms: int
    rights: Amounts = ()


class Delegated(Struct, frozen=True):
    """Children are made: becomes a `delegated` record and their first entries, in the same commit."""

    path: str
    births: tuple[Birth, ...]


Made: TypeAlias = Learned | Published | StateSet | Refined | Delegated


class Completed(Struct, frozen=True):
    """The body returned; canonical CBOR of what."""

    value: bytes


class Failed(Struct, frozen=True):
    """The body raised; bounded text as of `errors.describe_exception`.

    `is_expired`: it let through that a step could not come in time.
    """

    error: str
    error_type: str
    is_expired: bool = False


class Cancelled(Struct, frozen=True):
    """The body ended by the cancellation that was delivered to it."""


class Again(Struct, frozen=True):
    """The run is over, the next begins with this state (canonical CBOR)."""

    state: bytes


Ended: TypeAlias = Completed | Failed | Cancelled | Again

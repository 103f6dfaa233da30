"""Everything a node asks of the machine: a closed union. Handed out only after the commit that decided it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

from msgspec import Struct, field

from ..base.errors import UsageError
from ..program.advising import AdvisorView


class Stage(Enum):
    """The eight stages of an object's data; the same words in notes, logs, `trace` and plays."""

    ENTERED = "entered"
    VERIFIED = "verified"
    STORED = "stored"
    WOKEN = "woken"
    JUDGED = "judged"
    EXECUTED = "executed"
    APPENDED = "appended"
    GOSSIPED = "gossiped"


class StartStep(Struct, frozen=True):
    """Run this function now: coroutine functions on the loop, plain ones in a worker thread.

    The host answers with exactly one `StepEnded`, also when the step is stopped or times out, or one `StepWithheld`;
    after a timeout a late answer is told as another `StepEnded`, to be measured and not to count.

    Attributes:
        attempt: 16 bytes, the idempotency key: `current_attempt().id` inside the step.
        result_type: annotation that the result must fit.
        timeout_ms: then the outcome is `timeout`.
        peer: whom to ask, empty where the step names nobody. done: what earlier tries committed, as plain values.
        under: pairs of fleet and device whose grants it rests on.
        is_gated: a clock that is not trusted is enough to hold it back.
        is_unit: it may tell `StepProgressed`, any number of times before its end.
        policy: hash of the policy that permitted it. expires_wall_ms: when its grants end, 0 for never. The host asks
            `authority.is_in_force` right before the step runs, and answers `StepWithheld` if it is not.
        not_after_boot_ms: after that it must not begin, None for no such time.
    """

    object: bytes
    path: str
    attempt: bytes
    try_number: int
    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    result_type: Any
    timeout_ms: int
    policy: bytes = b""
    expires_wall_ms: int = 0
    peer: str = ""
    done: tuple[Any, ...] = ()
    not_after_boot_ms: int | None = None
    under: tuple[tuple[bytes, bytes], ...] = ()
    is_unit: bool = False
    is_gated: bool = False


class StopStep(Struct, frozen=True):
    """Nobody waits for this step any more: cancel it if that can be done. Its `StepEnded` still comes."""

    object: bytes
    path: str


class AskAdvisor(Struct, frozen=True):
    """Ask this device's advisor on a topic; the host answers with at most one `AdviceGiven`, or not at all.

    Attributes:
        based_on: the object's ruling tip, as the view shows it.
    """

    object: bytes
    topic: str
    based_on: bytes
    view: AdvisorView


class StartProbe(Struct, frozen=True):
    """Look at a probe once, off the loop if it may block. The host answers with exactly one `ProbeAnswered`.

    Attributes:
        probe: a name of the configuration, or a built-in one; an unknown one is answered with an error.
        number: the answer names it.
        cursor: where the source is read on, as an earlier answer gave it; empty at its beginning.
        refusal: why policy does not let it be looked at; then nothing is, and this is the answer's error.
    """

    object: bytes
    probe: str
    number: int
    cursor: bytes
    refusal: str = ""


class Answer(Struct, frozen=True):
    """The answer to a request, or one row of it.

    Attributes:
        value: JSON-able plain value (dict, list, text, numbers); None where `error` is set.
        error: what the asker should change.
        is_last: False for rows of a stream (`trace --follow`); then more answers with this ticket come.
    """

    ticket: int
    value: Any = None
    error: UsageError | None = None
    is_last: bool = True


class Send(Struct, frozen=True):
    """Hand these messages to the contact's channel, in order; `Drained` says when the channel took them."""

    contact: int
    messages: tuple[bytes, ...]


class Close(Struct, frozen=True):
    """End this contact with an authenticated goodbye."""

    contact: int
    reason: str


class MembershipChanged(Struct, frozen=True):
    """The fleets, grants or the radio's state of this device changed: the host reads `node.membership()` again."""


class Teller(Enum):
    """Who tells results to the world; the value names the table of what waits."""

    BRIDGE = "results"
    OUTBOX = "outbox"


class ResultWaits(Struct, frozen=True):
    """Results that somebody is to tell (`node.results`): what `show` says of each; None: there is one, ask for it."""

    to: Teller
    rows: tuple[dict[str, Any], ...] | None = None


class Note(Struct, frozen=True):
    """Something worth a line in a log. Levels: contact, custody, end, parked and refused are info, stages debug."""

    stage: Stage
    object: bytes
    fields: dict[str, Any] = field(default_factory=dict)
    is_info: bool = False


Effect: TypeAlias = (
    StartStep | StopStep | AskAdvisor | StartProbe | Answer | Send | Close | MembershipChanged | ResultWaits | Note
)


class Turn(Struct):
    """What one call of `Node.handle` came to.

    Attributes:
        appends: how many entries were appended or stored.
        effects: in order; to be handed out after the commit only.
        alarm_boot_ms: when the node wants `TimeCame` next, in boot ms; None for never. The last turn's alarm rules.
    """

    appends: int = 0
    effects: list[Effect] = field(default_factory=list)
    alarm_boot_ms: int | None = None

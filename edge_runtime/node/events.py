"""Everything that can happen to a node: a closed union. The host makes events, the node handles them.

Order inside one drain of the inbox: completions and timers first (`is_own`), then askers, then peers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from ..objects.entries import Entry
from ..objects.keys import SigningKey
from .commands import Command, Enroll
from .messages import Message


class Asked(Struct, frozen=True):
    """A person or program asked something over the control socket.

    Attributes:
        ticket: number that the host gave this request; the answer carries it. Unique while the process lives.
        command: what is asked, parsed and bounded.
    """

    ticket: int
    command: Command


class AskerGone(Struct, frozen=True):
    """Whoever held this ticket hung up: forget waits and follows for it."""

    ticket: int


class StepEnded(Struct, frozen=True):
    """A step that `StartStep` released came back.

    Attributes:
        object, path, attempt, try_number: as in the `StartStep`.
        value: canonical CBOR of the result, up to RESULT_BYTES_MAX, if outcome is OK; progress if PARTIAL; else empty
        outcome: number of `judge.outcomes.Outcome`.
        error, error_type: bounded text for people, empty if OK.
        hint_ms: pushback asked for by the other side; None for none, `HINT_NEVER` for an unreadable one.
        latency_ms: from release to return, by the boot clock.
        evidence: what decided the outcome, in a word; for `refused` the fact waited for.
        is_observer_late: this device's own loop was late meanwhile: what it saw is held against nobody.
        bytes_used, energy_mj: what the step says it spent.

    After a `timeout` a second one may come for the same try: the late answer, whose round trip is worth knowing.
    """

    object: bytes
    path: str
    attempt: bytes
    try_number: int
    value: bytes = b""
    outcome: int = 0
    error: str = ""
    error_type: str = ""
    hint_ms: int | None = None
    latency_ms: int = 0
    evidence: str = ""
    is_observer_late: bool = False
    bytes_used: int = 0
    energy_mj: int = 0


class StepWithheld(Struct, frozen=True):
    """A released step did not run: the verdict was no longer in force when it was about to. It is judged anew."""

    object: bytes
    path: str
    attempt: bytes
    try_number: int


class StepProgressed(Struct, frozen=True):
    """A unit of a swarm that runs says how far it is.

    Attributes:
        object, path, attempt, try_number: as in the `StartStep`.
        permille: 0 .. 1000. value: canonical CBOR of a part, up to RESULT_BYTES_MAX; empty for none.
    """

    object: bytes
    path: str
    attempt: bytes
    try_number: int
    permille: int
    value: bytes = b""


class AdviceGiven(Struct, frozen=True):
    """An advisor that `AskAdvisor` asked has answered: canonical CBOR of the proposal, at most ADVICE_BYTES_MAX."""

    object: bytes
    topic: str
    based_on: bytes
    proposal: bytes
    confidence: int
    valid_ms: int


class ProbeAnswered(Struct, frozen=True):
    """A probe that `StartProbe` asked for was looked at.

    Attributes:
        object, probe, number: as in the `StartProbe`.
        value: canonical CBOR of the reading, a map of texts to plain values; empty with an error.
        error: why the source could not be read, bounded text; empty if it was.
        cursor: where to read on, at most CURSOR_BYTES_MAX; counts if `has_cursor`: then a change is that it moved.
    """

    object: bytes
    probe: str
    number: int
    value: bytes = b""
    error: str = ""
    cursor: bytes = b""
    has_cursor: bool = False


class TimeCame(Struct, frozen=True):
    """The armed alarm is due, or the host read the clocks again."""


class FactRead(Struct, frozen=True):
    """A sensor, a link or a user says what a fact is now.

    `value` None withdraws the fact; `max_age_ms` None takes the default of `base.limits`.
    """

    name: str
    value: bool | int | float | str | None
    origin: str
    max_age_ms: int | None = None


class EventHappened(Struct, frozen=True):
    """An edge on this device, by name; objects that wait with `event(name)` reenter."""

    name: str


class ContactOpened(Struct, frozen=True):
    """Both ends of a channel have verified each other.

    Attributes:
        contact: number that the host gave this contact, rising while the process lives.
        device: the peer's Ed25519 public key.
        grants: COSE bytes of the grants that the peer presented; at least one was checked against our roots.
        link: kind of link, such as `lan` or `static`.
        address: for people.
        initiated: this side dialled.
    """

    contact: int
    device: bytes
    grants: tuple[bytes, ...]
    link: str
    address: str
    initiated: bool


class Heard(Struct, frozen=True):
    """A peer's message, decoded and bounded.

    `entries` are the verified entries of an `Entries` message, in its order; those that failed are counted in
    `refused` and are not here.
    """

    contact: int
    message: Message
    entries: tuple[Entry, ...] = ()
    refused: int = 0
    bytes_size: int = 0


class Drained(Struct, frozen=True):
    """The channel took this many of the bytes that `Send` handed over: more may be sent."""

    contact: int
    bytes_size: int


class ContactEnded(Struct, frozen=True):
    """A contact closed or was lost; what was not received is asked for again at the next one."""

    contact: int
    reason: str


class Imported(Struct, frozen=True):
    """A capsule was read and every entry's own signature holds: the same checks and dedupe as from a peer.

    Attributes:
        ticket: whom to answer.
        grants: COSE bytes. `entries`: in the capsule's order. `age_ms`, `wall_ms`, `trust`: of the header.
    """

    ticket: int
    object: bytes
    grants: tuple[bytes, ...]
    entries: tuple[Entry, ...]
    age_ms: int
    age_is_exact: bool
    wall_ms: int = 0
    trust: int = 0


class FleetMade(Struct, frozen=True):
    """The host made a root key and stored it safely (`FleetCreate`, or the fleet of one of a first start)."""

    ticket: int
    name: str
    key: SigningKey


class Inviting(Struct, frozen=True):
    """An operator invites (`enroll`); the host adds the chance, and the key that costs some ms to make of it."""

    ticket: int
    command: Enroll
    secret: str
    key: bytes


class Enrolling(Struct, frozen=True):
    """A device proved on a channel of its own that it knows an invitation's code.

    Attributes:
        ticket: of the pairing that waits for the answer, a membership file.
        number, key: of the invitation. device: proven to hold the key of the channel.
    """

    ticket: int
    number: int
    key: bytes
    device: bytes


class Restored(Struct, frozen=True):
    """First event of every process: derive the effects that the store says are due."""


class Called(Struct, frozen=True):
    """Run a function on the node thread inside a turn; for host code that must see the store (export, tests)."""

    function: Callable[[], None]


Event: TypeAlias = (
    Asked
    | AskerGone
    | StepEnded
    | StepWithheld
    | StepProgressed
    | AdviceGiven
    | ProbeAnswered
    | TimeCame
    | FactRead
    | EventHappened
    | ContactOpened
    | Heard
    | Drained
    | ContactEnded
    | Imported
    | FleetMade
    | Inviting
    | Enrolling
    | Restored
    | Called
)


def is_own(event: Event) -> bool:
    """Say whether an event is a completion or a timer: these go first and are never refused for space."""
    return isinstance(
        event,
        (StepEnded, StepWithheld, StepProgressed, ProbeAnswered, TimeCame, Restored, Drained, ContactEnded),
    )

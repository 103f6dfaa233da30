"""What replay reads: the ruling chain boiled down to the things that resumed the body, in their order.

A body is resumed by one thing at a time; each is one `Resumption`, taken from an `executed` (final) or a `took`
record. What the body learned lies beside it by call path. Source: ours; the idea is Temporal's event history.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct, field

from .refining import Asked


class Resumed(Enum):
    """What kind of thing resumed the body."""

    STEP = "step"  # a step's final outcome
    INPUT = "input"  # a signal
    TIMER = "timer"
    CONDITION = "condition"  # an `until` came true
    OBJECT = "object"  # another object ended
    CANCEL = "cancel"
    POLL = "poll"  # a probe's reading


class Resumption(Struct, frozen=True):
    """One thing that resumed the body.

    Attributes:
        what: which kind.
        path: the waiting call's path; for a timer the timer's path; empty for a cancellation.
        age_ms: the object's age at the record's entry: the body's clock stands there from now on.
        wall_ms: the wall clock of that entry, for `ctx.now()`.
        value: canonical CBOR of the result (step, ok), the signal's value (input) or the reading (poll), else empty.
        fingerprint: 16 bytes of a step's call, else empty; replay compares it.
        outcome: the number of a step's outcome (`judge.outcomes`), 0 is ok; 0 for the rest.
        error, error_type: of a step that failed for good, else empty.
    """

    what: Resumed
    path: str
    age_ms: int
    wall_ms: int
    value: bytes = b""
    fingerprint: bytes = b""
    outcome: int = 0
    error: str = ""
    error_type: str = ""


class Script(Struct):
    """The whole input of a replay of one run.

    Attributes:
        run: number of the run; call paths begin with it.
        arguments: canonical CBOR of the arguments (run 0) or of the state carried by `ctx.again`.
        age_ms, wall_ms: of the entry that began the run.
        asked: what the object asked for when the run began.
        resumptions: in the order of the ruling chain.
        learned: call path -> canonical CBOR of what was read there.
        published: call paths at which a value was published already.
    """

    run: int
    arguments: bytes
    age_ms: int
    wall_ms: int
    asked: Asked = field(default_factory=Asked)
    resumptions: list[Resumption] = field(default_factory=list)
    learned: dict[str, bytes] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)

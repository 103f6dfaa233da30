"""The typed contents of the records that this version writes and reads.

Each body has a clear part that every relay may read and, where it has content, a sealed part. Both are CBOR arrays
(msgspec Structs, `array_like`), bounded, unknown fields refused. Order of fields is the contract of `docs/format.md`.

A *call path* is text: `run/scope/name:counter`, e.g. `0/2/shoot:1`: run number, parent scope, the call's name
and how often that name was called in the scope before. Source: ours, after Temporal's command matching.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

from ..base.limits import (
    ADVICE_BYTES_MAX,
    ADVICE_CONFIDENCE_MAX,
    ARGUMENTS_BYTES_MAX,
    CURSOR_BYTES_MAX,
    DELEGATION_DEPTH_MAX,
    ERROR_TEXT_BYTES_MAX,
    INTEGER_MAX,
    LIFETIME_MS_MAX,
    LIST_ITEMS_MAX,
    NAME_BYTES_MAX,
    POLL_UNTIL_BYTES_MAX,
    RESULT_BYTES_MAX,
    SIGNAL_BYTES_MAX,
    TREE_BYTES_MAX,
)

Unsigned = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
ShortHash = Annotated[bytes, Meta(min_length=16, max_length=16)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
Path = Annotated[str, Meta(min_length=1, max_length=512)]
Text = Annotated[str, Meta(max_length=ERROR_TEXT_BYTES_MAX)]
Names = Annotated[tuple[Name, ...], Meta(max_length=LIST_ITEMS_MAX)]
Hashes = Annotated[tuple[Hash, ...], Meta(max_length=LIST_ITEMS_MAX)]
Value = Annotated[bytes, Meta(max_length=RESULT_BYTES_MAX)]
Degradation = tuple[Annotated[str, Meta(max_length=NAME_BYTES_MAX)], Annotated[int, Meta(ge=0, le=31)]]
Tree = Annotated[bytes, Meta(max_length=TREE_BYTES_MAX)]  # canonical CBOR of a trigger or condition
Amounts = Annotated[tuple[tuple[Name, Unsigned], ...], Meta(max_length=LIST_ITEMS_MAX)]  # of rights, by name


class Body(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of all bodies: immutable, spelled as a CBOR array in the order of its fields."""


class EffectClass(IntEnum):
    """What a step promises about running more than once; `docs/architecture.md` has the table."""

    OBSERVE = 0
    IDEMPOTENT = 1
    BOUNDED = 2
    EXCLUSIVE = 3
    IRREVERSIBLE = 4


class End(IntEnum):
    """How an object ended."""

    COMPLETED = 0
    FAILED = 1
    CANCELLED = 2
    EXPIRED = 3


# The last outcome of an `executed` that this version knows (`judge.outcomes`); a later one is carried, not turned.
OUTCOME_LAST = 12
OUTCOME_INVALID = 8

# A pushback hint that is negative or unreadable: do not retry without another reason (gRPC A6).
HINT_NEVER = INTEGER_MAX


class Took(IntEnum):
    """What resumed a body: the second half of a `took` record says which one."""

    INPUT = 0  # ref: the input's entry id followed by its index among the records (2 bytes, big-endian)
    TIMER = 1  # ref: the timer's path as UTF-8
    CANCEL = 2  # ref: the entry id of the cancel_requested
    CONDITION = 3  # ref: the path of the `until` as UTF-8
    OBJECT = 4  # ref: the id of the object that ended
    POLL = 5  # ref: the probe's name as UTF-8; the value is that of its newest `polled` record
    ANSWER = 6  # ref: as of INPUT; an operator's word on the step at the path, of unknown outcome


class PollResult(IntEnum):
    """What the polls of one run came to (`judge.polling`)."""

    NOT_YET = 0
    SATISFIED = 1
    ABORTED = 2  # the source is absent: nothing can be said
    ESCALATED = 3  # it stays absent: an operator is told
    ENDED = 4  # no poll: nobody waits any more


# The last result that this version knows; a later one is carried, not turned.
POLL_RESULT_LAST = 4


# --- Clear parts -------------------------------------------------------------------------------------------------


class CreatedClear(Body, frozen=True):
    """Every relay reads it: what the object may be kept for, by whom, and for how long.

    `holders` empty: every member of the roots' fleets may hold it; `readers` empty: every holder may read.
    `recovery_ms` 0: never claimed by itself, else claimed after that time without sign of its custodian.
    `may_signal` empty: every executor and operator of the fleets.
    """

    priority: Annotated[int, Meta(ge=0, le=15)]
    lifetime_ms: Annotated[int, Meta(ge=1, le=LIFETIME_MS_MAX)]
    holders: Hashes
    readers: Hashes
    needs: Names
    recovery_ms: Unsigned
    may_signal: Hashes
    may_cancel: Hashes
    roots: Annotated[tuple[Hash, ...], Meta(min_length=1, max_length=LIST_ITEMS_MAX)]
    wall_ms: Unsigned
    trust: Annotated[int, Meta(ge=0, le=4)]


class OfferedClear(Body, frozen=True):
    """Custody is offered to one device under the next epoch; `expires_age_ms` is an age of the object."""

    to: Hash
    epoch: Unsigned
    expires_age_ms: Unsigned
    reason: Text
    needs: Names = ()
    rights: Amounts = ()


class AcceptedClear(Body, frozen=True):
    """The receiver took custody: `offer` is the id of the entry that named it."""

    offer: Hash
    epoch: Unsigned


class ClaimedClear(Body, frozen=True):
    """Custody taken without an acceptance: a withdrawn or expired offer, recovery, or an operator's word."""

    epoch: Unsigned
    reason: Text


class DormantClear(Body, frozen=True):
    """When the dormancy ends at the latest, as an age of the object."""

    expires_age_ms: Unsigned


class TerminatedClear(Body, frozen=True):
    """The object ended: how."""

    end: Annotated[int, Meta(ge=0, le=3)]


class HoldingClear(Body, frozen=True):
    """An operator's hold (0), release (1) or resume (2)."""

    what: Annotated[int, Meta(ge=0, le=2)]


class Empty(Body, frozen=True):
    """A clear or sealed part with nothing in it."""


# --- Sealed parts ------------------------------------------------------------------------------------------------


class CreatedSealed(Body, frozen=True):
    """Intent, terms and origin.

    `arguments` is the canonical CBOR of the user's value. `name` is empty for an unnamed object; `parent`, `path`
    and `slot` are set for a child only; `depth` counts the parents above it. `labels` are free words. The envelope:
    `attempts_max`, `bytes_max` and `energy_max_mj` (millijoules) over all devices, 0 for no bound.
    `degrades` says which fields of the arguments may be asked less of (path, number of a `narrowing.Way`).
    """

    intent: Name
    arguments: Annotated[bytes, Meta(max_length=ARGUMENTS_BYTES_MAX)]
    name: Annotated[str, Meta(max_length=NAME_BYTES_MAX)]
    parent: Annotated[bytes, Meta(max_length=32)]
    path: Annotated[str, Meta(max_length=512)]
    slot: Unsigned
    attempts_max: Unsigned
    labels: Names
    degrades: Annotated[tuple[Degradation, ...], Meta(max_length=LIST_ITEMS_MAX)] = ()
    bytes_max: Unsigned = 0
    energy_max_mj: Unsigned = 0
    depth: Annotated[int, Meta(ge=0, le=DELEGATION_DEPTH_MAX)] = 0
    rights: Amounts = ()


class SignalledSealed(Body, frozen=True):
    """A named value for the body: promise completion, answer, message."""

    name: Name
    value: Annotated[bytes, Meta(max_length=SIGNAL_BYTES_MAX)]


class AdvisedSealed(Body, frozen=True):
    """An advisor's proposal (canonical CBOR of a value), based on one ruling turn, until an age of the object."""

    topic: Name
    proposal: Annotated[bytes, Meta(max_length=ADVICE_BYTES_MAX)]
    confidence: Annotated[int, Meta(ge=0, le=ADVICE_CONFIDENCE_MAX)]
    based_on: Hash
    expires_age_ms: Unsigned


class CancelSealed(Body, frozen=True):
    """Why somebody wants the object to end."""

    reason: Text


class CannotSealed(Body, frozen=True):
    """A device cannot do a thing (`objects.denials`): of whom, what, why, under which condition, and until when.

    `scope` is a `denials.Scope`. `condition` is the canonical CBOR of a condition's tree over facts of the device that
    it is about, empty for none. `until_age_ms` 0: never by time. `advert` 0: not bound to an advert's counter.
    """

    about: Hash
    subject: Name
    scope: Annotated[int, Meta(ge=0, le=31)]
    evidence: Text
    condition: Tree
    until_age_ms: Unsigned
    advert: Unsigned


class UnitSealed(Body, frozen=True):
    """A claim (0), progress (1) or result (2) of one unit of shared work (`objects.units`).

    `permille` is of progress, 0 … 1000; `value` the canonical CBOR of a result or of partial work, empty for none.
    """

    work: Name
    unit: Name
    said: Annotated[int, Meta(ge=0, le=31)]
    permille: Annotated[int, Meta(ge=0, le=1_000)]
    value: Value


class ReenteredSealed(Body, frozen=True):
    """Which triggers held, described for people, and the digest of the snapshot that was judged."""

    triggers: tuple[Text, ...]
    snapshot: Annotated[bytes, Meta(max_length=16)]


class TookSealed(Body, frozen=True):
    """The body was resumed by this one thing; `what` is a `Took`, `path` the waiting call's path (may be empty)."""

    what: Annotated[int, Meta(ge=0, le=6)]
    ref: Annotated[bytes, Meta(max_length=512)]
    path: Annotated[str, Meta(max_length=512)]


class LearnedSealed(Body, frozen=True):
    """What the body read at a call path: a fact, a patched marker, keyed state."""

    path: Path
    value: Value


class RefinedSealed(Body, frozen=True):
    """The intent was refined at a call path: fingerprints before and after, the whole new arguments, and why."""

    path: Path
    before: ShortHash
    after: ShortHash
    arguments: Annotated[bytes, Meta(max_length=ARGUMENTS_BYTES_MAX)]
    reason: Text


class AttemptedSealed(Body, frozen=True):
    """Durable before a gated effect acts. `on_unknown` is a `gated.OnUnknown`; `rights` are spent by this try."""

    attempt: ShortHash
    path: Path
    fingerprint: ShortHash
    effect: Annotated[int, Meta(ge=0, le=4)]
    resource: Annotated[str, Meta(max_length=NAME_BYTES_MAX)]
    verdict: Text
    try_number: Unsigned = 1
    on_unknown: Annotated[int, Meta(ge=0, le=31)] = 0
    rights: Amounts = ()


class ExecutedSealed(Body, frozen=True):
    """One try of one step and what came of it.

    `is_final` true: this outcome resumes the body (the result, or the error it raises); false: the step is tried
    again, here or elsewhere. `value` is the canonical CBOR of the result when the outcome is `ok` or `slow`, of
    `[done, rest]` (canonical CBOR each) when it is `partial`; `error` a bounded text otherwise. `peer` names whom the
    try went to, empty where the step names nobody. `hint_ms` is the pushback that was asked for: null for none given,
    `HINT_NEVER` for one that forbids or cannot be read (no timed retry). `deaths` counts process deaths during this
    step on this device. `bytes_used` and `energy_mj` (millijoules) are what the step says it spent.
    """

    attempt: ShortHash
    try_number: Unsigned
    path: Path
    fingerprint: ShortHash
    effect: Annotated[int, Meta(ge=0, le=4)]
    peer: Annotated[str, Meta(max_length=NAME_BYTES_MAX)]
    link: Annotated[str, Meta(max_length=NAME_BYTES_MAX)]
    verdict: Text
    outcome: Annotated[int, Meta(ge=0, le=31)]
    is_final: bool
    value: Value
    error: Text
    error_type: Annotated[str, Meta(max_length=NAME_BYTES_MAX)]
    latency_ms: Unsigned
    hint_ms: Unsigned | None
    deaths: Unsigned
    evidence: Text
    bytes_used: Unsigned = 0
    energy_mj: Unsigned = 0


class DeniedSealed(Body, frozen=True):
    """A verdict that kept a call from running: the rule, the policy's hash, what is waited for."""

    path: Annotated[str, Meta(max_length=512)]
    is_final: bool
    rule: Text
    policy: ShortHash
    waits_for: Text


class DormantSealed(Body, frozen=True):
    """What wakes the object (canonical CBOR of the trigger's tree) and why it sleeps, for people."""

    trigger: Tree
    reason: Text


class PolledSealed(Body, frozen=True):
    """The polls of one probe since the record before: how many, and what the newest of them came to.

    It opens a run of polls with the same `result`, due by (`since_age_ms`, `least_ms`, `most_ms`) and judged by `until`
    (canonical CBOR of a condition's tree, empty for a change). `polls` were made
    since the record before, `missed` were due and not made; lower bounds unless `is_exact`. `value` is the canonical
    CBOR of the newest good reading on record, empty for that of the record before; `cursor` where the source is read
    on.
    """

    path: Path
    probe: Name
    result: Annotated[int, Meta(ge=0, le=31)]
    value: Value
    cursor: Annotated[bytes, Meta(max_length=CURSOR_BYTES_MAX)]
    since_age_ms: Unsigned
    least_ms: Annotated[int, Meta(ge=1, le=LIFETIME_MS_MAX)]
    most_ms: Annotated[int, Meta(ge=1, le=LIFETIME_MS_MAX)]
    until: Annotated[bytes, Meta(max_length=POLL_UNTIL_BYTES_MAX)]
    polls: Unsigned
    missed: Unsigned
    is_exact: bool
    error: Text


class PublishedSealed(Body, frozen=True):
    """A named value for onlookers (`show`), which the body set at a call path."""

    path: Path
    name: Name
    value: Value


class AgainSealed(Body, frozen=True):
    """A new run begins with this state; no earlier call path is read from here on."""

    run: Unsigned
    state: Annotated[bytes, Meta(max_length=ARGUMENTS_BYTES_MAX)]


class TerminatedSealed(Body, frozen=True):
    """The result (canonical CBOR) of a completed object, or the error text of another end."""

    value: Value
    error: Text
    error_type: Annotated[str, Meta(max_length=NAME_BYTES_MAX)]

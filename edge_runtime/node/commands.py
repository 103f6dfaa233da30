"""What may be asked over the control socket: one Struct per command, tagged by its name, bounded, parsed at the door.

A request is one JSON line `{"command": "submit", "intent": …}`; `docs/control.md` lists them for other languages.
OBJECT in a field is a full id (hex), a name given here, or a prefix of at least 4 hex digits.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct, field

from ..base.limits import (
    INTEGER_MAX,
    INVITATION_MS_MAX,
    INVITATION_MS_MIN,
    INVITATION_USES_MAX,
    INVITATIONS_MAX,
    LIFETIME_MS_MAX,
    LIST_ITEMS_MAX,
    NAME_BYTES_MAX,
    PAIRING_MS_MAX,
)
from ..base.units import HOUR_MS, MINUTE_MS

Word = Annotated[str, Meta(max_length=NAME_BYTES_MAX)]
Words = Annotated[list[Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]], Meta(max_length=LIST_ITEMS_MAX)]
Amounts = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)], Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
    ],
    Meta(max_length=LIST_ITEMS_MAX),
]
Reference = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
DeviceText = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]


class Base(Struct, frozen=True, forbid_unknown_fields=True, tag_field="command"):
    """Base of all commands."""


class Submit(Base, frozen=True, tag="submit"):
    """Make an object. `arguments` is any JSON value; bytes may be given as `arguments_cbor` (hex) instead."""

    intent: Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
    arguments: Any = None
    arguments_cbor: Annotated[str, Meta(max_length=64 * 1024)] = ""
    name: Word = ""
    needs: Words = []
    priority: Annotated[int, Meta(ge=0, le=15)] = 8
    lifetime_ms: Annotated[int, Meta(ge=1, le=LIFETIME_MS_MAX)] | None = None
    attempts_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    bytes_max: Annotated[int, Meta(ge=0, le=INTEGER_MAX)] = 0
    energy_max_mj: Annotated[int, Meta(ge=0, le=INTEGER_MAX)] = 0
    recovery_ms: Annotated[int, Meta(ge=0, le=LIFETIME_MS_MAX)] = 0
    labels: Words = []
    rights: Amounts = {}  # for bounded steps: amounts by name
    anyway: bool = False
    wait: bool = False  # answer only when the object has ended


class Show(Base, frozen=True, tag="show"):
    """All about one object."""

    object: Reference


class Wait(Base, frozen=True, tag="wait"):
    """Answer what `show` says once the object has ended."""

    object: Reference


class List(Base, frozen=True, tag="ls"):
    """Rows of objects, newest first, at most `most`."""

    status: Word = ""
    by: Word = ""
    most: Annotated[int, Meta(ge=1, le=10_000)] = 1_000


class Trace(Base, frozen=True, tag="trace"):
    """The records of one object in causal order; with `follow` new rows as they come."""

    object: Reference
    follow: bool = False


class Explain(Base, frozen=True, tag="explain"):
    """Why the object is where it is and when it will be looked at again."""

    object: Reference


class Signal(Base, frozen=True, tag="signal"):
    """Give an object a named value."""

    object: Reference
    name: Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
    value: Any = None


class Cancel(Base, frozen=True, tag="cancel"):
    """Ask an object to end."""

    object: Reference
    reason: Word = ""


class Hold(Base, frozen=True, tag="hold"):
    """No new effects, for one object or (empty) for this device; survives a restart."""

    object: Word = ""


class Release(Base, frozen=True, tag="release"):
    """End a hold."""

    object: Word = ""


class Resume(Base, frozen=True, tag="resume"):
    """Wake a parked object (stuck, exhausted, quarantined, nondeterminism); with empty `object` end this device's
    quarantine by hand."""

    object: Word = ""


class Claim(Base, frozen=True, tag="claim"):
    """Take custody of an object whose custodian is lost. An operator's word."""

    object: Reference


class Hand(Base, frozen=True, tag="hand"):
    """Offer custody of an object (or with empty `object` of all held here) to a device."""

    to: DeviceText
    object: Word = ""


class FactSet(Base, frozen=True, tag="fact"):
    """Set a fact of this device by hand. `value` null withdraws it."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
    value: Any
    max_age_ms: Annotated[int, Meta(ge=1)] | None = None


class Raise(Base, frozen=True, tag="event"):
    """Raise a named event on this device (an edge)."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]


class Facts(Base, frozen=True, tag="facts"):
    """All facts, with age and origin."""


class Peers(Base, frozen=True, tag="peers"):
    """All devices known, and which are in contact."""


class Contacts(Base, frozen=True, tag="contacts"):
    """The last contacts, newest first."""

    most: Annotated[int, Meta(ge=1, le=10_000)] = 100


class Status(Base, frozen=True, tag="status"):
    """The device in one object."""


class Apps(Base, frozen=True, tag="apps"):
    """Intents and versions, per device."""


class Schedules(Base, frozen=True, tag="schedules"):
    """The recurring submissions of the configuration."""


class Query(Base, frozen=True, tag="query"):
    """Read-only SQL over the documented views."""

    sql: Annotated[str, Meta(min_length=1, max_length=16 * 1024)]


class Initialise(Base, frozen=True, tag="init"):
    """Name this device."""

    name: Word = ""


class FleetCreate(Base, frozen=True, tag="fleet-create"):
    """Make a root key here; this device becomes operator and executor of the new fleet."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]


class FleetShow(Base, frozen=True, tag="fleet-show"):
    """The fleets of this device."""


class Grant(Base, frozen=True, tag="grant"):
    """Sign a membership grant for a device; the answer holds the file's bytes in hex."""

    device: Word  # its digits are counted where the text says how to get them
    roles: Words
    replaces: Word = ""


class Enroll(Base, frozen=True, tag="enroll"):
    """Invite devices: a code that whoever types it joins the fleet with, `uses` times, until it expires."""

    uses: Annotated[int, Meta(ge=1, le=INVITATION_USES_MAX)] = 1
    expires_ms: Annotated[int, Meta(ge=INVITATION_MS_MIN, le=INVITATION_MS_MAX)] = HOUR_MS
    roles: Words = field(default_factory=lambda: ["executor"])
    replaces: Word = ""


class Invitations(Base, frozen=True, tag="invitations"):
    """The open invitations, without their codes."""


class Uninvite(Base, frozen=True, tag="uninvite"):
    """End an invitation; who joined with it stays a member."""

    number: Annotated[int, Meta(ge=0, lt=INVITATIONS_MAX)]


class Join(Base, frozen=True, tag="join"):
    """Take a membership: the hex of a grant file's bytes; or look for who made an invitation and join with its code.

    With `code`: `peers` are asked beside whoever is found on the LAN; `root` (hex) is the only fleet that is joined.
    """

    file: Annotated[str, Meta(max_length=64 * 1024)] = ""
    code: Word = ""
    peers: Words = []
    root: Word = ""
    wait_ms: Annotated[int, Meta(ge=0, le=PAIRING_MS_MAX)] = MINUTE_MS


class Revoke(Base, frozen=True, tag="revoke"):
    """Withdraw a device's grants, for `operations` (intents, steps) alone if some are named, or with `from_sequence`
    declare it compromised from there on. An operator's word."""

    device: DeviceText
    from_sequence: Annotated[int, Meta(ge=0, le=INTEGER_MAX)] | None = None
    operations: Words = []


class Radio(Base, frozen=True, tag="radio"):
    """Transmit nothing at all (`off`), or speak again; survives a restart."""

    on: bool


class Export(Base, frozen=True, tag="export"):
    """Read one object's capsule; rows of hex chunks, the last row says how many entries."""

    object: Reference


class Import(Base, frozen=True, tag="import"):
    """One piece of a capsule, in hex; the host gathers the pieces and turns the whole into an `Imported` event."""

    chunk: Annotated[str, Meta(max_length=128 * 1024)]
    is_last: bool = True


Command: TypeAlias = (
    Submit
    | Show
    | Wait
    | List
    | Trace
    | Explain
    | Signal
    | Cancel
    | Hold
    | Release
    | Resume
    | Claim
    | Hand
    | FactSet
    | Raise
    | Facts
    | Peers
    | Contacts
    | Status
    | Apps
    | Schedules
    | Query
    | Initialise
    | FleetCreate
    | FleetShow
    | Grant
    | Enroll
    | Invitations
    | Uninvite
    | Join
    | Revoke
    | Radio
    | Export
    | Import
)

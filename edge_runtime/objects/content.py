"""What the ruling chain says, for those who can read it: the values that the fold fills in, and nothing that decides.

Source: `docs/format.md` (State).
"""

from __future__ import annotations

from msgspec import Struct, field

from . import bodies as b
from .attempts import Spending, StepMemory
from .children import Delegation, Origin
from .gated import Gates
from .polled import PollMemory
from .refining import Asked
from .rights import Rights
from .script import Script


class Input(Struct, frozen=True):
    """A signal that has effect, not yet or already taken.

    `ref` is the entry's id followed by the record's index (2 bytes, big-endian); inputs sort by (height, ref).
    `is_own`: said by the device that had custody then, or made the object. `unit`: of shared work, with a mark for a
    part; empty for others.
    """

    ref: bytes
    height: int
    name: str
    value: bytes
    author: bytes
    age_ms: int
    is_own: bool = False
    unit: str = ""


class Dormancy(Struct, frozen=True):
    """How the object sleeps: the trigger's tree, why, and when its way out comes at the latest."""

    trigger: bytes
    reason: str
    expires_age_ms: int
    since_age_ms: int


class Denial(Struct, frozen=True):
    """A verdict that keeps a call from running: whose, by which rule of which policy, until what changes."""

    rule: str
    policy: bytes
    waits_for: str
    device: bytes
    age_ms: int


class Finish(Struct, frozen=True):
    """How the object ended: which end, the result's canonical CBOR or an error, and at what age."""

    end: b.End
    value: bytes
    error: str
    error_type: str
    age_ms: int
    wall_ms: int


class Content(Struct):
    """What the ruling chain says, for those who can read it. Rebuilt from nothing when another branch rules."""

    intent: str = ""
    arguments: bytes = b""
    name: str = ""
    lineage: bytes = b""
    asked: Asked = field(default_factory=Asked)
    spending: Spending = field(default_factory=Spending)
    rights: Rights = field(default_factory=Rights)
    gates: Gates = field(default_factory=Gates)
    labels: tuple[str, ...] = ()
    origin: Origin | None = None  # of a child
    children: dict[str, Delegation] = field(default_factory=dict)  # by the path of the call that made them
    script: Script = field(default_factory=lambda: Script(0, b"", 0, 0))
    taken: dict[bytes, None] = field(default_factory=dict)
    steps: dict[str, StepMemory] = field(default_factory=dict)
    published: dict[str, bytes] = field(default_factory=dict)
    polls: dict[str, PollMemory] = field(default_factory=dict)  # by the probe's name
    dormancy: Dormancy | None = None
    finish: Finish | None = None
    attempts: int = 0
    executed: int = 0
    outcomes: dict[int, int] = field(default_factory=dict)
    offered_to: list[bytes] = field(default_factory=list)
    holder: bytes = b""  # who has custody as far as it was read
    lost: dict[bytes, None] = field(default_factory=dict)  # devices from which custody was claimed
    # By path, until the call is tried: what the newest denier has said under its newest policy, each rule once.
    denials: dict[str, list[Denial]] = field(default_factory=dict)
    denied_by: dict[bytes, int] = field(default_factory=dict)  # device -> age of its newest denial
    offer_ages: dict[bytes, int] = field(default_factory=dict)  # device -> age at the newest offer to it
    loops: int = 0  # turns in a row that changed nothing: see `loops`
    last_age_ms: int = 0
    last_wall_ms: int = 0
    is_opaque: bool = False  # a turn on the chain has a kind that this version does not know
    is_withheld: bool = False  # a sealed part cannot be read here, or an input that was taken is not here
    # Inputs that a turn took and that are not here (yet): a turn's past need not hold all it took.
    awaited: list[bytes] = field(default_factory=list)

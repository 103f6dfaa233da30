"""One device of a world: its plan, its process over its store, and what a person can ask of it."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..base.errors import UsageError
from ..base.moment import Moment, Trust
from ..base.units import DAY_MS
from ..judge.plan import Plan
from ..judge.policy import Policy
from ..node import commands as c
from ..node import events as e
from ..node.eviction import StoreTerms
from ..node.membership import QUARANTINE
from ..node.node import Node
from ..node.parts import Reservation, Settings
from ..node.quarantine import open_mending
from ..node.store import Store
from ..node.validity import Stance
from ..objects.condition_text import parse
from ..objects.keys import SigningKey
from ..program.app import App
from .timetable import Timetable

WALL_START_MS = 1_700_000_000_000  # 14 November 2023; any day would do


class DevicePlan(Struct, frozen=True):
    """One device to be made.

    Attributes:
        has: capabilities, such as `camera`. apps: besides those of the world. roles: in the fleet.
        policy: None for the default one. trust: of its wall clock. contact_plans: by destination, in the wall time of
            `WALL_START_MS`. cannot: capability -> condition that denies it. store: how much its spool may take.
            stance: what runs under a grant that may have expired.
    """

    name: str
    has: tuple[str, ...] = ()
    apps: tuple[object, ...] = ()
    roles: tuple[str, ...] = ("executor", "operator")
    policy: Policy | None = None
    trust: Trust = Trust.NTP
    contact_plans: Mapping[str, Plan] = {}
    cannot: Mapping[str, str] = {}
    store: StoreTerms = StoreTerms()
    stance: Stance = Stance.OBSERVE


class Device:
    """One device of a world: what a person could ask of it, and the node itself for checkers."""

    # What its probes read, by name: a reading (a map), or the lines of a log. One that is not here has no source.
    probes: dict[str, Any]

    def __init__(
        self, plan: DevicePlan, apps: Sequence[App], key: SigningKey, timetable: Timetable, chance: Random,
        ask: Callable[[Device, c.Command], Any],
    ) -> None:  # fmt: skip
        self._timetable = timetable
        self._chance = chance
        self._ask = ask
        self.plan = plan
        self.name = plan.name
        self.key = key
        self.apps = tuple(apps)
        self.root_keys: tuple[SigningKey, ...] = ()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.store = Store.open(self.connection)
        self.inbox: deque[e.Event] = deque()
        self.alarm_ms: int | None = None  # in the world's time
        self.turns = 0
        self.turned_ms = 0  # when it made the last one
        self.probes = {}
        self.boots = 0
        self.lives = 0  # processes so far; what an older one started is ignored
        self.boot_offset_ms = chance.randrange(DAY_MS)
        self.is_doomed = False
        self.is_stalled = False
        self.trust = plan.trust
        self.wall_shift_ms = 0  # by how much its wall clock is wrong
        self.is_late = False  # its own loop: what its steps see is held against nobody
        self._node: Node | None = None

    @property
    def is_up(self) -> bool:
        """Whether its process lives."""
        return self._node is not None

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.plan.policy or Policy.default()

    @property
    def node(self) -> Node:
        """The node.

        Raises:
            UsageError: the device is down: restart it first.
        """
        if self._node is None:
            raise UsageError(f"The device {self.name} is down. Call `world.restart({self.name!r})` first.")
        return self._node

    def read_moment(self, ms_ago: int = 0) -> Moment:
        """Return what its clocks show now, or showed before they were set last."""
        now_ms = self._timetable.now_ms - ms_ago
        return Moment(now_ms + self.boot_offset_ms, WALL_START_MS + now_ms + self.wall_shift_ms, self.trust)

    def start(self) -> None:
        """Start a process over the store that is there."""
        assert self._node is None
        self.lives += 1
        chance = self._chance
        settings = Settings(
            self.name, tuple(sorted(self.plan.has)), (), self._reservations(), chance.randbytes(8),
            f"{self.name}-{self.boots}", self.plan.contact_plans, store=self.plan.store,
            stance=self.plan.stance,
        )  # fmt: skip
        self._node = open_mending(
            self.store,
            lambda: Node(
                self.store, self.key, self.root_keys, self.apps, self.policy, settings,
                chance.randbytes, self.read_moment(),
            ),
        )  # fmt: skip
        self.inbox.append(e.Restored())

    def _reservations(self) -> tuple[Reservation, ...]:
        return tuple(Reservation(name, parse(text)) for name, text in self.plan.cannot.items())

    def die(self) -> None:
        """End the process: what only memory held is gone."""
        self._node = None
        self.inbox.clear()
        self.alarm_ms = None
        self.is_doomed = self.is_stalled = False

    def copy_card(self) -> bytes:
        """Return the bytes of the store as it is now."""
        return bytes(self.connection.serialize())

    def insert_card(self, card: bytes, why: str) -> None:
        """Begin on another store, quarantined for `why` unless that is empty; the process must not live."""
        assert self._node is None
        self.connection.close()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.deserialize(card)
        self.store = Store.open(self.connection)
        with self.store.transaction():
            self.store.set_meta(QUARANTINE, why)

    def post(self, life: int, event: e.Event) -> None:
        """Put an event into the inbox, if the process for which it was meant still lives."""
        if self.is_up and self.lives == life:
            self.inbox.append(event)

    def set_policy(self, policy: Policy) -> None:
        """Put another policy in force, as a daemon does that reads its file again; a later process has it, too."""
        self.plan = replace(self.plan, policy=policy)
        if self._node is not None:
            self.inbox.append(e.Called(partial(self._node.replace_policy, policy)))

    # --- Asking ---------------------------------------------------------------------------------------------------

    def ask(self, command: c.Command) -> Any:
        """Return the answer to any command of the control socket; None where it comes later (`wait`).

        Raises:
            UsageError: as the daemon would say it.
        """
        return self._ask(self, command)

    def submit(self, intent: str, arguments: Any = None, name: str = "", **fields: Any) -> dict[str, Any]:
        """Make an object; `fields` are those of the command `submit`. Return what `show` says of it."""
        value: dict[str, Any] = self.ask(c.Submit(intent, arguments, name=name, **fields))
        return value

    def show(self, reference: str) -> dict[str, Any]:
        """Return all about one object, by id or name."""
        value: dict[str, Any] = self.ask(c.Show(reference))
        return value

    def trace(self, reference: str) -> list[dict[str, Any]]:
        """Return every record of one object in causal order."""
        value: list[dict[str, Any]] = self.ask(c.Trace(reference))
        return value

    def signal(self, reference: str, name: str, value: Any = None) -> dict[str, Any]:
        """Give an object a named value, or complete its promise of that name."""
        answer: dict[str, Any] = self.ask(c.Signal(reference, name, value))
        return answer

    def fact(self, name: str, value: bool | int | float | str | None) -> None:
        """Set a fact; None withdraws it."""
        self.ask(c.FactSet(name, value))

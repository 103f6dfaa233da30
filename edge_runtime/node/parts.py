"""What every part of a node shares: the store's hands, this device's apps and facts, and the effects of the turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from ..base.limits import PROBE_COST_MS
from ..judge.plan import Plan
from ..objects.conditions import Condition
from ..objects.entries import Entry
from ..objects.revocations import work_of
from ..program.app import App, Intent
from ..program.driver import Start
from ..program.swarming import Work
from .adverts import Adverts
from .agenda import Agenda
from .effects import Effect, Note, Stage
from .eviction import Eviction, StoreTerms
from .facts import Facts
from .membership import Members
from .parking import is_freed_by
from .polls import Polls
from .room import Room
from .spool import Flight, Live, Spool
from .store import Store
from .timeline import Timeline
from .validity import Stance
from .writing import Pen


class Reservation(Struct, frozen=True):
    """A capability that a device does not have while a condition over its own facts holds."""

    subject: str
    condition: Condition


class Settings(Struct, frozen=True):
    """What the machine's configuration says of this device.

    Attributes:
        name: for people; used when the store has none yet.
        capabilities, resources: lower-case dotted names that steps may need.
        reservations: when a capability is denied all the same.
        topics: on which the machine has an advisor besides those of its apps; `*` stands for all.
        boot: 8 random bytes of this process start. boot_id: names the machine's boot.
        stance: what runs under a grant that may have expired.
        plans: contact plans by destination, in wall time. probe_cost_ms: the delay that is worth one attempt.
        store: how much the spool may take when the process begins; `Eviction.replace` changes it.
    """

    name: str
    capabilities: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    boot: bytes = b"\x00" * 8
    boot_id: str = ""
    plans: Mapping[str, Plan] = {}
    probe_cost_ms: int = PROBE_COST_MS
    topics: tuple[str, ...] = ()
    store: StoreTerms = StoreTerms()
    stance: Stance = Stance.OBSERVE


class Parts(Struct):
    """One device's parts. `effects` are those of the event being handled; they leave after the commit."""

    store: Store
    members: Members
    timeline: Timeline
    spool: Spool
    pen: Pen
    facts: Facts
    adverts: Adverts
    agenda: Agenda
    settings: Settings
    polls: Polls
    eviction: Eviction
    apps: tuple[App, ...] = ()
    effects: list[Effect] = field(default_factory=list)
    appended: list[tuple[Live, Entry]] = field(default_factory=list)
    works: dict[str, Work] = field(default_factory=dict)
    intents: dict[str, tuple[App, Intent]] = field(default_factory=dict)
    touched: dict[bytes, None] = field(default_factory=dict)
    room: Room = field(default_factory=Room)

    @property
    def device(self) -> bytes:
        """This device's id."""
        return self.members.device

    @property
    def wall_ms(self) -> int:
        """The wall clock of this event."""
        return self.timeline.moment.wall_ms

    def set_apps(self, apps: Sequence[App]) -> None:
        """Say which apps are loaded; the first app that has an intent's name serves it."""
        self.apps = tuple(apps)
        self.intents = {}
        self.works = {name: work for app in reversed(apps) for name, work in app.works.items()}
        for app in apps:
            for name, intent in app.intents.items():
                self.intents.setdefault(name, (app, intent))

    @property
    def advises_any(self) -> bool:
        """Whether this device has an advisor at all."""
        return bool(self.settings.topics) or any(app.advisors for app in self.apps)

    def advises(self, topic: str) -> bool:
        """Say whether this device has an advisor on a topic."""
        topics = self.settings.topics
        return topic in topics or "*" in topics or any(topic in app.advisors for app in self.apps)

    def intent_of(self, live: Live) -> Intent | None:
        """Return the handler of an object's intent, if an app here has it."""
        found = self.intents.get(live.state.content.intent)
        return None if found is None else found[1]

    def start_of(self, live: Live) -> Start:
        """Return what a body is told of the object that it runs for."""
        content, origin = live.state.content, live.state.content.origin
        depth = 0 if origin is None else origin.depth
        return Start(live.object, content.lineage, self.device, live.state.history.created.lifetime_ms, depth)

    def is_held(self, live: Live) -> bool:
        """Say whether an operator holds this object or this device: no new effects then."""
        return live.state.holding == 0 or bool(self.store.get_meta("held", 0))

    def may_write(self, live: Live) -> bool:
        """Say whether this device may write into an object: not in quarantine, nor where it is declared compromised."""
        return not self.members.is_quarantined and not any(self.members.revocations.is_compromised(root, self.device)
                       for root in live.state.history.created.roots)  # fmt: skip

    def under(self, live: Live, step: str = "") -> tuple[tuple[bytes, bytes], ...]:
        """Return the pairs of fleet and device on whose grants an effect in an object rests: its maker's and ours.

        Args:
            step: its name; with it also what stands for the maker and us doing such steps, and such intents.
        """
        history, names = live.state.history, (step, live.state.content.intent) if step else ()
        devices = (history.placed[history.object].entry.author, self.device)
        whats = (*devices, *(work_of(device, name) for device in devices for name in names))
        return tuple((root, what) for root in history.created.roots for what in whats)

    def take_in(self, live: Live, entry: Entry) -> None:
        """Note an entry that was stored in this event; if the object has ended with it, who waits for that wakes."""
        self.appended.append((live, entry))
        if live.parked and is_freed_by(live, entry):
            self.spool.park(live, "")
        if live.state.content.finish is not None:
            self.agenda.wake_topic(f"object:{live.object.hex()}")

    def note(self, stage: Stage, live: Live, **fields: Any) -> None:
        """Leave a note for the log."""
        self.effects.append(Note(stage, live.object, fields))

    # --- Steps in flight, and their deaths --------------------------------------------------------------------

    def keep_flight(self, live: Live, path: str, flight: Flight) -> None:
        """Write down, in the commit that releases a step, that it runs: a process that dies leaves this row."""
        live.flights[path] = flight
        self.touched[live.object] = None
        self.store.run(
            "INSERT OR REPLACE INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                live.row, path, flight.attempt, flight.try_number, flight.fingerprint, flight.effect,
                flight.released_ms, flight.verdict, flight.attempts_max, flight.peer,
            ),
        )  # fmt: skip

    def forget_flight(self, live: Live, path: str) -> None:
        """The step came back."""
        del live.flights[path]
        self.touched[live.object] = None
        self.store.run("DELETE FROM releases WHERE object = ? AND path = ?", (live.row, path))

    # --- Keyed state --------------------------------------------------------------------------------------------

    def get_state(self, live: Live, name: str) -> bytes | None:
        """Return a value of the state that an intent keeps on this device."""
        found = self.store.run(
            "SELECT value FROM keyed_state WHERE scope = ? AND name = ?", (live.state.content.intent, name)
        ).fetchone()
        return None if found is None else bytes(found[0])

    def set_state(self, live: Live, name: str, value: bytes) -> None:
        """Set a value of that state, in this turn's transaction."""
        self.store.run(
            "INSERT OR REPLACE INTO keyed_state VALUES (?, ?, ?)", (live.state.content.intent, name, value)
        )

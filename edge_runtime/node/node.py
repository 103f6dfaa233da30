"""`Node`: one device as a function of its store, the event and the moment.

`handle` is synchronous and deterministic: all it knows is the event, the moment and the store. It is called inside an
open transaction (`turns.run_turn`), and what it returns may be done only after the commit. Dropping a node and making
a new one over the same store loses nothing: effects are derived again from the store (`Restored`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, assert_never

from ..base.errors import PeerError, UsageError
from ..base.limits import DEATHS_MAX
from ..base.moment import Moment
from ..judge.outcomes import Outcome
from ..judge.policy import Policy
from ..objects import bodies as b
from ..objects.entries import Entry
from ..objects.keys import SigningKey
from ..objects.kinds import Kind
from ..objects.records import make
from ..program.app import App
from . import commands as c
from . import events as e
from . import messages as m
from .adverts import Adverts
from .agenda import Agenda
from .answers import Answers
from .capsules import Capsules
from .contacts import Contact, Contacts
from .custody import Custody
from .effects import Answer, Effect, MembershipChanged, Note, Stage, Turn
from .facts import Facts
from .intake import Intake
from .judgement import Judgement
from .lookup import find_object
from .membership import Members, Membership
from .parts import Parts, Settings
from .reconcile import Reconciler
from .requests import Requests
from .shelving import Shelving
from .spool import Live, Spool
from .store import Quarantined, Store
from .timeline import Timeline
from .turning import Turner
from .writing import Pen


class Node:
    """One device.

    Args:
        store: belongs to this node from now on.
        key: the device's key. root_keys: fleets' root keys that are kept on this device.
        apps, policy, settings: what the machine's configuration says.
        entropy: a source of random bytes; only names of contacts and new fleets need it, never a decision.
        moment: the clocks now.

    Must be made inside `store.transaction()`: making it may rebuild derived tables.
    """

    def __init__(
        self, store: Store, key: SigningKey, root_keys: Sequence[SigningKey], apps: Sequence[App], policy: Policy,
        settings: Settings, entropy: Callable[[int], bytes], moment: Moment,
    ) -> None:  # fmt: skip
        members = Members(store, key, root_keys, settings.name)
        timeline = Timeline(store, moment, settings.boot_id)
        spool = Spool(store, members, timeline)
        pen = Pen(spool, members, timeline, settings.boot, self._on_append)
        parts = Parts(
            store, members, timeline, spool, pen, Facts(store), Adverts(store, members), Agenda(store), settings
        )
        parts.set_apps(apps)
        self.entropy = entropy
        self.parts = parts
        self.contacts = Contacts(parts, Reconciler(parts))
        self.custody = Custody(parts, self.contacts.devices)
        self.judgement = Judgement(parts, policy, self.contacts.devices)
        self.shelving = Shelving(parts)
        self.turner = Turner(parts, self.judgement, self.custody, self.shelving)
        self.intake = Intake(parts)
        self.answers = Answers(parts, self.contacts, self.intake)
        self.requests = Requests(parts, self.custody, self.answers, self.turner.go_on)
        self.capsules = Capsules(parts, self.intake, self.turner.go_on, self._find)
        self._waiters: dict[bytes, list[int]] = {}
        self._followers: dict[bytes, list[int]] = {}
        if timeline.gap_is_unknown:
            store.run("UPDATE objects SET age_is_exact = 0")
        if store.is_derived_missing():
            self.rebuild()

    # --- For the host ---------------------------------------------------------------------------------------------

    def membership(self) -> Membership:
        """Return who this device is and whom it trusts."""
        return self.parts.members.membership()

    def replace_apps(self, apps: Sequence[App]) -> None:
        """Load other apps; objects that wait for an app are looked at."""
        self.parts.set_apps(apps)
        self._say_advert()
        self.parts.agenda.wake_topic("apps")

    def replace_policy(self, policy: Policy) -> None:
        """Judge by another policy from now on; what waits for one is looked at."""
        self.judgement.replace_policy(policy)
        self.parts.agenda.wake_topic("fact:policy.version")

    def rebuild(self) -> None:
        """Derive every derived table anew from the source tables."""
        self.parts.store.clear_derived()
        for (row,) in self.parts.store.run("SELECT row FROM objects ORDER BY row").fetchall():
            live = self._find(row)
            if live is not None:
                self.shelving.put_away(live)
                self.parts.spool.shrink()

    def handle(self, event: e.Event, moment: Moment) -> Turn:
        """Handle one event and return what it came to. Raises nothing that a peer or user can cause.

        Any other exception is a bug: `turns.run_turn` rolls the event back and sets its objects aside.
        """
        parts = self.parts
        parts.timeline.advance(moment)
        parts.effects, parts.appended = [], []
        parts.touched.clear()
        self._dispatch(event)
        self._after(event)
        return Turn(len(parts.appended), parts.effects, None)

    def alarm_boot_ms(self) -> int | None:
        """Return when the node wants `TimeCame`, on the boot clock; None if nothing is ever due."""
        timeline = self.parts.timeline
        if len(self.parts.agenda):
            return timeline.boot_ms_of(timeline.life_ms)
        due_ms = self.parts.agenda.next_due_ms()
        return None if due_ms is None else timeline.boot_ms_of(due_ms)

    def recover(self, objects: Sequence[bytes], reason: str) -> list[Effect]:
        """After an event that raised was rolled back: drop what memory holds of it, set its objects aside."""
        self.forget_memory(objects)
        notes: list[Effect] = []
        for object_id in objects:
            live = self.parts.spool.find(object_id)
            if live is not None:
                self.parts.spool.park(live, f"quarantined: {reason[:200]}")
                self.shelving.put_away(live)
                notes.append(Note(Stage.STORED, object_id, {"quarantined": reason[:200]}, is_info=True))
        return notes

    def forget_memory(self, objects: Sequence[bytes] | None = None) -> None:
        """Drop cached objects (all of them for None) and counters after a rollback."""
        if objects is None:
            self.parts.spool.forget_all()
        for object_id in objects or ():
            self.parts.spool.forget(object_id)
        self.parts.members.forget_sequence()
        self.parts.members.reload()
        self.parts.adverts.reload()
        self.parts.facts.reload()

    # --- Events ---------------------------------------------------------------------------------------------------

    def _dispatch(self, event: e.Event) -> None:
        match event:
            case e.StepEnded():
                live = self.parts.spool.find(event.object)
                if live is not None:
                    self.turner.take_outcome(live, event)
            case e.TimeCame():
                self.parts.agenda.wake_due(self.parts.timeline.life_ms)
            case e.Asked():
                self._answer(event.ticket, event.command)
            case e.AskerGone():
                self._forget_asker(event.ticket)
            case e.Heard():
                self._hear(event)
            case e.Drained():
                self.contacts.hear_drained(event)
            case e.ContactOpened():
                self._open_contact(event)
            case e.ContactEnded():
                self._end_contact(event)
            case e.FactRead():
                self._read_fact(event)
            case e.EventHappened():
                self.parts.agenda.wake_topic(f"event:{event.name}")
            case e.Imported():
                self.parts.effects.append(self.capsules.take(event))
            case e.FleetMade():
                self._found_fleet(event)
            case e.Restored():
                self._restore()
            case e.Called():
                event.function()
            case _:
                assert_never(event)

    def _after(self, event: e.Event) -> None:
        """Go on with what woke, push what is new to peers, tell waiters and followers."""
        parts = self.parts
        for row in parts.agenda.take():
            live = self._find(row)
            if live is not None:
                self.turner.go_on(live)
        origin = event.contact if isinstance(event, e.Heard) else -1
        for live, entry in parts.appended:
            is_foreign = entry.author != parts.device
            self.contacts.push(live, entry, origin if is_foreign else -1)
            self._tell_followers(live, entry)
        for object_id, offer, offerer, reason in self.custody.refusals:
            self.contacts.refuse(object_id, offer, offerer, reason)
        self.custody.refusals.clear()
        self.contacts.pump_all()
        self._tell_waiters()
        parts.spool.shrink()

    def _on_append(self, live: Live, entry: Entry) -> None:
        self.parts.appended.append((live, entry))
        self.parts.note(Stage.APPENDED, live, entry=entry.id.hex()[:16], records=len(entry.records))

    def _find(self, row: int) -> Live | None:
        try:
            return self.parts.spool.find_row(row)
        except Quarantined as error:
            self.parts.store.run("UPDATE objects SET parked = ? WHERE row = ?", (f"quarantined: {error}", row))
            self.parts.store.run(
                "UPDATE shelf SET status = 'dormant', reason = ?, due_ms = NULL WHERE object = ?",
                (f"quarantined: {error}", row),
            )
            fields: dict[str, Any] = {"quarantined": str(error)}
            self.parts.effects.append(Note(Stage.VERIFIED, b"", fields, is_info=True))
            return None

    def _restore(self) -> None:
        """Derive the effects again: steps that were running died with the last process; what waits is looked at."""
        parts = self.parts
        self._say_advert()
        dead = parts.store.run("SELECT object, path, attempt, try_number FROM releases ORDER BY object, path").fetchall()
        parts.store.run("DELETE FROM releases")  # before any object is loaded: it would take them for running
        for row, path, attempt, try_number in dead:
            live = self._find(row)
            if live is not None and self.turner.is_turnable(live):
                self._record_death(live, path, bytes(attempt), try_number)
                parts.agenda.add(row)
        for (row,) in parts.store.run("SELECT object FROM shelf WHERE status IN ('awake', 'attempting')").fetchall():
            parts.agenda.add(row)
        parts.agenda.wake_topic("apps")

    def _record_death(self, live: Live, path: str, attempt: bytes, try_number: int) -> None:
        memory = live.state.content.steps.get(path)
        deaths = 1 + (memory.deaths if memory is not None else 0)
        body = b.ExecutedSealed(
            attempt, try_number, path, b"\x00" * 16, int(b.EffectClass.IDEMPOTENT), "", "", "", int(Outcome.CRASHED),
            False, b"", f"the process ended during this step (deaths {deaths})", "ProcessDeath", 0, None, 1, "",
        )  # fmt: skip
        live.made.append(make(Kind.EXECUTED, b.Empty(), body))
        self.parts.pen.write_turn(live, self.parts.spool.age_ms(live))
        if deaths >= DEATHS_MAX:
            self.parts.spool.park(live, f"quarantined: {deaths} process deaths in step {path}")

    def _say_advert(self) -> None:
        settings = self.parts.settings
        intents = [(name, app.version) for name, (app, _) in sorted(self.parts.intents.items())]
        life_ms = self.parts.timeline.life_ms
        if self.parts.adverts.say(settings.capabilities, settings.resources, intents, life_ms):
            own = self.parts.adverts.by_device[self.parts.device][1]
            self.contacts.tell_adverts([own])

    def _read_fact(self, event: e.FactRead) -> None:
        life_ms = self.parts.timeline.life_ms
        if self.parts.facts.put(event.name, event.value, event.origin, event.max_age_ms, life_ms):
            self.parts.agenda.wake_topic(f"fact:{event.name}")

    def _found_fleet(self, event: e.FleetMade) -> None:
        grant = self.parts.members.found_fleet(event.name, event.key, self.parts.wall_ms)
        self._say_advert()
        self.parts.effects.append(MembershipChanged())
        value = {"fleet": event.key.public.hex(), "name": event.name, "grant": grant.id.hex()}
        self.parts.effects.append(Answer(event.ticket, value))

    # --- Peers ----------------------------------------------------------------------------------------------------

    def _open_contact(self, event: e.ContactOpened) -> None:
        if self.contacts.open(event) is not None:
            self._put_link_fact(event.device, "up")
            self._wake_peer(event.device)

    def _end_contact(self, event: e.ContactEnded) -> None:
        contact = self.contacts.end(event)
        if contact is not None:
            if contact.device not in self.contacts.devices():
                self._put_link_fact(contact.device, "down")
            self._wake_peer(contact.device)

    def _put_link_fact(self, device: bytes, state: str) -> None:
        """`link.<device>` says whether a peer is in contact, by its name."""
        name = "".join(letter if letter.isalnum() else "_" for letter in self.parts.adverts.name_of(device).lower())
        self._read_fact(e.FactRead(f"link.{name}", state, "link"))

    def _wake_peer(self, device: bytes) -> None:
        """A peer came, went, or said something new of itself: wake what waits for what it has."""
        agenda = self.parts.agenda
        self.judgement.signal_links()
        agenda.wake_topic(f"peer:{device.hex()}")
        found = self.parts.adverts.by_device.get(device)
        for capability in found[0].capabilities if found is not None else ():
            agenda.wake_topic(f"peer:{capability}")
            agenda.wake_topic(f"fact:peer.{capability}")
        for intent, _ in found[0].intents if found is not None else ():
            agenda.wake_topic(f"peer:{intent}")

    def _hear(self, event: e.Heard) -> None:
        contact = self.contacts.hear_bytes(event)
        if contact is None:
            return
        match event.message:
            case m.Hello():
                self.contacts.hear_hello(contact, event.message)
            case m.Adverts(items):
                self._hear_adverts(contact, items)
            case m.Heads():
                self.contacts.hear_heads(contact, event.message)
            case m.Want():
                self.contacts.hear_want(contact, event.message)
            case m.Entries():
                self._hear_entries(contact, event, event.message)
            case m.Refuse(object_id, offer, reason):
                live = self.parts.spool.find(object_id)
                if live is not None:
                    age_ms = self.parts.spool.age_ms(live)
                    if self.custody.hear_refusal(live, offer, contact.device, reason, age_ms):
                        self.turner.go_on(live)
            case _:
                assert_never(event.message)

    def _hear_adverts(self, contact: Contact, items: tuple[bytes, ...]) -> None:
        fresh: list[bytes] = []
        for raw in items:
            try:
                advert = self.parts.adverts.keep(raw, self.parts.timeline.life_ms)
            except PeerError as error:
                self.intake.count(error)
                continue
            if advert is not None:
                fresh.append(raw)
                self._wake_peer(advert.device)
        self.contacts.tell_adverts(fresh, but=contact.number)

    def _hear_entries(self, contact: Contact, event: e.Heard, message: m.Entries) -> None:
        try:
            taken = self.intake.take(
                message.object, message.grants, event.entries, message.age_ms, message.age_is_exact
            )
        except Quarantined as error:
            self.intake.count(PeerError("quarantined", str(error)))
            return
        if taken.live is None:
            if taken.aside:
                self.contacts.ask_for(contact, message.object)
            return
        self.contacts.heard_entries(contact, taken.live, event.entries, is_incomplete=taken.aside > 0)
        if taken.new:
            self.turner.go_on(taken.live)

    # --- Asking ---------------------------------------------------------------------------------------------------

    def _answer(self, ticket: int, command: c.Command) -> None:
        try:
            value = self._perform(ticket, command)
        except UsageError as error:
            # `run_turn` rolls the event's savepoint back with this flag: what was refused changed nothing.
            raise Refused(ticket, error) from None
        if value is not None:
            self.parts.effects.append(Answer(ticket, value))

    def _perform(self, ticket: int, command: c.Command) -> Any:  # noqa: PLR0911, one line a command
        requests, answers, parts = self.requests, self.answers, self.parts
        match command:
            case c.Submit():
                live = requests.submit(command)
                return self._wait_or_show(ticket, live) if command.wait else answers.show(live)
            case c.Show():
                return answers.show(find_object(parts, command.object))
            case c.Wait():
                return self._wait_or_show(ticket, find_object(parts, command.object))
            case c.List():
                return answers.rows(command)
            case c.Trace():
                return self._trace(ticket, command)
            case c.Explain():
                return self.judgement.explain(find_object(parts, command.object))
            case c.Signal():
                return requests.signal(command)
            case c.Cancel():
                return requests.cancel(command)
            case c.Hold():
                return requests.hold(command, 0)
            case c.Release():
                return requests.hold(command, 1)
            case c.Resume():
                return requests.resume(command)
            case c.Claim():
                return requests.claim(command)
            case c.Hand():
                return requests.hand(command)
            case _:
                return self._perform_for_device(command)

    def _perform_for_device(self, command: c.Command) -> Any:
        requests, answers = self.requests, self.answers
        match command:
            case c.FactSet():
                return requests.set_fact(command)
            case c.Raise():
                return requests.raise_event(command)
            case c.Facts():
                return answers.facts()
            case c.Peers():
                return answers.peers()
            case c.Contacts():
                return answers.contact_rows(command)
            case c.Status():
                return answers.status()
            case c.Apps():
                return answers.apps()
            case c.Initialise():
                return requests.initialise(command)
            case c.FleetShow():
                return answers.fleet()
            case c.Grant():
                return requests.issue_grant(command)
            case c.Join():
                value = requests.join(command)
                self._say_advert()
                return value
            case c.Radio():
                return requests.switch_radio(command)
            case c.Export():
                return self.capsules.export(find_object(self.parts, command.object))
            case _:
                raise UsageError(f"`{type(command).__name__}` is answered by the host, not by the node.")

    def _trace(self, ticket: int, command: c.Trace) -> Any:
        live = find_object(self.parts, command.object)
        rows = self.answers.trace(live)
        if not command.follow:
            return rows
        self.parts.effects.extend(Answer(ticket, row, is_last=False) for row in rows)
        if live.state.content.finish is not None:
            return {"followed": live.object.hex()}
        self._followers.setdefault(live.object, []).append(ticket)
        return None

    def _wait_or_show(self, ticket: int, live: Live) -> Any:
        if live.state.content.finish is not None:
            return self.answers.show(live)
        self._waiters.setdefault(live.object, []).append(ticket)
        return None

    def _tell_waiters(self) -> None:
        told: dict[bytes, None] = {}
        for live, _ in self.parts.appended:
            if live.state.content.finish is None or live.object in told:
                continue
            told[live.object] = None
            tickets = self._waiters.pop(live.object, ())
            value = self.answers.show(live) if tickets else None
            self.parts.effects.extend(Answer(ticket, value) for ticket in tickets)
            followers = self._followers.pop(live.object, ())
            self.parts.effects.extend(Answer(ticket, {"followed": live.object.hex()}) for ticket in followers)

    def _tell_followers(self, live: Live, entry: Entry) -> None:
        tickets = self._followers.get(live.object, ())
        for row in self.answers.trace_rows(live, entry) if tickets else ():
            self.parts.effects.extend(Answer(ticket, row, is_last=False) for ticket in tickets)

    def _forget_asker(self, ticket: int) -> None:
        for table in (self._waiters, self._followers):
            for object_id in list(table):
                table[object_id] = [item for item in table[object_id] if item != ticket]
                if not table[object_id]:
                    del table[object_id]


class Refused(Exception):  # noqa: N818, it is carried to `run_turn`, never seen outside
    """A request was refused: its savepoint is rolled back, then the asker is told."""

    def __init__(self, ticket: int, error: UsageError) -> None:
        super().__init__(str(error))
        self.ticket = ticket
        self.error = error

"""`Node`: one device as a function of its store, the event and the moment.

`handle` is synchronous and deterministic: all it knows is the event, the moment and the store. It is called inside an
open transaction (`turns.run_turn`), and what it returns may be done only after the commit. Dropping a node and making
a new one over the same store loses nothing: effects are derived again from the store (`Restored`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, assert_never

from ..base.foreign import contained
from ..base.moment import Moment
from ..judge.evaluate import CAPABILITIES_FACT
from ..judge.policy import Policy
from ..objects.entries import Entry
from ..objects.keys import SigningKey
from ..program.app import App
from . import events as e
from . import surroundings
from .absence import note_absence, settle_absence
from .acquaintance import Acquaintance
from .adverts import Adverts
from .advising import Advising
from .agenda import Agenda
from .answers import Answers
from .asking import Asking
from .authority import Authority
from .capsules import Capsules
from .contacts import Contacts
from .custody import Custody
from .effects import Answer, Effect, MembershipChanged, Note, Stage, Turn
from .eviction import Eviction
from .facts import Facts
from .hearing import Hearing
from .incapacity import Capacity
from .intake import Intake
from .judgement import Judgement
from .membership import Members, Membership
from .pacing import Pacing
from .parts import Parts, Settings
from .polls import Polls
from .quarantine import Quarantine
from .reconcile import Reconciler
from .requests import Requests
from .results import Results
from .returning import Returning
from .restoring import Restoring
from .revoking import Revoking
from .room import Shortage
from .schedules import Schedules
from .scrubbing import Scrub
from .shelving import ADVICE_TOPIC, UNITS_TOPIC, Shelving
from .spool import Live, Spool
from .store import Quarantined, Store, is_damage
from .swarming import PATH_PREFIX, Swarming
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
        agenda, polls = Agenda(store), Polls(store, spool, timeline)
        eviction = Eviction(store, spool, agenda, polls, settings.store)
        parts = Parts(
            store, members, timeline, spool, pen, Facts(store), Adverts(store, members), agenda, settings, polls,
            eviction,
        )  # fmt: skip
        parts.set_apps(apps)
        self.entropy = entropy
        self.parts = parts
        capacity = Capacity(parts)
        self.contacts = Contacts(parts, Reconciler(parts), capacity)
        pacing = Pacing(parts, self.contacts.kind_of)
        acquaintance = Acquaintance(parts, pacing)
        self.judgement = Judgement(parts, Authority(parts, policy), self.contacts.devices, capacity, pacing)
        self.custody = Custody(
            parts, self.contacts.steady, capacity, self.judgement.is_rejected, acquaintance.likelihood_ppb
        )
        self.shelving = Shelving(parts)
        self.turner = Turner(parts, self.judgement, self.custody, self.shelving)
        self.quarantine = Quarantine(parts)
        self.intake = Intake(parts, self.quarantine)
        self.scrub = Scrub(parts)
        self.answers = Answers(parts, self.contacts, self.intake, self.quarantine, self.scrub)
        self.results = Results(parts, self.answers.show)
        go_on = self.turner.go_on
        self.advising = Advising(parts, go_on)
        self.swarming = Swarming(parts, self.judgement, go_on)
        self.capsules = Capsules(parts, self.intake, go_on, lambda live, entry: self.hearing.judge(live, entry))
        requests = Requests(parts, self.custody, self.answers, go_on)
        self.schedules = Schedules(parts, requests.submit, self.forget_memory)
        revoking = Revoking(
            parts, self.contacts, self.intake, self.shelving, lambda event: self.hearing.end_contact(event)
        )
        self.returning = Returning(parts)
        self.asking = Asking(
            parts, requests, revoking, self.answers, self.capsules, self.judgement, self.schedules, self.returning,
            self._say_advert,
        )
        self.hearing = Hearing(
            parts, self.contacts, self.intake, self.custody, self.judgement, revoking, acquaintance, go_on,
            self.returning,
        )
        self.restoring = Restoring(parts, self.judgement, spool.find_row, self.turner.is_turnable, self._say_advert)
        note_absence(store, timeline)
        self.returning.on_end = self._end_quarantine
        if store.is_derived_missing():
            self.rebuild()
        surroundings.introduce(parts, policy.hash)

    # --- For the host ---------------------------------------------------------------------------------------------

    def membership(self) -> Membership:
        """Return who this device is and whom it trusts."""
        return self.parts.members.membership()

    def replace_apps(self, apps: Sequence[App]) -> None:
        """Load other apps; objects that wait for an app are looked at."""
        self.parts.set_apps(apps)
        self._say_advert()
        self.restoring.are_apps_new()  # noted
        self.parts.agenda.wake_topic("apps")
        self.parts.agenda.wake_topic(ADVICE_TOPIC)
        self.parts.agenda.wake_topic(UNITS_TOPIC)

    def replace_policy(self, policy: Policy) -> None:
        """Judge by another policy from now on; what waits for one is looked at."""
        self.judgement.authority.replace_policy(policy)
        surroundings.say_policy(self.parts, policy.hash)
        self.parts.agenda.wake_topic(UNITS_TOPIC)

    def rebuild(self) -> None:
        """Derive every derived table anew from the source tables."""
        self.parts.store.clear_derived()
        self.parts.spool.forget_derived()
        for (row,) in self.parts.store.run("SELECT row FROM objects ORDER BY row").fetchall():
            live = self.parts.spool.find_row(row)
            if live is not None:
                self.shelving.put_away(live)
                self.parts.spool.shrink()
        self.parts.eviction.tombstones.rebuild()

    def handle(self, event: e.Event, moment: Moment) -> Turn:
        """Handle one event and return what it came to. Raises nothing that a peer or user can cause.

        Any other exception is a bug: `turns.run_turn` rolls the event back and sets its objects aside.
        """
        parts = self.parts
        trust = parts.timeline.moment.trust
        parts.timeline.advance(moment)
        surroundings.follow_clock(parts, trust)
        parts.effects, parts.appended = [], []
        parts.touched.clear()
        parts.spool.changed.clear()
        self._dispatch(event)
        self._after(event)
        return Turn(len(parts.appended), parts.effects, None)

    def alarm_boot_ms(self) -> int | None:
        """Return when the node wants `TimeCame`, on the boot clock; None if nothing is ever due."""
        timeline = self.parts.timeline
        rooms_ms, looks_ms = self.parts.eviction.next_ms(), self.parts.agenda.next_look_ms(timeline.life_ms)
        dues_ms = (looks_ms, self.schedules.next_life_ms(), rooms_ms, self.scrub.next_ms())
        due_ms = min((due_ms for due_ms in dues_ms if due_ms is not None), default=None)
        return None if due_ms is None else timeline.boot_ms_of(due_ms)

    def settle_clock(self) -> None:
        """At the end of a turn, once the wall clock is trusted: count in how long the power was off."""
        if settle_absence(self.parts):
            self.forget_memory()

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
            self.parts.polls.forget()
        for object_id in objects or ():
            self.parts.spool.forget(object_id)
            self.parts.polls.forget(object_id)
        self.parts.store.forget_meta()
        self.parts.spool.forget_derived()
        self.parts.eviction.forget()
        self.parts.members.forget_sequence()
        self.parts.members.reload()
        self.parts.adverts.reload()
        self.parts.facts.reload()
        self.parts.agenda.happenings.reload()
        self.judgement.recount()
        self.advising.forget(objects)
        self.swarming.forget(objects)

    # --- Events ---------------------------------------------------------------------------------------------------

    def _dispatch(self, event: e.Event) -> None:
        match event:
            case e.StepEnded():
                self._take_outcome(event)
            case e.StepWithheld():
                self._take_outcome(event)
            case e.StepProgressed():
                self.swarming.take_progress(event)
            case e.AdviceGiven():
                self.advising.take(event)
            case e.ProbeAnswered():
                live = self.parts.spool.find(event.object)
                if live is not None:
                    self.turner.polling.take_answer(live, event)
            case e.TimeCame():
                self.parts.agenda.wake_due(self.parts.timeline.life_ms)
            case e.Asked():
                self.asking.answer(event.ticket, event.command)
            case e.AskerGone():
                self.asking.forget(event.ticket)
            case e.Heard():
                self.hearing.hear(event)
            case e.Drained():
                self.contacts.hear_drained(event)
            case e.ContactOpened():
                self.hearing.open_contact(event)
            case e.ContactEnded():
                self.hearing.end_contact(event)
            case e.FactRead():
                surroundings.take_fact(self.parts, event)
            case e.EventHappened():
                self.parts.agenda.happen(f"event:{event.name}", self.parts.timeline.life_ms)
            case e.Imported():
                self.parts.effects.append(self.capsules.take(event))
            case e.FleetMade():
                self._found_fleet(event)
            case e.Inviting() | e.Enrolling():
                self.asking.enrol(event)
            case e.Restored():
                self.restoring.restore()
            case e.Called():
                event.function()
            case _:
                assert_never(event)

    def _take_outcome(self, event: e.StepEnded | e.StepWithheld) -> None:
        """A step came back to the body that called it, or to the swarm that it was done for."""
        is_unit = event.path.startswith(PATH_PREFIX)
        live = self.parts.spool.find(event.object)
        match event:
            case e.StepEnded() if is_unit:
                self.swarming.take(event)
            case e.StepWithheld() if is_unit:
                self.swarming.take_withheld(event)
            case e.StepEnded() if live is not None:
                self.turner.take_outcome(live, event)
            case e.StepWithheld() if live is not None:
                self.turner.take_withheld(live, event)
            case _:
                pass  # the object is not here any more

    def _after(self, event: e.Event) -> None:
        """Go on with what woke, push what is new to peers, tell waiters and followers."""
        parts = self.parts
        self.schedules.submit_due()
        self.judgement.places.hand_out()
        for row in parts.agenda.take(parts.timeline.life_ms):
            self._look(row)
        self.judgement.places.hand_out()
        self.swarming.look(parts.touched)
        origin = event.contact if isinstance(event, e.Heard) else -1
        for live, entry in parts.appended:
            is_foreign = entry.author != parts.device
            self.contacts.push(live, entry, origin if is_foreign else -1)
            self.asking.tell_followers(live, entry)
        for object_id, offer, offerer, reason in self.custody.refusals:
            self.contacts.refuse(object_id, offer, offerer, reason)
        self.custody.refusals.clear()
        if parts.settings.reservations:
            self.contacts.tell_denials()
        self.contacts.pump_all()
        self.asking.tell_waiters()
        self.advising.ask_about(parts.touched)
        self.results.note_ends()
        parts.effects.extend(parts.eviction.tend(bool(parts.appended)))
        self.hearing.say_room(Shortage.SPOOL, parts.eviction.why_full())
        parts.agenda.save_rest(parts.timeline.life_ms)
        parts.spool.shrink()
        self._scrub(event)

    def _scrub(self, event: e.Event) -> None:
        parts, is_quiet = self.parts, False
        if parts.appended:
            self.scrub.postpone()
        elif self.scrub.next_ms() is not None and isinstance(event, e.TimeCame):
            due_ms = parts.agenda.next_look_ms(parts.timeline.life_ms)
            is_quiet = due_ms is None or due_ms > parts.timeline.life_ms
        parts.effects.extend(self.scrub.look(is_quiet))

    def _look(self, row: int) -> None:
        """Go on with one object in a savepoint of its own: neither the event nor others pay for a mistake there."""
        parts = self.parts
        effects, appended = len(parts.effects), len(parts.appended)
        parts.store.run("SAVEPOINT look")
        with contained() as caught:
            live = self.parts.spool.find_row(row)
            if live is not None:
                self.turner.go_on(live)
        if isinstance(caught.error, (sqlite3.OperationalError, Quarantined)) or is_damage(caught.error):
            raise caught.error or AssertionError  # the disk, or another object
        if caught.error is not None:
            parts.store.run("ROLLBACK TO look")
            found = parts.store.run("SELECT id FROM objects WHERE row = ?", (row,)).fetchone()
            del parts.effects[effects:], parts.appended[appended:]
            parts.effects.extend(self.recover([bytes(found[0])], f"{type(caught.error).__name__}: {caught.error}"))
        parts.store.run("RELEASE look")

    def _on_append(self, live: Live, entry: Entry) -> None:
        self.parts.take_in(live, entry)
        self.parts.note(Stage.APPENDED, live, entry=entry.id.hex()[:16], records=len(entry.records))

    def _say_advert(self) -> None:
        settings = self.parts.settings
        intents = [(name, app.version) for name, (app, _) in sorted(self.parts.intents.items())]
        life_ms = self.parts.timeline.life_ms
        if self.parts.adverts.say(settings.capabilities, settings.resources, intents, life_ms):
            own = self.parts.adverts.by_device[self.parts.device][1]
            self.contacts.tell_adverts([own])
            self.parts.agenda.wake_topic(f"fact:{CAPABILITIES_FACT}")

    def _end_quarantine(self) -> None:
        self.restoring.count_deaths()
        own = self.parts.adverts.jump(self.parts.timeline.life_ms)
        self.contacts.tell_adverts([own] if own else [])

    def _found_fleet(self, event: e.FleetMade) -> None:
        grant = self.parts.members.found_fleet(event.name, event.key, self.parts.wall_ms)
        self._say_advert()
        self.parts.effects.append(MembershipChanged())
        value = {"fleet": event.key.public.hex(), "name": event.name, "grant": grant.id.hex()}
        self.parts.effects.append(Answer(event.ticket, value))

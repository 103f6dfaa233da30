"""What is asked over the control socket: commands that change something, answers, and whoever waits for an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base.errors import UsageError
from ..objects.entries import Entry
from . import commands as c
from .answers import Answers
from .capsules import Capsules
from .effects import Answer
from .enrolment import Enrolment
from .events import Enrolling, Inviting
from .explaining import Explaining
from .judgement import Judgement
from .lookup import find_object
from .parts import Parts
from .returning import Returning
from .requests import Requests
from .revoking import Revoking
from .schedules import Schedules
from .spool import Live


class Refused(Exception):  # noqa: N818, it is carried to `run_turn`, never seen outside
    """A request was refused: its savepoint is rolled back, then the asker is told."""

    def __init__(self, ticket: int, error: UsageError) -> None:
        super().__init__(str(error))
        self.ticket = ticket
        self.error = error


class Asking:
    """Answers commands; keeps who waits for an object's end or follows its records, in memory only."""

    def __init__(
        self, parts: Parts, requests: Requests, revoking: Revoking, answers: Answers, capsules: Capsules,
        judgement: Judgement, schedules: Schedules, returning: Returning, say_advert: Callable[[], None],
    ) -> None:  # fmt: skip
        self.parts = parts
        self.requests = requests
        self.revoking = revoking
        self.answers = answers
        self.capsules = capsules
        self.explaining = Explaining(judgement)
        self.schedules = schedules
        self.returning = returning
        self.enrolment = Enrolment(parts)
        self.say_advert = say_advert
        self._waiters: dict[bytes, list[int]] = {}
        self._followers: dict[bytes, list[int]] = {}

    def answer(self, ticket: int, command: c.Command) -> None:
        """Perform a command and answer it.

        Raises:
            Refused: for `run_turn`, which rolls the event back and tells the asker.
        """
        try:
            self.returning.check(command)
            value = self._perform(ticket, command)
        except UsageError as error:
            raise Refused(ticket, error) from None
        if value is not None:
            self.parts.effects.append(Answer(ticket, value))

    def enrol(self, event: Inviting | Enrolling) -> None:
        """Invite, or admit who was invited.

        Raises:
            Refused: as `answer`.
        """
        try:
            if isinstance(event, Inviting):
                self.returning.check(event.command)
                value = self.enrolment.invite(event)
            else:
                self.returning.check_newcomer()
                value = self.enrolment.admit(event)
        except UsageError as error:
            raise Refused(event.ticket, error) from None
        self.parts.effects.append(Answer(event.ticket, value))

    def _perform(self, ticket: int, command: c.Command) -> Any:
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
                return self.explaining.explain(find_object(parts, command.object))
            case c.Signal():
                return requests.signal(command)
            case c.Cancel():
                return requests.cancel(command)
            case c.Hold():
                return requests.hold(command, 0)
            case c.Release():
                return requests.hold(command, 1)
            case c.Resume(object=""):
                self.returning.end("an operator's word")
                return {"ok": True, "reached": True, "custodian": None, "last_contact_ms": None}
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
            case c.Schedules():
                return self.schedules.rows()
            case c.Initialise():
                return requests.initialise(command)
            case c.FleetShow():
                return answers.fleet()
            case c.Grant():
                return requests.issue_grant(command)
            case c.Invitations():
                return self.enrolment.rows()
            case c.Uninvite():
                return self.enrolment.withdraw(command)
            case c.Join():
                value = requests.join(command)
                self.say_advert()
                return value
            case c.Revoke():
                return self.revoking.revoke(command)
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

    def tell_waiters(self) -> None:
        """Answer those who waited for an object that ended in this event."""
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

    def tell_followers(self, live: Live, entry: Entry) -> None:
        """Stream a new entry's records to those who follow the object."""
        tickets = self._followers.get(live.object, ())
        for row in self.answers.trace_rows(live, entry) if tickets else ():
            self.parts.effects.extend(Answer(ticket, row, is_last=False) for ticket in tickets)

    def forget(self, ticket: int) -> None:
        """Whoever held the ticket hung up."""
        for table in (self._waiters, self._followers):
            for object_id in list(table):
                table[object_id] = [item for item in table[object_id] if item != ticket]
                if not table[object_id]:
                    del table[object_id]

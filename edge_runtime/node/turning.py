"""Going on with one object: replay, take what is there, release what may run, else sleep. All inside one turn.

The order is fixed, so that two devices with equal state, policy, snapshot and seed make equal records: the body is
resumed by a cancellation first, then fresh advice, then signals in their order, readings of probes, ends of children,
timers by due age, conditions by path; then steps are judged in the order of their calls; then, if nothing runs here,
the object sleeps or custody is offered.
"""

from __future__ import annotations

from ..base.errors import PeerError
from ..base.limits import RESUMPTIONS_PER_TURN_MAX
from ..judge.outcomes import Outcome
from ..objects import bodies as b
from ..objects.kinds import Kind
from ..objects.records import make
from ..objects.script import Resumed, Resumption
from ..program.app import Intent
from ..program.driver import (
    Again,
    Body,
    BodyOverran,
    Cancelled,
    Completed,
    Failed,
    StepCall,
    World,
)
from ..program.errors import Nondeterminism
from .advising import advice_resumption
from .custody import Custody
from .delegating import Delegating
from .effects import Note, Stage
from .events import StepEnded, StepWithheld
from .gating import Gating, read_outcome
from .judgement import Go, Judgement, Pause, TooLate
from .made import absorb
from .parts import Parts
from .polling import Polling
from .releasing import deny, executed_body, over_body, resumption_of, start_step, stop_abandoned
from .shelving import Shelving
from .sleeping import Blocked, Sleeping, rest_of_call
from .spool import Live
from .waiting import Taken


class Turner:
    """Goes on with objects of which this device is custodian."""

    def __init__(self, parts: Parts, judgement: Judgement, custody: Custody, shelving: Shelving) -> None:
        self.parts = parts
        self.judgement = judgement
        self.custody = custody
        self.shelving = shelving
        self.sleeping = Sleeping(parts, judgement, custody)
        self.delegating = Delegating(parts, shelving.put_away)
        self.gating = Gating(self.sleeping, judgement, self._write)
        self.polling = Polling(
            parts, self.sleeping, self._may_poll, self._body_to_poll_for, self.go_on, shelving.put_away,
            judgement.probe_refusal,
        )

    def go_on(self, live: Live) -> None:
        """Bring an object as far as it goes now, append what that made, and put it away with its next wake."""
        parts = self.parts
        age_ms = parts.spool.age_ms(live)
        live.hints = None
        if not self._may_turn(live, age_ms):
            self._close_body(live)
            if self._has_outlived(live, age_ms):
                self._expire(live)
                parts.pen.write_turn(live, age_ms)
            self._forget_happenings(live)
            self.shelving.put_away(live)
            return
        intent = parts.intent_of(live)
        if live.state.history.created.lifetime_ms <= age_ms:
            self._expire(live)
        elif intent is None:
            self._close_body(live)
            self.sleeping.sleep_without_app(live, age_ms)
        elif beyond := self.delegating.why_beyond(live):
            stop_abandoned(self.parts, live, ())
            self._close_body(live)
            reason = self.delegating.deny(live, beyond)
            if live.state.cancel_untaken() is None:
                self.sleeping.write_dormant(live, [], reason, age_ms)
            else:  # its body, which would be told, may not run
                self.sleeping.finish(live, b.End.CANCELLED, b"", "cancelled on request", "Cancelled")
        elif self.polling.is_all_that_woke(live, age_ms):
            self.polling.start_due(live)
        elif not self.sleeping.is_stuck(live, age_ms):
            self._turn_body(live, intent, age_ms)
        if live.made:
            self._write(live, age_ms)
        if live.state.content.finish is not None or not live.flights:
            self._close_body(live)
        self._forget_happenings(live)
        live.marks = ()
        self.shelving.put_away(live)
        if live.has_more:
            live.has_more = False
            parts.agenda.add(live.row)

    def _forget_happenings(self, live: Live) -> None:
        """What happened on this device matters to waits that go on here."""
        state = live.state
        if state.content.finish is not None or state.history.view.holder != self.parts.device:
            self.parts.agenda.happenings.forget(live.row)

    def take_outcome(self, live: Live, event: StepEnded) -> None:
        """Record what came of a step, then go on."""
        flight = live.flights.get(event.path)
        if flight is None or (flight.attempt, flight.try_number) != (event.attempt, event.try_number):
            self.judgement.pacing.measure_late(event)
            return
        self.parts.forget_flight(live, event.path)
        event = self.judgement.read(live, flight, event)
        if not self.is_turnable(live):
            return  # custody moved on or the object ended meanwhile: the result is without effect
        age_ms = self.parts.spool.age_ms(live)
        call = self._call_of(live, event.path)
        event = read_outcome(flight, event)
        is_final = call is None or self.gating.is_final(live, call, event, age_ms, flight.attempts_max)
        body = executed_body(flight, event, is_final)
        live.made.append(make(Kind.EXECUTED, b.Empty(), body))
        self.parts.note(Stage.EXECUTED, live, path=event.path, outcome=Outcome(event.outcome).name.lower())
        if is_final and live.body is not None:
            self.sleeping.waiting.see(live, live.body)
            self._deliver(live, resumption_of(body, age_ms, self.parts.wall_ms))
        else:
            # The record must be in the state before the next look judges the step by it, or replays it.
            self.parts.pen.write_turn(live, age_ms)
        self.go_on(live)

    def take_withheld(self, live: Live, event: StepWithheld) -> None:
        """A released step did not run, for its verdict was no longer in force: nothing happened, so ask again."""
        flight = live.flights.get(event.path)
        if flight is None or (flight.attempt, flight.try_number) != (event.attempt, event.try_number):
            return
        self.parts.forget_flight(live, event.path)
        if self.is_turnable(live):
            self.gating.withhold(live, flight, event.path)
        self.judgement.recount()
        self.go_on(live)

    def _call_of(self, live: Live, path: str) -> StepCall | None:
        """Return the call that a step in flight answers, as the body awaits it now; None if nobody does any more."""
        body = self._body_of(live)
        return None if body is None else next((call for call in body.steps() if call.path == path), None)

    def _body_of(self, live: Live) -> Body | None:
        """Return the body as its records leave it; None without an app, or if it cannot be brought so far."""
        intent = self.parts.intent_of(live)
        if intent is None:
            return None
        try:
            age_ms = self.parts.spool.age_ms(live)
            return live.body or self._open_body(live, intent, self.judgement.world(live, intent, age_ms))
        except (Nondeterminism, BodyOverran):
            self._close_body(live)  # `go_on` meets the same again and says so in the object
            return None

    def _may_poll(self, live: Live) -> bool:
        return self.is_turnable(live) and not live.parked and not self.parts.is_held(live)

    def _body_to_poll_for(self, live: Live) -> Body | None:
        return self._body_of(live) if self._may_poll(live) else None

    def _write(self, live: Live, age_ms: int) -> None:
        """Append what this turn made, and the children that it made."""
        self.parts.pen.write_turn(live, age_ms)
        self.delegating.send_off(live)

    # --- May it be turned at all ----------------------------------------------------------------------------------

    def is_turnable(self, live: Live) -> bool:
        """Say whether this device is the custodian of a living object that it can read."""
        view, content = live.state.history.view, live.state.content
        return (
            view.holder == self.parts.device
            and not view.is_frozen
            and not live.staged
            and content.finish is None
            and not content.is_opaque
            and not content.is_withheld
            and self.parts.may_write(live)
        )

    def _may_turn(self, live: Live, age_ms: int) -> bool:
        """Say whether this device may go on with the object now; custody is settled on the way."""
        if live.parked or live.staged or live.state.content.finish is not None or not self.parts.may_write(live):
            return False
        self.custody.settle(live, age_ms)
        return self.is_turnable(live) and not self.parts.is_held(live)

    def _has_outlived(self, live: Live, age_ms: int) -> bool:
        """Say whether an object that is held or parked ends now all the same: its lifetime is its last way out."""
        if live.state.history.created.lifetime_ms > age_ms or live.staged or not self.parts.may_write(live):
            return False
        self.custody.settle(live, age_ms)
        return self.is_turnable(live)

    def _expire(self, live: Live) -> None:
        age_ms = self.parts.spool.age_ms(live)
        self.sleeping.reenter(live, age_ms)
        live.made.extend(self.parts.polls.flush(live, age_ms))
        self.sleeping.finish(live, b.End.EXPIRED, b"", "the lifetime passed", "Expired")

    # --- The body -------------------------------------------------------------------------------------------------

    def _turn_body(self, live: Live, intent: Intent, age_ms: int) -> None:
        world = self.judgement.world(live, intent, age_ms)
        try:
            body = live.body or self._open_body(live, intent, world)
            absorb(self.parts, self.delegating, live, body)
            self._resume(live, body, world, age_ms)
            self.polling.attend(live, body, age_ms)
            while body.ended is None and (late := self._release(live, body, intent, age_ms)):
                for call, reason in late:
                    record = over_body(live, call, Outcome.EXPIRED, reason)
                    body.deliver(self.gating.end(live, record, age_ms), world)
                    absorb(self.parts, self.delegating, live, body)
                self._resume(live, body, world, age_ms)
                self.polling.attend(live, body, age_ms)
        except Nondeterminism as error:
            self._park(live, f"nondeterminism: {error}", age_ms)
            return
        except BodyOverran:
            self._park(live, "overran: the handler did not give way within its slice", age_ms)
            self.parts.spool.park(live, "overran")
            return
        if body.ended is not None:
            self._end_body(live, body, intent, age_ms)

    def _resume(self, live: Live, body: Body, world: World, age_ms: int) -> None:
        """Let the body take what is there, one thing at a time."""
        self.sleeping.waiting.see(live, body)
        inputs, advice, conditions = body.input_waits(), body.advice_waits(), body.condition_waits()
        waited = (*(wait.path for wait in inputs), *(wait.path for wait in advice), *(wait.path for wait in conditions))
        idle: list[str] = []  # paths of what was taken that is no progress by itself
        for _ in range(RESUMPTIONS_PER_TURN_MAX):
            if body.ended is not None:
                return
            settled = self.gating.settle(live, body, age_ms)
            if settled is not None:
                body.deliver(settled, world)
                absorb(self.parts, self.delegating, live, body)
                continue
            may_idle = self.sleeping.waiting.may_take(live, idle, age_ms)
            found = self._next_resumption(live, body, may_idle, waited, age_ms)
            if found is None:
                if not self.sleeping.waiting.is_met_by_what_was_made(live, body):
                    return
                self._write(live, age_ms)  # the reentry names the entry, so it must be one
                continue
            took = found.took
            self.sleeping.reenter(live, age_ms, found.by)
            live.made.append(make(Kind.TOOK, b.Empty(), took))
            if took.what in (b.Took.INPUT, b.Took.CANCEL):
                live.state.content.taken[took.ref] = None
            elif took.what != b.Took.OBJECT and took.path not in waited:
                idle.append(took.path)
            if took.what == b.Took.CANCEL:
                self.delegating.spread_cancel(live)
            body.deliver(found.resumption, world)
            absorb(self.parts, self.delegating, live, body)
        live.has_more = body.ended is None

    def _open_body(self, live: Live, intent: Intent, world: World) -> Body:
        content = live.state.content
        body = Body(intent, self.parts.start_of(live), content.script)
        live.body = body
        body.replay(world)
        return body

    def _deliver(self, live: Live, resumption: Resumption) -> None:
        """Hand a step's outcome to the running body; what it then does is looked at by `go_on`."""
        intent = self.parts.intent_of(live)
        if live.body is None or intent is None:
            return
        age_ms = self.parts.spool.age_ms(live)
        try:
            live.body.deliver(resumption, self.judgement.world(live, intent, age_ms))
        except (Nondeterminism, BodyOverran):
            # The step ran: its outcome stays, whatever the body makes of it. `go_on` meets the same again and says so.
            self._close_body(live)
            self.parts.pen.write_turn(live, age_ms)

    def _next_resumption(
        self, live: Live, body: Body, may_idle: bool, waited: tuple[str, ...], age_ms: int
    ) -> Taken | None:
        """Return the one thing that resumes the body next.

        Args:
            may_idle: timers and conditions may. waited: paths of the waits that stood when the look began.
        """
        wall_ms = self.parts.wall_ms
        cancel = live.state.cancel_untaken()
        if cancel is not None:
            resumption = Resumption(Resumed.CANCEL, "", age_ms, wall_ms)
            return Taken(b.TookSealed(b.Took.CANCEL, cancel, ""), resumption, None)
        advised = advice_resumption(self.parts, live, body, age_ms)
        if advised is not None:
            return Taken(*advised, None)
        waits = body.input_waits()
        for item in live.state.untaken() if waits else ():
            wait = next((wait for wait in waits if wait.name == item.name), None)
            if wait is not None:
                resumption = Resumption(Resumed.INPUT, wait.path, age_ms, wall_ms, value=item.value)
                return Taken(b.TookSealed(b.Took.INPUT, item.ref, wait.path), resumption, None)
        reading = self.polling.resumption(live, body, age_ms, wall_ms)
        if reading is not None:
            return Taken(*reading, None)
        ended = self.delegating.resumption(live, body, age_ms)
        if ended is not None:
            return Taken(*ended, None)
        if not may_idle:
            return None
        for timer in body.timers():
            if timer.due_age_ms <= age_ms:
                resumption = Resumption(Resumed.TIMER, timer.path, age_ms, wall_ms)
                return Taken(b.TookSealed(b.Took.TIMER, timer.path.encode(), timer.path), resumption, None)
        waiting = self.sleeping.waiting
        return waiting.next_condition(live, body, age_ms) or waiting.next_expired(live, body, waited, age_ms)

    # --- Steps ----------------------------------------------------------------------------------------------------

    def _release(self, live: Live, body: Body, intent: Intent, age_ms: int) -> list[tuple[StepCall, str]]:
        """Start what may run; else offer the object, or let it sleep. Return the steps that cannot come in time."""
        calls = body.steps()
        stop_abandoned(self.parts, live, calls)
        blocked: list[Blocked] = []
        late: list[tuple[StepCall, TooLate]] = []
        for call in calls:
            if call.path in live.flights:
                continue
            rest = self.gating.pause(live, call) or rest_of_call(live, call, age_ms)
            decision = rest or self.judgement.judge_step(live, intent, call, age_ms)
            if isinstance(decision, Go):
                self.sleeping.reenter(live, age_ms)
                start_step(self.parts, live, decision)
            elif isinstance(decision, TooLate):
                late.append((call, decision))
            else:
                blocked.append(Blocked(call, decision))
        deny(self.sleeping, live, blocked, age_ms)
        parked = next((item.pause for item in blocked if isinstance(item.pause, Pause) and item.pause.is_parked), None)
        if parked is not None:
            self.parts.spool.park(live, parked.reason)
            self.parts.effects.append(Note(Stage.JUDGED, live.object, {"parked": parked.reason}, is_info=True))
        for _, decision in late:  # another device may have a faster way
            if not live.flights and self.custody.offer(live, decision.needs, decision.reason, age_ms):
                return []
        if live.flights:
            live.hints = self.sleeping.waiting.hints(live, body, self.delegating.leaves(live, body)[0], age_ms)
        if late or live.flights:
            return [(call, decision.reason) for call, decision in late]
        elsewhere = next((item.elsewhere for item in blocked if item.elsewhere is not None), None)
        if elsewhere is not None:
            self.custody.capacity.say(live, elsewhere.denied, elsewhere.reason, age_ms)
        if elsewhere is not None and self.custody.offer(live, elsewhere.needs, elsewhere.reason, age_ms):
            return []
        polled, children = self.polling.leaves(live, body), self.delegating.leaves(live, body)
        self.sleeping.sleep(live, body, blocked, (polled[0] + children[0], polled[1] + children[1]), age_ms)
        return []

    # --- Ending ---------------------------------------------------------------------------------------------------

    def _end_body(self, live: Live, body: Body, intent: Intent, age_ms: int) -> None:
        stop_abandoned(self.parts, live, ())
        match body.ended:
            case Completed(value):
                self.sleeping.finish(live, b.End.COMPLETED, value, "", "")
            case Failed(error, error_type, is_expired):
                end = b.End.EXPIRED if is_expired else b.End.FAILED
                self.sleeping.finish(live, end, b"", error, error_type)
            case Cancelled():
                self.sleeping.finish(live, b.End.CANCELLED, b"", "cancelled on request", "Cancelled")
            case Again(state):
                run = live.state.content.script.run + 1
                live.made.append(make(Kind.AGAIN, b.Empty(), b.AgainSealed(run, state)))
                self._write(live, age_ms)
                self._close_body(live)
                self._turn_body(live, intent, age_ms)
            case None:
                raise PeerError("impossible", "the body has not ended")

    def _park(self, live: Live, reason: str, age_ms: int) -> None:
        self._close_body(live)
        self.sleeping.park(live, reason, age_ms)

    def _close_body(self, live: Live) -> None:
        if live.body is not None:
            live.body.free()
            live.body = None

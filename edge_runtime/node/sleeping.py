"""Going to sleep, waking and ending: the records that say so, and what may end a sleep."""

from __future__ import annotations

from msgspec import Struct

from ..base.limits import DORMANCY_MS_MAX, LEAVES_MAX, LOOPS_STUCK, TRIES_STUCK
from ..judge.outcomes import Outcome
from ..judge.policy import Effect, Verdict
from ..objects import bodies as b
from ..objects.advice import OnAdvice
from ..objects.codec import encode
from ..objects.kinds import Kind
from ..objects.loops import RESUMED, has_progress, stay_of_tries_ms
from ..objects.records import make
from ..objects.triggers import After, Any, OnSignal, Trigger, any_of, to_tree
from ..program.driver import Body, StepCall
from .custody import Custody
from .effects import Note, Stage
from .judgement import Elsewhere, Judgement, Pause
from .parts import Parts
from .shelving import trigger_of
from .spool import Live
from .waiting import Waiting, has_expired, names_entries

NO_TRIGGER = b"\xf6"  # null: only the expiry ends the sleep
STUCK = "stuck"  # the first word of the reason of one that only an operator ends


class Blocked(Struct, frozen=True):
    """A step that cannot run now: when to look again."""

    call: StepCall
    pause: Pause | Elsewhere

    @property
    def denied(self) -> Verdict | None:
        """The verdict, where it is policy that lets the step not run."""
        return self.pause.denied if isinstance(self.pause, Pause) else None

    @property
    def elsewhere(self) -> Elsewhere | None:
        """Where it may go on: what this device cannot another may, and what its policy rejects another's permits."""
        match self.pause:
            case Elsewhere():
                return self.pause
            case Pause(triggers, reason, denied, needs) if denied is not None and denied.effect is Effect.REJECT:
                return None if denied.is_by_grants else Elsewhere(needs, triggers, reason)
            case _:
                return None


class Sleeping:
    """Writes how an object sleeps, wakes and ends; the turn appends what it makes."""

    def __init__(self, parts: Parts, judgement: Judgement, custody: Custody) -> None:
        self.parts = parts
        self.judgement = judgement
        self.custody = custody
        self.waiting = Waiting(parts, judgement)

    def reenter(self, live: Live, age_ms: int, by: Trigger | None = None, why: str = "") -> None:
        """Say once per sleep that the object woke, and by what, before the first thing it then does.

        What counts or names entries is said also while steps run, for the record is where their ids stand.

        Args:
            why: instead of what holds of the sleep's trigger.
        """
        dormancy = live.state.content.dormancy
        if live.made or (dormancy is None and not names_entries(by)):
            return
        triggers = (why,) if why else self.waiting.why_awake(live, by, age_ms) or ("looked at again",)
        digest = self.judgement.snapshot_digest(live, age_ms)
        live.made.append(make(Kind.REENTERED, b.Empty(), b.ReenteredSealed(triggers, digest)))
        self.parts.note(Stage.WOKEN, live, by=", ".join(triggers))

    def sleep(
        self, live: Live, body: Body, blocked: list[Blocked], polled: tuple[list[Trigger], list[str]], age_ms: int
    ) -> None:
        """Append `dormant` with everything that can end the sleep, unless that is what stands there already."""
        leaves, reasons = polled
        timers = body.timers()
        if timers:
            leaves.append(After(timers[0].due_age_ms))
        for condition in body.condition_waits():
            leaves.append(condition.trigger)
            reasons.append(f"until {condition.text}")
        for wait in body.input_waits():
            leaves.append(OnSignal(wait.name))
            reasons.append(wait.why or f"waiting for signal {wait.name}")
        for advice in body.advice_waits():
            leaves.append(OnAdvice(advice.topic))
            reasons.append(f"waiting for advice on {advice.topic}")
        for item in blocked:
            leaves.extend(item.pause.triggers)
            reasons.append(item.pause.reason)
        if timers and not reasons:
            reasons.append("sleeping")
        if live.loops >= LOOPS_STUCK and not has_progress(live.made):
            self.stick(live, age_ms)
            return
        if not leaves and not blocked and not reasons:
            reasons.append("nothing to wait for: the handler awaits something that nobody will complete")
        # Denied again, and each denial was said before (else it would stand in `made`): the sleep that stands will do.
        is_said = bool(blocked) and all(item.denied is not None for item in blocked)
        self.write_dormant(live, leaves, "; ".join(dict.fromkeys(reasons)), age_ms, is_said)
        live.hints = self.waiting.hints(live, body, leaves, age_ms)

    def write_dormant(
        self, live: Live, leaves: list[Trigger], reason: str, age_ms: int, is_said: bool = False
    ) -> None:
        """Append `dormant`, woken by any of the leaves, unless the object sleeps just so already.

        Every sleep has an expiry: the lifetime, or DORMANCY_MS_MAX. What a body waits for beyond the bound of one
        trigger is looked at by time (`shelving`): a way out is never lost.

        Args:
            is_said: a sleep for another reason counts as just so, if everything that is waited for ends it.
        """
        trigger = _cut(any_of(leaves))
        tree = encode(to_tree(trigger)) if trigger is not None else NO_TRIGGER
        reason = reason[:500]
        dormancy = live.state.content.dormancy
        if dormancy is not None and not live.made:
            is_same = (dormancy.trigger, dormancy.reason) == (tree, reason)
            is_same = is_same or (is_said and _is_ended_by(dormancy.trigger, leaves))
            if is_same and not has_expired(dormancy, age_ms):
                return
            if self.waiting.why_awake(live, None, age_ms):
                self.reenter(live, age_ms)
        lifetime_ms = live.state.history.created.lifetime_ms
        expires_ms = min(lifetime_ms, age_ms + DORMANCY_MS_MAX)
        record = make(Kind.DORMANT, b.DormantClear(expires_ms), b.DormantSealed(tree, reason))
        live.made.append(record)
        self.parts.note(Stage.JUDGED, live, action="dormancy", reason=reason)

    def sleep_without_app(self, live: Live, age_ms: int) -> None:
        """Offer an object whose intent no app here offers, or sleep until there is one."""
        name = live.state.content.intent
        decision = self.judgement.without_app(live)
        self.custody.capacity.say(live, decision.denied, decision.reason, age_ms)
        if not live.flights and self.custody.offer(live, decision.needs, decision.reason, age_ms):
            return
        self.write_dormant(live, list(decision.triggers), f"no app here offers {name}", age_ms)

    def park(self, live: Live, reason: str, age_ms: int) -> None:
        """Put an object to sleep that its handler cannot go on with: what this turn made is dropped."""
        live.made.clear()
        live.born.clear()
        live.state.reread()  # of what was dropped nothing counts as taken or read
        self.write_dormant(live, list(self.judgement.on_new_app(live)), reason, age_ms)
        self.parts.effects.append(Note(Stage.JUDGED, live.object, {"parked": reason}, is_info=True))

    def is_stuck(self, live: Live, age_ms: int) -> bool:
        """Say whether an object is set aside as stuck; a `resume` is said in the record that ends that."""
        dormancy = live.state.content.dormancy
        if dormancy is None or not dormancy.reason.startswith(STUCK) or dormancy.trigger != NO_TRIGGER:
            return False
        if live.state.is_resumed:
            digest = self.judgement.snapshot_digest(live, age_ms)
            record = b.ReenteredSealed((RESUMED,), digest)
            live.made.append(make(Kind.REENTERED, b.Empty(), record))
            self.parts.note(Stage.WOKEN, live, by=record.triggers[0])
            return False
        return live.state.cancel_untaken() is None

    def stick(self, live: Live, age_ms: int) -> None:
        """Set an object aside that only wakes and sleeps: until `resume`, `cancel` or the end of its lifetime."""
        reason = f"{STUCK}: it woke {live.loops} times and nothing changed"
        sealed = b.DormantSealed(NO_TRIGGER, reason)
        self.reenter(live, age_ms)
        live.made.append(make(Kind.DORMANT, b.DormantClear(live.state.history.created.lifetime_ms), sealed))
        self.parts.effects.append(Note(Stage.JUDGED, live.object, {"parked": reason}, is_info=True))

    def finish(self, live: Live, end: b.End, value: bytes, error: str, error_type: str) -> None:
        """End the object; the record is written with the turn."""
        self.reenter(live, self.parts.spool.age_ms(live))
        live.made.append(
            make(Kind.TERMINATED, b.TerminatedClear(int(end)), b.TerminatedSealed(value, error, error_type))
        )
        self.parts.effects.append(Note(Stage.JUDGED, live.object, {"ended": end.name.lower()}, is_info=True))


def rest_of_call(live: Live, call: StepCall, age_ms: int) -> Pause | None:
    """Return how a call that was tried very often without a result waits longer than its last failure asks for.

    A try is two or three entries, and a history has a bound. Where nobody was reached the prober paces, and what is
    partly done goes on: such tries count for nothing when another failure follows. The call's own `max_ms` is kept, and
    an operator's `resume` lets it try once more.
    """
    memory = live.state.content.steps.get(call.path)
    if memory is None or memory.age_ms <= live.state.resumed_age_ms:
        return None
    if memory.outcome in (Outcome.UNREACHABLE, Outcome.PARTIAL):
        return None
    if memory.failures >= TRIES_STUCK:
        return Pause((), f"{STUCK}: {call.name} was tried {memory.failures} times")
    stay_ms = stay_of_tries_ms(memory.failures)
    until_ms = memory.age_ms + (stay_ms if call.retry.max_ms is None else min(stay_ms, call.retry.max_ms))
    reason = f"after {Outcome(memory.outcome).name.lower()}: tried {memory.failures} times"
    return Pause((After(until_ms),), reason) if until_ms > age_ms else None


def _is_ended_by(tree: bytes, leaves: list[Trigger]) -> bool:
    """Say whether a sleep is ended by each of these; one that ends at another time too is not the same."""
    standing = trigger_of(tree)
    items = standing.items if isinstance(standing, Any) else () if standing is None else (standing,)
    has_timer = any(isinstance(item, After) and item not in leaves for item in items)
    return not has_timer and all(leaf in items for leaf in leaves)


def _cut(trigger: Trigger | None) -> Trigger | None:
    """Return the trigger with as many leaves as one record may hold, the time first; shelving looks at the rest."""
    if not isinstance(trigger, Any) or len(trigger.items) <= LEAVES_MAX:
        return trigger
    return Any(tuple(sorted(trigger.items, key=lambda leaf: not isinstance(leaf, After)))[:LEAVES_MAX])

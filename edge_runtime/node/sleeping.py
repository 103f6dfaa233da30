"""Going to sleep, waking and ending: the records that say so, and what may end a sleep."""

from __future__ import annotations

from msgspec import Struct

from ..base.limits import DORMANCY_MS_MAX, LEAVES_MAX
from ..judge.policy import Effect, Verdict
from ..objects import bodies as b
from ..objects.advice import OnAdvice
from ..objects.codec import encode
from ..objects.kinds import Kind
from ..objects.records import make
from ..objects.triggers import After, OnSignal, Trigger, When, any_of, to_tree
from ..program.driver import Body, StepCall
from .custody import Custody
from .effects import Note, Stage
from .judgement import Elsewhere, Judgement, Pause
from .parts import Parts
from .spool import Live

# How long an object sleeps at most that waits for more things than one trigger holds.
LOOK_AGAIN_MANY_MS = 60_000


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

    def reenter(self, live: Live, age_ms: int) -> None:
        """Say once per sleep that the object woke, and by what, before the first thing it then does."""
        dormancy = live.state.content.dormancy
        if dormancy is None or live.made:
            return
        triggers = self.judgement.which_hold(live, dormancy, age_ms)
        digest = self.judgement.snapshot_digest(live, age_ms)
        live.made.append(make(Kind.REENTERED, b.Empty(), b.ReenteredSealed(triggers, digest)))
        self.parts.note(Stage.WOKEN, live, by=", ".join(triggers))

    def sleep(self, live: Live, body: Body, blocked: list[Blocked], age_ms: int) -> None:
        """Append `dormant` with everything that can end the sleep, unless that is what stands there already."""
        leaves: list[Trigger] = []
        reasons: list[str] = []
        timers = body.timers()
        if timers:
            leaves.append(After(timers[0].due_age_ms))
        for condition in body.condition_waits():
            leaves.append(When(self.judgement.condition_of(condition.tree)))
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
        if not leaves:
            reasons.append("nothing to wait for: the handler awaits something that nobody will complete")
        self.write_dormant(live, leaves, "; ".join(dict.fromkeys(reasons)), age_ms)

    def write_dormant(self, live: Live, leaves: list[Trigger], reason: str, age_ms: int) -> None:
        """Append `dormant`, woken by any of the leaves, unless the object sleeps just so already."""
        trigger = any_of(leaves[:LEAVES_MAX])
        tree = encode(to_tree(trigger)) if trigger is not None else b"\xf6"
        reason = reason[:500]
        dormancy = live.state.content.dormancy
        if dormancy is not None and not live.made and (dormancy.trigger, dormancy.reason) == (tree, reason):
            return
        lifetime_ms = live.state.history.created.lifetime_ms
        # What a body waits for beyond the bound of one trigger is looked at by time: a way out is never lost.
        stay_ms = DORMANCY_MS_MAX if len(leaves) <= LEAVES_MAX else LOOK_AGAIN_MANY_MS
        expires_ms = min(lifetime_ms, age_ms + stay_ms)
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
        self.write_dormant(live, list(self.judgement.on_new_app(live)), reason, age_ms)
        self.parts.effects.append(Note(Stage.JUDGED, live.object, {"parked": reason}, is_info=True))

    def finish(self, live: Live, end: b.End, value: bytes, error: str, error_type: str) -> None:
        """End the object; the record is written with the turn."""
        self.reenter(live, self.parts.spool.age_ms(live))
        live.made.append(
            make(Kind.TERMINATED, b.TerminatedClear(int(end)), b.TerminatedSealed(value, error, error_type))
        )
        self.parts.effects.append(Note(Stage.JUDGED, live.object, {"ended": end.name.lower()}, is_info=True))

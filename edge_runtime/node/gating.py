"""Gated steps on this device: written down before they act, held back when it is too late or the rights are missing,
and never guessed about when nobody knows whether one happened.

| what is known of a step that waits | done, before policy is asked |
|---|---|
| attempted, and no process runs it; or irreversible, on a branch that `claimed` began | `executed(unknown)` |
| unknown, the call says `stop` | the body hears of it |
| unknown, `resend` | judged as after a crash: the next try has the same attempt id |
| unknown, `ask` | sleeps on a signal; true: the body goes on without a result; false: judged as after a crash |
| older than `not_after` or maybe so, or rights are missing | `denied`, nothing ran, the body hears of it |

Source: ours, behaviours 7.7, 15.5, 15.8 to 15.10.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ..judge.outcomes import Outcome
from ..objects import bodies as b
from ..objects.gated import FALSE, GATED, TRUE, OnUnknown, Unknown, unknown_name
from ..objects.kinds import Kind
from ..objects.records import make
from ..objects.script import Resumed, Resumption
from ..objects.triggers import OnSignal
from ..program.driver import Body, StepCall
from .effects import Stage
from .events import StepEnded
from .judgement import Judgement, Pause
from .releasing import over_body, resumption_of
from .sleeping import Sleeping
from .spool import Flight, Live

WITHHELD = "withheld: its verdict was no longer in force, nothing ran"


class Gating:
    """Decides what must be settled before a gated step may be judged like any other."""

    def __init__(self, sleeping: Sleeping, judgement: Judgement, write: Callable[[Live, int], None]) -> None:
        self.write = write
        self.parts = sleeping.parts
        self.sleeping = sleeping
        self.judgement = judgement

    # --- Before the step ------------------------------------------------------------------------------------------

    def settle(self, live: Live, body: Body, age_ms: int) -> Resumption | None:
        """Settle waiting steps in the order of their calls, up to the first that ends without another try."""
        for call in body.steps():
            if call.path in live.flights:
                continue
            resumption = self._settle_gated(live, call, age_ms) if call.effect in GATED else None
            if resumption is None and not self._is_asked(live, call):
                over = self.judgement.over_before(live, call, age_ms)
                resumption = None if over is None else self.end(live, over_body(live, call, *over), age_ms)
            if resumption is not None:
                return resumption
        return None

    def end(self, live: Live, record: b.ExecutedSealed, age_ms: int) -> Resumption:
        """Write down how a step ended without another try."""
        self.sleeping.reenter(live, age_ms)
        live.made.append(make(Kind.EXECUTED, b.Empty(), record))
        self.parts.note(Stage.EXECUTED, live, path=record.path, outcome=Outcome(record.outcome).name.lower())
        return resumption_of(record, age_ms, self.parts.wall_ms)

    def _is_asked(self, live: Live, call: StepCall) -> bool:
        return call.path in live.state.content.gates.unknown and call.on_unknown is OnUnknown.ASK

    def _settle_gated(self, live: Live, call: StepCall, age_ms: int) -> Resumption | None:
        if live.state.content.gates.is_in_doubt(call.path, int(call.effect)):
            resumption = self._say_unknown(live, call, age_ms)
            if resumption is not None:
                return resumption
        if self._is_asked(live, call):
            resumption = self._hear_answers(live, call, live.state.content.gates.unknown[call.path], age_ms)
            if resumption is not None or self._is_asked(live, call):
                return resumption
        why = self._why_not(live, call, age_ms)
        if not why:
            return None
        self.sleeping.reenter(live, age_ms)
        policy = self.judgement.authority.policy.hash
        live.made.append(make(Kind.DENIED, b.Empty(), b.DeniedSealed(call.path, True, why, policy, "")))
        self.parts.note(Stage.JUDGED, live, denied=why, path=call.path)
        return Resumption(
            Resumed.STEP, call.path, age_ms, self.parts.wall_ms, outcome=int(Outcome.REFUSED), error=why,
            error_type="Refused",
        )  # fmt: skip

    def _why_not(self, live: Live, call: StepCall, age_ms: int) -> str:
        if call.not_after_ms is not None and not live.age_is_exact:
            return f"age unknown: at least {age_ms} ms, and the step may begin up to {call.not_after_ms} ms"
        if call.not_after_ms is not None and age_ms > call.not_after_ms:
            return f"not after: the object is {age_ms} ms old, the step may begin up to {call.not_after_ms} ms"
        return live.state.content.rights.why_not(call.rights)

    def _say_unknown(self, live: Live, call: StepCall, age_ms: int) -> Resumption | None:
        """Record that nobody knows whether a step happened; the body hears of it if the call says so."""
        content = live.state.content
        standing, memory = content.gates.standing.get(call.path), content.steps.get(call.path)
        try_number = 1 + (memory.tries if memory is not None else 0) if standing is None else standing.try_number
        why = "custody was claimed: the custodian before may have run it" if standing is None else "its process ended"
        is_final = call.on_unknown is OnUnknown.STOP
        body = b.ExecutedSealed(
            call.attempt, try_number, call.path, call.fingerprint, int(call.effect), "", "", "", int(Outcome.UNKNOWN),
            is_final, b"", why, "Unknown", 0, None, 0, "",
        )  # fmt: skip
        resumption = self.end(live, body, age_ms)
        if is_final:
            return resumption
        self.write(live, age_ms)  # what is judged next reads it in the state
        return None

    def _hear_answers(self, live: Live, call: StepCall, unknown: Unknown, age_ms: int) -> Resumption | None:
        """Take what operators said of it; one that did not know of this try is put out of the way."""
        name = unknown_name(call.attempt)
        for said in live.state.untaken():
            if said.name != name:
                continue
            self.sleeping.reenter(live, age_ms, OnSignal(name))
            took = b.TookSealed(b.Took.ANSWER, said.ref, call.path)
            live.made.append(make(Kind.TOOK, b.Empty(), took))
            is_answer = unknown.is_answered_by(name, said.height)
            if is_answer and said.value == TRUE:
                live.state.content.taken[said.ref] = None
                return Resumption(Resumed.STEP, call.path, age_ms, self.parts.wall_ms, b"", call.fingerprint)
            self.write(live, age_ms)
            if is_answer and said.value == FALSE:
                return None
        return None

    def pause(self, live: Live, call: StepCall) -> Pause | None:
        """Return how a step waits that must not run now, whatever policy says of it."""
        content = live.state.content
        if self._is_asked(live, call):
            name = unknown_name(call.attempt)
            reason = (
                f"unknown whether {call.name} happened: an operator says it with "
                f"`signal {live.object.hex()[:12]} {name} true`, or false to send it again"
            )
            return Pause((OnSignal(name),), reason)
        # Steps of one turn spend one after the other: what is short because of them is settled when they are recorded.
        short = content.rights.why_not(call.rights, live.made)
        return Pause((), short) if short else None

    # --- After the step -------------------------------------------------------------------------------------------

    def withhold(self, live: Live, flight: Flight, path: str) -> None:
        """Record that a released step did not act after all."""
        if flight.effect in GATED:
            policy = self.judgement.authority.policy.hash
            live.made.append(make(Kind.DENIED, b.Empty(), b.DeniedSealed(path, False, WITHHELD, policy, "")))
            self.write(live, self.parts.spool.age_ms(live))

    def is_final(self, live: Live, call: StepCall, event: StepEnded, age_ms: int, attempts_max: int) -> bool:
        """Say whether the body hears of an outcome; of an unknown one the call says it."""
        if event.outcome == Outcome.UNKNOWN and call.effect in GATED:
            if call.on_unknown is not OnUnknown.RESEND:
                return call.on_unknown is OnUnknown.STOP
            event = replace(event, outcome=int(Outcome.CRASHED))
        return self.judgement.is_final(live, call, event, age_ms, attempts_max)


def read_outcome(flight: Flight, event: StepEnded) -> StepEnded:
    """Return what is known of an irreversible step: a silence or an exception does not say that nothing happened.

    Nor does a server's error; one that names a time for the next try, or the step's own `Busy`, does.
    """
    outcome = Outcome(event.outcome)
    is_said = event.hint_ms is not None or event.error_type == "Busy"
    is_unsure = outcome in (Outcome.TIMEOUT, Outcome.CRASHED) or (outcome is Outcome.BUSY and not is_said)
    if flight.effect != b.EffectClass.IRREVERSIBLE or not is_unsure:
        return event
    return replace(event, outcome=int(Outcome.UNKNOWN), error=f"{outcome.name.lower()}: {event.error}"[:1000])


def death_of(live: Live, path: str, flight: Flight) -> tuple[Outcome, bool]:
    """Return what is known of a step whose process ended: its outcome, and whether the body hears of it."""
    if flight.effect not in GATED:
        return Outcome.CRASHED, False
    standing = live.state.content.gates.standing.get(path)
    return Outcome.UNKNOWN, standing is not None and standing.on_unknown == OnUnknown.STOP

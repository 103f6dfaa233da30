"""Releasing steps to the host, and what is written down of those that came back or were not let run."""

from __future__ import annotations

from typing import Any

from ..judge.outcomes import Outcome
from ..objects import bodies as b
from ..objects.codec import decode_value
from ..objects.gated import GATED
from ..objects.kinds import Kind
from ..objects.records import Record, make
from ..objects.script import Resumed, Resumption
from ..program.driver import StepCall
from .effects import Stage, StartStep, StopStep
from .events import StepEnded
from .judgement import Go
from .parts import Parts
from .sleeping import Blocked, Sleeping
from .spool import Flight, Live


def start_step(parts: Parts, live: Live, go: Go) -> None:
    """Release a step: written down in this turn, run by the host after its commit."""
    call, limits = go.call, go.verdict.constraint
    memory = live.state.content.steps.get(call.path)
    try_number = 1 + (memory.tries if memory is not None else 0)
    flight = Flight(
        call.attempt, try_number, call.fingerprint, int(call.effect), parts.timeline.life_ms,
        go.verdict.describe()[:1000],
        0 if limits is None else limits.attempts or 0, go.peer, bytes_size=call.bytes_size, link=go.link,
    )  # fmt: skip
    arguments = call.arguments
    done: tuple[Any, ...] = ()
    if memory is not None and memory.rest is not None:  # what was committed is not sent again
        done = tuple(decode_value(part) for part in memory.done)
        arguments = (decode_value(memory.rest), *arguments[1:]) if arguments else ()
    parts.keep_flight(live, call.path, flight)
    if call.effect in GATED:
        live.made.append(attempted(call, try_number, flight.verdict))
    boot_ms, age_ms = parts.timeline.moment.boot_ms, parts.spool.age_ms(live)
    not_after_ms = None if call.not_after_ms is None else boot_ms + call.not_after_ms - age_ms
    parts.effects.append(
        StartStep(
            live.object, call.path, call.attempt, try_number, call.name, call.function, arguments,
            call.result_type, go.limit_ms, go.verdict.policy, go.verdict.expires_wall_ms, go.peer, done,
            not_after_ms, parts.under(live, call.name), is_gated=call.effect in GATED,
        )
    )  # fmt: skip
    parts.note(Stage.JUDGED, live, action="execution", path=call.path, attempt=try_number)


def attempted(call: StepCall, try_number: int, verdict: str) -> Record:
    """Return the record that stands before a gated step acts."""
    body = b.AttemptedSealed(
        call.attempt, call.path, call.fingerprint, int(call.effect), call.resource, verdict, try_number,
        int(call.on_unknown), call.rights,
    )  # fmt: skip
    return make(Kind.ATTEMPTED, b.Empty(), body)


def stop_abandoned(parts: Parts, live: Live, calls: tuple[StepCall, ...]) -> None:
    """Stop steps that the body no longer awaits; their outcome is still recorded when it comes."""
    awaited = {call.path: None for call in calls}
    for path, flight in live.flights.items():
        if path not in awaited and not flight.is_abandoned:
            flight.is_abandoned = True
            parts.effects.append(StopStep(live.object, path))


def deny(sleeping: Sleeping, live: Live, blocked: list[Blocked], age_ms: int) -> None:
    """Say which steps policy does not let run; what this device has said already is not repeated.

    A denial stands until the step is tried, custody moves, or another rule or policy says so.
    """
    parts = sleeping.parts
    for item in blocked:
        verdict = item.denied
        if verdict is None:
            continue
        waits_for = ", ".join((*verdict.waits_for, "policy.version"))[:1000]
        saying = (verdict.rule, verdict.policy, waits_for, parts.device)
        said = live.state.content.denials.get(item.call.path, ())
        if any((had.rule, had.policy, had.waits_for, had.device) == saying for had in said):
            continue
        sleeping.reenter(live, age_ms)
        body = b.DeniedSealed(item.call.path, False, verdict.rule, verdict.policy, waits_for)
        live.made.append(make(Kind.DENIED, b.Empty(), body))
        parts.note(Stage.JUDGED, live, denied=verdict.rule, path=item.call.path)


def executed_body(flight: Flight, event: StepEnded, is_final: bool) -> b.ExecutedSealed:
    """Return the record of one try of a step."""
    return b.ExecutedSealed(
        flight.attempt, event.try_number, event.path, flight.fingerprint, flight.effect, flight.peer, flight.link[:128],
        flight.verdict, event.outcome, is_final, event.value, event.error, event.error_type, event.latency_ms,
        event.hint_ms, 0, event.evidence, event.bytes_used, event.energy_mj,
    )  # fmt: skip


def over_body(live: Live, call: StepCall, outcome: Outcome, reason: str) -> b.ExecutedSealed:
    """Return the record of a step that ends without another try; its number is that of the last one, 0 for none."""
    memory = live.state.content.steps.get(call.path)
    return b.ExecutedSealed(
        call.attempt, 0 if memory is None else memory.tries, call.path, call.fingerprint, int(call.effect), "", "", "",
        int(outcome), True, b"", reason, "", 0, None, 0, "",
    )  # fmt: skip


def resumption_of(body: b.ExecutedSealed, age_ms: int, wall_ms: int) -> Resumption:
    """Return how an outcome resumes the body."""
    return Resumption(
        Resumed.STEP, body.path, age_ms, wall_ms, body.value, body.fingerprint, body.outcome, body.error,
        body.error_type,
    )  # fmt: skip

"""Deaths of the process during a step: written into the object, so that the count moves with custody."""

from __future__ import annotations

from ..base.limits import DEATHS_MAX
from ..objects import bodies as b
from ..objects.kinds import Kind
from ..objects.records import make
from .gating import death_of
from .parts import Parts
from .spool import Flight, Live


def record_death(parts: Parts, live: Live, path: str, flight: Flight) -> None:
    """Count a process that ended while a step ran; the object is set aside at the last one that is borne."""
    memory = live.state.content.steps.get(path)
    deaths = 1 + (memory.deaths if memory is not None else 0)
    outcome, is_final = death_of(live, path, flight)
    body = b.ExecutedSealed(
        bytes(flight.attempt), flight.try_number, path, bytes(flight.fingerprint), flight.effect, flight.peer, "",
        flight.verdict, int(outcome), is_final, b"", f"the process ended during this step (deaths {deaths})",
        "ProcessDeath", 0, None, 1, "",
    )  # fmt: skip
    live.made.append(make(Kind.EXECUTED, b.Empty(), body))
    parts.pen.write_turn(live, parts.spool.age_ms(live))
    if deaths >= DEATHS_MAX:
        parts.spool.park(live, f"quarantined: {deaths} process deaths in step {path}")

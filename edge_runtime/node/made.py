"""What a body made, as records of the turn in which it was driven."""

from __future__ import annotations

from ..objects import bodies as b
from ..objects.kinds import Kind
from ..objects.records import make
from ..program.driver import Body, Delegated, Learned, Published, Refined, StateSet
from .delegating import Delegating
from .effects import Stage
from .parts import Parts
from .spool import Live


def absorb(parts: Parts, delegating: Delegating, live: Live, body: Body) -> None:
    """Turn what the body learned, published, set, refined and delegated into records of this turn."""
    for made in body.take_made():
        match made:
            case Published(path, name, value):
                live.made.append(make(Kind.PUBLISHED, b.Empty(), b.PublishedSealed(path, name, value)))
            case StateSet(path, name, value):
                live.made.append(make(Kind.LEARNED, b.Empty(), b.LearnedSealed(path, value)))
                parts.set_state(live, name, value)
            case Refined(refined):
                live.made.append(make(Kind.REFINED, b.Empty(), refined))
                parts.note(Stage.JUDGED, live, action="mutation", reason=refined.reason)
            case Delegated():
                delegating.record(live, made, parts.spool.age_ms(live))
            case Learned(path, value):
                live.made.append(make(Kind.LEARNED, b.Empty(), b.LearnedSealed(path, value)))

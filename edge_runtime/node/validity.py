"""For how long grants permit effects: by the wall clock where it is trusted, by the object's age always.

| what the grant says | the clock | effects |
|---|---|---|
| `expires` has passed | trusted | none |
| | not trusted | none that is gated; others as the configured stance says |
| `max age` has passed | either | none: an object's age needs no clock |

Entries are stored whatever this says: history does not hang on clocks.

Source: ours, behaviours 11.3 and 16.4. RFC 3779 style validity needs a clock; offline devices may have none, hence a
stance and an age.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from ..base.moment import Moment, Trust
from ..objects.bodies import EffectClass
from ..objects.gated import GATED


class Stance(Enum):
    """What runs under a grant that has expired by a clock that is not trusted; never a gated effect."""

    DENY = "deny"
    OBSERVE = "observe"
    WORK = "work"

    def allows(self, effect: EffectClass) -> bool:
        """Say whether a step of this effect class runs."""
        if effect in GATED or self is Stance.DENY:
            return False
        return self is Stance.WORK or effect is EffectClass.OBSERVE


class Terms(Struct, frozen=True):
    """For how long one grant holds: wall time and age of an object, 0 for ever."""

    expires_ms: int = 0
    max_age_ms: int = 0


class Validity(Struct, frozen=True):
    """What the clocks say of a device's grants.

    Attributes:
        refusal: why they permit nothing, empty if they may.
        doubt: why it is unsure that they permit anything, empty if it is sure.
        expires_ms: the wall time from which they permit no more, 0 for never.
    """

    refusal: str = ""
    doubt: str = ""
    expires_ms: int = 0


def judge_terms(terms: Sequence[Terms], age_ms: int, moment: Moment) -> Validity:
    """Return what holds of a device that has several grants of one kind: the best of them counts.

    Args:
        terms: one or more. age_ms: of the object.
    """
    young = [item for item in terms if not item.max_age_ms or age_ms <= item.max_age_ms]
    if not young:
        most_ms = max(item.max_age_ms for item in terms)
        return Validity(f"permits nothing in an object older than {most_ms} ms (max age)")
    if any(not item.expires_ms for item in young):
        return Validity()
    expires_ms = max(item.expires_ms for item in young)
    if moment.wall_ms < expires_ms:
        return Validity(expires_ms=expires_ms)
    if has_expired(expires_ms, moment):
        return Validity("has expired")
    return Validity(doubt="has expired by a clock that is not trusted", expires_ms=expires_ms)


def has_expired(expires_wall_ms: int, moment: Moment) -> bool:
    """Say whether a wall time of expiry (0: never) has passed; a clock that was only restored cannot tell."""
    return bool(expires_wall_ms) and moment.trust > Trust.RESTORED and moment.wall_ms >= expires_wall_ms


def may_have_expired(expires_wall_ms: int, moment: Moment) -> bool:
    """Say whether a wall time of expiry (0: never) has passed by whatever clock: enough to hold a gated effect back."""
    return bool(expires_wall_ms) and moment.wall_ms >= expires_wall_ms

"""When next, and where: decided by why the last attempt did not complete, never by a counter alone.

| outcome | when next |
|---|---|
| unreachable | no timer of its own: a link or peer wakes it, or the one prober of its destination |
| timeout | the backed-off RTO, and up to half of it more, as jitter |
| busy | exactly the hint; without one exponential with jitter; a hint that forbids: no timed retry |
| crashed | exponential with jitter; elsewhere after 2 process deaths, quarantined after 3; at once after the first |
| incapable, refused | no timer: a capability, a policy or the named fact wakes it |
| invalid, expired, fenced | never again |

Deterministic: the only chance is a seed, H(object, device, attempt). Source: ours; RTO after RFC 6298, pushback after
gRPC A6 ("server pushback"), full jitter after Brooker 2015 with a floor, since nearly 0 is dear on a radio.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ..base.digests import blake2b
from ..base.limits import BACKOFF_MS_FIRST, BACKOFF_MS_MAX, PROBE_ALONE_MS_MAX, PROBE_MS_FIRST
from ..objects.bodies import HINT_NEVER
from .outcomes import Outcome
from .rto import Rto


class Where(Enum):
    """Where the next attempt may run."""

    HERE = "here"
    ELSEWHERE = "elsewhere"
    NOWHERE = "nowhere"


class Failure(Struct, frozen=True):
    """What is remembered of the last attempt of one step.

    Attributes:
        in_a_row: how often the same outcome came in a row, 1 for the first time.
        hint_ms: pushback; None for none, HINT_NEVER for one that forbids or cannot be read.
        deaths: process deaths in this step over the whole chain.
        silences: timeouts in a row that an observer in good health saw.
        fact: whose next word may end a refusal, empty for none named.
    """

    outcome: Outcome
    in_a_row: int
    age_ms: int
    hint_ms: int | None = None
    deaths: int = 0
    silences: int = 0
    fact: str = ""


class Wait(Struct, frozen=True):
    """How an attempt that did not complete is gone on with.

    Attributes:
        until_age_ms: not before the object is that old; None: no timer, only a wake-up.
        is_on_signal: a link, peer, capability or policy may wake it earlier.
        burns_budget: counts against the envelope of attempts.
    """

    until_age_ms: int | None
    is_on_signal: bool
    where: Where
    burns_budget: bool
    reason: str


def seed_of(object_id: bytes, device: bytes, attempt: bytes, try_number: int) -> int:
    """Return the seed of one wait: equal on replay, different by device."""
    data = object_id + device + attempt + try_number.to_bytes(8, "big")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def semantic_backoff(failure: Failure, rto: Rto, seed: int) -> Wait:
    """Return when and where the step is looked at next.

    Args:
        failure: the last attempt. rto: estimate of its destination. seed: of `seed_of`.
    """
    name = failure.outcome.name.lower()
    match failure.outcome:
        case Outcome.UNREACHABLE:
            wait_ms = min(PROBE_MS_FIRST << min(failure.in_a_row - 1, 16), PROBE_ALONE_MS_MAX)
            return Wait(failure.age_ms + wait_ms, True, Where.HERE, False, name)
        case Outcome.TIMEOUT:
            # Never before the RTO: an answer under way may still come, and trying again would only add to the load.
            wait_ms = rto.timeout_ms(failure.in_a_row)
            return Wait(failure.age_ms + wait_ms + seed % (wait_ms // 2 + 1), False, Where.HERE, True, name)
        case Outcome.BUSY:
            return _after_pushback(failure, seed)
        case Outcome.CRASHED if failure.deaths == 1 and failure.in_a_row == 1:
            # The first process death is most often the plug, not the step: go on at once.
            return Wait(failure.age_ms, False, Where.HERE, True, name)
        case Outcome.CRASHED:
            wait_ms = jittered(exponential_ms(failure.in_a_row), seed)
            return Wait(failure.age_ms + wait_ms, False, Where.HERE, True, name)
        case Outcome.PARTIAL | Outcome.SLOW:
            return Wait(failure.age_ms, False, Where.HERE, False, name)
        case Outcome.INCAPABLE:
            return Wait(None, True, Where.ELSEWHERE, False, name)
        case Outcome.REFUSED:
            return Wait(None, True, Where.ELSEWHERE, False, name)
        case _:
            return Wait(None, False, Where.NOWHERE, False, name)


def _after_pushback(failure: Failure, seed: int) -> Wait:
    if failure.hint_ms is None:
        wait_ms = jittered(exponential_ms(failure.in_a_row), seed)
        return Wait(failure.age_ms + wait_ms, False, Where.HERE, True, "busy")
    if not 0 <= failure.hint_ms < HINT_NEVER:
        return Wait(None, True, Where.ELSEWHERE, True, "busy: asked not to be tried again")
    return Wait(failure.age_ms + failure.hint_ms, False, Where.HERE, True, "busy: as asked")


def exponential_ms(in_a_row: int) -> int:
    """Return the ceiling of an exponential wait: doubled each time, bounded."""
    return int(min(BACKOFF_MS_FIRST << min(in_a_row - 1, 32), BACKOFF_MS_MAX))


def jittered(ceiling_ms: int, seed: int) -> int:
    """Return a wait in [half, whole] of the ceiling: spread enough, never nearly 0."""
    floor_ms = ceiling_ms - ceiling_ms // 2
    return floor_ms + seed % (ceiling_ms // 2 + 1)

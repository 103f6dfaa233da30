"""When a probe is looked at next, and what a reading comes to: pure, and a function of what the entries say.

A *run* is a row of polls with the same result. Its due ages follow from its beginning, its bounds and the object's
id alone: the interval is a tenth of the time since the run began, within [least, most], on the object's own grid of
multiples of `least`. So nothing but the entries is needed to know when a poll is due, how many were due in a time,
and whether the counts in the records are true.

| result | next |
|---|---|
| not yet | the interval grows with the run |
| satisfied | the wait is over; the next wait begins a new run at `least` |
| aborted: the source is absent | POLL_ABORTED_MS apart, POLLS_ABORTED_MAX times |
| escalated: it stays absent | `most` apart, and the reason says so to the operator |

A due age that passed while no process ran is not made up for at once: the next one on the grid is the one catch-up
for all of them. So a start wakes nobody, and phases stay spread.

Source: an interval in proportion to the time since the last change is Alex's (Cate 1992), the tenth is HTTP's
heuristic freshness (RFC 9111 section 4.2.2); grid and collapse are ours (`docs/decisions.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from ..base.digests import blake2b

from msgspec import Struct

from ..base.limits import POLL_ABORTED_MS, POLLS_ABORTED_MAX
from ..base.units import HOUR_MS, MINUTE_MS, SECOND_MS
from ..objects.bodies import PollResult
from ..objects.conditions import Condition, Scalar, Truth, evaluate

GROWTH = 10  # the interval is the run's length so far divided by this

# Each divides the next, so that whoever wakes on a coarse tick shares it with all finer ones.
TICKS_MS = (SECOND_MS, 5 * SECOND_MS, 15 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS)
TICK_SHARE = 4  # a tick delays a poll by less than this part of its least interval


class Cadence(Struct, frozen=True):
    """The due ages of one run.

    Attributes:
        since_age_ms: the object's age when the run began: at a poll, or when the wait began.
        least_ms, most_ms: bounds of the interval, 1 <= least <= most.
        phase_ms: 0 .. least - 1: due ages are congruent to it modulo `least_ms`.
    """

    since_age_ms: int
    least_ms: int
    most_ms: int
    phase_ms: int


def phase_of(object_id: bytes, probe: str, least_ms: int) -> int:
    """Return where in the interval an object polls a probe: spread over objects, the same on every device."""
    digest = blake2b(object_id + probe.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % least_ms


def cadence_of(
    object_id: bytes, probe: str, result: PollResult, since_age_ms: int, least_ms: int, most_ms: int
) -> Cadence:
    """Return the due ages of a run with that result."""
    match result:
        case PollResult.ABORTED:
            least_ms = most_ms = min(least_ms, POLL_ABORTED_MS)
        case PollResult.ESCALATED:
            least_ms = most_ms
        case _:
            pass
    return Cadence(since_age_ms, least_ms, most_ms, phase_of(object_id, probe, least_ms))


def next_due_age_ms(cadence: Cadence, age_ms: int) -> int:
    """Return the first due age after an age; one before the run's beginning counts as the beginning.

    Cost: at most some 200 additions, whatever the ages: the interval grows geometrically, then it is constant.
    """
    return _walk(cadence, age_ms)[0]


def count_dues(cadence: Cadence, after_ms: int, until_ms: int) -> int:
    """Return how many due ages lie after one age and not after another: polls made and missed together."""
    return max(0, _walk(cadence, until_ms)[1] - _walk(cadence, after_ms)[1])


def _walk(cadence: Cadence, age_ms: int) -> tuple[int, int]:
    """Return (first due age after `age_ms`, how many there were up to it)."""
    least_ms, since_ms = cadence.least_ms, cadence.since_age_ms
    most_ms = max(1, cadence.most_ms // least_ms) * least_ms
    due_ms = since_ms + 1 + (cadence.phase_ms - since_ms - 1) % least_ms
    count = 0
    while due_ms <= age_ms:
        interval_ms = max(1, (due_ms - since_ms) // GROWTH // least_ms) * least_ms
        if interval_ms >= most_ms:
            steps = (age_ms - due_ms) // most_ms + 1
            return due_ms + steps * most_ms, count + steps
        due_ms += interval_ms
        count += 1
    return due_ms, count


def on_tick(life_ms: int, least_ms: int) -> int:
    """Return the shared tick at or after a device time at which a poll of that cadence is made: a radio wakes once."""
    tick_ms = max((tick_ms for tick_ms in TICKS_MS if tick_ms * TICK_SHARE <= least_ms), default=1)
    return -(-life_ms // tick_ms) * tick_ms


class ReadingView(Struct, frozen=True):
    """What a poll's condition sees: the fields of the reading and the object's age; all else is unknown."""

    fields: Mapping[str, object]
    age_ms: int

    def fact_value(self, name: str, max_age_ms: int | None = None) -> Scalar | None:
        """Return a field of the reading; None where it has none of that name, or one that is no plain value."""
        value = self.fields.get(name)
        return value if isinstance(value, (bool, int, float, str)) else None

    def has_capability(self, name: str) -> bool | None:
        """Return None: unknown."""
        return None

    def outcome_count(self, outcome: int) -> int | None:
        """Return None: unknown."""
        return None

    def object_age_ms(self) -> int:
        """Return the age."""
        return self.age_ms

    def minute_of_day(self) -> int | None:
        """Return None: unknown."""
        return None


def judge_reading(until: Condition | None, view: ReadingView, has_changed: bool) -> PollResult:
    """Return whether a reading ends the wait.

    Args:
        until: None waits for a change. has_changed: the reading differs from the one before, or the cursor moved.
    """
    is_satisfied = has_changed if until is None else evaluate(until, view) is Truth.TRUE
    return PollResult.SATISFIED if is_satisfied else PollResult.NOT_YET


def judge_absence(was: PollResult | None, aborted_in_a_row: int) -> PollResult:
    """Return what a poll without a source comes to.

    Args:
        was: result of the run so far, None before the first. aborted_in_a_row: polls of it, this one included.
    """
    if was is PollResult.ESCALATED or (was is PollResult.ABORTED and aborted_in_a_row >= POLLS_ABORTED_MAX):
        return PollResult.ESCALATED
    return PollResult.ABORTED

"""Loops that change nothing: how often in a row an object only woke and slept again, and how long it stays then.

A turn is idle if it holds nothing but waking, sleeping, denials and what a body takes from conditions and timers (and
reads and says because of it). Idle turns count while each follows the last one at once, or as soon as the least stay
let it: then nothing in the world made them. Counted from the entries, so that it moves with custody.

Source: ours; Kubernetes' crash-loop back-off is the like of it for processes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..base.limits import FLAP_MS, LOOPS_FREE, STAY_MS_MAX, TRIES_FREE, TRIES_STAY_MS_MAX
from ..base.units import SECOND_MS
from . import bodies as b
from .records import Record

# The text of `reentered` with which a `resume` ends a loop: the count begins anew. No trigger is described so.
RESUMED = "resumed by an operator"
IDLE_TAKES = (b.Took.TIMER, b.Took.CONDITION)


def stay_ms(loops: int) -> int:
    """Return the least stay after so many loops: none at first, then doubling, bounded."""
    return 0 if loops < LOOPS_FREE else int(min(SECOND_MS << min(loops - LOOPS_FREE, 32), STAY_MS_MAX))


def stay_of_tries_ms(tries: int) -> int:
    """Return the least wait after so many tries of one call without a result."""
    return 0 if tries < TRIES_FREE else int(min(SECOND_MS << min(tries - TRIES_FREE, 32), TRIES_STAY_MS_MAX))


def loops_after(loops: int, gap_ms: int, bodies: Sequence[b.Body]) -> int:
    """Return the count after one more turn.

    Args:
        loops: before it. gap_ms: of age since the turn before. bodies: what the turn's records say.
    """
    repeats = repeated([body.path for body in bodies if isinstance(body, b.TookSealed) and body.what in IDLE_TAKES])
    is_at_once = gap_ms < stay_ms(loops) + FLAP_MS
    return loops + repeats + 1 if is_at_once and not any(_is_progress(body) for body in bodies) else repeats


def has_progress(records: Sequence[Record]) -> bool:
    """Say whether one of the records that a turn has made so far says more than that the object woke and slept."""
    return any(record.body is not None and _is_progress(record.body) for record in records)


def repeated(paths: Sequence[str]) -> int:
    """Return how many of some call paths are further calls of one name in one scope: a body that goes round."""
    return len(paths) - len({path.rpartition(":")[0] for path in paths})


def _is_progress(body: b.Body) -> bool:
    match body:
        case b.TookSealed(what=what):
            return what not in IDLE_TAKES
        case b.ExecutedSealed(is_final=is_final):
            return is_final
        case b.ReenteredSealed(triggers=triggers):
            return triggers[:1] == (RESUMED,)
        case b.DormantSealed() | b.DeniedSealed() | b.LearnedSealed() | b.PublishedSealed():
            return False
        case _:
            return True

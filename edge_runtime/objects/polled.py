"""What the ruling chain remembers of each probe that the object polls: folded from its `polled` records.

One record opens each run of equal results and says how many polls the run before it came to, so a history grows with
changes and not with polls. Source: ours, after run-length encoding; `docs/format.md` (State).
"""

from __future__ import annotations


from msgspec import Struct
from msgspec.structs import replace

from .bodies import PolledSealed, PollResult

# A poll is due only in a run with one of these results.
OPEN = (PollResult.NOT_YET, PollResult.ABORTED, PollResult.ESCALATED)


class PollMemory(Struct, frozen=True):
    """One probe's newest record, and the sums over all of them.

    Attributes:
        path: of the wait that polls; empty while nobody does.
        value: canonical CBOR of the newest good reading on record, empty before the first.
        cursor: where the source is read on, empty at its beginning; opaque.
        since_age_ms: when the run began. age_ms: of the newest record.
        until: canonical CBOR of the tree of a condition over the reading; empty for a change.
        polls, missed: over the whole chain; both are lower bounds unless `is_exact`.
        is_ready: satisfied, and no wait has taken the reading yet.
    """

    path: str
    result: PollResult
    value: bytes
    cursor: bytes
    since_age_ms: int
    least_ms: int
    most_ms: int
    until: bytes
    age_ms: int
    error: str = ""
    polls: int = 0
    missed: int = 0
    is_exact: bool = True
    is_ready: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a wait polls, so that a next poll is due."""
        return bool(self.path) and self.result in OPEN

    def closed(self) -> PollMemory:
        """Return it as it is once its reading has resumed the body, or a new run of the body has begun."""
        return replace(self, path="", is_ready=False)


def after(memory: PollMemory | None, body: PolledSealed, age_ms: int) -> PollMemory:
    """Return the memory with one more record, of an entry of that age."""
    result = PollResult(body.result)
    return PollMemory(
        "" if result is PollResult.ENDED else body.path, result,
        body.value or (b"" if memory is None else memory.value), body.cursor, body.since_age_ms, body.least_ms,
        body.most_ms, body.until, age_ms, body.error,
        body.polls + (0 if memory is None else memory.polls), body.missed + (0 if memory is None else memory.missed),
        body.is_exact and (memory is None or memory.is_exact), result is PollResult.SATISFIED,
    )  # fmt: skip

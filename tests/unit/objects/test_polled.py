"""What the ruling chain remembers of a probe: sums, the newest good reading, the cursor, and whether a wait polls."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.bodies import PolledSealed, PollResult
from edge_runtime.objects.polled import PollMemory, after


def record(result: PollResult, **fields: Any) -> PolledSealed:
    plain: dict[str, Any] = {
        "path": "0/0/poll:1", "probe": "door", "result": int(result), "value": b"", "cursor": b"", "since_age_ms": 0,
        "least_ms": 60_000, "most_ms": 60_000, "until": b"", "polls": 1, "missed": 0, "is_exact": True, "error": "",
    }  # fmt: skip
    return PolledSealed(**{**plain, **fields})


def fold(*records: PolledSealed) -> PollMemory:
    memory: PollMemory | None = None
    for age_ms, body in enumerate(records):
        memory = after(memory, body, age_ms)
    assert memory is not None
    return memory


def test_polls_are_summed_and_one_lower_bound_makes_the_sum_one() -> None:
    """Behaviour: 5.5."""
    found = fold(
        record(PollResult.NOT_YET), record(PollResult.SATISFIED, polls=40, missed=2),
        record(PollResult.NOT_YET, polls=3, is_exact=False), record(PollResult.NOT_YET, polls=1),
    )  # fmt: skip
    assert (found.polls, found.missed, found.is_exact, found.age_ms) == (45, 2, False, 3)


def test_the_newest_good_reading_stays_where_a_record_brings_none() -> None:
    found = fold(record(PollResult.NOT_YET, value=b"\x01"), record(PollResult.ABORTED, error="gone"))
    assert (found.value, found.error) == (b"\x01", "gone")
    assert fold(record(PollResult.NOT_YET, value=b"\x01"), record(PollResult.SATISFIED, value=b"\x02")).value == b"\x02"


@pytest.mark.parametrize(
    ("result", "is_open", "is_ready"),
    [
        (PollResult.NOT_YET, True, False), (PollResult.ABORTED, True, False), (PollResult.ESCALATED, True, False),
        (PollResult.SATISFIED, False, True), (PollResult.ENDED, False, False),
    ],
)  # fmt: skip
def test_a_probe_is_polled_while_its_wait_has_no_reading(result: PollResult, is_open: bool, is_ready: bool) -> None:
    found = fold(record(result))
    assert (found.is_open, found.is_ready) == (is_open, is_ready)
    assert not found.closed().is_open and not found.closed().is_ready

"""docs/how-to/sleeping-object.md: every reason in its table is one that the code gives."""

from __future__ import annotations

import re

import pytest

from edge_runtime.judge.outcomes import Outcome
from tests.support.page import ROOT

PAGE = (ROOT / "docs" / "how-to" / "sleeping-object.md").read_text()
REASONS = re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Reasons")[2], re.M)
SOURCE = "\n".join(
    path.read_text() for floor in ("judge", "node", "program") for path in (ROOT / "edge_runtime" / floor).rglob("*.py")
)


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_on_the_page_is_one_of_the_code(reason: str) -> None:
    if reason.startswith("after "):
        assert reason.removeprefix("after ").rstrip("…").upper() in Outcome.__members__
    elif " by policy" in reason:
        assert f'"{reason.split()[0]}"' in SOURCE and "} by policy: {" in SOURCE
    else:
        start = reason.partition("…")[0].rstrip(": ")
        assert re.search(rf'"{re.escape(start)}\b', SOURCE), start


def test_the_page_has_the_reasons_with_which_objects_wait_for_a_person() -> None:
    words = {reason.partition(":")[0] for reason in REASONS}
    assert {"stuck", "exhausted", "quarantined", "nondeterminism", "outranked"} <= words

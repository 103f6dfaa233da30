"""docs/behaviours.md says which test shows which behaviour: what it says is read from the tests themselves."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.support.behaviours import citations, cited_in

PAGE = Path(__file__).resolve().parents[3] / "docs" / "behaviours.md"
ROW = re.compile(r"^\| (\d+\.\d+) \| (.+?) \| (.+) \|$")
# How many behaviours each section of the catalogue has; the page lists them all, shown or not.
SECTIONS = {
    1: 14, 2: 8, 3: 10, 4: 13, 5: 6, 6: 15, 7: 7, 8: 7, 9: 7, 10: 10, 11: 18, 12: 13, 13: 7, 14: 13, 15: 10, 16: 6, 17: 6, 18: 7,
}  # fmt: skip
SHOWN = 3  # tests named for one behaviour; more are counted


def written(tests: list[str]) -> str:
    """Return the last cell of a row."""
    if not tests:
        return "not shown yet"
    more = f" and {len(tests) - SHOWN} more" if len(tests) > SHOWN else ""
    return ", ".join(f"`{test}`" for test in tests[:SHOWN]) + more


def test_the_page_names_every_behaviour_and_the_tests_that_cite_it() -> None:
    found = citations()
    lines = PAGE.read_text().splitlines()
    numbers = [row.group(1) for row in map(ROW.match, lines) if row is not None]
    assert numbers == [f"{section}.{n}" for section, count in SECTIONS.items() for n in range(1, count + 1)]
    expected = [
        line if (row := ROW.match(line)) is None else f"| {row[1]} | {row[2]} | {written(found.get(row[1], []))} |"
        for line in lines
    ]
    if os.environ.get("EDGE_REWRITE"):
        PAGE.write_text("\n".join(expected) + "\n")
        lines = expected
    assert lines == expected, "the page is behind the tests: run this test with EDGE_REWRITE=1"


def test_every_number_that_a_test_cites_in_these_sections_exists() -> None:
    for number, tests in citations().items():
        section, n = (int(part) for part in number.split(".")[:2])
        if section in SECTIONS:
            assert 1 <= n <= SECTIONS[section], f"{number} is cited by {tests[0]}"


def test_numbers_are_read_from_a_docstring_in_all_the_ways_in_which_they_are_written() -> None:
    assert cited_in("Behaviour: 6.10: one probe. Behaviours: 4.1, 4.2 and 5.3; not 7.1.") == ["6.10", "4.1", "4.2", "5.3"]
    assert cited_in("Figures of 6.10 are cited nowhere.") == []

"""The pages of docs/ that are walked through, block by block, on real daemons in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.page import ROOT
from tests.support.walkthrough import Block, Typed, Walk, blocks_of, typed_lines

WALKED = sorted(
    str(page.relative_to(ROOT / "docs"))
    for folder in ("tutorial", "how-to")
    for page in (ROOT / "docs" / folder).glob("*.md")
)
# How many blocks of a page are illustrations, such as what needs root on a board. All others are run.
NOT_RUN: dict[str, int] = {}


@pytest.mark.parametrize("page", WALKED)
def test_a_page_can_be_walked_through(page: str, tmp_path: Path) -> None:
    blocks = blocks_of(page)
    assert sum(bool(block.why_not) for block in blocks) == NOT_RUN.get(page, 0)
    with Walk(tmp_path) as walk:
        for block in blocks:
            walk.do(block)


def test_a_page_that_is_not_there_any_more_has_no_illustrations() -> None:
    assert set(NOT_RUN) <= set(WALKED)


def test_every_fence_of_these_pages_is_seen() -> None:
    for page in WALKED:
        text = (ROOT / "docs" / page).read_text()
        assert len(re.findall(r"^ *```", text, re.M)) == 2 * len(blocks_of(page)), page


def test_a_line_says_what_is_shown_and_how_it_ends() -> None:
    text = "a b \\\n  --c  # exit 5: -> no such\n# a comment\nrun &\n"
    assert list(typed_lines(text)) == [Typed("a b    --c", "no such", 5), Typed("run &")]
    assert Typed("run &").is_background and Block("python", "# a.py\nx\n").file == "a.py"


def test_a_wrong_page_is_noticed(tmp_path: Path) -> None:
    with Walk(tmp_path) as walk:
        for block in (Block("sh", "false\n"), Block("rust", ""), Block("python", "x\n")):
            with pytest.raises(AssertionError):
                walk.do(block)
        walk.do(Block("sh", "echo one two\n"))
        walk.do(Block("text", "one …\n"))
        walk.do(Block("sh", "# not run here: needs root\nfalse\n", "needs root"))

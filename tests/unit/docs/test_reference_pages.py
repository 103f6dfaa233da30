"""docs/reference: what it says is read from the code, and compared with it here."""

from __future__ import annotations

import os

import pytest

from tests.support.page import ROOT
from tests.support.reference import PAGES, written
from tests.support.reference.errors import escaped, texts


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    page = ROOT / "docs" / name
    if os.environ.get("EDGE_REWRITE"):
        page.write_text(written(name))
    assert page.read_text() == written(name), "the page is behind the code: run this test with EDGE_REWRITE=1"


def test_a_text_is_read_with_what_differs_and_its_exit_code() -> None:
    source = """
def f(name):
    what = f"{name} is there. Go on." if name else "There is none of it."
    raise UsageError(what, Exit.REFUSED)
def g(n):
    raise UsageError(f"Give a number, not {n!r}.")
"""
    assert list(texts(source)) == [
        ("… is there. Go on.", 5),
        ("There is none of it.", 5),
        ("Give a number, not ….", 2),
    ]
    assert escaped("a *b* `c*`") == "a \\*b\\* `c*`"

"""docs/reference: what it says is read from the code, and compared with it here."""

from __future__ import annotations

import os

import pytest

from tests.support.page import ROOT
from tests.support.reference import PAGES, written


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    page = ROOT / "docs" / name
    if os.environ.get("EDGE_REWRITE"):
        page.write_text(written(name))
    assert page.read_text() == written(name), "the page is behind the code: run this test with EDGE_REWRITE=1"

"""mkdocs.yml: every page stands in the menu once, and what it names is there. `deploy/docs.sh` checks the links."""

from __future__ import annotations

import re

from tests.support.page import ROOT

CONFIG = (ROOT / "mkdocs.yml").read_text()
DOCS = ROOT / "docs"
NAV = re.findall(r"^ +- (?:.+: )?(\S+\.md)$", CONFIG.partition("\nnav:\n")[2], re.M)


def test_every_page_stands_in_the_menu_once() -> None:
    assert sorted(NAV) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_nothing_of_the_site_comes_from_another_server() -> None:
    assert "font: false" in CONFIG and "http" not in CONFIG
    for asset in re.findall(r"site/[\w.-]+", CONFIG.replace("build/site", "")):
        assert (DOCS / asset).is_file() and "http" not in (DOCS / asset).read_text()


def test_a_page_that_teaches_begins_with_what_one_has_at_the_end() -> None:
    menu = CONFIG.partition("  - Tutorial:")[2].partition("  - How it works:")[0]
    pages = re.findall(r"(\S+\.md)$", menu, re.M)
    assert len(pages) > 10
    for name in pages:
        begin = (DOCS / name).read_text().partition("\n## ")[0]
        assert "At the end " in begin, name


def test_every_page_begins_with_its_one_title() -> None:
    for name in NAV:
        text = re.sub(r"^(```|~~~).*?^\1", "", (DOCS / name).read_text(), flags=re.M | re.S)
        assert text.startswith("# ") and len(re.findall(r"^# ", text, re.M)) == 1, name

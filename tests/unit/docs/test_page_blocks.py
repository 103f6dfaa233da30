"""Blocks of all pages: Python is Python, a configuration is one, and what needs root is run by tests/systemd."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.config import read_config
from edge_runtime.judge.policy import Policy
from tests.support.page import ROOT

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
BLOCKS = [
    (f"{page.relative_to(ROOT / 'docs')}:{number}", language, text)
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for number, (language, text) in enumerate(BLOCK.findall(page.read_text()), start=1)
]
# On these a mistake is shown, and what is said about it.
WRONG = {"nmae", 'listen = "0.0.0.0:8080"', '"battery.percent <"'}


def of(language: str) -> list[Any]:
    return [pytest.param(text, id=place) for place, found, text in BLOCKS if found == language]


@pytest.mark.parametrize("text", of("python"))
def test_a_block_of_python_compiles(text: str) -> None:
    signature = re.fullmatch(r"(await )?(\w+)\((.*)\)( -> .*)?\n", text, re.S)
    if signature is None:
        compile(f"async def f():\n{re.sub('^', ' ', text, flags=re.M)}", "page", "exec")


@pytest.mark.parametrize("text", of("toml"))
def test_a_block_of_toml_is_a_configuration_or_a_policy(text: str, tmp_path: Path) -> None:
    if any(mistake in text for mistake in WRONG):
        with pytest.raises(UsageError):
            check(text, tmp_path)
    else:
        check(text, tmp_path)


def check(text: str, folder: Path) -> None:
    if re.search(r"^\[\[rule\]\]", text, re.M):
        Policy.parse(text, "page")
    else:
        (folder / "config.toml").write_text(text)
        read_config(folder / "config.toml")


def test_each_block_of_json_is_some_or_a_line_each() -> None:
    for place, language, text in BLOCKS:
        if language == "json":
            for line in text.splitlines():
                assert json.loads(line), place


def test_what_the_page_on_installing_shows_is_run_on_a_booted_machine() -> None:
    """What needs root is not typed by tests/demo: each option of the page stands in a test that boots a machine."""
    page = (ROOT / "docs" / "install.md").read_text()
    shown = {word for _, text in BLOCK.findall(page) for word in re.findall(r"(?<= )--[a-z-]+", text)}
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "systemd").glob("*.py"))
    support = "\n".join(path.read_text() for path in (ROOT / "tests" / "support").glob("*.py"))
    assert {"--rollback", "--uninstall", "--purge"} <= shown
    assert not [option for option in sorted(shown) if option not in tests + support]

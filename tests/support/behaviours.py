"""Which tests show which numbered behaviour: read from docstrings of tests and from the first comments of plays."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CITED = re.compile(r"Behaviours?: ((?:\d+\.\d+(?:\.\d+)?(?:, (?:and )?| and )?)+)")
NUMBER = re.compile(r"\d+\.\d+(?:\.\d+)?")


def cited_in(text: str) -> list[str]:
    """Return the numbers that a text cites, in order: after the word `Behaviour:`."""
    return [number for found in CITED.findall(text) for number in NUMBER.findall(found)]


def citations() -> dict[str, list[str]]:
    """Return the tests that cite each number, as `folder/file::test` or `folder/file.play`, sorted."""
    found: dict[str, dict[str, None]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, text in _docstrings(path):
            for number in cited_in(text):
                found.setdefault(number, {})[f"{path.relative_to(TESTS)}::{name}"] = None
    for path in sorted(TESTS.rglob("*.play")):
        comment = " ".join(line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
        for number in cited_in(comment):
            found.setdefault(number, {})[str(path.relative_to(TESTS))] = None
    return {number: sorted(tests) for number, tests in found.items()}


def _docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, docstring) of each test; a number in the module's docstring counts for all of its tests."""
    tree = ast.parse(path.read_text())
    whole = ast.get_docstring(tree) or ""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            yield node.name, " ".join(((ast.get_docstring(node) or "") + "\n" + whole).split())

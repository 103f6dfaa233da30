"""The reference pages that are written from the code: `pages` maps each file of docs/ to its writer.

`api` reads docstrings, `commands` the parser of the command line, `settings` the types of `config.toml`, `limits`
the bounds. A page says at its top that it is written; the test beside `pages` compares and rewrites.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support.reference import api, commands, limits, settings

MARK = "Written from the code by `EDGE_REWRITE=1 python -m pytest tests/unit/docs/test_reference_pages.py`."

PAGES: dict[str, Callable[[], str]] = {
    "reference/python.md": api.page,
    "reference/commands.md": commands.page,
    "reference/configuration.md": settings.page,
    "reference/limits.md": limits.page,
}


def written(name: str) -> str:
    """Return the whole text of one page."""
    return f"{PAGES[name]().rstrip()}\n\n*{MARK}*\n"

"""The reference pages that are written from the code: `PAGES` maps each file of docs/ to its writer.

`api` reads docstrings, `commands` the parser of the command line, `settings` the types of `config.toml`, `limits`
the bounds, `errors` the texts of refusals, `promises` the README. A page says at its end that it is written; a test
compares and rewrites them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.support.reference import api, commands, errors, limits, promises, settings

MARK = "Written from the code by `EDGE_REWRITE=1 python -m pytest tests/unit/docs/test_reference_pages.py`."

PAGES: dict[str, Callable[[], str]] = {
    "reference/python.md": api.page,
    "reference/commands.md": commands.page,
    "reference/configuration.md": settings.page,
    "reference/errors.md": errors.page,
    "reference/limits.md": limits.page,
    "reference/promises.md": promises.page,
}


def written(name: str) -> str:
    """Return the whole text of one page."""
    text = re.sub(r"\n{3,}", "\n\n", PAGES[name]().rstrip())
    return f"{text}\n\n*{MARK}*\n"

"""A real browser, and three real devices whose page it shows. Debian's Chromium; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browsers import EXECUTABLE, launch
from tests.support.requires import require
from tests.support.web import Story

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


NEEDS = (
    "module:playwright", "module:axe_playwright_python", "module:starlette", "module:uvicorn", "module:prometheus_client",
    f"command:{EXECUTABLE}",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window; not for longer than a module, for its driver keeps an event loop in this thread."""
    require(*NEEDS)
    with launch() as found:
        yield found


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Three daemons whose story was played."""
    require(*NEEDS)
    found = Story(tmp_path_factory.mktemp("story"))
    try:
        found.begin().play()
        yield found
    finally:
        found.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page and wait until it is live. At the end: no script error, nothing refused, nothing asked elsewhere."""
    problems: list[str] = []
    contexts: list[Any] = []

    def go(url: str, width: int = 1_240, height: int = 900, expected: str = "", **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda word: problems.append(word.text) if word.type in ("error", "warning") and not (
            expected and expected in word.text) else None)  # fmt: skip
        page.on("request", lambda asked: None if asked.url.startswith(url) else problems.append(asked.url))
        page.goto(url)
        page.wait_for_selector(".link.live")
        page.wait_for_selector("#devices li")
        return page

    yield go
    for context in contexts:
        context.close()
    assert problems == []

"""Debian's Chromium, driven by playwright, as a sandboxless root may run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.daemons import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EXECUTABLE = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def launch() -> Iterator[Browser]:
    """Run the browser for as long as the context lasts."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, headless=True, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def until(page: Page, expression: str, value: Any = None) -> None:
    """Wait until an expression is true in the page.

    `wait_for_function` evaluates inside the page, which the page's own policy forbids.
    """
    wait_until(lambda: page.evaluate(expression, value), 15, what=expression)

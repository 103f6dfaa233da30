"""Pictures of the status page for the docs, of three live devices: `python -m tests.support.pictures docs/pictures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.browsers import launch
from tests.support.daemons import wait_until
from tests.support.web import Story

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1_120, "height": 860}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1_120, "height": 860}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
BYTES_MOST = 150_000  # of one picture: a clone must stay small
HEIGHT_MOST = 620
PLACE = """() => { const { x, y, width, height } = document.querySelector('.one').getBoundingClientRect();
                   return { x: x + scrollX, y: y + scrollY, width, height }; }"""


def take(page: Page, url: str, folder: Path, look: str) -> None:
    """Take every view in one look."""
    page.goto(url)
    page.wait_for_selector("#board .card")
    page.screenshot(path=folder / f"page-{look}.png")
    page.locator(".board-panel").screenshot(path=folder / f"objects-{look}.png")
    for name, view in (("survey-1", "history"), ("report-1", "backoff")):
        page.evaluate("name => { location.hash = `object=${name}` }", name)
        wait_until(lambda name=name: page.locator("#one-title").inner_text().startswith(name), what=name)
        page.wait_for_selector("#records li")
        page.evaluate("document.activeElement.blur()")
        box = page.evaluate(PLACE)
        page.screenshot(path=folder / f"{view}-{look}.png", full_page=True,
                        clip={**box, "height": min(box["height"], HEIGHT_MOST)})  # fmt: skip
    page.locator(".contacts").screenshot(path=folder / f"contacts-{look}.png")


def main(folder: Path) -> None:
    """Play the story and write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        story = Story(Path(place))
        try:
            story.begin().play()
            # One more device is away, so that there is something to see of that too.
            story.mule.kill()
            wait_until(lambda: story.met() == 1)
            wait_until(lambda: story.drone.ask("explain", object="report-1")["steps"][0]["tries"] >= 2, what="a retry")
            with launch() as browser:
                for look, options in LOOKS.items():
                    context = browser.new_context(reduced_motion="reduce", **options)
                    take(context.new_page(), story.url, folder, look)
                    context.close()
        finally:
            story.close()
    for file in sorted(folder.glob("*.png")):
        print(f"{file}  {file.stat().st_size} bytes")
        assert file.stat().st_size < BYTES_MOST, f"{file} is too large for a clone"


if __name__ == "__main__":
    main(Path(sys.argv[1]))

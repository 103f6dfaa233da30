"""The page for everybody: by keyboard, on a phone, in the dark, without motion, for readers of the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.test_views import open_object
from tests.support.browsers import until
from tests.support.web import Story

Visit = Callable[..., Any]
FOCUSED = """() => {
  const node = document.activeElement, box = node.getBoundingClientRect(), style = getComputedStyle(node);
  return [node.tagName, node.id || node.className, node.textContent.trim().slice(0, 30), box.width * box.height > 0,
          style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
}"""


def test_the_keyboard_reaches_everything_in_order_sees_where_it_is_and_is_trapped_nowhere(
    story: Story, visit: Visit
) -> None:
    page = visit(story.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    wanted = page.evaluate("[...document.querySelectorAll('main button, main summary, footer a')]"
                           ".filter(n => n.checkVisibility() && !n.hidden).length")  # fmt: skip
    places, seen = [], []
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        tag, name, text, is_there, is_marked = page.evaluate(FOCUSED)
        if tag == "BODY":
            break
        assert is_there and is_marked, (tag, name, text)
        seen.append(text)
        places.append(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
    else:
        pytest.fail("the focus never left the page")
    assert len(seen) == wanted
    assert places == sorted(places), "the focus follows the order of the page"


def test_an_object_is_opened_by_keyboard_the_focus_goes_there_and_back_works(story: Story, visit: Visit) -> None:
    page = visit(story.url)
    page.locator("#cards-ended .card", has_text="lens-1").focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#one-title').textContent === 'lens-1 (break)'")
    assert page.evaluate("document.activeElement.id") == "one-title"
    assert "ValueError: the lens is cracked" in page.locator("#one-line").inner_text()
    assert page.locator(".card[aria-current]").count() == 1
    page.evaluate("history.back()")
    page.wait_for_selector("#one-body", state="hidden")


def test_the_focus_stays_on_what_is_redrawn(story: Story, visit: Visit) -> None:
    page = visit(story.url)
    page.locator("#cards-dormant .card", has_text="night-1").focus()
    story.drone.ask("submit", intent="count", arguments={"number": 1}, name="count-focus", wait=True)
    page.wait_for_selector("#cards-ended .card:has-text('count-focus')")
    assert "night-1" in page.evaluate("document.activeElement.textContent")


@pytest.mark.parametrize("width", [320, 390, 768, 1_240])
def test_nothing_scrolls_sideways_at_any_width(story: Story, visit: Visit, width: int) -> None:
    page = visit(story.url, width=width, height=844)
    story.drone.ask("submit", intent="patrol", name="a" * 60 + "-" + "ä" * 20)
    open_object(page, "survey-1")
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    small = page.evaluate("[...document.querySelectorAll('.card, .more')].filter(n => n.checkVisibility())"
                          ".map(n => n.getBoundingClientRect().height).filter(height => height < 44)")  # fmt: skip
    assert small == [], "a finger needs 44 pixels"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1_240), ("dark", 390)])
def test_the_rules_for_accessibility_find_nothing(story: Story, visit: Visit, scheme: str, width: int) -> None:
    """Source: axe-core, rules of WCAG 2.2 A and AA and its best practices."""
    from axe_playwright_python.sync_playwright import Axe

    page = visit(story.url, width=width, color_scheme=scheme, reduced_motion="reduce")
    page.evaluate("location.hash = 'object=report-1'")  # one that sleeps: it has everything that a page can have
    page.wait_for_selector("#records li")
    page.locator("summary").click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    light = sum(int(part) for part in paper.removeprefix("rgb(").rstrip(")").split(","))
    assert (light > 600) == (scheme == "light")


def test_nothing_moves_for_those_who_asked_for_that(story: Story, visit: Visit) -> None:
    moving = "document.getAnimations().filter(one => one.playState === 'running').length"
    page = visit(story.url, reduced_motion="reduce")
    assert page.evaluate(moving) == 0
    page = visit(story.url)
    assert page.evaluate(moving) > 0


def test_the_page_does_not_jump_while_it_fills_and_changes(story: Story, visit: Visit) -> None:
    """Source: web.dev, Cumulative Layout Shift: up to 0.1 is good."""
    page = visit(story.url)
    page.wait_for_selector("#board .card")
    story.drone.ask("submit", intent="count", arguments={"number": 1}, name="count-jump", wait=True)
    page.wait_for_selector("#cards-ended .card:has-text('count-jump')")
    moved = page.evaluate("""() => new Promise(done => {
      let sum = 0;
      new PerformanceObserver(list => { for (const one of list.getEntries()) sum += one.value; })
        .observe({ type: 'layout-shift', buffered: true });
      requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
    })""")
    assert moved <= 0.1


def test_a_page_that_nobody_sees_is_no_onlooker(story: Story, visit: Visit) -> None:
    from tests.support.daemons import wait_until
    from tests.support.web import request

    def onlookers() -> bool:
        return b"edge_runtime_web_onlookers 1.0" in request(story.url, "/metrics")[2]

    page = visit(story.url)
    wait_until(onlookers, what="one onlooker")
    page.evaluate("""() => {
      Object.defineProperty(document, 'hidden', { get: () => true, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }""")
    wait_until(lambda: not onlookers(), what="no onlooker")
    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    wait_until(onlookers, what="one onlooker again")

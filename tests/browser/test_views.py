"""Each view of the status page, in a real browser, on three live daemons: it shows what the command line says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.support.browsers import until
from tests.support.daemons import wait_until
from tests.support.web import Daemon, Story

Visit = Callable[..., Any]


def said(daemon: Daemon, *words: str) -> list[dict[str, Any]]:
    """Return the rows that a command prints with --json."""
    return [json.loads(line) for line in daemon.run(*words, "--json").stdout.splitlines()]


def texts(page: Any, selector: str) -> list[str]:
    """Return the visible text of each match."""
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


def open_object(page: Any, name: str) -> None:
    """Choose a card, or follow a link to what is not among the newest, and wait for its history."""
    card = page.locator("#board .card", has=page.get_by_text(name, exact=True))
    if card.count():
        card.click()
    else:
        page.evaluate("name => { location.hash = `object=${encodeURIComponent(name)}` }", name)
    until(page, "name => document.querySelector('#one-title').textContent.startsWith(name)", name)
    page.wait_for_selector("#records li")


def test_devices_and_links_are_those_of_peers(story: Story, visit: Visit) -> None:
    page = visit(story.url)
    peers = {peer["name"]: peer["state"] for peer in said(story.drone, "peers")}
    rows = page.locator("#devices li")
    shown = {rows.nth(at).locator(".n").inner_text(): rows.nth(at).locator(".state").inner_text()
             for at in range(rows.count())}  # fmt: skip
    assert shown == {"drone": "this device", **peers}
    assert peers == {"base": "in contact", "mule": "in contact"}
    assert page.locator("#map .edge.in").count() == 2
    assert sorted(page.locator("#map .label").all_text_contents()) == ["base", "drone", "mule"]
    assert "in contact with base, mule" in page.locator("#map svg").get_attribute("aria-label")


def test_objects_by_status_are_those_of_ls(story: Story, visit: Visit) -> None:
    page = visit(story.url)

    def agree() -> bool:  # one of them is tried again and again: both sides are asked until they saw the same moment
        listed, status = said(story.drone, "ls"), story.drone.ask("status")
        for name, count in status["objects"].items():
            names = [row["name"] or row["intent"] for row in listed if row["status"] == name]
            shown = texts(page, f"#cards-{name} .n")
            if page.locator(f"#column-{name} .number").inner_text() != str(count) or shown != names[: min(count, 6)]:
                return False
        return {row["end"] for row in listed} >= {"completed", "failed"}

    wait_until(agree, what="page and ls to say the same")


def test_what_sleeps_is_there_with_its_reason_and_when_it_is_looked_at(story: Story, visit: Visit) -> None:
    page = visit(story.url)

    def agree() -> bool:
        rows = page.locator("#reasons li")
        shown = {rows.nth(at).locator(".what").inner_text(): int(rows.nth(at).locator(".number").inner_text())
                 for at in range(rows.count())}  # fmt: skip
        return shown == {row["reason"]: row["objects"] for row in story.drone.ask("status")["dormant_by_reason"]}

    wait_until(agree, what="page and status to say the same")
    assert "until wind.speed < 8 and battery.percent > 40" in texts(page, "#reasons .what")
    looks = dict(zip(texts(page, "#next .plain"), texts(page, "#next .because"), strict=True))
    assert looks["night-1"] == "sleeping"
    assert looks.get("report-1", "after unreachable").startswith("after unreachable")


def test_one_objects_history_says_who_did_what_when_it_slept_and_why_it_woke(story: Story, visit: Visit) -> None:
    page = visit(story.url)
    open_object(page, "survey-1")
    trace = said(story.drone, "trace", "survey-1")
    assert texts(page, "#records .by") == [row["device_name"] for row in trace]
    words = texts(page, "#records .text")
    reasons = [row["body"]["reason"] for row in trace if row["kind"] == "dormant"]
    assert [word for word in words if word.startswith("fell asleep")] and all(
        any(word.startswith(f"fell asleep: {reason}") for word in words) for reason in reasons
    )
    assert any(word.startswith("woke: door.open == True, after ") for word in words)
    assert any(word == "offered it to base: no device with uplink" for word in words)
    assert words[-1] == "ended, completed: delivered 3"
    assert page.locator("#one-line b").inner_text() == "completed: delivered 3"
    assert page.locator("#lanes .sleep").count() == len(reasons)
    assert page.locator("#lanes .hand").count() == 1
    assert page.locator("#lanes .lane-name").all_text_contents() == ["drone", "base"]


def test_backoff_is_there_with_tries_outcome_and_the_next_look(story: Story, visit: Visit) -> None:
    page = visit(story.url)
    open_object(page, "report-1")
    explained = story.drone.ask("explain", object="report-1")
    assert page.locator("#one-why .because b").inner_text() == explained["reason"] == "after unreachable"
    assert "next look " in page.locator("#one-why .because").inner_text()
    tries = page.locator("#one-why .tries li").inner_text()
    assert tries.startswith("call tried ") and "unreachable, Unreachable: no route to the harbour" in tries
    assert texts(page, "#one-why tbody th") == [wait["leaf"] for wait in explained["waits"]]


def test_contacts_over_time_are_those_of_contacts(story: Story, visit: Visit) -> None:
    page = visit(story.url)
    rows = said(story.drone, "contacts")
    assert page.locator("#contact-lanes rect.contact").count() == len(rows) >= 3
    assert page.locator("#contact-lanes rect.contact.open").count() == sum(row["lasted_ms"] is None for row in rows)
    page.locator("summary").click()
    assert texts(page, "#contact-rows th") == [row["name"] for row in rows]
    assert texts(page, "#contact-rows td:last-child") == [row["reason"] or "" for row in rows]


def test_what_happens_is_seen_without_a_reload_and_only_its_part_is_drawn(story: Story, visit: Visit) -> None:
    page = visit(story.url)
    page.evaluate("window.isSamePage = true; window.kept = document.querySelector('#cards-dormant li[data-key]')")
    story.drone.ask("submit", intent="survey", arguments={"cells": 1}, name="survey-2")
    until(page, "[...document.querySelectorAll('#cards-dormant .n')].some(n => n.textContent === 'survey-2')")
    open_object(page, "survey-2")
    story.drone.ask("fact", name="door.open", value=True)
    until(page, "[...document.querySelectorAll('#cards-ended .n')].some(n => n.textContent === 'survey-2')")
    until(page, "document.querySelector('#one-line b').textContent === 'completed: delivered 1'")
    assert page.evaluate("window.isSamePage && window.kept.isConnected")
    story.drone.ask("fact", name="door.open", value=False)


def test_a_text_of_an_object_is_text_and_never_markup(story: Story, visit: Visit) -> None:
    page = visit(story.url, expected="TrustedHTML")
    evil = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>\u202egnp"
    story.drone.ask("submit", intent="count", arguments={"number": 1}, name=evil, wait=True)
    until(page, "[...document.querySelectorAll('#cards-ended .n')].some(n => n.textContent.startsWith('<img'))")
    open_object(page, "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>\\u202egnp")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#main img").count() == 0
    assert page.evaluate("() => { try { document.body.innerHTML = '<b>x</b>'; return 'written' } catch { return 'refused' } }"
                         ) == "refused", "the policy itself forbids markup from text"  # fmt: skip

"""What is lost is shown as lost: a peer that is gone, this device itself, and that it is back."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.limits import WEB_ROWS_FIRST
from tests.support.browsers import until
from tests.support.daemons import Daemon, wait_until
from tests.support.web import APP, Story, request, url_of

Visit = Callable[..., Any]


def submit_many(daemon: Daemon, count: int) -> None:
    """Submit objects without waiting for each: many fit one flush."""
    with socket.socket(socket.AF_UNIX) as asker:
        asker.settimeout(60)
        asker.connect(str(daemon.folder / "control.sock"))
        for number in range(count):
            words = {"command": "submit", "intent": "patrol", "name": f"patrol-{number}"}
            asker.sendall(json.dumps(words).encode() + b"\n")
        answers = asker.makefile("rb")
        assert all(json.loads(answers.readline())["ok"] for _ in range(count))


@pytest.fixture
def killable(story: Story) -> Iterator[Story]:
    """The three devices; whoever was killed stands again afterwards."""
    try:
        yield story
    finally:
        for device in story.devices:
            if device.process is None or device.process.poll() is not None:
                device.start()
        wait_until(lambda: story.met() == 2, what="all to be back")


def test_a_peer_and_then_the_device_itself_are_lost_and_found(killable: Story, visit: Visit) -> None:
    wait_until(lambda: killable.met() == 2)
    page = visit(killable.url, expected="net::ERR")
    killable.mule.kill()
    until(page, "document.querySelector('#devices .away .n')?.textContent === 'mule'")
    assert page.locator("#devices .away .state").inner_text().startswith("not in contact, last heard ")
    assert page.locator("#map .edge.away").count() == 1
    assert page.locator("#said").inner_text() == "mule is not in contact."
    assert {row["name"]: row["state"] for row in killable.drone.ask("peers")} == {
        "base": "in contact", "mule": "not in contact",
    }  # fmt: skip
    assert page.locator("#link-word").inner_text() == "live"

    killable.drone.kill()
    page.wait_for_selector(".link.lost")
    assert page.locator("#link-word").inner_text().startswith("lost, as of ")
    assert "This device does not answer" in page.locator("#trouble").inner_text()
    assert page.locator("#devices .n").all_inner_texts() == ["drone", "base", "mule"], "the last picture stays"

    killable.drone.start()
    page.wait_for_selector(".link.live")
    page.wait_for_selector("#trouble", state="hidden")


@pytest.mark.usefixtures("browser")
def test_four_hundred_objects_are_counted_and_shown_a_few_at_a_time(tmp_path: Path, visit: Visit) -> None:
    with Daemon(tmp_path / "d", "--app", APP, "--interface", "lo", "--web", "127.0.0.1:0") as daemon:
        submit_many(daemon, 400)
        page = visit(url_of(daemon))
        page.wait_for_selector("#cards-dormant .card")
        assert page.locator("#column-dormant .number").inner_text() == "400"
        assert page.locator("#cards-dormant .card").count() < 10
        assert page.evaluate("document.querySelectorAll('*').length") < 1_000
        for _ in range(5):  # beyond what the page was told by itself
            had = page.locator("#cards-dormant .card").count()
            page.locator("#more-dormant").click()
            until(page, "had => document.querySelectorAll('#cards-dormant .card').length > had", had)
        names = page.locator("#cards-dormant .n").all_inner_texts()
        assert names == [f"patrol-{399 - at}" for at in range(len(names))]
        assert len(names) > WEB_ROWS_FIRST
        assert len(request(url_of(daemon), "/api/now")[2]) < 100_000

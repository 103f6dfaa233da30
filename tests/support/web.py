"""A daemon's status page for tests: where it is, and one request to it."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.daemons import Daemon, make_fleet, wait_until

APP = str(Path(__file__).parent / "web_app.py") + ":app"
REQUEST_S = 20
OPTIONS = ("--interface", "lo", "--web", "127.0.0.1:0")


def url_of(daemon: Daemon) -> str:
    """Wait until the page is served and return its URL."""
    file = daemon.folder / "web.url"
    found: str = wait_until(lambda: file.exists() and file.read_text().strip(), what="web.url")
    return found


def request(
    url: str, path: str, method: str = "GET", host: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Return (status, headers, body) of one request; `host` and further headers as they are given."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=REQUEST_S)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", place.netloc if host is None else host)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def get_json(url: str, path: str) -> Any:
    """Return the JSON of an answer that must be good."""
    status, _, body = request(url, path)
    assert status == 200, (status, body)
    return json.loads(body)


class Events:
    """One live page's connection: `next` returns what the server told. Close it."""

    def __init__(self, url: str, path: str = "/events") -> None:
        place = urlsplit(url)
        self.connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=REQUEST_S)
        self.connection.request("GET", path)
        self.answer = self.connection.getresponse()

    def next(self) -> Any:
        """Return the next event's data, parsed."""
        lines: list[str] = []
        while line := self.answer.readline().decode().rstrip("\n"):
            lines.append(line)
        assert lines, "the server ended the stream"
        return json.loads("".join(line.removeprefix("data: ") for line in lines))

    def close(self) -> None:
        """Hang up."""
        self.answer.close()
        self.connection.close()


class Story:
    """Three devices of one fleet with something to see: objects in every status, contacts that came and went.

    `drone` serves the page. Call `close`.
    """

    def __init__(self, folder: Path) -> None:
        app = ("--app", APP, "--interface", "lo")
        self.port = free_port()
        self.drone = Daemon(folder / "drone", *app, "--capability", "camera", "--web", f"127.0.0.1:{self.port}")
        self.base = Daemon(folder / "base", *app, "--capability", "uplink")
        self.mule = Daemon(folder / "mule", "--interface", "lo")
        self.devices = (self.drone, self.base, self.mule)
        make_fleet(self.base, self.drone, self.mule)
        self.url = ""

    def begin(self) -> Story:
        """Start all three and let them meet."""
        for device in self.devices:
            device.start()
        self.url = url_of(self.drone)
        wait_until(lambda: self.met() == 2, what="the drone to meet both")
        return self

    def met(self) -> int:
        """Return how many peers the drone is in contact with."""
        return sum(peer["connected"] for peer in self.drone.ask("peers"))

    def play(self) -> None:
        """Make objects; one crosses to the base; the mule's link flaps."""
        ask = self.drone.ask
        ask("submit", intent="survey", arguments={"cells": 3}, name="survey-1")
        ask("submit", intent="report", arguments={"text": "position"}, name="report-1")
        ask("submit", intent="expose", arguments={"seconds": 500}, name="exposure-1")
        ask("submit", intent="rest", arguments={"seconds": 3_600}, name="night-1")
        for number in range(3):
            ask("submit", intent="patrol", name=f"patrol-{number + 1}")
        ask("submit", intent="count", arguments={"number": 7}, name="count-1", wait=True)
        ask("submit", intent="break", name="lens-1", wait=True)
        self.base.ask("submit", intent="rest", arguments={"seconds": 7_200}, name="base-rest")
        self.mule.ask("radio", on=False)
        wait_until(lambda: self.met() == 1, what="the mule to be away")
        wait_until(lambda: self.drone.ask("show", object="survey-1")["reason"] == "until door.open == True")
        self.mule.ask("radio", on=True)
        wait_until(lambda: self.met() == 2, what="the mule to be back")
        ask("fact", name="door.open", value=True)
        wait_until(lambda: ask("show", object="survey-1")["status"] == "ended", what="the delivery")
        ask("fact", name="door.open", value=False)

    def close(self) -> None:
        """End every process."""
        for device in self.devices:
            device.stop()


def free_port() -> int:
    """Return a port of loopback that nobody has now: a page that comes back must come back there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port

"""A daemon's status page for tests: where it is, and one request to it."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.daemons import Daemon, wait_until

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

"""The routes on a real daemon: they say what the command line says, change nothing, and are bounded."""

from __future__ import annotations

import json
import re
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from edge_runtime.base.limits import WEB_HEAD_BYTES_MAX, WEB_ONLOOKERS_MAX, WEB_ROWS_MAX
from tests.support.daemons import Daemon, wait_until
from tests.support.web import Events, get_json, request, url_of

ROUTES = ("/", "/static/page.js", "/api/now", "/api/objects?status=dormant", "/api/objects/patrol-1", "/metrics",
          "/healthz")  # fmt: skip
SHARED = ("object", "name", "intent", "status", "end", "reason", "custodian", "entries")


def files_of(daemon: Daemon) -> dict[str, bytes]:
    """Return the bytes of the spool's files, but for the shared memory in which readers leave their marks."""
    return {path.name: path.read_bytes() for path in daemon.folder.glob("spool.db*") if path.suffix != ".db-shm"}


def test_reading_every_route_changes_no_byte_of_the_spool_and_no_head(daemon: Daemon) -> None:
    url = url_of(daemon)
    wait_until(lambda: daemon.ask("show", object="report-1")["reason"] == "after unreachable")
    daemon.ask("hold")  # no step is tried again meanwhile
    heads = {name: daemon.ask("show", object=name)["heads"] for name in ("patrol-1", "report-1", "count-1")}
    files = files_of(daemon)
    for path in ROUTES:
        for method in ("GET", "HEAD"):
            assert request(url, path, method)[0] == 200, path
    events = Events(url, "/events?object=patrol-1")
    try:
        events.next()
    finally:
        events.close()
    assert files_of(daemon) == files
    assert {name: daemon.ask("show", object=name)["heads"] for name in heads} == heads
    daemon.ask("release")


def test_the_page_says_of_objects_what_the_command_line_says(daemon: Daemon) -> None:
    listed = json.loads("[" + ",".join(daemon.run("ls", "--json").stdout.splitlines()) + "]")
    shown = {row["object"]: row for row in get_json(url_of(daemon), "/api/now")["objects"]}
    assert len(shown) == len(listed) == 3
    for row in listed:
        assert {name: shown[row["object"]][name] for name in SHARED} == {name: row[name] for name in SHARED}
        assert (shown[row["object"]]["due_at"] is None) == (row["due_in_ms"] is None)


def test_one_object_is_what_show_explain_and_trace_say(daemon: Daemon) -> None:
    found = get_json(url_of(daemon), "/api/objects/patrol-1")
    show, explain = daemon.ask("show", object="patrol-1"), daemon.ask("explain", object="patrol-1")
    assert found["trace"] == daemon.ask("trace", object="patrol-1")
    assert {name: found["show"][name] for name in SHARED if name in show} == {
        name: show[name] for name in SHARED if name in show
    }
    assert [wait["leaf"] for wait in found["explain"]["waits"]] == [wait["leaf"] for wait in explain["waits"]]
    assert abs((found["now_ms"] + show["expires_in_ms"]) - found["show"]["expires_at"]) < 10_000


def test_what_is_asked_wrongly_is_refused_with_what_to_change(daemon: Daemon) -> None:
    url = url_of(daemon)
    for path, status, word in (
        ("/api/objects/nobody", 404, "nobody"),
        ("/api/objects?status=lost", 400, "awake, dormant"),
        ("/api/objects?most=many", 400, "no number"),
        ("/api/objects?before=-1", 400, "no number"),
        ("/api/objects/" + "a" * 200, 400, "128 bytes"),
        ("/events?object=" + "a" * 200, 400, "128 bytes"),
    ):
        found, _, body = request(url, path)
        assert (found, word in body.decode()) == (status, True), (path, found, body)


def test_a_request_with_an_endless_head_is_cut_off(daemon: Daemon) -> None:
    place = urlsplit(url_of(daemon))
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * (WEB_HEAD_BYTES_MAX + 1))
        assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")
        while client.recv(65_536):
            pass  # and the connection is closed


def test_more_objects_come_page_by_page_and_never_too_many(daemon: Daemon) -> None:
    url = url_of(daemon)
    first = get_json(url, "/api/objects?status=dormant&most=1")
    rest = get_json(url, f"/api/objects?status=dormant&before={first[0]['n']}&most={WEB_ROWS_MAX * 1_000}")
    names = [row["name"] for row in [*first, *rest]]
    assert names == ["report-1", "patrol-1"]


def test_a_live_page_is_told_what_changed_and_only_that(daemon: Daemon) -> None:
    events = Events(url_of(daemon))
    try:
        first = events.next()
        assert set(first["changed"]) == {"device", "custody", "objects", "due"}
        daemon.ask("submit", intent="count", arguments={"number": 8}, name="count-2", wait=True)
        seen: dict[str, Any] = {}
        while "count-2" not in [row["name"] for _, row in seen.get("objects", {}).get("set", ())]:
            seen = events.next()["changed"]
        assert [row["name"] for _, row in seen["objects"]["set"]] == ["count-2"]
    finally:
        events.close()


def test_a_ninth_live_page_is_told_to_come_again(daemon: Daemon) -> None:
    url = url_of(daemon)
    pages = [Events(url) for _ in range(WEB_ONLOOKERS_MAX)]
    try:
        for page in pages:
            page.next()
        status, headers, body = request(url, "/events")
        assert (status, headers["retry-after"]) == (503, "5")
        assert b"open already" in body
    finally:
        for page in pages:
            page.close()
    wait_until(lambda: b"edge_runtime_web_onlookers 0.0" in request(url, "/metrics")[2], what="the pages to be gone")


def test_the_page_and_its_files_name_nothing_outside(daemon: Daemon) -> None:
    url = url_of(daemon)
    page = request(url, "/")[2].decode()
    files = re.findall(r"(?:src|href)=\"([^\"#]+)\"", page)
    assert files
    for path in [path for path in files if path not in ("/metrics", "/healthz", "/api/now")]:
        assert path.startswith("/static/"), path
        status, headers, body = request(url, path)
        assert status == 200
        assert headers["content-type"].startswith(("text/css", "text/javascript", "image/svg+xml"))
        text = body.decode()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), path


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/api/now"])
def test_a_head_request_has_no_body(daemon: Daemon, path: str) -> None:
    status, _, body = request(url_of(daemon), path, "HEAD")
    assert (status, body) == (200, b"")

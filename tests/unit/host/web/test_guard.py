"""Who may ask: one device's own page, under its own name, to read."""

from __future__ import annotations

import pytest

from edge_runtime.host.web.guard import Guard
from tests.support.daemons import Daemon
from tests.support.web import request, url_of

PATHS = (
    "/", "/static/page.js", "/static/none.js", "/static/..%2f..%2fserver.py", "/events", "/api/now", "/api/objects",
    "/api/objects/patrol-1", "/api/objects/nobody", "/metrics", "/healthz", "/nothing",
)  # fmt: skip
CHANGING = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", CHANGING)
def test_a_method_that_could_change_something_is_refused_on_every_path(daemon: Daemon, path: str, method: str) -> None:
    status, headers, _ = request(url_of(daemon), path, method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.168.1.7", "", "localhost:x", "[::1", "a@localhost"]
)
@pytest.mark.parametrize("path", ["/", "/events", "/api/now", "/metrics"])
def test_a_name_that_was_pointed_here_is_refused(daemon: Daemon, host: str, path: str) -> None:
    assert request(url_of(daemon), path, host=host)[0] == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1", "127.0.0.1:1", "[::1]:8080", "[::1]"])
def test_the_names_of_loopback_are_taken_with_any_port_as_through_a_tunnel(daemon: Daemon, host: str) -> None:
    assert request(url_of(daemon), "/healthz", host=host)[0] == 200


@pytest.mark.parametrize("path", ["/events", "/api/now", "/static/page.js", "/metrics"])
def test_what_another_site_asks_for_is_refused(daemon: Daemon, path: str) -> None:
    url = url_of(daemon)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"):
        assert request(url, path, Origin=origin)[0] == 403, origin
    for site in ("cross-site", "same-site"):
        assert request(url, path, Sec_Fetch_Site=site)[0] == 403, site


def test_the_page_itself_may_be_linked_to_and_asks_for_its_own(daemon: Daemon) -> None:
    url = url_of(daemon)
    assert request(url, "/", Sec_Fetch_Site="cross-site")[0] == 200
    assert request(url, "/api/now", Origin=url.rstrip("/"), Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/api/now", "/metrics", "/healthz", "/nothing"])
def test_every_answer_forbids_scripts_of_others_frames_and_guessing(daemon: Daemon, path: str) -> None:
    headers = request(url_of(daemon), path)[1]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy and "require-trusted-types-for 'script'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_beyond_loopback_an_address_is_taken_and_a_name_only_if_it_was_listed() -> None:
    async def nothing(*_: object) -> None: ...

    guard = Guard(nothing, ["Drone-1.local"], is_local=False)
    assert all(guard.is_ours(host) for host in ("192.168.1.7:8080", "[fe80::1]", "drone-1.local:8080", "localhost"))
    assert not any(guard.is_ours(host) for host in ("evil.example", "local", "drone-1.local.evil.example", "x:y:z"))

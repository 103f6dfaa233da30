"""A real daemon polls real sources: a file, a log, a web page and a command; killed in between, it goes on where it was."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import Daemon, wait_until

APP = """
from edge_runtime import App
app = App("watcher")

@app.intent("watch")
async def watch(ctx, probe: str, until: str = "changed", timeout: int = 600):
    try:
        return await ctx.poll(probe, every=1, until=until, timeout=timeout)
    except TimeoutError:
        return "too late"

@app.intent("tail")
async def tail(ctx, lines: int):
    seen = []
    while len(seen) < lines:
        seen += (await ctx.poll("log", every=1))["lines"]
    return seen
"""


class _Page(BaseHTTPRequestHandler):
    tag = "v1"

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("ETag", _Page.tag)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def page() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def make_daemon(folder: Path, url: str) -> Daemon:
    (folder / "watcher.py").write_text(APP)
    command = f"print(len(open({str(folder / 'queue')!r}).read()))"
    config = folder / "config.toml"
    config.write_text(
        f"""
[[probes]]
name = "door"
kind = "file"
path = "{folder / 'door'}"

[[probes]]
name = "log"
kind = "log"
path = "{folder / 'log'}"

[[probes]]
name = "page"
kind = "http"
url = "{url}"

[[probes]]
name = "queue"
kind = "command"
argv = ["{sys.executable}", "-c", "{command}"]
"""
    )
    for name in ("door", "log", "queue"):
        (folder / name).write_text("")
    return Daemon(
        folder / "state", "--interface", "lo", "--config", str(config), "--app", "watcher:app", cwd=folder
    )


def row(daemon: Daemon, name: str) -> dict[str, Any]:
    """Return what `show` says of an object's one probe, once it has polled; empty before."""
    found: list[dict[str, Any]] = daemon.ask("show", object=name)["polls"]
    return found[0] if found else {}


def test_each_kind_of_probe_wakes_its_object_and_a_kill_loses_nothing(tmp_path: Path, page: str) -> None:
    """Behaviour: 5.1, 5.5, 5.6, 3.4."""
    with make_daemon(tmp_path, page) as daemon:
        waits = {"door": "changed", "page": "changed", "queue": "out == '3'"}
        for name, until in waits.items():
            daemon.ask("submit", intent="watch", arguments={"probe": name, "until": until}, name=name)
        daemon.ask("submit", intent="tail", arguments={"lines": 3}, name="tail")
        daemon.ask("submit", intent="watch", arguments={"probe": "nobody", "timeout": 3}, name="nobody")
        for name in [*waits, "tail"]:
            wait_until(lambda name=name: row(daemon, name).get("polls", 0) >= 2, what=f"two polls of {name}")
        (tmp_path / "log").write_text("one\ntwo\n")
        wait_until(lambda: row(daemon, "tail").get("result") == "not_yet" and len(trace(daemon, "tail", "took")) == 1)
        before = {name: row(daemon, name)["polls"] for name in waits}
        daemon.kill()
        _Page.tag = "v2"
        (tmp_path / "door").write_text("open")
        (tmp_path / "queue").write_text("abc")
        with (tmp_path / "log").open("a") as log:
            log.write("three\n")
        daemon.start()
        results = {name: end(daemon, name) for name in [*waits, "tail", "nobody"]}
        assert results["door"]["size"] == 4
        assert results["page"]["etag"] == "v2"
        assert results["queue"] == {"exit": 0, "out": "3"}
        assert results["tail"] == ["one", "two", "three"]
        assert results["nobody"] == "too late"
        for name in waits:
            assert row(daemon, name)["polls"] > before[name] and row(daemon, name)["exact"], name
            assert [body["result"] for body in trace(daemon, name, "polled")] == [0, 1], "changes, not polls"


def trace(daemon: Daemon, name: str, kind: str) -> list[dict[str, Any]]:
    """Return the bodies of an object's records of one kind."""
    return [item["body"] for item in daemon.ask("trace", object=name) if item["kind"] == kind]


def end(daemon: Daemon, name: str) -> Any:
    """Wait for an object's end; return its result."""

    def ended() -> dict[str, Any] | None:
        shown: dict[str, Any] = daemon.ask("show", object=name)
        return shown if shown["status"] == "ended" else None

    shown = wait_until(ended, what=f"the end of {name}")
    assert shown["end"] == "completed", shown
    return shown["result"]


def test_a_probe_that_is_not_right_keeps_the_daemon_from_starting_with_what_to_write(tmp_path: Path) -> None:
    daemon = make_daemon(tmp_path, "ftp://nowhere/")
    done = daemon.run("run", "--config", str(tmp_path / "config.toml"), check=False)
    assert done.returncode == 2
    assert "[[probes]] page" in done.stderr and "write http://host:8080/path" in done.stderr

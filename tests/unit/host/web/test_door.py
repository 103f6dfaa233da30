"""What keeps the page from being served is said in one line, and the daemon goes on; and is it getting on?"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edge_runtime.base.limits import WEB_HEALTH_MS_MAX, WEB_SEND_MS_MAX
from tests.support.daemons import ROOT, Daemon, wait_until
from tests.support.requires import require
from tests.support.web import APP, Events, request, url_of

STUCK = """
import time
from edge_runtime import App
app = App("stuck")

@app.intent("hog")
async def hog(ctx, seconds: float):
    time.sleep(seconds)  # in C, where the watch over bodies cannot interrupt it
    return "done"
"""


def log_of(daemon: Daemon, word: str) -> list[str]:
    """Return the lines of the log with a word."""
    return [line for line in daemon.log.read_text().splitlines() if word in line]


def is_ill(url: str) -> bytes:
    """Return what /healthz says if it is 503."""
    status, _, body = request(url, "/healthz")
    return body if status == 503 else b""


def test_without_the_extra_one_line_says_what_to_install_and_the_daemon_goes_on(tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "starlette.py").write_text("raise ModuleNotFoundError('none', name='starlette')\n")
    env = {"PYTHONPATH": f"{tmp_path / 'without'}:{ROOT}"}
    with Daemon(tmp_path / "d", "--interface", "lo", "--web", "127.0.0.1:0", env=env) as daemon:
        lines = wait_until(lambda: log_of(daemon, "edge-runtime[web]"), what="the line")
        assert len(lines) == 1
        assert "starlette is not installed" in lines[0] and "pip install 'edge-runtime[web]'" in lines[0]
        assert daemon.ask("status")["web"] is None
    assert "Traceback" not in daemon.log.read_text()


def test_a_port_that_is_taken_is_said_in_one_line_and_the_daemon_goes_on(tmp_path: Path) -> None:
    require("module:starlette", "module:uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with Daemon(tmp_path / "d", "--interface", "lo", "--web", address) as daemon:
            lines = wait_until(lambda: log_of(daemon, "cannot listen"), what="the line")
            assert len(lines) == 1
            assert address in lines[0] and "port 0" in lines[0]
            assert daemon.ask("status")["web"] is None


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "192.0.2.1:0", "[::]:80"])
def test_an_address_that_others_reach_must_be_asked_for_in_the_file(tmp_path: Path, address: str) -> None:
    daemon = Daemon(tmp_path / "d")
    done = daemon.run("run", "--web", address, check=False)
    assert done.returncode == 2
    assert "beyond_loopback" in done.stderr
    assert not (tmp_path / "d").exists()


def test_a_file_that_asks_for_it_is_obeyed_and_its_names_are_taken(tmp_path: Path) -> None:
    require("module:starlette", "module:uvicorn")
    file = tmp_path / "config.toml"
    file.write_text('[web]\nlisten = "0.0.0.0:0"\nbeyond_loopback = true\nhosts = ["drone-1.local"]\n')
    with Daemon(tmp_path / "d", "--interface", "lo", "--config", str(file)) as daemon:
        url = url_of(daemon).replace("0.0.0.0", "127.0.0.1")
        assert request(url, "/healthz", host="drone-1.local:8080")[0] == 200
        assert request(url, "/healthz", host="drone-2.local")[0] == 421
        assert request(url, "/healthz", host="192.0.2.7")[0] == 200


def test_nothing_of_the_page_is_imported_where_it_is_off() -> None:
    code = (
        "import sys, edge_runtime.host.runtime, edge_runtime.host.links, edge_runtime.host.config\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('starlette', 'uvicorn', 'prometheus_client')"
        " or name.startswith('edge_runtime.host.web.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_node_thread_that_does_not_get_on_is_503_and_well_again_afterwards(tmp_path: Path) -> None:
    require("module:starlette", "module:uvicorn")
    app = tmp_path / "stuck.py"
    app.write_text(STUCK)
    with Daemon(tmp_path / "d", "--interface", "lo", "--web", "127.0.0.1:0", "--app", f"{app}:app") as daemon:
        url = url_of(daemon)
        assert request(url, "/healthz")[::2] == (200, b"ok\n")
        with daemon.client() as client:
            # It is asked for and not waited for: the answer comes only when the body has let go of the thread.
            line = b'{"command": "submit", "intent": "hog", "arguments": {"seconds": 4}, "name": "hog"}\n'
            with socket.socket(socket.AF_UNIX) as asker:
                asker.connect(str(daemon.folder / "control.sock"))
                asker.sendall(line)
                began = time.monotonic()
                body = wait_until(lambda: is_ill(url), what="the page to say so")
                assert time.monotonic() - began >= WEB_HEALTH_MS_MAX / 1000
                assert b"node thread" in body
                assert asker.recv(65_536)
            assert client.ask("show", object="hog")
        wait_until(lambda: request(url, "/healthz")[0] == 200, what="health again")


def test_a_daemon_with_open_pages_stops_at_once_and_takes_its_address_back(tmp_path: Path) -> None:
    require("module:starlette", "module:uvicorn")
    daemon = Daemon(tmp_path / "d", "--app", APP, "--interface", "lo", "--web", "127.0.0.1:0").start()
    try:
        events = Events(url_of(daemon))
        events.next()
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 5
        events.close()
        assert not (tmp_path / "d" / "web.url").exists()
        assert "Traceback" not in daemon.log.read_text()
    finally:
        daemon.kill()


def test_who_does_not_read_holds_up_nobody_else(tmp_path: Path) -> None:
    require("module:starlette", "module:uvicorn")
    with Daemon(tmp_path / "d", "--app", APP, "--interface", "lo", "--web", "127.0.0.1:0") as daemon:
        url = url_of(daemon)
        place = urlsplit(url)
        with socket.create_connection((place.hostname or "", place.port or 0)) as deaf:
            deaf.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            events = Events(url)
            try:
                events.next()
                for number in range(5):
                    daemon.ask("submit", intent="count", arguments={"number": number}, wait=True)
                    events.next()
            finally:
                events.close()


def test_the_kernel_hangs_up_on_who_does_not_read() -> None:
    require("module:starlette", "module:uvicorn")
    from edge_runtime.host.web.server import bind
    from edge_runtime.host.web_config import WebConfig

    with bind(WebConfig("127.0.0.1:0")) as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        listener.settimeout(10)
        connection, _ = listener.accept()
        with connection:
            bound = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert bound == WEB_SEND_MS_MAX, "each connection has it from the listening socket"

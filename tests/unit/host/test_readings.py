"""What each kind of probe reads, on real files and a real web server, and when its source counts as absent."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from edge_runtime.base.limits import CURSOR_BYTES_MAX, PROBE_BYTES_MAX, PROBE_HEADER_CHARS_MAX
from edge_runtime.host.readings import head_http, read_disk, read_file, read_log


def lines_of(path: Path, cursor: bytes) -> tuple[list[str], bytes]:
    reading = read_log(str(path), cursor)
    assert reading.cursor is not None and len(reading.cursor) <= CURSOR_BYTES_MAX
    lines = reading.fields["lines"]
    assert isinstance(lines, list) and len(lines) == reading.fields["count"]
    return lines, reading.cursor


def test_a_file_is_read_as_size_time_and_digest(tmp_path: Path) -> None:
    file = tmp_path / "door"
    file.write_bytes(b"open")
    os.utime(file, ns=(0, 5_000_000))
    first = read_file(str(file)).fields
    assert (first["size"], first["mtime_ms"]) == (4, 5)
    assert read_file(str(file)).fields == first
    file.write_bytes(b"shut")
    os.utime(file, ns=(0, 5_000_000))
    assert read_file(str(file)).fields["digest"] != first["digest"]


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_absent_and_a_pipe_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    """Behaviour: 5.4."""
    place = tmp_path / "thing"
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    with pytest.raises(OSError):
        read_file(str(place))
    with pytest.raises(OSError):
        read_log(str(place), b"")


def test_a_log_is_read_on_from_the_cursor_by_whole_lines(tmp_path: Path) -> None:
    """Behaviour: 5.6."""
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo\nthr")
    assert lines_of(log, b"")[0] == ["one", "two"]
    cursor = lines_of(log, b"")[1]
    assert lines_of(log, cursor) == ([], cursor)
    log.write_bytes(b"one\ntwo\nthree\n\n")
    assert lines_of(log, cursor)[0] == ["three", ""]


def test_an_empty_log_has_no_cursor_yet(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"")
    assert lines_of(log, b"") == ([], b"")


def test_a_long_log_comes_in_pieces_that_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """Behaviour: 5.6."""
    log = tmp_path / "log"
    expected = [f"line {number} {'x' * (number % 90)}" for number in range(2_000)]
    log.write_text("".join(f"{line}\n" for line in expected))
    found: list[str] = []
    cursor = b""
    while len(found) < len(expected):
        more, cursor = lines_of(log, cursor)
        assert more and sum(len(line) + 1 for line in more) <= PROBE_BYTES_MAX
        found += more
    assert found == expected


def test_a_line_beyond_any_bound_comes_in_pieces(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"y" * (PROBE_BYTES_MAX + 10) + b"\n")
    first, cursor = lines_of(log, b"")
    second, _ = lines_of(log, cursor)
    assert [len(first[0]), len(second[0])] == [PROBE_BYTES_MAX, 10]


def test_a_new_log_under_the_old_name_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n" * 100)
    cursor = lines_of(log, b"")[1]
    log.write_text("new\n" * 101)
    assert lines_of(log, cursor)[0][0] == "new"


@pytest.mark.parametrize("left", [0, 8, 300])
def test_a_copy_that_is_shorter_than_what_was_read_is_absent(tmp_path: Path, left: int) -> None:
    """Behaviour: 5.4, 5.6: read from its beginning, its lines would be consumed twice."""
    log = tmp_path / "log"
    log.write_text("line\n" * 100)
    cursor = lines_of(log, b"")[1]
    log.write_text(("line\n" * 100)[:left])
    with pytest.raises(OSError, match="shorter"):
        read_log(str(log), cursor)


def test_bytes_that_are_no_utf8_are_replaced(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\xff\xfe\n")
    assert lines_of(log, b"")[0] == ["\ufffd\ufffd"]


def test_the_disk_says_what_is_free(tmp_path: Path) -> None:
    fields = read_disk(str(tmp_path)).fields
    assert isinstance(fields["free"], int) and isinstance(fields["percent"], int)
    assert 0 <= fields["percent"] <= 100
    with pytest.raises(OSError):
        read_disk(str(tmp_path / "nowhere"))


class _Pages(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(301)
            self.send_header("Location", "/elsewhere")
        elif self.path == "/long":
            self.send_response(200)
            self.send_header("ETag", "e" * 5_000)
        else:
            self.send_response(200 if self.path == "/page?a=1" else 404)
            self.send_header("ETag", '"v1"')
            self.send_header("Last-Modified", "Tue, 24 Nov 2026 08:00:00 GMT")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_is_asked_for_its_head_alone(site: str) -> None:
    assert head_http(f"{site}/page?a=1", 5).fields == {
        "status": 200, "etag": '"v1"', "last_modified": "Tue, 24 Nov 2026 08:00:00 GMT", "content_length": "",
    }  # fmt: skip
    assert head_http(site, 5).fields["status"] == 404
    assert head_http(f"{site}/moved", 5).fields["status"] == 301
    assert head_http(f"{site}/long", 5).fields["etag"] == "e" * PROBE_HEADER_CHARS_MAX


def test_a_server_that_does_not_answer_is_absent(site: str) -> None:
    """Behaviour: 5.4."""
    port = int(site.rpartition(":")[2])
    with pytest.raises(OSError):
        head_http(f"http://127.0.0.1:{port}".replace(str(port), "1"), 5)
    with pytest.raises((OSError, ValueError)):
        head_http(f"{site}/a b", 5)

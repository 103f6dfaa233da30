"""Files of the command line: written whole, read bounded; checks and capsules."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import OBJECT_BYTES_MAX
from edge_runtime.host.cli import main as cli
from edge_runtime.host.cli.files import CHUNK_BYTES, read_file, write_file
from tests.support.answering import Answering, line, refusal

POLICY = '[[rule]]\nname = "quiet"\nwhen = "battery.percent >= 40"\neffect = "permit"\n'


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """A scripted daemon on the state that $EDGE_RUNTIME_STATE names."""
    found = Answering(tmp_path)
    monkeypatch.setenv("EDGE_RUNTIME_STATE", str(tmp_path))
    yield found
    found.close()


def test_a_file_is_read_up_to_the_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(str(tmp_path / "a"), 5) == b"12345"
    with pytest.raises(UsageError, match="larger than 4 bytes"):
        read_file(str(tmp_path / "a"), 4)
    for name in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError, match=f"{name} cannot be read"):
            read_file(str(name), 5)
    with pytest.raises(UsageError, match="larger"):
        read_file("/dev/zero", 1000)


def test_a_file_is_written_over_another_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    name = tmp_path / ("n" * 200)
    mask = os.umask(0o027)
    try:
        write_file(str(name), b"old")
        write_file(str(name), b"new")
    finally:
        os.umask(mask)
    assert name.read_bytes() == b"new" and list(tmp_path.iterdir()) == [name]
    assert stat.S_IMODE(name.stat().st_mode) == 0o640, "as the caller's umask says"


def test_a_file_behind_a_link_is_the_one_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_file(str(tmp_path / "link"), b"new")
    assert (tmp_path / "real").read_bytes() == b"new" and (tmp_path / "link").is_symlink()


def test_what_is_no_plain_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_file(str(tmp_path / "pipe"), b"through")
    assert os.read(reading, 100) == b"through" and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    os.close(reading)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UsageError, match="a cannot be written: No space left"):
        write_file(str(tmp_path / "a"), b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and list(tmp_path.iterdir()) == [tmp_path / "a"]
    with pytest.raises(UsageError, match="cannot be written"):
        write_file(str(tmp_path / "nothing" / "a"), b"new")


def test_configuration_and_policy_are_checked_without_a_daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, policy = tmp_path / "config.toml", tmp_path / "policy.toml"
    config.write_text('[device]\nname = "x"\ncapabilities = ["camera"]\n')
    policy.write_text(POLICY)
    assert cli.main(["config", "check", str(config), "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {
        "ok": True, "file": str(config), "apps": 0, "capabilities": ["camera"],
    }  # fmt: skip
    assert cli.main(["policy", "check", str(policy)]) == Exit.OK
    assert "1 rule" in capsys.readouterr().out
    policy.write_bytes(b"\xff" + POLICY.encode())
    assert cli.main(["config", "check", str(config)]) == Exit.USAGE, "a daemon would refuse both"
    assert "policy.toml" in capsys.readouterr().err
    config.write_text("[device\n")
    for words in (["config", "check", str(config)], ["policy", "check", str(policy)]):
        assert cli.main(words) == Exit.USAGE
        assert words[2] in capsys.readouterr().err
    assert cli.main(["policy", "check", str(tmp_path)]) == Exit.USAGE


@pytest.mark.parametrize("data", [b"", b"\x00", b"hello", b"\xa0" * 100, os.urandom(1000)])
def test_what_is_no_capsule_does_not_verify_and_the_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    (tmp_path / "a.capsule").write_bytes(data)
    assert cli.main(["verify", str(tmp_path / "a.capsule")]) == Exit.FAILED
    assert "a.capsule does not verify" in capsys.readouterr().err


def test_a_file_larger_than_any_capsule_is_not_read_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(tmp_path / "a", "wb") as file:
        file.truncate(2 * OBJECT_BYTES_MAX + 1)
    assert cli.main(["verify", str(tmp_path / "a")]) == Exit.USAGE
    assert "larger" in capsys.readouterr().err


def test_export_writes_the_capsule_that_came(
    daemon: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = {"object": "ab" * 32, "entries": 3, "verified": "full", "head": [], "capsule": b"bytes".hex()}
    daemon.script = lambda _, request: [line(request, value)]
    assert cli.main(["export", "x", "-o", str(tmp_path / "a"), "--json"]) == Exit.OK
    assert (tmp_path / "a").read_bytes() == b"bytes"
    told = json.loads(capsys.readouterr().out)
    assert "capsule" not in told and told["entries"] == 3
    daemon.script = lambda _, request: [refusal(request, "Not here.", 4)]
    assert cli.main(["export", "x", "-o", str(tmp_path / "b")]) == Exit.NOT_FOUND
    assert not (tmp_path / "b").exists()


def taken(request: dict[str, Any]) -> bytes:
    """Answer a piece as a daemon does."""
    if not request["is_last"]:
        return line(request, {"ok": True, "more": True})
    return line(request, {"object": "ab" * 32, "entries": 1, "new": 1, "refused": 0, "verified": "full", "head": []})


def test_a_capsule_goes_in_pieces_in_order(daemon: Answering, tmp_path: Path) -> None:
    for size, pieces in ((0, 1), (1, 1), (CHUNK_BYTES, 1), (CHUNK_BYTES + 1, 2), (5 * CHUNK_BYTES, 5)):
        data = os.urandom(size)
        (tmp_path / "a").write_bytes(data)
        daemon.requests.clear()
        daemon.script = lambda _, request: [taken(request)]
        assert cli.main(["import", str(tmp_path / "a")]) == Exit.OK
        assert b"".join(bytes.fromhex(request["chunk"]) for request in daemon.requests) == data
        assert [request["is_last"] for request in daemon.requests] == [False] * (pieces - 1) + [True]


def test_one_capsule_that_is_refused_does_not_keep_the_others_out(
    daemon: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(tmp_path / name) for name in ("a", "bad", "missing", "c")]
    for name in (names[0], names[1], names[3]):
        Path(name).write_bytes(Path(name).name.encode())

    def script(_: int, request: dict[str, Any]) -> list[bytes]:
        is_bad = request["chunk"] == b"bad".hex()
        return [refusal(request, "The capsule is not taken.", 5) if is_bad else taken(request)]

    daemon.script = script
    assert cli.main(["import", *names, "--json"]) == Exit.REFUSED, "the first refusal's code"
    rows = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [row["file"] for row in rows] == names
    assert [row.get("ok", True) for row in rows] == [True, False, False, True]
    assert cli.main(["import", *names]) == Exit.REFUSED
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2 and len(said.err.splitlines()) == 2
    assert names[1] in said.err and names[2] in said.err

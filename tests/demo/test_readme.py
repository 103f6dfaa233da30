"""The README is true: its code is taken out of the page and run with the commands that stand beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.daemons import Daemon, wait_until

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "README.md").read_text()


def code(name: str) -> str:
    """Return the block whose first line names the file."""
    return next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S) if block.startswith(f"# {name}"))


def test_every_test_that_the_promises_name_is_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", PAGE)
    assert len(named) >= 7 and all((ROOT / name).exists() for name in named)


def test_every_link_leads_somewhere() -> None:
    for link in re.findall(r"\]\((docs/[\w./]+)\)", PAGE):
        assert (ROOT / link).exists(), link


def test_the_two_lines_greet(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(code("hello.py"))
    assert "edge-runtime run --app hello:greet" in PAGE
    with Daemon(tmp_path / "state", "--interface", "lo", "--app", "hello:greet", cwd=tmp_path) as device:
        assert "hello Ada" in device.run("submit", "greet", "--arg", "name=Ada", "--wait").stdout


def test_the_trip_survives_a_kill_and_is_finished_by_a_second_device(tmp_path: Path) -> None:
    """Behaviours: 1.5, 1.6, 3.4: the story from the step to the second device, by the commands of the page."""
    (tmp_path / "trip.py").write_text(code("trip.py"))
    first = Daemon(tmp_path / "first", "--interface", "lo", "--app", "trip:app", "--capability", "camera", cwd=tmp_path)
    second = Daemon(tmp_path / "second", "--interface", "lo", "--app", "trip:app", "--capability", "uplink", cwd=tmp_path)
    try:
        first.start()
        first.run("submit", "trip", "--arg", "cells=4", "--name", "trip-1")
        first.kill()
        first.start()
        wait_until(lambda: "door.open" in str(first.ask("show", object="trip-1")["reason"]), 20, "the wait")
        assert "door.open == True" in first.run("explain", "trip-1").stdout
        first.run("fact", "set", "door.open=true")
        wait_until(lambda: "no device with uplink" in str(first.ask("show", object="trip-1")["reason"]), 20, "the need")
        device = json.loads(second.run("init", "--json").stdout)["device"]
        first.run("grant", device, "-o", str(tmp_path / "second.grant"))
        second.run("join", str(tmp_path / "second.grant"))
        second.start()
        shown = wait_until(lambda: _ended(first), 30, "the end, back on the first device")
        assert shown["result"] == "delivered 4" and shown["custodian"] == device
        assert "accepted" in first.run("trace", "trip-1").stdout
    finally:
        first.stop()
        second.stop()


def _ended(device: Daemon) -> dict[str, object] | None:
    shown: dict[str, object] = device.ask("show", object="trip-1")
    return shown if shown["status"] == "ended" else None

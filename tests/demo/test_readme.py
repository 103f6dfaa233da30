"""The README's commands, typed one after the other on real devices, show what the page says that they show."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.support.daemons import Daemon, wait_until
from tests.support.page import DEVICES, Line, python_blocks, shell_blocks


class Reader:
    """Types the page's commands: `&` starts a device, `CODE` is what `enroll` printed, `$!` the device started last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, code in python_blocks().items():
            (folder / name).write_text(code)
        self.running: dict[str, Daemon] = {}
        self.code = ""

    def type(self, line: Line) -> None:
        """Do one line, and wait for what it is said to show."""
        if line.words == ("kill", "-9", "$!"):
            self.running[line.device].kill()
        elif line.is_background:
            # `lo` keeps the two devices, and the test, to this machine.
            self.running[line.device] = self._device(line.device, *line.words[2:], "--interface", "lo").start()
        elif line.words[1] == "enroll":
            self.code = json.loads(self._run(line, "--json"))["code"]
        elif line.words[1] == "join":
            self._run(line, "--interface", "lo")
        else:
            wait_until(lambda: line.expected in self._run(line), 30, f"{line.expected!r} of {shlex.join(line.words)}")

    def stop(self) -> None:
        """End every device."""
        for device in self.running.values():
            device.stop()

    def _run(self, line: Line, *more: str) -> str:
        words = [self.code if word == "CODE" else word for word in line.words[1:]]
        return self._device(line.device).run(*words, *more).stdout

    def _device(self, name: str, *options: str) -> Daemon:
        return Daemon(self.folder / name, *options, cwd=self.folder)


@pytest.fixture
def reader(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A person with the page and one folder."""
    made = Reader(tmp_path)
    yield made
    made.stop()


def test_the_two_lines_greet(reader: Reader) -> None:
    for line in shell_blocks()[1]:
        reader.type(line)


def test_the_trip_survives_a_kill_and_a_second_device_ends_it_and_the_next_one_after_a_cut(reader: Reader) -> None:
    """Behaviours: 1.5, 3.4: from the durable step to the cut link, by the commands of the page."""
    lines = [line for block in shell_blocks()[2:] for line in block]
    assert {line.device for line in lines} == set(DEVICES) and any(line.words[0] == "kill" for line in lines)
    for line in lines:
        reader.type(line)
    shown = reader.running["first"].ask("show", object="trip-1")
    assert shown["custodian"] == reader.running["second"].ask("status")["device"]

"""One device of the demo: a daemon as a process of its own, driven like any other by commands and the socket."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...base.errors import Exit, UsageError
from ...client import BlockingClient

WAIT_S = 20.0  # ten times what the slowest board took for any one thing that is waited for
STOP_S = 10.0
LOOK_S = 0.03


def wait_for(check: Callable[[], Any], what: str, seconds: float = WAIT_S) -> Any:
    """Return the first true answer of a check.

    Raises:
        UsageError: it did not come in time; says what was waited for.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            found = check()
        except UsageError as error:
            if error.exit is not Exit.NOT_FOUND:
                raise
            found = None
        if found:
            return found
        time.sleep(LOOK_S)
    raise UsageError(f"The demo waited {seconds:.0f} s for {what}. Run it again with --keep DIR and read DIR/*.log.",
                     Exit.FAILED)  # fmt: skip


class Device:
    """A named device with a state directory and a process."""

    def __init__(self, name: str, folder: Path, options: list[str], env: dict[str, str]) -> None:
        self.name = name
        self.state = folder / name
        self.options = options
        self.env = {**os.environ, **env, "EDGE_SURVEY_DEVICE": name}
        self.process: subprocess.Popen[bytes] | None = None
        self._log = folder / f"{name}.log"

    def command(self, *words: str) -> dict[str, Any]:
        """Run one command of the tool on this device and return its JSON."""
        argv = [sys.executable, "-m", "edge_runtime", *words, "--state", str(self.state), "--json"]
        done = subprocess.run(argv, capture_output=True, text=True, env=self.env, timeout=60, check=False)
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
        if done.returncode:
            raise UsageError(answer.get("error", done.stderr.strip() or "a command failed"), Exit.FAILED)
        return answer

    def start(self) -> None:
        """Start the daemon and wait for `ready`.

        Raises:
            UsageError: it ended, or said nothing in time; names its log.
        """
        argv = [sys.executable, "-m", "edge_runtime", "run", "--state", str(self.state), "--interface", "lo"]
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen([*argv, *self.options], stdout=subprocess.PIPE, stderr=log, env=self.env)
        assert self.process.stdout is not None
        # The daemon writes the word and its newline in one go: once there is something, the line is whole.
        is_there, _, _ = select.select([self.process.stdout], [], [], WAIT_S)
        if not is_there or self.process.stdout.readline() != b"ready\n":
            lines = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise UsageError(f"The device {self.name} did not start: {lines[-1]}", Exit.FAILED)

    def ask(self, command: str, **fields: Any) -> Any:
        """Ask the daemon one thing."""
        with BlockingClient(self.state) as client:
            return client.ask(command, **fields)

    def kill(self) -> None:
        """End the process with SIGKILL: as good as a pulled plug, for the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


def stop_all(devices: Sequence[Device]) -> None:
    """End every process: all are asked at once, and who does not go in time is killed."""
    for device in devices:
        if device.process is not None:
            device.process.terminate()
    until = time.monotonic() + STOP_S
    for device in devices:
        if device.process is not None:
            try:
                device.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass  # killed below
            device.kill()

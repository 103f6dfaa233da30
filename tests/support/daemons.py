"""Real daemons for tests: one process and one state directory each, driven over the control socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_runtime.base.errors import UsageError
from edge_runtime.client import BlockingClient

READY_S = 15.0
WAIT_S = 30.0
ROOT = Path(__file__).resolve().parents[2]


def wait_until(check: Callable[[], Any], seconds: float = WAIT_S, what: str = "it") -> Any:
    """Return the first true value of `check`; fail with what was waited for when the time is over."""
    until = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < until:
        try:
            found = check()
        except UsageError as error:
            last, found = error.message, None
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what} ({last})")


class Daemon:
    """One device as a process.

    Args:
        folder: the state directory. options: further words for `run`. prefix: words before the command, such as
            `ip netns exec NAME`. python: the interpreter.
    """

    def __init__(
        self, folder: Path, *options: str, prefix: Sequence[str] = (), python: str = sys.executable,
        env: dict[str, str] | None = None, cwd: Path | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.options = options
        self.prefix = tuple(prefix)
        self.python = python
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        self.cwd = cwd
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder.with_name(folder.name + ".log")
        self.log.parent.mkdir(parents=True, exist_ok=True)

    def command(self, *words: str) -> list[str]:
        """Return a command line of the tool on this device's state."""
        return [*self.prefix, self.python, "-m", "edge_runtime", *words, "--state", str(self.folder)]

    def start(self) -> Daemon:
        """Start the process and wait for `ready`."""
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            self.command("run", *self.options), stdout=subprocess.PIPE, stderr=log, env=self.env, cwd=self.cwd
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == b"ready\n", f"{line!r}\n{self.log.read_text()[-2000:]}"
        return self

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the tool on this state, daemon or not."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, env=self.env, cwd=self.cwd, timeout=60
        )
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def client(self) -> BlockingClient:
        """Return a client of the running daemon."""
        return BlockingClient(self.folder)

    def ask(self, command: str, **fields: Any) -> Any:
        """Ask the running daemon one thing."""
        with self.client() as client:
            return client.ask(command, **fields)

    def kill(self) -> None:
        """End the process at once, as a power cut of the process: SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)

    def stop(self) -> int:
        """End the process in order and return its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return self.process.returncode

    def __enter__(self) -> Daemon:
        """Start."""
        return self.start()

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self.stop()


def make_fleet(first: Daemon, *others: Daemon, name: str = "field", roles: str = "executor") -> None:
    """Put devices into one fleet, by the commands a person would use; no daemon runs yet."""
    first.run("init", "--name", first.folder.name)
    first.run("fleet", "create", name)
    for other in others:
        device = json.loads(other.run("init", "--name", other.folder.name, "--json").stdout)["device"]
        file = first.folder.with_name(f"{other.folder.name}.grant")
        first.run("grant", device, "--roles", roles, "-o", str(file))
        other.run("join", str(file))

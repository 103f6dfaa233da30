"""The receiver of sd_notify, as systemd is: when the watchdog was fed, and each line of status."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Self


class Notified:
    """Listens on a real notify socket. Use as `with Notified(folder) as systemd`, and start daemons with `env`.

    Args:
        folder: where the socket is made. watchdog_s: what the daemon is told as WatchdogSec.
    """

    def __init__(self, folder: Path, watchdog_s: float = 16.0) -> None:
        path = folder / "notify"
        self.env = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(int(watchdog_s * 1_000_000))}
        self.fed_s: list[float] = []
        self.lines: list[str] = []  # of STATUS=
        self._is_over = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """End."""
        self._is_over = True
        self._thread.join(5)
        self._socket.close()

    @property
    def status(self) -> str:
        """The newest line, as `systemctl status` shows it."""
        return self.lines[-1] if self.lines else ""

    @property
    def longest_gap_s(self) -> float:
        """The longest time between two feedings so far."""
        fed = list(self.fed_s)
        return max((later - earlier for earlier, later in zip(fed, fed[1:])), default=0.0)

    def _run(self) -> None:
        while not self._is_over:
            try:
                message = self._socket.recv(4096).decode()
            except TimeoutError:
                continue
            for line in message.splitlines():
                name, _, value = line.partition("=")
                if name == "WATCHDOG":
                    self.fed_s.append(time.monotonic())
                if name == "STATUS":
                    self.lines.append(value)

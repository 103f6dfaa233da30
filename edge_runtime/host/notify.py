"""Telling systemd how the service is: our own sd_notify, one datagram a message, nothing without $NOTIFY_SOCKET.

Source: sd_notify(3); the watchdog's interval comes in $WATCHDOG_USEC and half of it is the advised pace.
"""

from __future__ import annotations

import os
import socket
import time


class Notifier:
    """Sends states; all calls are no-ops outside systemd."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]

    @property
    def is_heard(self) -> bool:
        """Whether systemd listens at all."""
        return bool(self._address)

    def watchdog_s(self) -> float | None:
        """Return how often the watchdog is to be fed, in seconds; None if it is not armed for this process."""
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        pid = os.environ.get("WATCHDOG_PID", "")
        if not microseconds.isdigit() or (pid and pid != str(os.getpid())):
            return None
        return int(microseconds) / 2_000_000

    def send(self, *states: str) -> None:
        """Send states such as `READY=1` or `STATUS=…`."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto("\n".join(states).encode(), self._address)
            except OSError:
                pass  # systemd went away or the sandbox forbids it: the service itself is none the worse

    def reloading(self) -> None:
        """Say that the configuration is being read again."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

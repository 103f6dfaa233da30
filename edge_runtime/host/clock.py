"""The machine's clocks, read into a `Moment`."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

from ..base.moment import Moment, Trust

NANOSECONDS_PER_MS = 1_000_000
# adjtimex(2): state 5 (TIME_ERROR) means that the clock is not synchronised; STA_UNSYNC is 0x0040.
TIME_ERROR = 5
TIMEX_BYTES = 208
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# How long a reading of the clock's trust holds: asking the kernel each time would cost more than the reading.
TRUST_HOLDS_MS = 10_000


def boot_ms() -> int:
    """Return CLOCK_BOOTTIME in ms: monotonic, and it counts suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // NANOSECONDS_PER_MS


def read_boot_id() -> str:
    """Return the name of this boot of the machine; empty where the system has none."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Clock:
    """Reads moments; asks the kernel now and then whether the wall clock is synchronised."""

    def __init__(self) -> None:
        self._trust = Trust.NONE
        self._trust_until_ms = 0
        self._libc = ctypes.CDLL(None, use_errno=True)

    def read(self) -> Moment:
        """Return the clocks now."""
        now_ms = boot_ms()
        if now_ms >= self._trust_until_ms:
            self._trust = self._read_trust()
            self._trust_until_ms = now_ms + TRUST_HOLDS_MS
        return Moment(now_ms, time.time_ns() // NANOSECONDS_PER_MS, self._trust)

    def _read_trust(self) -> Trust:
        buffer = ctypes.create_string_buffer(TIMEX_BYTES)  # modes = 0: read only
        state = self._libc.adjtimex(buffer)
        return Trust.NTP if 0 <= state < TIME_ERROR else Trust.NONE

"""The machine's clocks, read into a `Moment`, and why the wall clock is trusted or not.

Whoever keeps the system's clock right (systemd-timesyncd, ntpd, chrony with `rtcsync`, gpsd behind one of them) tells
the kernel; the kernel says it to everybody. Nothing is asked over the network here, and nothing is waited for: a
device without any time starts like every other. What peers say is the node's affair (`node/timeline.py`).
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

from msgspec import Struct

from ..base.moment import Moment, Trust
from ..base.units import HOUR_MS

NANOSECONDS_PER_MS = 1_000_000
# adjtimex(2): state 5 (TIME_ERROR) means that the clock is not synchronised; STA_UNSYNC is 0x0040.
TIME_ERROR = 5
TIMEX_BYTES = 208
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# How long a reading of the clock's trust holds: asking the kernel each time would cost more than the reading.
TRUST_HOLDS_MS = 2_000
# systemd-timesyncd touches this file at each answer of its server, at most 34 minutes apart (PollIntervalMaxSec); it
# stays for the whole boot. Older than a few of these, or dated in the future: the clock was set since.
SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
SYNCHRONIZED_HOLDS_MS = 2 * HOUR_MS


class Source(Struct, frozen=True):
    """Who vouches for the system's wall clock just now, for people; and how far it is trusted for it."""

    trust: Trust
    name: str


class Advice(Struct, frozen=True):
    """What is wrong with a device's time and what to do about it; both empty if nothing is."""

    problem: str = ""
    remedy: str = ""


def boot_ms() -> int:
    """Return CLOCK_BOOTTIME in ms: monotonic, and it counts suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // NANOSECONDS_PER_MS


def wall_ms() -> int:
    """Return what the system says the time is, Unix ms."""
    return time.time_ns() // NANOSECONDS_PER_MS


def read_boot_id() -> str:
    """Return the name of this boot of the machine; empty where the system has none."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Clock:
    """Reads moments; asks the kernel now and then whether the wall clock is synchronised."""

    def __init__(self) -> None:
        self.source = Source(Trust.NONE, "")
        self._source_until_ms = 0
        self._libc = ctypes.CDLL(None, use_errno=True)

    def read(self) -> Moment:
        """Return the clocks now."""
        now_ms = boot_ms()
        if now_ms >= self._source_until_ms:
            self.source = self._find_source()
            self._source_until_ms = now_ms + TRUST_HOLDS_MS
        return Moment(now_ms, wall_ms(), self.source.trust)

    def _find_source(self) -> Source:
        buffer = ctypes.create_string_buffer(TIMEX_BYTES)  # modes = 0: read only
        state = self._libc.adjtimex(buffer)
        if 0 <= state < TIME_ERROR:
            return Source(Trust.NTP, "the kernel's clock is in step")
        try:
            age_ms = wall_ms() - SYNCHRONIZED.stat().st_mtime_ns // NANOSECONDS_PER_MS
        except OSError:
            return Source(Trust.NONE, "")
        if 0 <= age_ms <= SYNCHRONIZED_HOLDS_MS:
            return Source(Trust.NTP, f"systemd-timesyncd heard its server {age_ms // 1000} s ago")
        return Source(Trust.NONE, "")


def advise(trust: Trust, gap_is_open: bool) -> Advice:
    """Say what is wrong with a device's time, for `status` and `doctor`.

    Args:
        trust: of the wall clock as the node has it. gap_is_open: it is not known how long the power was off.
    """
    remedy = (
        "Reach a time server (`timedatectl` says whether systemd does; chrony needs `rtcsync`), connect a GPS or a "
        "real-time clock, or meet a device of the fleet that has the time. docs/time.md says what works meanwhile."
    )
    if trust is Trust.NONE:
        return Advice("nobody vouches for the wall clock: at(…), within(…) and contact plans wait", remedy)
    if trust is Trust.RESTORED:
        return Advice("the wall clock goes on from before the last power-off: it may be late by any time", remedy)
    if gap_is_open:
        return Advice("it is not known how long the power was off: ages of objects are lower bounds", remedy)
    return Advice()


def report(clock: dict[str, object], source: Source) -> dict[str, object]:
    """Return the `clock` of `status`: what the node says of it, who vouches for it, and what to do if nobody does."""
    trust = Trust[str(clock["trust"]).upper()]
    advice = advise(trust, bool(clock["gap_is_open"]))
    name = source.name or {Trust.PEER: "it was in step in this boot, or a peer said it"}.get(trust, "")
    return {**clock, "source": name or None, "problem": advice.problem or None, "remedy": advice.remedy or None}

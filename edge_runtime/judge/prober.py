"""One prober per destination: a thousand objects that wait for one thing that does not answer cost one attempt.

A destination is closed after `unreachable`. When its time or a signal comes, one object tries (the *probe*); the rest
stay asleep. A probe that fails doubles the wait; one that succeeds opens the destination, first to one, then to two,
four, … attempts in flight: each that is answered makes room for one more, so that a round of them doubles it. What
was in flight when the destination closed met the same fault and counts no second time.

Pure: ages are not used, only the device's clock.

Source: ours, after the half-open state of circuit breakers and TCP slow start (RFC 5681 section 3.1).
"""

from __future__ import annotations

from msgspec import Struct

from ..base.limits import PROBE_MS_FIRST, PROBE_MS_MAX, RAMP_MAX


class Destination(Struct):
    """What is known of one destination on this device; losing it costs one probe.

    Attributes:
        failures: `unreachable` in a row; 0 while it answers.
        next_ms: when the next probe may start, on the device's clock.
        probe: who probes now, or None.
        ramp: attempts allowed in flight since it opened.
        in_flight: attempts that run now.
        is_signalled: a link or peer appeared after the last failure: own waits of those who met it are void. An answer
            to another is no such sign: steps of one name may still go to different places.
    """

    failures: int = 0
    next_ms: int = 0
    probe: bytes | None = None
    ramp: int = RAMP_MAX
    in_flight: int = 0
    is_signalled: bool = False

    def may_start(self, now_ms: int) -> bool:
        """Say whether one more attempt may start."""
        if self.failures:
            return self.probe is None and now_ms >= self.next_ms
        return self.in_flight < self.ramp

    def start(self, who: bytes) -> None:
        """An attempt starts."""
        self.in_flight += 1
        if self.failures:
            self.probe = who

    def end(self, who: bytes, is_unreachable: bool, now_ms: int) -> bool:
        """An attempt ended; return whether others may start now that could not before."""
        self.in_flight = max(0, self.in_flight - 1)
        if is_unreachable:
            if self.failures and self.probe != who:
                return False
            self.failures += 1
            self.is_signalled = False
            self.probe = None
            self.next_ms = now_ms + min(PROBE_MS_FIRST << min(self.failures - 1, 16), PROBE_MS_MAX)
            return False
        if self.failures:
            self.failures, self.probe, self.ramp = 0, None, 1
        else:
            self.ramp = min(self.ramp + 1, RAMP_MAX)
        return True

    def signal(self) -> None:
        """A link or peer appeared: the next probe may start at once, and the waits between probes begin anew."""
        self.next_ms = 0
        self.is_signalled = True
        self.failures = min(self.failures, 1)

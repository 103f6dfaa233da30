"""One prober per destination: a thousand objects that wait for one thing that does not answer cost one attempt.

A destination is closed after `unreachable`. When its time or a sign comes, one object tries (the *probe*); the rest
stay asleep. The times of probes follow what is known: a contact plan, else the spacing of `gaps`, ever wider where
signs are to be expected; it never gives up. A probe that is answered opens the destination, first to one, then to two,
four, … attempts in flight: each that is answered makes room for one more, so that a round of them doubles it. What
was in flight when the destination closed met the same fault and counts no second time. A destination that has been
away before, and was left alone since its last answer, is met with one attempt again.

Pure: ages are not used, only the device's clock.

Source: ours, after the half-open state of circuit breakers, TCP slow start (RFC 5681 section 3.1) and its restart of
idle connections (section 4.1).
"""

from __future__ import annotations

from msgspec import Struct, field

from ..base.limits import (
    PROBE_COST_MS,
    PROBE_IDLE_MS,
    PROBE_LATE_MS,
    PROBE_MS_MAX,
    PROBE_SIGN_MS_MAX,
    RAMP_MAX,
)
from ..base.units import MINUTE_MS
from ..objects.conditions import Scalar
from .gaps import Gaps
from .outcomes import Outcome
from .plan import Plan


# Steps of one length can miss a short pass that comes at one period for ever: after so long each is shortened by up to
# an eighth, by a fixed series. Shorter gaps have no such periods.
OUT_OF_STEP_MS = 10 * MINUTE_MS


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
        is_sign_new: it appeared after the newest attempt began, whose failure says nothing of the time since.
        prober: who is to try next, and sleeps until `look_ms`; None for whoever comes.
        began_ms: when the newest attempt started.
        closed_ms, failed_ms: the first and the newest failure of this gap. answered_ms: the newest answer; -1 for none.
        has_signs: this device reads when the way there comes up, so that time alone is only a safety look.
        is_way_up: what the newest such reading said.
        cost_ms: the delay that is worth one attempt.
        plan_offset_ms: the plan's clock minus the device's.
    """

    failures: int = 0
    next_ms: int = 0
    probe: bytes | None = None
    ramp: int = RAMP_MAX
    in_flight: int = 0
    is_signalled: bool = False
    is_sign_new: bool = False
    prober: bytes | None = None
    look_ms: int = 0
    began_ms: int = 0
    closed_ms: int = -1
    failed_ms: int = 0
    answered_ms: int = -1
    has_signs: bool = False
    is_way_up: bool = False
    cost_ms: int = PROBE_COST_MS
    gaps: Gaps = field(default_factory=Gaps)
    plan: Plan | None = None
    plan_offset_ms: int = 0

    def may_start(self, now_ms: int) -> bool:
        """Say whether one more attempt may start."""
        return self.has_place(now_ms) and self.next_look_ms(now_ms) <= now_ms

    def has_place(self, now_ms: int) -> bool:
        """Say whether nobody is in the way of one more attempt; its time may still be to come."""
        if self.failures:
            return self.probe is None
        return self.in_flight < (1 if self._was_left_alone(now_ms) else self.ramp)

    def next_look_ms(self, now_ms: int) -> int:
        """Return when the next attempt is worth it: now or later."""
        look_ms = max(now_ms, self.next_ms) if self.failures else now_ms
        if self.plan is None or self.is_signalled:
            return look_ms
        offset_ms = self.plan_offset_ms
        return self.plan.opens_ms(look_ms + offset_ms, self.cost_ms) - offset_ms

    def is_next(self, who: bytes, now_ms: int) -> bool:
        """Say whether it is for this one to wait for the time of the next attempt; the others wait for it.

        Who was to come and did not is gone.
        """
        return self.prober in (None, who) or now_ms > self.look_ms + PROBE_LATE_MS

    def claim(self, who: bytes, now_ms: int) -> None:
        """Note who waits for the time of the next attempt: so do the others, for this one."""
        self.prober, self.look_ms = who, self.next_look_ms(now_ms)

    def start(self, who: bytes, now_ms: int) -> None:
        """An attempt starts."""
        if not self.failures and self._was_left_alone(now_ms):
            self.ramp = 1
        self.in_flight += 1
        self.began_ms, self.is_sign_new = now_ms, False
        self.prober = None
        if self.failures:
            self.probe = who

    def end(self, who: bytes, outcome: Outcome, now_ms: int) -> bool:
        """An attempt ended; return whether others may start now that could not before.

        A probe to which nothing came back did not open the destination; any other outcome is an answer.
        """
        self.in_flight = max(0, self.in_flight - 1)
        if outcome is Outcome.UNREACHABLE or (outcome is Outcome.TIMEOUT and self.failures):
            if not self.failures or self.probe == who:
                self._close(who, now_ms)
            return False
        if outcome is Outcome.TIMEOUT:
            return True  # a place is free, but nothing says that there is room for more
        self.answered_ms = now_ms
        if self.failures:
            self.gaps.learn(now_ms - self.closed_ms, has_ended=True)
            self.failures, self.probe, self.ramp = 0, None, 1
        else:
            self.ramp = min(self.ramp + 1, RAMP_MAX)
        return True

    def signal(self) -> None:
        """A link or peer appeared: the next probe may start at once, and the waits between probes begin anew.

        It may be any link: a destination with a contact plan has a better word.
        """
        if self.plan is None:
            self._hear_sign()

    def hear_way(self, state: Scalar | None) -> None:
        """Take in what a fact says of the way to this very destination: `up`, `down`, or None for not known.

        When it comes up this is a sign as in `signal`, and who waited for it goes one by one at first.
        """
        self.has_signs = state is not None
        if state == "up" and not self.is_way_up:
            self._hear_sign()
            self.ramp = 1
        self.is_way_up = state == "up"

    def _hear_sign(self) -> None:
        self.next_ms = 0
        self.is_signalled = self.is_sign_new = True
        self.failures = min(self.failures, 1)

    def _close(self, who: bytes, now_ms: int) -> None:
        is_old = self.failures > 0 and now_ms - self.failed_ms > 2 * max(PROBE_MS_MAX, self.next_ms - self.failed_ms)
        if is_old:  # nobody looked since: it may have come and gone
            self.gaps.learn(self.failed_ms - self.closed_ms, has_ended=False)
        if not self.failures or is_old or self.is_signalled:
            self.closed_ms = now_ms
        self.failures += 1
        self.is_signalled = False
        self.probe = None
        self.failed_ms = now_ms
        away_ms = now_ms - self.closed_ms
        spacing_ms = self.gaps.spacing_ms(away_ms, self.cost_ms)
        if away_ms >= OUT_OF_STEP_MS:
            spacing_ms -= spacing_ms * (_mixed(self.failures) % 64) // 512
        if self.has_signs:
            spacing_ms = max(spacing_ms, min(away_ms, PROBE_SIGN_MS_MAX))
        self.next_ms = now_ms + spacing_ms
        if self.plan is not None:
            offset_ms = self.plan_offset_ms
            tried_ms, planned_ms = self.began_ms + offset_ms, now_ms + offset_ms
            self.next_ms = self.plan.after_failure_ms(tried_ms, planned_ms, spacing_ms, self.cost_ms) - offset_ms
        if self.is_sign_new:
            self.next_ms = now_ms
        self.prober, self.look_ms = who, self.next_ms

    def _was_left_alone(self, now_ms: int) -> bool:
        """Say whether this is a destination that goes away, of which nothing was heard for a while."""
        goes_away = self.closed_ms >= 0 or self.plan is not None
        return goes_away and not self.in_flight and now_ms - self.answered_ms > PROBE_IDLE_MS


def _mixed(number: int) -> int:
    """Return 32 bits that look drawn at random. Source: the finaliser of MurmurHash3 (fmix32)."""
    number = (number ^ number >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    number = (number ^ number >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return number ^ number >> 16

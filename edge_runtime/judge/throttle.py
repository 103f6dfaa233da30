"""Retry tokens per destination: who fails often is tried again by one prober only, whoever waits for it.

A destination begins with all its tokens. A failure that is its own costs one, an answer gives a tenth back; while at
most half are left, no object tries again by its own timer. First tries are never held back. Tokens outlive a restart
(table `pacing`), or a device that flaps would retry for ever.

Source: gRPC A6, "Throttling Retry Attempts and Hedged RPCs" (maxTokens 10, tokenRatio 0.1), in thousandths of a token.
"""

from __future__ import annotations

from msgspec import Struct

from ..base.limits import TOKENS_MILLI_MAX

FAILURE_MILLI = 1_000
ANSWER_MILLI = 100


class Tokens(Struct, frozen=True):
    """What a destination has left, in thousandths, 0 .. TOKENS_MILLI_MAX."""

    milli: int = TOKENS_MILLI_MAX

    @property
    def may_retry(self) -> bool:
        """Whether more than half are left."""
        return self.milli > TOKENS_MILLI_MAX // 2

    def after_failure(self) -> Tokens:
        """Return what is left after a failure of the destination's own."""
        return Tokens(max(0, self.milli - FAILURE_MILLI))

    def after_answer(self) -> Tokens:
        """Return what is left after an answer."""
        return Tokens(min(TOKENS_MILLI_MAX, self.milli + ANSWER_MILLI))

"""Advice in an object: what an advisor proposed, and whether it still speaks of the object as it is.

Advice is an input without authority: it changes no state, permits nothing and stands in no verdict. It is *fresh* while
the turn that it was based on is the ruling tip and its age has not come; else it is stale, and as if it were not there.
So an answer is used at most once: the turn that takes it is the next tip. Source: ours, `docs/advice.md`.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ..base.errors import PeerError
from .bodies import AdvisedSealed, Body
from .codec import decode_value, encode_value

# The question of a topic stands in the object as a published value of this name and the topic.
QUESTION_PREFIX = "advice."


class OnAdvice(Struct, frozen=True):
    """The trigger: fresh advice on that topic is there (level)."""

    name: str


class Advised(Struct, frozen=True):
    """One piece of advice in an object.

    Attributes:
        ref: the entry's id, then the record's index (2 bytes, big-endian); advice sorts by (height, ref).
        proposal: canonical CBOR of a value. confidence: 0 .. 1000, a word of the advisor and no probability.
        based_on: id of the ruling turn that the advisor saw. expires_age_ms: age of the object when it ends.
        author: device that signed it.
    """

    ref: bytes
    height: int
    topic: str
    proposal: bytes
    confidence: int
    based_on: bytes
    expires_age_ms: int
    author: bytes

    def why_stale(self, tip: bytes, age_ms: int) -> str:
        """Return why the advice is to be ignored, for people; empty while it is fresh."""
        if self.based_on != tip:
            return "based on an older head"
        return "expired" if age_ms >= self.expires_age_ms else ""

    def spell(self) -> bytes:
        """Return what the body learns of it: canonical CBOR of [advisor's id in hex, confidence, proposal]."""
        return encode_value([self.author.hex(), self.confidence, decode_value(self.proposal)])


def read_advised(body: Body | None, ref: bytes, height: int, author: bytes) -> Advised | None:
    """Return a record's advice; None where it is withheld, or its proposal is no value that a body could learn."""
    if not isinstance(body, AdvisedSealed):
        return None
    fields = (body.topic, body.proposal, body.confidence, body.based_on, body.expires_age_ms)
    advised = Advised(ref, height, *fields, author)
    try:
        advised.spell()
    except (PeerError, ValueError):
        return None
    return advised


def freshest(items: Iterable[Advised], topic: str, tip: bytes, age_ms: int) -> Advised | None:
    """Return the advice on a topic that a body would get now: the most confident fresh one, of equals the first."""
    fresh = [item for item in items if item.topic == topic and not item.why_stale(tip, age_ms)]
    return min(fresh, key=lambda item: (-item.confidence, item.height, item.ref), default=None)


def fresh_topics(items: Iterable[Advised], tip: bytes, age_ms: int) -> frozenset[str]:
    """Return the topics on which fresh advice is there."""
    return frozenset(item.topic for item in items if not item.why_stale(tip, age_ms))

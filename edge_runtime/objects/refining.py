"""What an object asks for now: its first intent, and the refinements that count.

A refinement counts if it narrows what was asked before (`narrowing`), or if the object's maker or an operator allowed
it by a signal of `leave_name`; and never if it returns to something asked before. One that does not count is void in
the fold on every device, whoever wrote it; the first intent stays readable for ever in the first entry.

Source: ours, `docs/architecture.md` (Refinement).
"""

from __future__ import annotations

from msgspec import Struct, field

from .bodies import RefinedSealed
from .codec import decode_value
from .narrowing import Degradations, Way, dropped_items, fingerprint_of_intent, why_wider

# Signals of these names count only from the object's maker and from operators.
LEAVE_PREFIX = "refine:"


def leave_name(after: bytes) -> str:
    """Return the name of the signal that allows an intent of this fingerprint; its value must be true."""
    return LEAVE_PREFIX + after.hex()


class Asked(Struct):
    """The intent as it stands, and how it came to that.

    Attributes:
        first, now: canonical CBOR of the arguments.
        declared: the degradations of `created`.
        past: fingerprints of all that was asked, the present one last.
        refined: the records that counted, in chain order.
    """

    intent: str = ""
    first: bytes = b"\xf6"
    now: bytes = b"\xf6"
    declared: Degradations = field(default_factory=dict)
    past: dict[bytes, None] = field(default_factory=dict)
    refined: list[RefinedSealed] = field(default_factory=list)

    @classmethod
    def begin(cls, intent: str, arguments: bytes, declared: tuple[tuple[str, int], ...]) -> Asked:
        """Return what an object asks that was just made; a way that this version does not know narrows nothing."""
        ways = {path: Way(way) for path, way in declared if way in tuple(Way)}
        return cls(intent, arguments, arguments, ways, {fingerprint_of_intent(intent, arguments): None})

    def copy(self) -> Asked:
        """Return one that goes its own way: the body's while it is replayed."""
        return Asked(self.intent, self.first, self.now, self.declared, dict(self.past), list(self.refined))

    def fingerprint(self, arguments: bytes) -> bytes:
        """Return the fingerprint of this intent with other arguments."""
        return fingerprint_of_intent(self.intent, arguments)

    def was_left(self, arguments: bytes) -> bool:
        """Say whether these arguments were asked before and then refined away: there is no way back to them."""
        return arguments != self.now and self.fingerprint(arguments) in self.past

    def why_wider(self, arguments: bytes) -> str:
        """Return why these arguments want leave, naming the field; empty if they narrow."""
        return why_wider(decode_value(self.now), decode_value(arguments), self.declared)

    def record(self, path: str, arguments: bytes, reason: str) -> RefinedSealed:
        """Return the record of a refinement made at a call path."""
        return RefinedSealed(path, self.fingerprint(self.now), self.fingerprint(arguments), arguments, reason)

    def take(self, body: RefinedSealed, is_allowed: bool) -> bool:
        """Let a refinement count, if it does; say whether.

        Args:
            is_allowed: the maker or an operator allowed its fingerprint, in the past of the record.
        """
        is_ours = body.before == self.fingerprint(self.now) and body.after == self.fingerprint(body.arguments)
        if not is_ours or self.was_left(body.arguments) or not (is_allowed or not self.why_wider(body.arguments)):
            return False
        self.now = body.arguments
        self.past.pop(body.after, None)
        self.past[body.after] = None
        self.refined.append(body)
        return True

    def dropped(self) -> list[object]:
        """Return the items of lists that the first intent names and the present one does not."""
        return dropped_items(decode_value(self.first), decode_value(self.now))

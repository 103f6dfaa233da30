"""Gated steps as the ruling chain tells of them: what stands as attempted, and what nobody knows to have happened.

An `attempted` stands until an `executed` or `denied` of its path follows. One that stands while no process runs the
step ended with that process: its outcome is *unknown*, and what the call declared decides. On a branch that `claimed`
began, an irreversible step of which the branch has no record since is unknown as well: the custodian before may have
run it.

Source: ours, `docs/format.md` (Gated effects).
"""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct, field

from . import bodies as b

GATED = (b.EffectClass.BOUNDED, b.EffectClass.EXCLUSIVE, b.EffectClass.IRREVERSIBLE)
# Signals of these names count only from operators.
UNKNOWN_PREFIX = "unknown:"
TRUE, FALSE = b"\xf5", b"\xf4"  # canonical CBOR
_UNKNOWN = 10  # number of the outcome (`judge.outcomes`, which stands a floor higher)


class OnUnknown(IntEnum):
    """What a call declares for the case that nobody knows whether its effect happened."""

    ASK = 0  # an operator says whether it did; until then nothing is sent
    RESEND = 1  # at least once: it is sent again under the same attempt id
    STOP = 2  # at most once: the body hears of it


def unknown_name(attempt: bytes) -> str:
    """Return the name of the signal with which an operator says whether an attempt's effect happened."""
    return UNKNOWN_PREFIX + attempt.hex()


class Unknown(Struct, frozen=True):
    """One attempt of unknown outcome. An answer counts if it was written above this height: in knowledge of it."""

    attempt: bytes
    fingerprint: bytes
    height: int

    def is_answered_by(self, name: str, height: int) -> bool:
        """Say whether a signal speaks of this attempt and knew of this try."""
        return name == unknown_name(self.attempt) and height > self.height


class Gates(Struct):
    """What is remembered of gated steps, by call path.

    Attributes:
        standing: attempted, and no outcome yet. unknown: the outcome of the newest try, until something follows it.
        is_claimed: custody was claimed once. known: paths of which the branch has records since.
    """

    standing: dict[str, b.AttemptedSealed] = field(default_factory=dict)
    unknown: dict[str, Unknown] = field(default_factory=dict)
    is_claimed: bool = False
    known: dict[str, None] = field(default_factory=dict)

    def attempt(self, body: b.AttemptedSealed) -> None:
        """A try is about to act."""
        self.standing[body.path] = body
        self.unknown.pop(body.path, None)
        self._know(body.path)

    def end(self, body: b.ExecutedSealed, height: int) -> None:
        """A try has an outcome."""
        self.standing.pop(body.path, None)
        self.unknown.pop(body.path, None)
        if body.effect in GATED:
            self._know(body.path)
            if body.outcome == _UNKNOWN and not body.is_final:
                self.unknown[body.path] = Unknown(body.attempt, body.fingerprint, height)

    def withhold(self, path: str) -> bool:
        """A step was denied; say whether a try of it stood as attempted, and did not act."""
        return self.standing.pop(path, None) is not None

    def answer(self, path: str, name: str, value: bytes, height: int) -> Unknown | None:
        """Take an operator's signal and return what it says has happened; false: it is sent again."""
        asked = self.unknown.get(path)
        if asked is None or not asked.is_answered_by(name, height) or value not in (TRUE, FALSE):
            return None
        del self.unknown[path]
        return asked if value == TRUE else None

    def claim(self) -> None:
        """Custody was claimed: what the custodian before has done since is not known here."""
        self.is_claimed = True
        self.known.clear()

    def begin_run(self) -> None:
        """A new run began: no earlier call path is read any more."""
        self.standing.clear()
        self.unknown.clear()
        self.known.clear()

    def is_in_doubt(self, path: str, effect: int) -> bool:
        """Say whether a step that does not run may have acted all the same, unrecorded."""
        is_lost = self.is_claimed and effect == b.EffectClass.IRREVERSIBLE and path not in self.known
        return path in self.standing or is_lost

    def _know(self, path: str) -> None:
        if self.is_claimed:
            self.known[path] = None

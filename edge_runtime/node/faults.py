"""One fault, one name: what many objects meet at once is one fact of the device, and their records refer to it.

A destination that is not reached becomes the fact `fault.<destination>`, whose value numbers the fault; the evidence
of each attempt that met it, and the reason of each sleep that waits for its end, name it. It is withdrawn when the
destination answers.

Source: ours, behaviour 7.6.
"""

from __future__ import annotations

from ..base.errors import UsageError
from ..base.limits import ERROR_TEXT_BYTES_MAX, FACT_NAME_BYTES_MAX
from ..judge.outcomes import Outcome
from .events import StepEnded
from .parts import Parts

DEVICE = "device"


class Faults:
    """The faults that stand now, by destination; as a restart finds them again by one probe, they are not kept."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._standing: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return what the fault of a destination is called, empty while there is none."""
        return self._standing.get(name, "")

    def note(self, name: str, event: StepEnded, is_closed: bool) -> str:
        """Take in an outcome; return the evidence to record with it.

        Args:
            is_closed: whether the destination is closed after it.
        """
        if not is_closed:
            if name in self._standing:
                del self._standing[name]
                self._put(name, None)
            return event.evidence
        if event.outcome not in (Outcome.UNREACHABLE, Outcome.TIMEOUT):
            return event.evidence
        if name not in self._standing:
            number = int(self.parts.store.get_meta("faults", 0)) + 1
            self.parts.store.set_meta("faults", number)
            self._standing[name] = f"fault {number}"
            self._put(name, number)
        return f"{event.evidence}; {self._standing[name]}".removeprefix("; ")[:ERROR_TEXT_BYTES_MAX]

    def _put(self, name: str, number: int | None) -> None:
        word = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in name.lower())
        try:
            self.parts.facts.put(
                f"fault.{word}"[:FACT_NAME_BYTES_MAX], number, DEVICE, None, self.parts.timeline.life_ms
            )
        except UsageError:
            pass  # as many facts as there may be: the records still refer to it

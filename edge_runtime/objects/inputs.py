"""What devices put into an object beside its turns: signals, units, advice, denials, cancellations, operators' words.

Inputs are sets, read in an order that follows from their heights and hashes: whatever came first, all devices with the
same entries hold the same. What history found void never comes here.

Source: `docs/format.md` (State).
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Sequence

from ..base.limits import SIGNALS_EACH_MAX, UNIT_PARTS_MAX, UNIT_SIGNALS_EACH_MAX
from . import bodies as b
from .advice import Advised, read_advised
from .content import Input
from .entries import Entry
from .gated import UNKNOWN_PREFIX
from .grants import Role
from .incapacity import Incapacities
from .kinds import Kind
from .records import read_clear, read_sealed
from .refining import LEAVE_PREFIX
from .units import RESULT_PREFIX, Said, Units, result_signal

PART_MARK = "\x00"  # before a unit's name in an input that is a part of it: no name of a unit is told from it otherwise


class Inputs:
    """The inputs of one object that have effect.

    Attributes:
        inputs: signals in their order, those that no body may take too; see `takeable`.
        incapacities: what devices said they cannot do. units: claims and results of shared work.
        advice: all of it, fresh or not, by (height, ref); see `advice.freshest`.
        cancels: ids of cancel requests, lowest first.
        holding: what the newest of an operator's words is: 0 hold, 1 release, 2 resume, None for none.
        resumed_age_ms, resumed_height: of the newest `resume`, -1 for none: failures up to that age are forgiven.
    """

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.advice: list[Advised] = []
        self.cancels: list[bytes] = []
        self.incapacities = Incapacities()
        self.units = Units()
        self._takeable: list[Input] | None = None
        self._words: list[tuple[int, bytes, int, int]] = []
        self.resumed_age_ms = -1
        self.resumed_height = -1

    @property
    def holding(self) -> int | None:
        """The newest operator's word by (height, entry id, place in it), or None."""
        return max(self._words)[3] if self._words else None

    def take_input(self, entry: Entry, roles: Sequence[Role], maker: bytes, is_own: bool) -> None:
        """Take in an entry of inputs that has effect.

        Args:
            roles: of its author. maker: the device that made the object.
            is_own: its author is that, or has custody in its past.
        """
        for index, record in enumerate(entry.records):
            ref = entry.id + index.to_bytes(2, "big")
            match record.kind:
                case Kind.SIGNALLED:
                    body = read_sealed(record)
                    if isinstance(body, b.SignalledSealed) and self._may_say(body.name, entry, roles, maker):
                        item = Input(ref, entry.height, body.name, body.value, entry.author, entry.age_ms, is_own)
                        self._keep_input(item)
                case Kind.UNIT:
                    unit = read_sealed(record)
                    if isinstance(unit, b.UnitSealed):
                        self._keep_unit(unit, entry, ref, is_own)
                case Kind.CANNOT:
                    said = read_sealed(record)
                    if isinstance(said, b.CannotSealed):
                        self.incapacities.keep(said, entry.author, entry.height, ref, roles)
                case Kind.ADVISED:
                    advised = read_advised(read_sealed(record), ref, entry.height, entry.author)
                    if advised is not None:
                        insort(self.advice, advised, key=lambda item: (item.height, item.ref))
                case Kind.CANCEL_REQUESTED:
                    insort(self.cancels, entry.id)
                case Kind.HOLDING:
                    clear = read_clear(record)
                    assert isinstance(clear, b.HoldingClear)
                    self._words.append((entry.height, entry.id, index, clear.what))
                    if clear.what == 2:
                        self.resumed_age_ms = max(self.resumed_age_ms, entry.age_ms)
                        self.resumed_height = max(self.resumed_height, entry.height)
                case _:
                    pass  # carried; this version reads nothing in it

    @staticmethod
    def _may_say(name: str, entry: Entry, roles: Sequence[Role], maker: bytes) -> bool:
        """Say whether a signal counts: leave to widen comes from the maker and operators, an answer from operators.

        A result of a unit is said by `unit` alone.
        """
        if name.startswith(RESULT_PREFIX):
            return False
        if name.startswith(UNKNOWN_PREFIX):
            return Role.OPERATOR in roles
        return not name.startswith(LEAVE_PREFIX) or entry.author == maker or Role.OPERATOR in roles

    def _keep_unit(self, body: b.UnitSealed, entry: Entry, ref: bytes, is_own: bool) -> None:
        self.units.keep(body, entry.author, entry.height, ref, entry.age_ms)
        if body.said == Said.RESULT or (body.said == Said.PROGRESS and body.value):
            name, value = result_signal(body, entry.author)
            unit = body.unit if body.said == Said.RESULT else PART_MARK + body.unit
            self._keep_input(Input(ref, entry.height, name, value, entry.author, entry.age_ms, is_own, unit))

    def _keep_input(self, item: Input) -> None:
        insort(self.inputs, item, key=lambda item: (item.height, item.ref))
        self._takeable = None

    def takeable(self) -> list[Input]:
        """Return the signals that a body may take, in their order: of each device no more than its share.

        A share is counted in that order, so it is the same set whatever came first. Who has custody, or made the
        object, is not bounded so.
        """
        if self._takeable is None:
            said: Counter[tuple[bytes, str, str]] = Counter()
            self._takeable = [item for item in self.inputs if item.is_own or _is_within_share(item, said)]
        return self._takeable


def _is_within_share(item: Input, said: Counter[tuple[bytes, str, str]]) -> bool:
    """Say whether an input is within its author's share, and count it."""
    if not item.unit:
        said[item.author, "", ""] += 1
        return said[item.author, "", ""] <= SIGNALS_EACH_MAX
    said[item.author, item.name, item.unit] += 1
    most = UNIT_PARTS_MAX if item.unit.startswith(PART_MARK) else 1
    if said[item.author, item.name, item.unit] > most:
        return False
    said[item.author, RESULT_PREFIX, ""] += 1
    return said[item.author, RESULT_PREFIX, ""] <= UNIT_SIGNALS_EACH_MAX

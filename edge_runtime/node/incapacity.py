"""What this device cannot do now: told to peers in contact, written once into the objects that it concerns.

A configured capability may have a condition under which it is denied (`[[cannot]]`). Peers hear the denials in force
at the opening of a contact and at each change, so that nothing is offered in vain; an object hears once per subject
and advert, so that whoever reads its history later need not ask again.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..base.errors import UsageError
from ..base.limits import LIST_ITEMS_MAX
from ..judge.snapshot import Snapshot
from ..objects import bodies as b
from ..objects.codec import encode
from ..objects.conditions import Truth, evaluate, names, to_tree
from ..objects.grants import may_append
from ..objects.incapacity import Scope, stands, who_cannot
from ..objects.kinds import Kind
from ..objects.records import make
from .parts import Parts, Reservation
from .spool import Live


class Capacity:
    """Speaks for this device about what it cannot do."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        # What peers said of themselves, while they are in contact: device -> subjects.
        self.told: dict[bytes, tuple[str, ...]] = {}
        # When a device last could do more than before: by the life clock. Lost with the process, as is `told`: then
        # what refused once is not tried again before the next custodian.
        self._improved_ms: dict[bytes, int] = {}

    def in_force(self) -> tuple[str, ...]:
        """Return the capabilities that this device has by its configuration and denies now, each once."""
        view = self._view()
        found = [item.subject for item in self._reservations() if evaluate(item.condition, view) is Truth.TRUE]
        return tuple(dict.fromkeys(found))

    def told_now(self) -> tuple[str, ...]:
        """Return what peers are to hear that this device cannot do: while it has no room, nothing is offered to it."""
        if not self.parts.room.why_none:
            return self.in_force()
        return tuple(dict.fromkeys((*self.parts.intents, *self.parts.settings.capabilities)))[:LIST_ITEMS_MAX]

    def capabilities(self) -> tuple[str, ...]:
        """Return what this device can do now, ascending."""
        denied = self.in_force() if self._reservations() else ()
        return tuple(sorted(name for name in self.parts.settings.capabilities if name not in denied))

    def facts_of(self, subjects: Sequence[str]) -> tuple[str, ...]:
        """Return the facts whose change may end a denial of these subjects."""
        found = [name for item in self._reservations() if item.subject in subjects for name in names(item.condition)]
        return tuple(dict.fromkeys(found))

    def say(self, live: Live, subjects: Sequence[str], evidence: str, age_ms: int) -> None:
        """Write into an object that this device cannot do these things, each unless that stands there already."""
        counters = self.counters()
        own = self.parts.device
        standing = {
            denial.subject
            for denial in live.state.incapacities.all()
            if denial.about == own and denial.scope == Scope.DEVICE and stands(denial, age_ms, counters)
        }
        fresh = [subject for subject in dict.fromkeys(subjects) if subject not in standing]
        found = self.parts.members.grant_under(live.state.history.created.roots)
        if not fresh or found is None or not may_append(found[1], Kind.CANNOT):
            return
        for subject in fresh:
            condition = next((item.condition for item in self._reservations() if item.subject == subject), None)
            tree = b"" if condition is None else encode(to_tree(condition))
            body = b.CannotSealed(own, subject, int(Scope.DEVICE), evidence[:200], tree, 0, counters.get(own, 0))
            try:
                self.parts.pen.write_input(live, make(Kind.CANNOT, b.Empty(), body))
            except UsageError:
                return  # told or not: whoever reads the object asks in the next contact

    def excluded(self, live: Live, subjects: Sequence[str], age_ms: int) -> tuple[bytes, ...]:
        """Return the devices to which an object that wants these subjects need not be offered."""
        found = dict.fromkeys(who_cannot(live.state.incapacities.all(), subjects, age_ms, self.counters()))
        found.update({device: None for device, told in self.told.items() if any(item in told for item in subjects)})
        return tuple(found)

    def hear(self, device: bytes, subjects: tuple[str, ...]) -> None:
        """A peer said what it cannot do now."""
        if any(subject not in subjects for subject in self.told.get(device, ())):
            self.note_improved(device)
        self.told[device] = subjects

    def forget(self, device: bytes) -> None:
        """A peer is out of contact: what it denied then may have changed."""
        self.told.pop(device, None)

    def note_improved(self, device: bytes) -> None:
        """A device may do more than before: its denial ended, or its advert is new."""
        self._improved_ms[device] = self.parts.timeline.life_ms

    def improved_ms(self, device: bytes) -> int:
        """Return when a device last could do more than before, by the life clock; -1 if that is not known."""
        return self._improved_ms.get(device, -1)

    def counters(self) -> dict[bytes, int]:
        """Return the newest advert's counter of every device known here, this one's too."""
        return {device: found[0].counter for device, found in self.parts.adverts.by_device.items()}

    def _reservations(self) -> tuple[Reservation, ...]:
        return self.parts.settings.reservations

    def _view(self) -> Snapshot:
        parts = self.parts
        moment = parts.timeline.moment
        nothing: frozenset[str] = frozenset()
        return Snapshot(
            parts.facts.by_name, parts.timeline.life_ms, 0, moment.wall_ms, moment.trust, (), nothing, nothing, nothing,
            {}, b"", {},
        )  # fmt: skip

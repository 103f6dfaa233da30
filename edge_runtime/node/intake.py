"""Taking in what peers and capsules bring: entries whose own signatures hold, one object at a time.

Refused on bytes, size, signature and grant chain alone. What hangs on the past is stored and void. An entry whose
parent or grant is missing is kept aside within a bound, and asked for; when the bound is reached the oldest goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from ..base.errors import PeerError
from ..base.limits import ASIDE_BYTES_MAX, OBJECT_BYTES_MAX, OBJECT_ENTRIES_MAX
from ..base.moment import Trust
from ..objects.bodies import CreatedClear
from ..objects.entries import Entry
from ..objects.history import roots_of_first
from ..objects.records import read_clear
from .effects import Stage
from .parts import Parts
from .quarantine import Quarantine
from .room import offers_to
from .spool import Live


class Taken(Struct):
    """What one delivery came to: how many entries are new (`placed`), were known, were refused, or wait for others.

    `is_back`: the object went from here before, and may come again from now on.
    """

    live: Live | None = None
    new: int = 0
    known: int = 0
    refused: int = 0
    aside: int = 0
    placed: list[Entry] = field(default_factory=list)
    is_back: bool = False


class Intake:
    """Stores entries from outside."""

    def __init__(self, parts: Parts, quarantine: Quarantine) -> None:
        self.parts = parts
        self.quarantine = quarantine
        self._aside: OrderedDict[bytes, Entry] = OrderedDict()
        self._aside_bytes = 0
        self.refusals: dict[str, int] = {}

    def take(
        self, object_id: bytes, grants: Iterable[bytes], entries: Sequence[Entry], age_ms: int, age_is_exact: bool
    ) -> Taken:
        """Store what can be stored of a delivery.

        Args:
            object_id: the object all entries must belong to.
            age_ms: the object's age at the sender now, for an object not known here.
        """
        taken = Taken(self.parts.spool.find(object_id))
        if self.parts.room.why_none and not self._belongs_to_what_runs(taken.live):
            self.count(PeerError("storage", self.parts.room.why_none))
            taken.refused, taken.live = len(entries), None
            return taken
        if taken.live is None and not self._may_come_again(object_id, entries, taken):
            taken.refused = len(entries)
            return taken
        kept = self.parts.members.grants_kept
        for raw in grants:
            try:
                self.parts.members.keep_grant(raw)
            except PeerError as error:
                self.count(error)
        if self.parts.members.grants_kept != kept:
            self.parts.agenda.wake_topic("fact:policy.version")  # what an expired grant refused, a new one may permit
        waiting = [entry for entry in entries if self._belongs(entry, object_id, taken)]
        waiting.extend(entry for entry in self._aside.values() if entry.object == object_id)
        waiting.extend(self.quarantine.salvaged(object_id))
        progress = True
        while waiting and progress:
            progress, rest = False, []
            for entry in waiting:
                if self._take_one(entry, taken, age_ms, age_is_exact):
                    progress = True
                    self._drop_aside(entry)
                else:
                    rest.append(entry)
            waiting = rest
        for entry in waiting:
            self._keep_aside(entry)
        taken.aside = len(waiting)
        if taken.live is not None:
            self.quarantine.finish(taken.live, len(entries))
        return taken

    def _belongs_to_what_runs(self, live: Live | None) -> bool:
        """Say whether an object goes on here also where there is no room: then it hears its signals and results."""
        if live is None or self.parts.room.is_broken:
            return False
        return live.state.history.view.holder == self.parts.device

    def _may_come_again(self, object_id: bytes, entries: Sequence[Entry], taken: Taken) -> bool:
        """Say whether an object that is not here may be stored: one that went may not, unless custody is offered."""
        tombstones = self.parts.eviction.tombstones
        had = tombstones.find(object_id)
        if had is not None and not had.terminated and offers_to(self.parts.device, entries):
            tombstones.lift(object_id)
            taken.is_back = True
            return True
        if had is not None:
            self.count(PeerError("gone", "an object that went from here"))
        return had is None

    def _belongs(self, entry: Entry, object_id: bytes, taken: Taken) -> bool:
        if entry.object == object_id:
            return True
        self.count(PeerError("object", "of another object"))
        taken.refused += 1
        return False

    def _take_one(self, entry: Entry, taken: Taken, age_ms: int, age_is_exact: bool) -> bool:
        """Store one entry; return False if it must wait for a parent or a grant."""
        live = taken.live
        try:
            if live is None:
                return entry.is_first and self._take_first(entry, taken, age_ms, age_is_exact)
            history = live.state.history
            if entry.id in history:
                taken.known += 1
                return True
            if entry.is_first or len(history) >= OBJECT_ENTRIES_MAX or history.bytes_size >= OBJECT_BYTES_MAX:
                raise PeerError("limit", "the object is at its hard limit, or has another first entry")
            if history.missing(entry):
                return False
            roles = self.parts.members.roles_of(entry.grant, entry.author, history.created.roots)
            if roles is None:
                return False
            placed = self.parts.spool.append(live, entry, roles)
        except PeerError as error:
            self.count(error)
            taken.refused += 1
            return True
        taken.new += 1
        taken.placed.append(entry)
        self.parts.take_in(live, entry)
        self.parts.note(Stage.STORED, live, entry=entry.id.hex()[:16], void=placed.void)
        return True

    def _take_first(self, entry: Entry, taken: Taken, age_ms: int, age_is_exact: bool) -> bool:
        roots = roots_of_first(entry)
        own = self.parts.members.membership()
        if not any(root in own.roots for root in roots):
            raise PeerError("fleet", "an object of none of this device's fleets")
        clear = read_clear(entry.records[0])
        assert isinstance(clear, CreatedClear)
        if clear.holders and self.parts.device not in clear.holders:
            raise PeerError("audience", "this device may not hold the object")
        roles = self.parts.members.roles_of(entry.grant, entry.author, roots)
        if roles is None:
            return False
        if age_ms > clear.lifetime_ms or self._is_past_lifetime(clear):
            raise PeerError("lifetime", "an unknown object past its lifetime")
        live = self.parts.spool.create(entry, roles, age_ms, age_is_exact)
        taken.live, taken.new = live, taken.new + 1
        taken.placed.append(entry)
        self.parts.take_in(live, entry)
        self.parts.note(Stage.STORED, live, entry=entry.id.hex()[:16], void="")
        return True

    def _is_past_lifetime(self, clear: CreatedClear) -> bool:
        moment = self.parts.timeline.moment
        both_trusted = clear.trust >= Trust.NTP and moment.trust >= Trust.NTP
        return both_trusted and moment.wall_ms > clear.wall_ms + clear.lifetime_ms

    def _keep_aside(self, entry: Entry) -> None:
        if entry.id in self._aside:
            return
        self._aside[entry.id] = entry
        self._aside_bytes += len(entry.raw)
        while self._aside_bytes > ASIDE_BYTES_MAX:
            _, oldest = self._aside.popitem(last=False)
            self._aside_bytes -= len(oldest.raw)

    def _drop_aside(self, entry: Entry) -> None:
        if self._aside.pop(entry.id, None) is not None:
            self._aside_bytes -= len(entry.raw)

    def count(self, error: PeerError) -> None:
        """Count a refusal by its reason, for `status`."""
        self.refusals[error.reason] = self.refusals.get(error.reason, 0) + 1

"""What a new process does first: count the deaths of the steps that ran in the last one, look at what waits.

Effects are derived again from the store; nothing of the last process lives on in memory.
"""

from __future__ import annotations

from collections.abc import Callable

from ..program.sameness import digest_of
from .deaths import record_death
from .judgement import Judgement
from .parts import Parts
from .shelving import ADVICE_TOPIC, PROBING_TOPIC, UNITS_TOPIC
from .spool import Flight, Live


class Restoring:
    """Brings a device back over the store that its last process left."""

    def __init__(
        self, parts: Parts, judgement: Judgement, find: Callable[[int], Live | None],
        is_turnable: Callable[[Live], bool], say_advert: Callable[[], None],
    ) -> None:  # fmt: skip
        self.parts = parts
        self.judgement = judgement
        self._find = find
        self._is_turnable = is_turnable
        self._say_advert = say_advert
        self._is_owed = False

    def restore(self) -> None:
        """Derive the effects again: steps that were running died with the last process; what waits is looked at."""
        parts = self.parts
        self._say_advert()
        self._is_owed = True
        if not parts.members.is_quarantined:  # else nothing may be written yet; its end does this
            self.count_deaths()
        for row in parts.agenda.happenings.unseen():
            parts.agenda.add(row)
        # No other object is looked at for the start alone: who was awake is due, who waits is found by what changes.
        if self.are_apps_new():
            parts.agenda.wake_topic("apps")
        self.judgement.free_places()  # what held them died
        parts.agenda.wake_topic(ADVICE_TOPIC)
        parts.agenda.wake_topic(PROBING_TOPIC)
        if parts.works:
            parts.agenda.wake_topic(UNITS_TOPIC)

    def count_deaths(self) -> None:
        """Write into their objects that the steps which ran in the last process died with it; once a process."""
        parts = self.parts
        if not self._is_owed:
            return
        self._is_owed = False
        dead = parts.store.run(
            "SELECT object, path, attempt, try_number, fingerprint, effect, released_ms, verdict, attempts_max, peer "
            "FROM releases ORDER BY object, path"
        ).fetchall()
        # No step of this process runs yet. What a rebuild has loaded already took the dead ones for running.
        parts.store.run("DELETE FROM releases")
        for loaded in parts.spool.loaded():
            loaded.flights.clear()
        for row, path, *fields in dead:
            live = self._find(row)
            if live is not None and self._is_turnable(live):
                record_death(parts, live, path, Flight(*fields))
                parts.agenda.add(row)

    def are_apps_new(self) -> bool:
        """Say whether other handlers are here than when this was asked last, in this process or an earlier one."""
        digest, store = digest_of(intent for _, intent in self.parts.intents.values()), self.parts.store
        if store.get_meta("apps") == digest:
            return False
        store.set_meta("apps", digest)
        return True

"""Recurring submissions: of what the configuration lists, one object a slot, made in the turn in which the slot is due.

The mark of a slot and its object are of one transaction, so no crash loses a slot or makes two objects of one; the
object's name says the slot all the same, so that people and other devices can name it. An interval counts on the
device's age and keeps its phase, whatever the wall clock says; a time of day needs a trusted clock. Slots that passed
while nothing ran collapse into the last of them, and the others are counted.

Source: ours, by the rules of persistent polling (`docs/polling.md`); collapsing as cron's anacron and systemd's
`Persistent=` do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..base.errors import UsageError
from ..base.foreign import contained
from ..base.limits import SCHEDULE_ERROR_CHARS_MAX
from ..base.units import DAY_MS, MINUTE_MS, SECOND_MS
from ..objects.due import DAY_TRUST
from .commands import Submit
from .effects import Note, Stage
from .parts import Parts
from .spool import Live
from .store import Quarantined, is_damage

PREFIX = "schedule:"
SLOT = "{slot}"


class Schedule(Struct, frozen=True):
    """One of the configuration.

    Attributes:
        name: of the schedule. task: what is submitted; its name holds SLOT.
        every_ms: the interval, 0 for a time of day. minute: 0 .. 1439 UTC, where there is no interval.
    """

    name: str
    task: Submit
    every_ms: int = 0
    minute: int = 0

    @property
    def timing(self) -> str:
        """What a mark was placed by: another timing places it anew."""
        return f"every {self.every_ms}" if self.every_ms else f"daily {self.minute}"


class Mark(Struct, frozen=True):
    """How far a schedule is, kept in the spool.

    Attributes:
        timing: of the schedule that placed it; empty while the configuration has none of the name.
        next_ms: the next slot, in life ms for an interval and Unix ms for a time of day; 0 before the first trusted
            clock.
        number: of the last slot, rising for as long as the spool lives.
        missed: slots for which there is no object. object: the last one, in hex. made_ms: when, in life ms.
        error: why the last slot has none, empty if it has.
    """

    timing: str = ""
    next_ms: int = 0
    number: int = 0
    missed: int = 0
    object: str = ""
    made_ms: int = 0
    error: str = ""


class Schedules:
    """All schedules of this device. `submit`: makes an object. `forget`: drops memory after a rollback."""

    def __init__(self, parts: Parts, submit: Callable[[Submit], Live], forget: Callable[[], None]) -> None:
        self.parts = parts
        self._submit = submit
        self._forget = forget
        self._all: tuple[Schedule, ...] = ()

    def replace(self, schedules: Sequence[Schedule]) -> None:
        """Follow these from now on. A new one, or one with another timing, begins now; the others keep their phase."""
        names = {schedule.name: None for schedule in schedules}
        rows = self.parts.store.run("SELECT name FROM meta WHERE name >= ? AND name < ?", (PREFIX, PREFIX + "~"))
        for (key,) in rows.fetchall():
            name = str(key).removeprefix(PREFIX)
            mark = self._mark(name)
            if name not in names and mark.timing:
                self._keep(name, replace(mark, timing=""))  # its number stays: a slot's name is used once
        self._all = tuple(schedules)
        for schedule in self._all:
            mark = self._mark(schedule.name)
            if mark.timing != schedule.timing:
                first_ms = self.parts.timeline.life_ms + schedule.every_ms if schedule.every_ms else 0
                self._keep(schedule.name, replace(mark, timing=schedule.timing, next_ms=first_ms))

    def submit_due(self) -> None:
        """Make an object of each schedule that is due."""
        for schedule in self._all:
            now_ms = self._now_ms(schedule)
            if now_ms is None:
                continue
            mark = self._mark(schedule.name)
            every_ms = schedule.every_ms or DAY_MS
            if not schedule.every_ms and (not mark.next_ms or mark.next_ms - now_ms > DAY_MS):
                # The first trusted clock; or one that was set back by days, which may not silence it so long.
                day_ms = now_ms - now_ms % DAY_MS + schedule.minute * MINUTE_MS
                mark = replace(mark, next_ms=day_ms if day_ms > now_ms else day_ms + DAY_MS)
                self._keep(schedule.name, mark)
            if now_ms >= mark.next_ms:
                slots = 1 + (now_ms - mark.next_ms) // every_ms
                last_ms = mark.next_ms + (slots - 1) * every_ms
                after = replace(
                    mark, next_ms=last_ms + every_ms, number=mark.number + slots, missed=mark.missed + slots - 1
                )
                self._keep(schedule.name, self._make(schedule, after, last_ms))

    def _make(self, schedule: Schedule, mark: Mark, slot_ms: int) -> Mark:
        slot = str(mark.number)
        if not schedule.every_ms:
            slot = datetime.fromtimestamp(slot_ms // SECOND_MS, timezone.utc).strftime("%Y-%m-%d")
        parts, made = self.parts, mark
        effects, appended = len(parts.effects), len(parts.appended)
        parts.store.run("SAVEPOINT slot")
        with contained() as caught:
            live = self._submit(replace(schedule.task, name=schedule.task.name.replace(SLOT, slot)))
            made = replace(mark, object=live.object.hex(), made_ms=parts.timeline.life_ms, error="")
        if isinstance(caught.error, (sqlite3.OperationalError, Quarantined)) or is_damage(caught.error):
            raise caught.error or AssertionError  # the disk, or an object of that name, not the task
        if caught.error is not None:
            # Refused, or a mistake in what the task begins: the event that came along pays for neither.
            parts.store.run("ROLLBACK TO slot")
            del parts.effects[effects:], parts.appended[appended:]
            self._forget()
            error = caught.error
            text = error.message if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
            made = replace(mark, missed=mark.missed + 1, error=text[:SCHEDULE_ERROR_CHARS_MAX])
            fields = {"schedule": schedule.name, "refused": made.error}
            parts.effects.append(Note(Stage.ENTERED, b"", fields, is_info=True))
        parts.store.run("RELEASE slot")
        return made

    def next_life_ms(self) -> int | None:
        """Return the life time at which the next slot is due; None for none, or none that can be told."""
        found = [due_ms for schedule in self._all if (due_ms := self._due_life_ms(schedule)) is not None]
        return min(found, default=None)

    def _due_life_ms(self, schedule: Schedule) -> int | None:
        now_ms, next_ms = self._now_ms(schedule), self._mark(schedule.name).next_ms
        return None if now_ms is None else self.parts.timeline.life_ms + max(0, next_ms - now_ms)

    def _now_ms(self, schedule: Schedule) -> int | None:
        """Return the clock that a schedule goes by; None while it cannot be trusted."""
        moment = self.parts.timeline.moment
        if schedule.every_ms:
            return self.parts.timeline.life_ms
        return moment.wall_ms if moment.trust >= DAY_TRUST else None

    def rows(self) -> list[dict[str, Any]]:
        """Return what `schedules` says."""
        life_ms, found = self.parts.timeline.life_ms, []
        for schedule in self._all:
            mark, due_ms = self._mark(schedule.name), self._due_life_ms(schedule)
            found.append(
                {
                    "name": schedule.name, "intent": schedule.task.intent, "every_ms": schedule.every_ms or None,
                    "daily": None if schedule.every_ms else f"{schedule.minute // 60:02}:{schedule.minute % 60:02}",
                    "next_in_ms": None if due_ms is None else due_ms - life_ms,
                    "waits_for_clock": due_ms is None, "slots": mark.number, "missed": mark.missed,
                    "object": mark.object or None, "made_ms_ago": life_ms - mark.made_ms if mark.object else None,
                    "error": mark.error or None,
                }
            )  # fmt: skip
        return found

    def _mark(self, name: str) -> Mark:
        found = self.parts.store.get_meta(PREFIX + name)
        return Mark() if found is None else msgspec.json.decode(found, type=Mark)

    def _keep(self, name: str, mark: Mark) -> None:
        self.parts.store.set_meta(PREFIX + name, msgspec.json.encode(mark).decode())

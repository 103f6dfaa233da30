"""What is submitted without a person at the keyboard: a file of the drop folder, `[[schedule]]` of `config.toml`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..base.errors import UsageError
from ..base.limits import (
    INTEGER_MAX, LIFETIME_MS_MAX, LIST_ITEMS_MAX, NAME_BYTES_MAX, SCHEDULE_MS_MAX, SCHEDULE_MS_MIN,
)  # fmt: skip
from ..base.units import format_duration, parse_duration_ms
from ..node.commands import Submit
from ..node.schedules import SLOT, Schedule

Duration = Annotated[str, Meta(pattern=r"^([0-9]+(ms|s|m|h|d))+$", max_length=40)]
Word = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
Words = Annotated[list[Word], Meta(max_length=LIST_ITEMS_MAX)]
Amounts = Annotated[dict[Word, Annotated[int, Meta(ge=1, le=INTEGER_MAX)]], Meta(max_length=LIST_ITEMS_MAX)]
Budget = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
ScheduleName = Annotated[str, Meta(pattern=r"^[a-z0-9_]+([.-][a-z0-9_]+)*$", max_length=48)]

TIME = re.compile(r"^([01][0-9]|2[0-3]):([0-5][0-9])$")
EXAMPLE = """[[schedule]]
name = "water"
intent = "sample.water"
arguments = { depth_m = 3 }
every = "1h"
"""


class Task(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An intent with its arguments and terms: the fields of `submit`, with a duration as text."""

    intent: Word
    arguments: Any = None
    needs: Words = []
    priority: Annotated[int, Meta(ge=0, le=15)] = 8
    lifetime: Duration = ""
    attempts_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    bytes_max: Budget = 0
    energy_max_mj: Budget = 0
    labels: Words = []
    rights: Amounts = {}
    anyway: bool = False

    def command(self, name: str) -> Submit:
        """Return what the node is asked.

        Raises:
            UsageError: the lifetime is none.
        """
        lifetime_ms = parse_duration_ms(self.lifetime) if self.lifetime else None
        if lifetime_ms is not None and not 0 < lifetime_ms <= LIFETIME_MS_MAX:
            raise UsageError(f"lifetime {self.lifetime}: write one up to {format_duration(LIFETIME_MS_MAX)}.")
        return Submit(
            self.intent, msgspec.to_builtins(self.arguments), name=name, needs=self.needs, priority=self.priority,
            lifetime_ms=lifetime_ms, attempts_max=self.attempts_max, bytes_max=self.bytes_max,
            energy_max_mj=self.energy_max_mj, labels=self.labels, rights=self.rights, anyway=self.anyway,
        )  # fmt: skip


class Dropped(Task, frozen=True, kw_only=True):
    """A submission in a file; the same name again is the same object."""

    name: Annotated[str, Meta(max_length=NAME_BYTES_MAX)] = ""


class ScheduleConfig(Task, frozen=True, kw_only=True):
    """`[[schedule]]`: a task that is submitted again and again.

    `every`: an interval on the device's age, which needs no clock; or `daily`: a time of day in UTC, which needs a
    trusted one. `object`: the name of each object; `{slot}` in it becomes a number, or the day.
    """

    name: ScheduleName
    every: Duration = ""
    daily: str = ""
    object: Annotated[str, Meta(max_length=NAME_BYTES_MAX - 20)] = ""

    def schedule(self) -> Schedule:
        """Return what the node follows.

        Raises:
            UsageError: names the schedule, and what to write.
        """
        what = f"[[schedule]] {self.name}"
        template = self.object or f"{self.name}-{SLOT}"
        if template.count(SLOT) != 1:
            raise UsageError(f"{what}: object = {template!r} needs {SLOT} once: each slot is an object of its own.")
        if bool(self.every) == bool(self.daily):
            raise UsageError(f'{what}: give one of `every = "1h"` and `daily = "06:00"`.')
        try:
            task = self.command(template)
        except UsageError as error:
            raise UsageError(f"{what}: {error.message}") from None
        if self.daily:
            found = TIME.match(self.daily)
            if found is None:
                raise UsageError(f'{what}: daily = {self.daily!r}: write a time of day in UTC, such as "06:00".')
            return Schedule(self.name, task, minute=int(found[1]) * 60 + int(found[2]))
        every_ms = parse_duration_ms(self.every)
        if not SCHEDULE_MS_MIN <= every_ms <= SCHEDULE_MS_MAX:
            least, most = format_duration(SCHEDULE_MS_MIN), format_duration(SCHEDULE_MS_MAX)
            raise UsageError(f"{what}: every = {self.every!r} is not between {least} and {most}.")
        return Schedule(self.name, task, every_ms)


def schedules_of(items: Sequence[ScheduleConfig]) -> tuple[Schedule, ...]:
    """Return the schedules of a configuration.

    Raises:
        UsageError: one is not right, or two have one name.
    """
    names = [item.name for item in items]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"[[schedule]] two are named {name!r}: give each a name of its own.")
    return tuple(item.schedule() for item in items)

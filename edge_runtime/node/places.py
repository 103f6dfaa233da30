"""Free places at destinations, and who gets them: by priority, then deadline, then size, as many as there is room for.

Who finds no place sleeps on a key of its destination. A place that gets free wakes as many as there is room for; one
that does not take its place passes it on. So a thousand that wait for one destination cost one look for each place,
and those that are not served are not touched.

Source: ours, behaviours 4.8 and 6.10; the doubling of room is the destination's (`judge.prober`).
"""

from __future__ import annotations

from collections.abc import Callable

from ..base.limits import NAME_BYTES_MAX
from ..objects.intents import hash128
from .parts import Parts

SLOT_TOPIC = "slot"


class Places:
    """Hands out free places.

    Args:
        room_of: how many more attempts may start at a destination now; of the whole device for the empty name.
    """

    def __init__(self, parts: Parts, room_of: Callable[[str], int]) -> None:
        self.parts = parts
        self._room_of = room_of
        self._open: dict[str, dict[int, None]] = {}  # destination -> rows that were woken for its room already

    def free(self, name: str) -> None:
        """An attempt at a destination ended, or something appeared: there may be room. Empty name: on this device."""
        self._open[name] = {}

    def waited_for(self) -> list[str]:
        """Return the destinations at which somebody waits for a place, and the empty name if so for one here."""
        found = self.parts.store.run(
            "SELECT DISTINCT topic FROM wakes WHERE topic = ? OR (topic > ? AND topic < ?) ORDER BY topic",
            (f"fact:{SLOT_TOPIC}", f"fact:{SLOT_TOPIC}.", f"fact:{SLOT_TOPIC}/"),
        ).fetchall()
        return [topic.removeprefix(f"fact:{SLOT_TOPIC}").removeprefix(".") for (topic,) in found]

    def hand_out(self) -> None:
        """Wake who comes first wherever there is room; called when an event's looks begin and when they are over."""
        for name, woken in list(self._open.items()):
            agenda = self.parts.agenda
            room = self._room_of(name) - sum(row in agenda for row in woken)
            if room <= 0:
                continue
            found = self.parts.store.run(
                "SELECT w.object FROM wakes w JOIN shelf s ON s.object = w.object WHERE w.topic = ? "
                "ORDER BY s.class, s.deadline_ms, s.bytes, w.object LIMIT ?",
                (f"fact:{topic_of(name)}", room + len(woken)),
            ).fetchall()
            fresh = [row for (row,) in found if row not in woken][:room]
            for row in fresh:
                woken[row] = None
                agenda.add(row)
            if not fresh and not any(row in agenda for row in woken):
                del self._open[name]  # nobody is left who was not asked


def topic_of(name: str) -> str:
    """Return the key under which waits for a place at a destination stand; of the device for the empty name."""
    if not name:
        return SLOT_TOPIC
    text = f"{SLOT_TOPIC}.{name}"
    if len(text.encode()) <= NAME_BYTES_MAX:
        return text
    return f"{SLOT_TOPIC}.{hash128(name.encode()).hex()}"

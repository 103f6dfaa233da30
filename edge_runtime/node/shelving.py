"""Putting an object away: its status for people, and everything that can wake it."""

from __future__ import annotations

from ..base.errors import PeerError
from ..base.limits import LEAVES_MAX
from ..objects.advice import OnAdvice
from ..objects.bodies import OfferedClear
from ..objects.codec import decode
from ..objects.conditions import names
from ..objects.loops import stay_ms
from ..objects.records import read_clear
from ..objects.triggers import Any, Steady, Trigger, from_tree, next_due_age_ms
from ..objects.units import announcements
from ..objects.watching import watches
from .delegating import note_family
from .parts import Parts
from .polls import POLLING
from .spool import Hints, Live, ShelfRow
from .waits import leaves_of

# Looked at again at the earliest so long after a look that changed nothing: a due time may never spin.
LOOK_AGAIN_MS = 1_000
# Under it stands what waits for advice: looked at when a process or other apps may bring an advisor.
ADVICE_TOPIC = "advice"
QUARANTINE_TOPIC = "quarantine"  # under it stands everything that this device has custody of, while it may not write
ROOM_TOPIC = "room"  # under it stands custody that is offered here: it may have been refused for want of room
PROBING_TOPIC = "probing"  # its due time counts on an answer that a process which died will not get
# Under it stands what announces units: looked at when a process, other apps or another policy may let them be done.
UNITS_TOPIC = "units"
# How long an object sleeps at most that waits for more things than one trigger holds.
LOOK_AGAIN_MANY_MS = 60_000


class Shelving:
    """Derives the shelf row and the wake topics of an object from its state, and nothing else."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def put_away(self, live: Live) -> None:
        """Bring the derived rows up to date; called after every change, and for each object in a rebuild."""
        self.parts.agenda.drop(live.row)
        if self.parts.agenda.remarked.pop(live.row, 1) is None:
            live.shelved = None
        self.parts.touched[live.object] = None
        row = self._row_of(live)
        due_ms, topics = row.due_ms, row.topics
        if row.status != "ended":
            lapse_ms = next_lapse_ms(self.parts, live)
            if lapse_ms is not None and (due_ms is None or lapse_ms < due_ms):
                due_ms = lapse_ms
            topics = tuple(dict.fromkeys((*topics, *unit_topics(self.parts, live))))
        if row.status == "dormant" and due_ms is not None and due_ms <= self.parts.timeline.life_ms:
            due_ms = self.parts.timeline.life_ms + LOOK_AGAIN_MS
        self.parts.spool.put_away(live, ShelfRow(row.status, row.reason, due_ms, topics))
        note_family(self.parts, live)

    def _row_of(self, live: Live) -> ShelfRow:
        state = live.state
        view, content = state.history.view, state.content
        if content.finish is not None:
            return ShelfRow("ended", content.finish.end.name.lower(), None, ())
        if live.staged:
            return ShelfRow("ended", "ended elsewhere; its history up to there is not here", None, ())
        if view.holder != self.parts.device:
            topics = (ROOM_TOPIC,) if view.is_frozen and self._is_offered_here(live) else ()
            return ShelfRow("dormant", f"custody with {self.parts.adverts.name_of(view.holder)}", None, topics)
        if self.parts.members.is_quarantined:
            return ShelfRow("dormant", "this device is in quarantine", None, (QUARANTINE_TOPIC,))
        if not self.parts.may_write(live):
            return ShelfRow("dormant", "this device is declared compromised", None, ())  # it can do nothing about it
        if live.parked:
            return ShelfRow("dormant", live.parked, self._lifetime_ms(live), ())
        if view.is_frozen:
            return self._offered_row(live)
        if self.parts.is_held(live):
            return ShelfRow("dormant", "held by an operator", self._lifetime_ms(live), ("held",))
        if content.is_opaque:
            return ShelfRow("dormant", "holds a record of a newer version", None, ())
        if content.is_withheld:
            # Claimed by an operator whose device cannot read it: due at once for ever would be a busy loop.
            return ShelfRow("dormant", "holds content that this device cannot read", None, ())
        if live.flights:
            return ShelfRow("attempting", "", self._timer_ms(live), live.hints.keys if live.hints is not None else ())
        if content.dormancy is not None:
            return self._dormant_row(live)
        return ShelfRow("awake", "", 0, ())

    @staticmethod
    def _offer_of(live: Live) -> OfferedClear:
        history = live.state.history
        offered = read_clear(history.placed[history.view.tip].entry.records[-1])
        assert isinstance(offered, OfferedClear)
        return offered

    def _is_offered_here(self, live: Live) -> bool:
        return self._offer_of(live).to == self.parts.device

    def _offered_row(self, live: Live) -> ShelfRow:
        offered = self._offer_of(live)
        to = self.parts.adverts.name_of(offered.to)
        due_ms = self.parts.spool.life_ms_of(live, offered.expires_age_ms)
        return ShelfRow("dormant", f"offered to {to}: {offered.reason}", due_ms, ())

    def _dormant_row(self, live: Live) -> ShelfRow:
        dormancy = live.state.content.dormancy
        assert dormancy is not None
        age_ms = self.parts.spool.age_ms(live)
        dues = [dormancy.expires_age_ms, *self._rest_age_ms(live, age_ms)]
        trigger = trigger_of(dormancy.trigger)
        if isinstance(trigger, Any) and len(trigger.items) >= LEAVES_MAX:
            dues.append(age_ms + LOOK_AGAIN_MANY_MS)
        hints = live.hints or hints_of(trigger)
        if live.hints is None and trigger is not None and any(isinstance(leaf, Steady) for leaf in leaves_of(trigger)):
            dues.append(age_ms)  # since when it is steady, only a look can tell
        if hints.trigger is not None:
            next_age_ms = next_due_age_ms(hints.trigger, age_ms, self.parts.timeline.moment)
            if next_age_ms is not None:
                dues.append(max([next_age_ms, *self._rest_age_ms(live, age_ms)]))
        found = hints.keys
        if trigger is not None and any(isinstance(leaf, OnAdvice) for leaf in leaves_of(trigger)):
            found = (*found, ADVICE_TOPIC)
        due_ms = self.parts.spool.life_ms_of(live, min(dues))
        if dormancy.reason.startswith(POLLING):  # one that is parked or stuck has open runs too, and polls no more
            due_ms = min(due_ms, self.parts.polls.next_life_ms(live) or due_ms)
            if self.parts.polls.is_asking(live):
                found = (*found, PROBING_TOPIC)
        if dormancy.reason.startswith("nondeterminism") or dormancy.reason.startswith("no app here"):
            found = (*found, "apps")
        return ShelfRow("dormant", dormancy.reason, due_ms, found)

    @staticmethod
    def _rest_age_ms(live: Live, age_ms: int) -> tuple[int, ...]:
        """Return when a loop that changes nothing may go round again, if it rests."""
        rest_age_ms = live.state.content.last_age_ms + stay_ms(live.loops)
        return (rest_age_ms,) if rest_age_ms > age_ms else ()

    def _lifetime_ms(self, live: Live) -> int | None:
        if live.state.content.is_opaque or live.state.content.is_withheld:
            return None  # it cannot be ended by whom it cannot be read
        return self.parts.spool.life_ms_of(live, live.state.history.created.lifetime_ms)

    def _timer_ms(self, live: Live) -> int | None:
        """While steps run here, the body's own timers and conditions over time are armed too."""
        body = live.body
        if body is None:
            return None
        age_ms, moment = self.parts.spool.age_ms(live), self.parts.timeline.moment
        dues = [timer.due_age_ms for timer in body.timers()[:1]]
        if live.hints is not None and live.hints.trigger is not None:
            due_ms = next_due_age_ms(live.hints.trigger, age_ms, moment)
            if due_ms is not None and due_ms > age_ms:
                dues.append(due_ms)
        dues = [max([due_ms, *self._rest_age_ms(live, age_ms)]) for due_ms in dues]
        found = [self.parts.spool.life_ms_of(live, min(dues))] if dues else []
        poll_ms = self.parts.polls.next_life_ms(live)
        return min(found if poll_ms is None else [*found, poll_ms], default=None)


def trigger_of(tree: bytes) -> Trigger | None:
    """Return the trigger of a dormancy's tree; None for a sleep that only its expiry ends, or a tree not understood."""
    try:
        value = decode(tree)
        return None if value is None else from_tree(value)
    except PeerError:
        return None


def hints_of(trigger: Trigger | None) -> Hints:
    """Return what a trigger is woken by as far as its tree says: every leaf is watched."""
    return Hints(trigger, () if trigger is None else watches(trigger))


def next_lapse_ms(parts: Parts, live: Live) -> int | None:
    """Return when, by the life clock, a claim lapses that may give this device work; None for never."""
    if not parts.works or live.state.content.finish is not None:
        return None
    age_ms = parts.spool.age_ms(live)
    ends = [
        live.state.units.next_lapse_ms(announced, age_ms)
        for announced in announcements(live.state.content.published)
        if announced.work in parts.works
    ]
    found = min((end for end in ends if end is not None), default=None)
    return None if found is None else parts.spool.life_ms_of(live, found)


def unit_topics(parts: Parts, live: Live) -> tuple[str, ...]:
    """Return under which topics an object stands that announces units: what may let this device do them."""
    announced = announcements(live.state.content.published)
    if not announced:
        return ()
    needs = {need for item in announced if item.work in parts.works for need in parts.works[item.work].needs}
    facts = [names(item.condition) for item in parts.settings.reservations if item.subject in needs]
    return (UNITS_TOPIC, *(f"fact:{name}" for found in facts for name in found))

"""What a body waits for by condition: whether it holds now, what wakes it, and the end of a sleep that has none.

A body is resumed by one thing at a time; of these the conditions come last, in the order of their calls. Before a
sleep is stored every wait is asked once more, in the same transaction: what came true meanwhile is not lost.
"""

from __future__ import annotations

from msgspec import Struct

from ..objects import bodies as b
from ..objects.conditions import Condition, Count, Truth, evaluate, leaves
from ..objects.content import Dormancy
from ..objects.loops import has_progress, repeated, stay_ms
from ..objects.record_names import entries_named, entries_with_outcome, has_outcome, names_of
from ..objects.script import Resumed, Resumption
from ..objects.triggers import Done, OnEntry, Trigger, When, any_of, describe, holds
from ..objects.watching import watches
from ..program.calls import ConditionWait, InputWait, may_expire
from ..program.driver import Body
from .happenings import Settled, describe_key
from .judgement import Judgement
from .parts import Parts
from .shelving import hints_of, trigger_of
from .spool import Hints, Live
from .waits import leaves_of

# Entries that a `reentered` names for one leaf; of more the newest ones are named and the rest counted.
IDS_SHOWN = 12


class Taken(Struct, frozen=True):
    """What resumes a body: as record and as resumption; `by`: the trigger that held, None for an expiry."""

    took: b.TookSealed
    resumption: Resumption
    by: Trigger | None


class _Sight:
    """One object's view of the device, now: the `Oracle` of its happenings."""

    def __init__(self, waiting: Waiting, live: Live, age_ms: int) -> None:
        self.live = live
        self.parts = waiting.parts
        self.view = waiting.judgement.snapshot(live, age_ms)

    def judge(self, condition: Condition) -> Truth:
        self.parts.agenda.evaluations += 1
        return evaluate(condition, self.view)

    def has_ended(self, object_id: bytes) -> bool | None:
        other = self.parts.spool.find(object_id)
        return None if other is None else other.state.content.finish is not None

    def has_record(self, name: str) -> bool:
        return bool(entries_named(self.live.state.history, name))

    def holds(self, trigger: Trigger) -> Truth:
        self.parts.agenda.evaluations += len(leaves_of(trigger))
        return holds(trigger, self.view)


class Waiting:
    """Judges the waits of bodies."""

    def __init__(self, parts: Parts, judgement: Judgement) -> None:
        self.parts = parts
        self.judgement = judgement

    def see(self, live: Live, body: Body) -> None:
        """Give what happened since the last look to the waits that stand, before anything new begins to wait."""
        found = self.parts.agenda.happenings.see(live.row, body.condition_waits())
        if found:
            live.marks = (*live.marks, *found)

    def may_take(self, live: Live, takes: list[str], age_ms: int) -> bool:
        """Say whether conditions and timers may resume the body now: not while a loop that changes nothing rests."""
        loops = 0 if has_progress(live.made) else live.loops
        if not stay_ms(loops + repeated(takes)):
            return True
        return not takes and age_ms >= live.state.content.last_age_ms + stay_ms(loops)

    def next_condition(self, live: Live, body: Body, age_ms: int) -> Taken | None:
        """Return the first wait whose trigger holds, as what resumes the body."""
        waits = body.condition_waits()
        sight = _Sight(self, live, age_ms) if waits else None
        for wait in waits:
            assert sight is not None
            if sight.holds(self._settle(sight, wait, age_ms).trigger) is Truth.TRUE:
                self.parts.agenda.rest(live.row, watches(wait.trigger), self.parts.timeline.life_ms)
                took = b.TookSealed(b.Took.CONDITION, wait.path.encode(), wait.path)
                resumption = Resumption(Resumed.CONDITION, wait.path, age_ms, self.parts.wall_ms)
                return Taken(took, resumption, wait.trigger)
        return None

    def is_met_by_what_was_made(self, live: Live, body: Body) -> bool:
        """Say whether a wait counts or names a record that this turn has made and not yet written."""
        if not live.made:
            return False
        for wait in body.condition_waits():
            for leaf in leaves_of(wait.trigger):
                if isinstance(leaf, OnEntry) and any(leaf.name in names_of(record) for record in live.made):
                    return True
                counts = _counts_in(leaf)
                if any(has_outcome(record, count.outcome) for record in live.made for count in counts):
                    return True
        return False

    def next_expired(self, live: Live, body: Body, waited: tuple[str, ...], age_ms: int) -> Taken | None:
        """Return the first of the waits that stood when the sleep began, if its forced expiry has come.

        The call raises TimeoutError. One with a timeout of its own is not told: that is its expiry.
        """
        dormancy = live.state.content.dormancy
        if dormancy is None or not has_expired(dormancy, age_ms):
            return None
        waits: list[InputWait | ConditionWait] = [*body.input_waits(), *body.condition_waits()]
        for wait in waits:
            if wait.path in waited and may_expire(wait):
                took = b.TookSealed(b.Took.TIMER, wait.path.encode(), wait.path)
                return Taken(took, Resumption(Resumed.TIMER, wait.path, age_ms, self.parts.wall_ms), None)
        return None

    def hints(self, live: Live, body: Body, leaves: list[Trigger], age_ms: int) -> Hints | None:
        """Return what an object with this body is woken by; None where its dormancy says it all.

        Args:
            leaves: of its sleep, those of the body's waits among them.
        """
        waits = body.condition_waits()
        if not waits:
            return hints_of(any_of(leaves)) if live.flights and leaves else None
        of_waits = {id(wait.trigger) for wait in waits}
        others = [leaf for leaf in leaves if id(leaf) not in of_waits]
        sight = _Sight(self, live, age_ms)
        settled = [self._settle(sight, wait, age_ms) for wait in waits]
        trigger = any_of([*(item.trigger for item in settled), *others])
        keys = {key: None for item in settled for key in item.keys}
        if trigger is not None:
            keys.update(dict.fromkeys(watches(trigger, sight.holds)))
        return Hints(trigger, tuple(sorted(keys)))

    def _settle(self, sight: _Sight, wait: ConditionWait, age_ms: int) -> Settled:
        life_ms = self.parts.timeline.life_ms
        return self.parts.agenda.happenings.settle(sight.live.row, wait, sight, age_ms, life_ms)

    # --- For people -----------------------------------------------------------------------------------------------

    def why_awake(self, live: Live, by: Trigger | None, age_ms: int) -> tuple[str, ...]:
        """Return texts for what woke an object: what happened, the leaves that hold, else what it went on by.

        Empty if nothing of its sleep holds: it was looked at for another reason.
        """
        dormancy = live.state.content.dormancy
        trigger = None if dormancy is None else trigger_of(dormancy.trigger)
        sight = _Sight(self, live, age_ms)
        found = [describe_key(key) for key in live.marks]
        for leaf in leaves_of(trigger) if trigger is not None else ():
            if self.leaf_truth(sight, leaf) is Truth.TRUE:
                found.append(self._describe(live, leaf))
        if by is not None and (not found or dormancy is None):
            found.extend(self._describe(live, leaf) for leaf in leaves_of(by))
        if not found and dormancy is not None and has_expired(dormancy, age_ms):
            return ("expired",)
        return tuple(dict.fromkeys(found))[:16]

    @staticmethod
    def leaf_truth(sight: _Sight, leaf: Trigger) -> Truth:
        """Return whether a leaf holds, those included that only the node knows."""
        match leaf:
            case Done(object_id):
                return Truth.TRUE if sight.has_ended(object_id) else Truth.UNKNOWN
            case OnEntry(name):
                return Truth.TRUE if sight.has_record(name) else Truth.FALSE
            case _:
                return holds(leaf, sight.view)

    @staticmethod
    def _describe(live: Live, leaf: Trigger) -> str:
        """Return a leaf's text; where it counts or names entries, with their ids."""
        history = live.state.history
        ids: list[bytes] = []
        match leaf:
            case OnEntry(name):
                ids = entries_named(history, name)
            case _:
                ids = [item for count in _counts_in(leaf) for item in entries_with_outcome(history, count.outcome)]
        text = describe(leaf)[:200]
        if not ids:
            return text
        more = f" and {len(ids) - IDS_SHOWN} before" if len(ids) > IDS_SHOWN else ""
        return f"{text}: {', '.join(item.hex() for item in ids[-IDS_SHOWN:])}{more}"


def has_expired(dormancy: Dormancy, age_ms: int) -> bool:
    """Say whether the expiry of a sleep has come."""
    return age_ms >= dormancy.expires_age_ms


def names_entries(trigger: Trigger | None) -> bool:
    """Say whether a trigger counts or names entries: then the record of the reentry names them, asleep or not."""
    found = leaves_of(trigger) if trigger is not None else []
    return any(isinstance(leaf, OnEntry) or _counts_in(leaf) for leaf in found)


def _counts_in(leaf: Trigger) -> list[Count]:
    return [part for part in leaves(leaf.condition) if isinstance(part, Count)] if isinstance(leaf, When) else []

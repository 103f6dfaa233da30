"""Units of shared work on this device: claim an open one, do it, tell what was found. Nobody assigns anything.

Looked at after each change of an object that announces units this device can do. One unit of an object at a time.
Each device ranks itself for a unit among the capable devices it knows of, by the hash of (unit, device), and takes one
for which it ranks highest, by seeded chance among equals: devices that have not heard of each other's claims seldom
take the same one, and whoever has done its own goes on with what others have left.

What runs is remembered in memory only: after a restart the claim lapses, and whoever looks then takes the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from ..base.errors import UsageError
from ..base.limits import UNIT_RISE_PERMILLE, UNITS_COMPARED_MAX
from ..judge.outcomes import Outcome
from ..judge.policy import Effect
from ..objects import bodies as b
from ..objects.bodies import EffectClass
from ..objects.codec import decode_value, encode
from ..objects.grants import may_append
from ..objects.intents import fingerprint_of, hash128
from ..objects.kinds import Kind
from ..objects.records import make
from ..objects.units import Announcement, Said, announcements
from ..program.calls import Retry, StepCall
from ..program.payloads import result_type_of
from ..program.swarming import Work
from .effects import Stage, StartStep
from .events import StepEnded, StepProgressed, StepWithheld
from .judgement import Judgement
from .parts import Parts
from .spool import Live

PATH_PREFIX = "unit/"


class Swarming:
    """Takes part in the swarms of the objects that this device holds."""

    def __init__(self, parts: Parts, judgement: Judgement, go_on: Callable[[Live], None]) -> None:
        self.parts = parts
        self.judgement = judgement
        self.go_on = go_on
        self._running: dict[tuple[bytes, str], str] = {}  # (object, work) -> unit

    def look(self, touched: Iterable[bytes]) -> None:
        """Claim a unit of each changed object in which there is one for this device."""
        if not self.parts.works:
            return
        for object_id in list(touched):
            live = self.parts.spool.find(object_id)
            if live is not None:
                self._look_at(live)

    def forget(self, objects: Sequence[bytes] | None) -> None:
        """After a rollback: what it undid never started."""
        self._running = {
            key: unit for key, unit in self._running.items() if objects is not None and key[0] not in objects
        }

    def take(self, event: StepEnded) -> None:
        """A unit was tried: tell the result. One that failed stays claimed until the claim lapses."""
        live, work, unit = self._of(event.object, event.path)
        if live is None:
            return
        is_done = event.outcome == Outcome.OK and event.attempt == _attempt(live, work, unit)
        if is_done and live.state.content.finish is None and self._may_say(live):
            self._say(live, b.UnitSealed(work, unit, int(Said.RESULT), 1_000, event.value))
        outcome = Outcome(event.outcome).name.lower()
        self.parts.note(Stage.EXECUTED, live, path=event.path, outcome=outcome)
        self.parts.touched[live.object] = None

    def take_progress(self, event: StepProgressed) -> None:
        """A unit that runs here says how far it is: recorded if it hands on a part, or is worth an entry."""
        work, _, unit = event.path.removeprefix(PATH_PREFIX).partition("/")
        live = self.parts.spool.find(event.object)
        if live is None or self._running.get((live.object, work)) != unit or live.state.content.finish is not None:
            return
        if event.attempt == _attempt(live, work, unit) and self._may_say(live):
            if event.value or self._is_worth_telling(live, work, unit, event.permille):
                self._say(live, b.UnitSealed(work, unit, int(Said.PROGRESS), event.permille, event.value))
                self.parts.touched[live.object] = None

    def _is_worth_telling(self, live: Live, work: str, unit: str, permille: int) -> bool:
        claims = live.state.units.claims_of(work, unit)
        mine = next((claim for claim in claims if claim.device == self.parts.device), None)
        announced = next((item for item in announcements(live.state.content.published) if item.work == work), None)
        if mine is None or announced is None:
            return False
        quiet_ms = self.parts.spool.age_ms(live) - max(mine.age_ms, mine.progress_age_ms)
        return permille >= mine.permille + UNIT_RISE_PERMILLE or 2 * quiet_ms >= announced.claim_ms

    def take_withheld(self, event: StepWithheld) -> None:
        """A unit was not let run by the policy in force now: it is looked at again with the next change."""
        self._of(event.object, event.path)

    def _of(self, object_id: bytes, path: str) -> tuple[Live | None, str, str]:
        work, _, unit = path.removeprefix(PATH_PREFIX).partition("/")
        if self._running.get((object_id, work)) == unit:  # not so with a late answer
            del self._running[(object_id, work)]
        return self.parts.spool.find(object_id), work, unit

    def _look_at(self, live: Live) -> None:
        content = live.state.content
        has_ended = content.finish is not None or live.staged
        if has_ended or live.parked or self.parts.is_held(live) or not self._may_say(live):
            return
        for announced in announcements(content.published):
            work = self.parts.works.get(announced.work)
            can = self.judgement.capacity.capabilities()
            if work is None or (live.object, work.name) in self._running or any(need not in can for need in work.needs):
                continue
            unit = self._choose(live, announced, work)
            if unit is not None:
                self._begin(live, announced, work, unit)

    def _may_say(self, live: Live) -> bool:
        found = self.parts.members.grant_under(live.state.history.created.roots)
        return found is not None and may_append(found[1], Kind.UNIT)

    def _choose(self, live: Live, announced: Announcement, work: Work) -> str | None:
        """Return an open unit; None if there is none, or this device has claims enough."""
        age_ms, units = self.parts.spool.age_ms(live), live.state.units
        mine = [claim for claim in units.standing(announced, age_ms).values() if claim.device == self.parts.device]
        candidates = units.open_units(announced, age_ms)
        if not candidates or len(mine) >= announced.claims_each:
            return None
        made = sum(self.parts.device in claims for claims in units.claims.values())
        seed = hash128(live.object + self.parts.device + made.to_bytes(8, "big"))
        chance = Random(int.from_bytes(seed, "big"))
        others = [advert.device for advert in self.parts.adverts.others() if advert.can(work.needs)]
        if len(candidates) > UNITS_COMPARED_MAX:
            candidates = chance.sample(candidates, UNITS_COMPARED_MAX)
        ranks = {unit: _rank(unit, self.parts.device, others[:UNITS_COMPARED_MAX]) for unit in candidates}
        best = min(ranks.values())
        return chance.choice([unit for unit in candidates if ranks[unit] == best])

    def _begin(self, live: Live, announced: Announcement, work: Work, unit: str) -> None:
        path = f"{PATH_PREFIX}{work.name}/{unit}"
        attempt = _attempt(live, work.name, unit)
        call = StepCall(
            path, work.name, work.function, (unit,), fingerprint_of(work.name, encode(unit)), attempt, work.needs,
            EffectClass.IDEMPOTENT, "", None, announced.claim_ms, Retry(), result_type_of(work.function),
        )  # fmt: skip
        view = self.judgement.snapshot(live, self.parts.spool.age_ms(live))
        verdict, permitted = self.judgement.authority.rule_on(live, call, work.needs, view)
        if verdict.effect is not Effect.PERMIT:
            return
        if not self._say(live, b.UnitSealed(work.name, unit, int(Said.CLAIM), 0, b"")):
            return
        self._running[(live.object, work.name)] = unit
        self.parts.effects.append(
            StartStep(
                live.object, path, attempt, 1, work.name, permitted.function, permitted.arguments,
                permitted.result_type, permitted.timeout_ms, verdict.policy, verdict.expires_wall_ms,
                done=tuple(decode_value(part.value) for part in live.state.units.parts_of(work.name, unit)),
                under=self.parts.under(live, work.name), is_unit=True,
            )
        )  # fmt: skip
        self.parts.note(Stage.JUDGED, live, action="execution", path=path)

    def _say(self, live: Live, body: b.UnitSealed) -> bool:
        try:
            self.parts.pen.write_input(live, make(Kind.UNIT, b.Empty(), body))
        except UsageError:
            return False  # the object is full, or this device left the fleet: nothing was appended
        self.go_on(live)
        return True


def _rank(unit: str, device: bytes, others: Sequence[bytes]) -> int:
    """Return how many other devices come before this one for a unit: 0 if it is this one's first of all."""
    name = unit.encode()
    own = hash128(name + device)
    return sum(hash128(name + other) < own for other in others)


def _attempt(live: Live, work: str, unit: str) -> bytes:
    """Return the idempotency key of one unit: the same on every device."""
    return hash128(encode(["unit", live.state.content.lineage, work, unit]))

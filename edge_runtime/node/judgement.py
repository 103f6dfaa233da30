"""The bridge from the store to the judge: builds cases and snapshots, remembers destinations, explains decisions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ..base.limits import DEATHS_ELSEWHERE, DEATHS_MAX, DESTINATIONS_MAX, STEPS_IN_FLIGHT_MAX
from ..judge.backoff import Failure, seed_of
from ..judge.evaluate import Action, Decision, StepCase, evaluate_step
from ..judge.outcomes import FINAL, Outcome
from ..judge.places import choose_peer
from ..judge.policy import Effect, Verdict
from ..judge.prober import Destination
from ..judge.snapshot import Snapshot
from ..objects.advice import fresh_topics, freshest
from ..objects.attempts import StepMemory
from ..objects.conditions import Scalar, is_name
from ..objects.triggers import After, Changed, OnPeer, Trigger
from ..program.app import Intent
from ..program.calls import Delegated
from ..program.driver import StepCall, World
from .authority import Authority
from .delegating import child_end, missing_rights
from .events import StepEnded
from .faults import Faults
from .incapacity import Capacity
from .pacing import Pacing
from .parts import Parts
from .places import Places, topic_of
from .renewals import Renewals
from .spool import Flight, Live
from .ways import Ways, spare_history


class Go(Struct, frozen=True):
    """The step may run now: as policy permits it, which may be narrower than the body called it.

    `peer` is whom to ask, empty where the step names nobody, `link` the kind of link there, `limit_ms` the try's.
    """

    verdict: Verdict
    call: StepCall
    peer: str
    link: str
    limit_ms: int


class Pause(Struct, frozen=True):
    """The step waits: for what, and why. `denied`: the verdict, where it is policy that lets nothing run.

    `needs`: what another device must have to go on with it instead. `is_parked`: only an operator wakes it.
    """

    triggers: tuple[Trigger, ...]
    reason: str
    denied: Verdict | None = None
    needs: tuple[str, ...] = ()
    is_parked: bool = False


class Elsewhere(Struct, frozen=True):
    """Another device must go on; without a candidate the object waits for one."""

    needs: tuple[str, ...]
    triggers: tuple[Trigger, ...]
    reason: str
    denied: tuple[str, ...] = ()  # what this device lacks: it says so in the object


class TooLate(Struct, frozen=True):
    """No further try can come in time here: another device may have a faster way, else the step ends."""

    needs: tuple[str, ...]
    reason: str


StepDecision: TypeAlias = Go | Pause | Elsewhere | TooLate

SAME_AGAIN_MS = 60_000


class _LiveWorld:
    """What a body sees while it runs for the first time."""

    def __init__(self, judgement: Judgement, live: Live, age_ms: int) -> None:
        self._judgement = judgement
        self._live = live
        self._age_ms = age_ms

    def fact(self, name: str) -> Scalar | None:
        """Return a fact's value."""
        return self._judgement.snapshot(self._live, self._age_ms).fact_value(name, None)

    def state_get(self, name: str) -> bytes | None:
        """Return a keyed state's value."""
        return self._judgement.parts.get_state(self._live, name)

    def advice(self, topic: str) -> bytes:
        """Return the fresh advice on a topic, empty for none."""
        state = self._live.state
        found = freshest(state.advice, topic, state.history.view.tip, self._age_ms)
        return b"" if found is None else found.spell()

    def child_end(self, path: str, slots: tuple[int, ...]) -> tuple[bytes, bytes]:
        """Return how the first child of some slots that has ended did."""
        return child_end(self._judgement.parts, self._live, path, slots)

    def missing_rights(self, made: Sequence[Delegated]) -> str:
        """Return which rights of children to be made are missing."""
        return missing_rights(self._judgement.parts, self._live, made)


class Judgement:
    """Asks the judge on behalf of the node."""

    def __init__(
        self, parts: Parts, authority: Authority, in_contact: Callable[[], Sequence[bytes]], capacity: Capacity,
        pacing: Pacing,
    ) -> None:
        self.parts = parts
        self.authority = authority
        self.capacity = capacity
        self.in_contact = in_contact
        self.ways = Ways(parts)
        self.pacing = pacing
        self.faults = Faults(parts)
        self.renewals = Renewals(parts)
        self.places = Places(parts, self._room_of)
        self._destinations: OrderedDict[str, Destination] = OrderedDict()

    # --- Snapshots ------------------------------------------------------------------------------------------------

    def snapshot(self, live: Live, age_ms: int) -> Snapshot:
        """Close the view of one object on this device, now."""
        parts = self.parts
        met: dict[str, None] = {}
        known: dict[str, None] = {}
        contacts = self.in_contact()
        for advert in parts.adverts.others():
            words = dict.fromkeys((*advert.capabilities, *(name for name, _ in advert.intents), advert.device.hex()))
            known.update(words)
            if advert.device in contacts:
                met.update(words)
        moment = parts.timeline.moment
        return Snapshot(
            parts.facts.by_name, parts.timeline.life_ms, age_ms, moment.wall_ms, moment.trust,
            self.capacity.capabilities(), frozenset(met), frozenset(known),
            frozenset(item.name for item in live.state.untaken()), live.outcomes(),
            self.authority.policy.hash, {},
            fresh_topics(live.state.advice, live.state.history.view.tip, age_ms),
        )  # fmt: skip

    def snapshot_digest(self, live: Live, age_ms: int) -> bytes:
        """Return the digest of the snapshot, as recorded at a reentry."""
        return self.snapshot(live, age_ms).digest()

    def world(self, live: Live, intent: Intent, age_ms: int) -> World:
        """Return what the body of an object sees."""
        return _LiveWorld(self, live, age_ms)

    # --- Steps ----------------------------------------------------------------------------------------------------

    def is_rejected(self, live: Live) -> bool:
        """Say whether policy lets no step of an object run here: then custody of it is not taken."""
        view = self.snapshot(live, self.parts.spool.age_ms(live))
        return self.authority.rule_on_object(live, view).effect is Effect.REJECT

    def probe_refusal(self, live: Live, probe: str) -> str:
        """Return why policy does not let a probe be looked at for an object, or nothing."""
        view = self.snapshot(live, self.parts.spool.age_ms(live))
        verdict = self.authority.rule_on_probe(live, probe, view)
        word = "refused" if verdict.effect is Effect.REJECT else "deferred"
        return "" if verdict.is_allowed else f"{word} by policy: {verdict.rule}"

    def judge_step(self, live: Live, intent: Intent, call: StepCall, age_ms: int) -> StepDecision:
        """Decide on one waiting step; a step that may run is counted as started at its destination."""
        if call.fingerprint in live.state.invalid:  # a body that asks for it over and over
            return Pause((After(age_ms + SAME_AGAIN_MS),), "the same call was found invalid before")
        view = self.snapshot(live, age_ms)
        needs = needs_of(live, intent, call)
        verdict, permitted = self.authority.rule_on(live, call, needs, view)
        peer, decision = self._decide(live, call, needs, verdict, view)
        limit = () if call.not_after_ms is None else (After(call.not_after_ms + 1),)
        where = "" if self._is_full() else peer or call.name
        sleep = (*_triggers_of(decision, where), *limit)
        match decision.action:
            case Action.EXECUTION:
                way = self.pacing.way(peer or call.name, call.bytes_size)
                self.destination(way.name).start(live.object + call.path.encode(), self.parts.timeline.life_ms)
                return Go(verdict, permitted, peer, way.link, self.pacing.limit_ms(way, permitted.timeout_ms))
            case Action.DELEGATION:
                can = self.capacity.capabilities()
                missing = tuple(need for need in decision.missing if need not in can)
                peers = tuple(OnPeer(need) for need in missing) or (OnPeer(live.state.content.intent),)
                own = tuple(Changed(name) for name in self.capacity.facts_of(missing))
                return Elsewhere(decision.missing, (*peers, *own, *sleep), decision.reason, missing)
            case Action.TERMINATION:
                return TooLate(decision.missing, decision.reason)
            case _:
                denied = verdict if decision.is_denied else None
                return Pause(sleep, decision.reason, denied, needs, decision.is_parked)

    def _decide(
        self, live: Live, call: StepCall, needs: tuple[str, ...], verdict: Verdict, view: Snapshot
    ) -> tuple[str, Decision]:
        """Return whom the step would be sent to, and what is to be done."""
        content, memory = live.state.content, live.state.content.steps.get(call.path)
        exhausted = content.spending.exhausted(live.state.resumed_age_ms)
        ends_ms = live.state.history.created.lifetime_ms
        plain = StepCase(
            content.intent if is_name(f"peer.{content.intent}") else "", needs, None,
            seed_of(live.object, self.parts.device, call.attempt, 1 + (0 if memory is None else memory.tries)),
            None if exhausted is None else exhausted.value,
            self._is_full(), call.retry.first_ms, call.retry.max_ms,
            ends_ms if call.not_after_ms is None else min(ends_ms, call.not_after_ms),
            who=live.object + call.path.encode(),
        )  # fmt: skip

        def judge(peer: str) -> Decision:
            name, failure = peer or call.name, self._failure(live, memory, peer)
            is_renewed = failure is not None and self.renewals.are_since(live, failure)
            case = replace(
                plain, failure=failure, link=self.ways.link_of(name), is_renewed=is_renewed, fault=self.faults.of(name)
            )
            rto = self.pacing.rto(self.pacing.way(name, call.bytes_size))
            return evaluate_step(case, verdict, view, self.destination(name), rto)

        def silences(peer: str) -> int:
            place = None if memory is None else memory.places.get(peer)
            return 0 if place is None or place.age_ms < live.state.resumed_age_ms else place.silences

        chosen, decision = choose_peer(call.to or ("",), silences, judge)
        if decision.is_prober:
            self.destination(chosen or call.name).claim(plain.who, self.parts.timeline.life_ms)
            decision = spare_history(decision, live, view.age_ms)
        return chosen, decision

    def over_before(self, live: Live, call: StepCall, age_ms: int) -> tuple[Outcome, str] | None:
        """Return how a step that waits ends without another try, and why; None while it may go on."""
        if call.fingerprint in live.state.invalid:
            return Outcome.INVALID, "the same call was found invalid before: it never runs again"
        if call.not_after_ms is not None and age_ms > call.not_after_ms:
            return Outcome.EXPIRED, "the time after which it must not begin has passed"
        return None

    def _failure(self, live: Live, memory: StepMemory | None, peer: str) -> Failure | None:
        """Return how the last try of a step at a place went, None where there was none or an operator forgave it."""
        if memory is None:
            return None
        deaths = memory.deaths if memory.age_ms >= live.state.resumed_age_ms else 0
        if deaths == DEATHS_ELSEWHERE and memory.died_at != self.parts.device:
            deaths -= 1  # this is the elsewhere: here it is tried, or the object would go to and fro for ever
        place = memory.places.get(peer or self.parts.device.hex())
        if place is None or place.age_ms < live.state.resumed_age_ms or not place.concerns(self.parts.device):
            return None if deaths < DEATHS_MAX else Failure(Outcome.CRASHED, 1, memory.age_ms, None, deaths)
        fact = place.evidence if place.outcome == Outcome.REFUSED and is_name(place.evidence) else ""
        # Of unknown outcome, and to be sent again all the same: `gating` has said so, and it is paced as a crash.
        outcome = Outcome.CRASHED if place.outcome == Outcome.UNKNOWN else Outcome(place.outcome)
        return Failure(
            outcome, place.in_a_row, place.age_ms, place.hint_ms, deaths, place.silences, fact
        )

    def free_places(self) -> None:
        """A process begins: nothing runs, and who waits for a place goes one by one at first; nobody knows why."""
        for name in self.places.waited_for():
            if name:
                self.destination(name).ramp = 1
            self.places.free(name)

    def _is_full(self) -> bool:
        return self.flights_count() >= STEPS_IN_FLIGHT_MAX

    def _room_of(self, name: str) -> int:
        """Return how many more attempts may start at a destination now, or (empty name) on this device."""
        room = STEPS_IN_FLIGHT_MAX - self.flights_count()
        if not name:
            return room
        destination = self.destination(name)
        if not destination.may_start(self.parts.timeline.life_ms):
            return 0
        return min(room, 1 if destination.failures else max(1, destination.ramp - destination.in_flight))

    def flights_count(self) -> int:
        """Return how many steps run on this device."""
        return sum(destination.in_flight for destination in self._destinations.values())

    def recount(self) -> None:
        """Count the steps that run anew, after a rollback: those that it undid never started."""
        for destination in self._destinations.values():
            destination.in_flight, destination.probe = 0, None
        for object_id, path, peer in self.parts.store.run(
            "SELECT o.id, r.path, r.peer FROM releases r JOIN objects o ON o.row = r.object ORDER BY r.object, r.path"
        ).fetchall():
            who = bytes(object_id) + path.encode()
            self.destination(peer or call_name(path)).start(who, self.parts.timeline.life_ms)

    def is_final(self, live: Live, call: StepCall, event: StepEnded, age_ms: int, attempts_max: int = 0) -> bool:
        """Say whether the body hears of an outcome, or the step is tried again.

        Args:
            attempts_max: the most tries that policy left the step, 0 for no such bound.
        """
        outcome = Outcome(event.outcome)
        if outcome in FINAL or outcome is Outcome.SLOW:
            return True
        content = live.state.content
        memory = content.steps.get(call.path)
        tries = 1 + (memory.tries if memory is not None else 0)
        if any(most and tries >= most for most in (call.retry.attempts, attempts_max)):
            return True
        return live.state.history.created.lifetime_ms <= age_ms

    def read(self, live: Live, flight: Flight, event: StepEnded) -> StepEnded:
        """Return an outcome as it is to be recorded, after all that pacing learns from it."""
        name = flight.peer or call_name(event.path)
        way = self.pacing.way(name, flight.bytes_size)
        event = self.pacing.read(way, event, live.state.content.steps.get(event.path))
        may_retry = self.pacing.learn(way, event)
        who, outcome = live.object + event.path.encode(), Outcome(event.outcome)
        destination = self.destination(name)
        # Whose retry tokens are used up by silence is tried again by one prober, as if there were no way there.
        came_of_it = outcome if may_retry else Outcome.UNREACHABLE
        may_start = destination.end(who, came_of_it, self.parts.timeline.life_ms)
        event = replace(event, evidence=self.faults.note(name, event, bool(destination.failures)))
        if may_start:
            self.places.free(name)
        if self.flights_count() == STEPS_IN_FLIGHT_MAX - 1:
            self.places.free("")
        return event

    def destination(self, name: str) -> Destination:
        """Return what is known of a destination; steps of one name share it."""
        found = self._destinations.get(name)
        if found is None:
            found = self._destinations[name] = Destination()
            while len(self._destinations) > DESTINATIONS_MAX:
                old, gone = self._destinations.popitem(last=False)
                if gone.in_flight:
                    self._destinations[old] = gone
                    break
        self.ways.fit(found, name)
        return found

    def signal_links(self) -> None:
        """A link or peer appeared: probes may start at once, and what waits for a link is looked at."""
        for name, destination in self._destinations.items():
            destination.signal()
            if destination.failures:
                self.places.free(name)
        self.parts.agenda.wake_topic("fact:link")

    # --- Without a handler ------------------------------------------------------------------------

    def without_app(self, live: Live) -> Elsewhere:
        """Return what an object waits for whose intent no app here offers."""
        name = live.state.content.intent
        needs = tuple(sorted(live.state.history.created.needs))
        peers = (OnPeer(name), *(OnPeer(need) for need in needs))
        return Elsewhere(needs, peers, f"no app here offers {name}", (name,))

    def on_new_app(self, live: Live) -> tuple[Trigger, ...]:
        """Return the trigger of an object that only another version of its app can turn."""
        return (Changed(f"app.{live.state.content.intent}"),)


def needs_of(live: Live, intent: Intent, call: StepCall) -> tuple[str, ...]:
    """Return the capabilities that a step needs, ascending: its own, or those of its intent and its object."""
    inherited = (*intent.needs, *live.state.history.created.needs)
    return tuple(sorted(dict.fromkeys(inherited if call.needs is None else call.needs)))


def call_name(path: str) -> str:
    """Return the call's name in a path `run/scope/name:counter`."""
    return path.rpartition("/")[2].rpartition(":")[0]


def _triggers_of(decision: Decision, destination: str) -> tuple[Trigger, ...]:
    found: list[Trigger] = [Changed(name) for name in decision.facts]
    if decision.until_age_ms is not None:
        found.append(After(decision.until_age_ms))
    if decision.is_on_slot:
        found.append(Changed(topic_of(destination)))
    return tuple(found)

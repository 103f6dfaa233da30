"""The bridge from the store to the judge: builds cases and snapshots, remembers destinations, explains decisions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import Struct

from ..base.limits import DEATHS_ELSEWHERE, DEATHS_MAX, DESTINATIONS_MAX, STEPS_IN_FLIGHT_MAX
from ..judge.backoff import Failure, seed_of
from ..judge.evaluate import Action, Decision, StepCase, evaluate_step
from ..judge.outcomes import FINAL, Outcome
from ..judge.policy import Effect, Verdict
from ..judge.prober import Destination
from ..judge.rto import Rto
from ..judge.snapshot import Snapshot
from ..objects.advice import fresh_topics, freshest
from ..objects.attempts import StepMemory
from ..objects.conditions import Scalar, is_name
from ..objects.triggers import After, Changed, OnPeer, Trigger
from ..program.app import Intent
from ..program.driver import StepCall, World
from .authority import Authority
from .events import StepEnded
from .incapacity import Capacity
from .parts import Parts
from .spool import Live
from .ways import Ways


class Go(Struct, frozen=True):
    """The step may run now: as policy permits it, which may be narrower than the body called it."""

    verdict: Verdict
    call: StepCall


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


StepDecision: TypeAlias = Go | Pause | Elsewhere

# A place in a full queue is not a fact; whoever waits for one looks again after this, or when a place gets free.
SLOT_TOPIC = "slot"


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


class Judgement:
    """Asks the judge on behalf of the node."""

    def __init__(
        self, parts: Parts, authority: Authority, in_contact: Callable[[], Sequence[bytes]], capacity: Capacity
    ) -> None:
        self.parts = parts
        self.authority = authority
        self.capacity = capacity
        self.in_contact = in_contact
        self.ways = Ways(parts)
        self._destinations: OrderedDict[str, Destination] = OrderedDict()
        self._rtos: dict[str, Rto] = {}

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
            frozenset(item.name for item in live.state.untaken()), live.state.content.outcomes,
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
        view = self.snapshot(live, age_ms)
        needs = needs_of(live, intent, call)
        verdict, permitted = self.authority.rule_on(live, call, needs, view)
        decision = self._decide(live, call, needs, verdict, view)
        match decision.action:
            case Action.EXECUTION:
                self.destination(call.name).start(live.object + call.path.encode(), self.parts.timeline.life_ms)
                return Go(verdict, permitted)
            case Action.DELEGATION:
                can = self.capacity.capabilities()
                missing = tuple(need for need in decision.missing if need not in can)
                peers = tuple(OnPeer(need) for need in missing) or (OnPeer(live.state.content.intent),)
                own = tuple(Changed(name) for name in self.capacity.facts_of(missing))
                return Elsewhere(decision.missing, (*peers, *own), decision.reason, missing)
            case _:
                denied = verdict if decision.is_denied else None
                return Pause(_triggers_of(decision), decision.reason, denied, needs, decision.is_parked)

    def _decide(
        self, live: Live, call: StepCall, needs: tuple[str, ...], verdict: Verdict, view: Snapshot
    ) -> Decision:
        content = live.state.content
        memory = content.steps.get(call.path)
        try_number = 1 + (memory.tries if memory is not None else 0)
        exhausted = content.spending.exhausted(live.state.resumed_age_ms)
        case = StepCase(
            content.intent if is_name(f"peer.{content.intent}") else "", needs, self._failure(live, memory, ""),
            seed_of(live.object, self.parts.device, call.attempt, try_number),
            None if exhausted is None else exhausted.value,
            self.flights_count() >= STEPS_IN_FLIGHT_MAX, call.retry.first_ms, call.retry.max_ms,
            who=live.object + call.path.encode(), link=self.ways.link_of(call.name),
        )  # fmt: skip
        destination = self.destination(call.name)
        decision = evaluate_step(case, verdict, view, destination, self.rto(call.name))
        if decision.is_prober:
            destination.claim(case.who, self.parts.timeline.life_ms)
        return decision

    def _failure(self, live: Live, memory: StepMemory | None, peer: str) -> Failure | None:
        """Return how the last try of a step at a place went, None where there was none or an operator forgave it."""
        if memory is None:
            return None
        deaths = memory.deaths if memory.age_ms > live.state.resumed_age_ms else 0
        if deaths == DEATHS_ELSEWHERE and memory.died_at != self.parts.device:
            deaths -= 1  # this is the elsewhere: here it is tried, or the object would go to and fro for ever
        place = memory.places.get(peer or self.parts.device.hex())
        if place is None or place.age_ms <= live.state.resumed_age_ms:
            return None if deaths < DEATHS_MAX else Failure(Outcome.CRASHED, 1, memory.age_ms, None, deaths)
        return Failure(Outcome(place.outcome), place.in_a_row, place.age_ms, place.hint_ms, deaths)

    def flights_count(self) -> int:
        """Return how many steps run on this device."""
        return sum(destination.in_flight for destination in self._destinations.values())

    def recount(self) -> None:
        """Count the steps that run anew, after a rollback: those that it undid never started."""
        for destination in self._destinations.values():
            destination.in_flight, destination.probe = 0, None
        for object_id, path in self.parts.store.run(
            "SELECT o.id, r.path FROM releases r JOIN objects o ON o.row = r.object ORDER BY r.object, r.path"
        ).fetchall():
            self.destination(call_name(path)).start(bytes(object_id) + path.encode(), self.parts.timeline.life_ms)

    def is_final(self, live: Live, call: StepCall, event: StepEnded, age_ms: int, attempts_max: int = 0) -> bool:
        """Say whether the body hears of an outcome, or the step is tried again.

        Args:
            attempts_max: the most tries that policy left the step, 0 for no such bound.
        """
        outcome = Outcome(event.outcome)
        if outcome in FINAL:
            return True
        content = live.state.content
        memory = content.steps.get(call.path)
        tries = 1 + (memory.tries if memory is not None else 0)
        if any(most and tries >= most for most in (call.retry.attempts, attempts_max)):
            return True
        return live.state.history.created.lifetime_ms <= age_ms

    def learn(self, live: Live, name: str, event: StepEnded) -> None:
        """Let pacing learn from an outcome: round trips, and whether the destination answers."""
        outcome = Outcome(event.outcome)
        destination = self.destination(name)
        may_start = destination.end(live.object + event.path.encode(), outcome, self.parts.timeline.life_ms)
        if outcome is Outcome.OK and event.try_number == 1:
            self._rtos[name] = self.rto(name).after(event.latency_ms)  # Karn: no sample from a repeated request
        if may_start or self.flights_count() == STEPS_IN_FLIGHT_MAX - 1:
            self.parts.agenda.wake_topic(f"fact:{SLOT_TOPIC}")

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

    def rto(self, name: str) -> Rto:
        """Return the round-trip estimate of a destination."""
        return self._rtos.get(name, Rto())

    def signal_links(self) -> None:
        """A link or peer appeared: probes may start at once, and what waits for a link is looked at."""
        for destination in self._destinations.values():
            destination.signal()
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


def _triggers_of(decision: Decision) -> tuple[Trigger, ...]:
    found: list[Trigger] = [Changed(name) for name in decision.facts]
    if decision.until_age_ms is not None:
        found.append(After(decision.until_age_ms))
    if decision.is_on_slot:
        found.append(Changed(SLOT_TOPIC))
    return tuple(found)

"""Explaining: why an object is where it is, what it waits for, and who could help; as `explain` prints it.

For each step that waits: the rule that decided and what the rules before it read. For each thing waited for: its value,
how old that is, and when it held for the last time as far as this process knows.
"""

from __future__ import annotations

from typing import Any

from ..judge.call import Call, is_reserved
from ..judge.evaluate import Action
from ..judge.outcomes import Outcome
from ..judge.policy import Verdict
from ..judge.rule_looks import look_at_rules, look_rows
from ..judge.snapshot import Snapshot
from ..objects import condition_text
from ..objects.conditions import Has, Leaf, evaluate, leaves, names
from ..objects.triggers import Changed, OnPeer, Steady, Trigger, When, describe, holds
from ..program.driver import Body, StepCall
from ..program.errors import BodyOverran, Nondeterminism
from .advising import advice_rows
from .judgement import Judgement, call_name, needs_of
from .shelving import trigger_of
from .spool import Live
from .waits import leaves_of


class Explaining:
    """Reads the judge's view of one object; changes nothing."""

    def __init__(self, judgement: Judgement) -> None:
        self.judgement = judgement
        self.parts = judgement.parts

    def explain(self, live: Live) -> dict[str, Any]:
        """Return why an object is where it is, as `explain` prints it."""
        content, dormancy = live.state.content, live.state.content.dormancy
        age_ms = self.parts.spool.age_ms(live)
        view = self.judgement.snapshot(live, age_ms)
        trigger = None if dormancy is None or content.finish is not None else trigger_of(dormancy.trigger)
        waits = [row for leaf in (leaves_of(trigger) if trigger is not None else ()) for row in self._waits(leaf, view)]
        steps = self._steps(live, view, age_ms)
        verdict, call = self._verdict(live, view, steps)
        ends_ms = live.state.history.created.lifetime_ms if dormancy is None else dormancy.expires_age_ms
        return {
            "object": live.object.hex(),
            "intent": content.intent,
            "facts": self._facts(call, waits, view),
            "verdict": {
                "effect": verdict.effect.value, "rule": verdict.rule, "policy": verdict.policy.hex(),
                "why": verdict.why or None, "waits_for": list(verdict.waits_for), "step": call.step or None,
                "rules": look_rows(look_at_rules(self.judgement.authority.policy, call, view)),
            },
            "denials": [
                {"path": path, "rule": item.rule, "policy": item.policy.hex(), "waits_for": item.waits_for,
                 "device_name": self.parts.adverts.name_of(item.device), "age_ms": age_ms - item.age_ms}
                for path, said in sorted(content.denials.items()) for item in said[-1:]
            ],
            "history": {
                Outcome(number).name.lower(): count for number, count in sorted(content.outcomes.items())
            },
            "steps": [self._step_row(live, item, ruled, age_ms) for item, _, ruled in steps],
            "action": self._action_of(live),
            "reason": self._reason_of(live),
            "custodian_name": self.parts.adverts.name_of(live.state.history.view.holder),
            "next": None if live.due_ms is None else max(0, live.due_ms - self.parts.timeline.life_ms),
            "waits": waits,
            "advice": advice_rows(self.parts, live),
            "expires_in_ms": None if content.finish is not None else max(0, ends_ms - age_ms),
        }  # fmt: skip

    # --- Steps and their verdicts ---------------------------------------------------------------------------------

    def _steps(self, live: Live, view: Snapshot, age_ms: int) -> list[tuple[StepCall, Call, Verdict]]:
        """Return the steps that wait here and what policy says of each; none of an object that is not ours to turn."""
        intent, content = self.parts.intent_of(live), live.state.content
        is_ours = live.state.history.view.holder == self.parts.device and content.finish is None
        if intent is None or not is_ours or content.is_opaque or content.is_withheld or live.parked:
            return []
        body = live.body or Body(intent, self.parts.start_of(live), content.script)
        try:
            if body is not live.body:
                body.replay(self.judgement.world(live, intent, age_ms))
            calls = [call for call in body.steps() if call.path not in live.flights]
        except (Nondeterminism, BodyOverran):
            return []  # the object says so itself as its reason
        finally:
            if body is not live.body:
                body.free()
        authority = self.judgement.authority
        found = []
        for call in calls:
            needs = needs_of(live, intent, call)
            found.append((call, authority.asked(live, call, needs), authority.rule_on(live, call, needs, view)[0]))
        return found

    def _verdict(
        self, live: Live, view: Snapshot, steps: list[tuple[StepCall, Call, Verdict]]
    ) -> tuple[Verdict, Call]:
        """Return the verdict worth reading first: that of the first step that may not run, else of any, else of all."""
        for _, asked, verdict in sorted(steps, key=lambda item: item[2].is_allowed):
            return verdict, asked
        authority = self.judgement.authority
        return authority.rule_on_object(live, view), authority.asked(live)

    def _step_row(self, live: Live, call: StepCall, verdict: Verdict, age_ms: int) -> dict[str, Any]:
        memory = live.state.content.steps.get(call.path)
        return {
            "path": call.path, "step": call_name(call.path), "effect": verdict.effect.value, "rule": verdict.rule,
            "why": verdict.why or None, "tries": 0 if memory is None else memory.tries,
            "last_try_ms": None if memory is None else age_ms - memory.age_ms,
        }  # fmt: skip

    def _reason_of(self, live: Live) -> str | None:
        content, is_ours = live.state.content, live.state.history.view.holder == self.parts.device
        if content.finish is None and is_ours and self.parts.is_held(live):
            which = "this object" if live.state.holding == 0 else "this device"
            return f"held by an operator ({which}): no new effects until `release`"
        return live.reason or (content.dormancy.reason if content.dormancy is not None else None)

    def _action_of(self, live: Live) -> str:
        view, content = live.state.history.view, live.state.content
        if content.finish is not None:
            return Action.TERMINATION.value
        if view.is_frozen or view.holder != self.parts.device:
            return Action.DELEGATION.value
        return Action.EXECUTION.value if live.flights else Action.DORMANCY.value

    # --- Facts and waits ------------------------------------------------------------------------------------------

    def _facts(self, call: Call, waits: list[dict[str, Any]], view: Snapshot) -> list[dict[str, Any]]:
        """Return the facts that rules about this object read and those that it waits for, by name."""
        used: dict[str, None] = {}
        for rule in self.judgement.authority.policy.rules:
            if rule.is_about(call.intent):
                used.update(dict.fromkeys(rule.facts()))
        used.update({row["fact"]: None for row in waits if row["fact"] is not None})
        return [self._fact_row(name, view) for name in sorted(used) if not is_reserved(name)]

    def _fact_row(self, name: str, view: Snapshot) -> dict[str, Any]:
        fact, life_ms = view.facts.get(name), view.life_ms
        if fact is None:
            return {"name": name, "value": None, "age_ms": None, "max_age_ms": None, "origin": None, "known": False}
        return {
            "name": name, "value": fact.value, "age_ms": life_ms - fact.set_ms, "max_age_ms": fact.max_age_ms,
            "origin": fact.origin, "known": fact.is_known_at(life_ms),
        }  # fmt: skip

    def _waits(self, trigger: Trigger, view: Snapshot) -> list[dict[str, Any]]:
        """Return a row for each thing that a leaf of the trigger waits for: a condition has one for each of its own."""
        match trigger:
            case When(condition):
                return [self._condition_row(leaf, view) for leaf in leaves(condition)]
            case Steady(condition, _):
                rows = [self._condition_row(leaf, view) for leaf in leaves(condition)]
                return [{**row, "leaf": f"{row['leaf']}, steadily"} for row in rows]
            case Changed(name):
                fact = view.facts.get(name)
                since_ms = self.parts.facts.past.changed_ms(name)
                who = self._who_offers(name.removeprefix("peer.")) if name.startswith("peer.") else []
                row = self._row(describe(trigger), None if fact is None else fact.value, "false", name, who)
                return [{**row, "age_ms": None if fact is None else view.life_ms - fact.set_ms,
                         "last_true_ms": None if since_ms is None else view.life_ms - since_ms}]  # fmt: skip
            case OnPeer(name):
                who, last_ms = self._who_offers(name), self._last_met_ms(name)
                row = self._row(describe(trigger), holds(trigger, view).value, holds(trigger, view).value, None, who)
                return [{**row, "age_ms": last_ms, "last_true_ms": last_ms}]
            case _:
                truth = holds(trigger, view).value
                return [self._row(describe(trigger), truth, truth, None, [])]

    def _condition_row(self, leaf: Leaf, view: Snapshot) -> dict[str, Any]:
        truth, text = evaluate(leaf, view).value, condition_text.format(leaf)
        if isinstance(leaf, Has):
            last_ms = self._last_met_ms(leaf.capability)
            row = self._row(text, truth, truth, f"peer.{leaf.capability}", self._who_offers(leaf.capability))
            return {**row, "age_ms": last_ms, "last_true_ms": last_ms}
        name = next(iter(names(leaf)), None)
        if name is None:
            return self._row(text, truth, truth, None, [])
        fact = view.facts.get(name)
        last_ms = self.parts.facts.past.last_true_ms(leaf, name, fact, view.life_ms)
        row = self._row(text, None if fact is None else fact.value, truth, name, [])
        return {**row, "age_ms": None if fact is None else view.life_ms - fact.set_ms,
                "last_true_ms": None if last_ms is None else view.life_ms - last_ms}  # fmt: skip

    @staticmethod
    def _row(leaf: str, value: Any, truth: str, fact: str | None, who: list[str]) -> dict[str, Any]:
        return {
            "leaf": leaf, "value": value, "holds": truth, "fact": fact, "age_ms": None, "last_true_ms": None,
            "who_could": who,
        }  # fmt: skip

    def _who_offers(self, name: str) -> list[str]:
        return sorted(
            advert.name or advert.device.hex()[:8] for advert in self.parts.adverts.others() if _offers(advert, name)
        )

    def _last_met_ms(self, name: str) -> int | None:
        """Return how long ago a device that offers something was in contact, 0 for now, None for never here."""
        life_ms, found = self.parts.timeline.life_ms, list[int]()
        for advert in self.parts.adverts.others():
            if _offers(advert, name):
                (last_ms,) = self.parts.store.run(
                    "SELECT max(coalesce(end_ms, ?)) FROM contacts WHERE device = ?", (life_ms, advert.device)
                ).fetchone()
                found += [] if last_ms is None else [life_ms - int(last_ms)]
        return min(found, default=None)


def _offers(advert: Any, name: str) -> bool:
    """Say whether an advert has a capability or intent of that name, or is of that device."""
    return (
        name in advert.capabilities or any(intent == name for intent, _ in advert.intents)
        or advert.device.hex() == name
    )  # fmt: skip

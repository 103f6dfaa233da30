"""Explaining: why an object is where it is, what it waits for, and who could help; as `explain` prints it."""

from __future__ import annotations

from typing import Any

from ..judge.evaluate import Action
from ..judge.outcomes import Outcome
from ..objects.triggers import OnPeer, Trigger, describe, holds
from .advising import advice_rows
from .judgement import Judgement
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
        verdict = self.judgement.authority.rule_on_object(live, view)
        trigger = None if dormancy is None or content.finish is not None else trigger_of(dormancy.trigger)
        waits = [
            {"leaf": describe(leaf), "value": holds(leaf, view).value, "age_ms": None, "last_true_ms": None,
             "who_could": self._who_could(leaf)}
            for leaf in (leaves_of(trigger) if trigger is not None else ())
        ]  # fmt: skip
        ends_ms = live.state.history.created.lifetime_ms if dormancy is None else dormancy.expires_age_ms
        return {
            "object": live.object.hex(),
            "intent": content.intent,
            "facts": {fact.name: fact.value for fact in self.parts.facts.all()},
            "verdict": {"effect": verdict.effect.value, "rule": verdict.rule, "policy": verdict.policy.hex()},
            "history": {
                Outcome(number).name.lower(): count for number, count in sorted(content.outcomes.items())
            },
            "action": self._action_of(live),
            "reason": live.reason or (dormancy.reason if dormancy is not None else None),
            "next": None if live.due_ms is None else max(0, live.due_ms - self.parts.timeline.life_ms),
            "waits": waits,
            "advice": advice_rows(self.parts, live),
            "expires_in_ms": None if content.finish is not None else max(0, ends_ms - age_ms),
        }

    def _action_of(self, live: Live) -> str:
        view, content = live.state.history.view, live.state.content
        if content.finish is not None:
            return Action.TERMINATION.value
        if view.is_frozen or view.holder != self.parts.device:
            return Action.DELEGATION.value
        return Action.EXECUTION.value if live.flights else Action.DORMANCY.value

    def _who_could(self, leaf: Trigger) -> list[str]:
        if not isinstance(leaf, OnPeer):
            return []
        return sorted(
            advert.name or advert.device.hex()[:8]
            for advert in self.parts.adverts.others()
            if leaf.name in advert.capabilities or any(name == leaf.name for name, _ in advert.intents)
        )

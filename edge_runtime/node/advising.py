"""Advice on this device: asking advisors about objects that wait for it, signing what they say, handing it to a body.

Any device that holds the object, has an advisor on the topic and may append `advised` is asked by what it reads in the
object: a sleep that waits for advice. Custodian or not makes no difference, so an advisor-only device needs nothing
else. Each question is asked once for each ruling tip; an advisor that does not answer is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..base.errors import PeerError, UsageError
from ..base.limits import ADVISOR_FACTS_MAX, INPUTS_MAX
from ..objects import bodies as b
from ..objects.advice import QUESTION_PREFIX, OnAdvice, freshest
from ..objects.codec import decode_value
from ..objects.grants import may_append
from ..objects.kinds import Kind
from ..objects.records import make
from ..objects.script import Resumed, Resumption
from ..program.advising import AdvisorView, freeze
from ..program.driver import Body
from .answers import readable
from .effects import AskAdvisor, Stage
from .events import AdviceGiven
from .parts import Parts
from .shelving import trigger_of
from .spool import Live
from .waits import leaves_of


def advice_resumption(parts: Parts, live: Live, body: Body, age_ms: int) -> tuple[b.TookSealed, Resumption] | None:
    """Return what resumes a body that waits for advice, if fresh advice is there.

    Only as the first thing of a turn: anything else that resumed the body made the object another one than the
    advisor saw.
    """
    if live.made or not live.state.advice:
        return None
    for wait in body.advice_waits():
        if freshest(live.state.advice, wait.topic, live.state.history.view.tip, age_ms) is not None:
            took = b.TookSealed(b.Took.CONDITION, wait.path.encode(), wait.path)
            return took, Resumption(Resumed.CONDITION, wait.path, age_ms, parts.wall_ms)
    return None


class Advising:
    """Asks advisors and signs their answers. What was asked is remembered in memory only."""

    def __init__(self, parts: Parts, go_on: Callable[[Live], None]) -> None:
        self.parts = parts
        self.go_on = go_on
        self._asked: dict[tuple[bytes, str], bytes] = {}

    def forget(self, objects: Iterable[bytes] | None) -> None:
        """An event was rolled back: what it asked about these objects (all for None) was not asked."""
        gone = None if objects is None else dict.fromkeys(objects)
        self._asked = {key: tip for key, tip in self._asked.items() if gone is not None and key[0] not in gone}

    def ask_about(self, objects: Iterable[bytes]) -> None:
        """Look whether objects that were put away wait for advice that this device can give."""
        if not self.parts.advises_any:
            return
        for object_id in list(objects):
            live = self.parts.spool.find(object_id)
            if live is not None and not live.parked:
                self._ask(live)

    def _ask(self, live: Live) -> None:
        content, tip = live.state.content, live.state.history.view.tip
        trigger = None
        if content.finish is None and content.dormancy is not None and not content.is_withheld:
            trigger = trigger_of(content.dormancy.trigger)
        leaves = [] if trigger is None else [leaf for leaf in leaves_of(trigger) if isinstance(leaf, OnAdvice)]
        topics = [leaf.name for leaf in leaves if self.parts.advises(leaf.name)]
        for key in [key for key in self._asked if key[0] == live.object and key[1] not in topics]:
            del self._asked[key]
        if not topics or not self._may_advise(live) or self.parts.is_held(live):
            return
        for topic in topics:
            question = content.published.get(QUESTION_PREFIX + topic)
            if question is not None and self._asked.get((live.object, topic)) != tip:
                self._asked[(live.object, topic)] = tip
                if not self._has_answered(live, topic, tip):
                    view = self._view(live, topic, question)
                    self.parts.effects.append(AskAdvisor(live.object, topic, tip, view))

    def _may_advise(self, live: Live) -> bool:
        found = self.parts.members.grant_under(live.state.history.created.roots)
        return found is not None and may_append(found[1], Kind.ADVISED) and len(live.state.advice) < INPUTS_MAX

    def _has_answered(self, live: Live, topic: str, tip: bytes) -> bool:
        own = self.parts.device
        return any(item.author == own and item.topic == topic and item.based_on == tip for item in live.state.advice)

    def _view(self, live: Live, topic: str, question: bytes) -> AdvisorView:
        content, parts = live.state.content, self.parts
        known = [fact for fact in parts.facts.all() if fact.is_known_at(parts.timeline.life_ms)]
        facts = {fact.name: fact.value for fact in known[:ADVISOR_FACTS_MAX]}
        return AdvisorView(
            topic, freeze(decode_value(question)), live.object.hex(), content.intent,
            freeze(decode_value(content.asked.now)), content.labels, live.state.history.created.priority,
            parts.spool.age_ms(live), freeze(facts),
        )  # fmt: skip

    def take(self, event: AdviceGiven) -> None:
        """Sign what an advisor said, and go on; an answer about an object that has moved on is dropped."""
        live = self.parts.spool.find(event.object)
        if live is None or live.state.content.finish is not None:
            return
        if live.state.history.view.tip != event.based_on or not self._may_advise(live):
            self.parts.note(Stage.JUDGED, live, advice=f"late: {event.topic}")
            return
        expires_ms = self.parts.spool.age_ms(live) + event.valid_ms
        body = b.AdvisedSealed(event.topic, event.proposal, event.confidence, event.based_on, expires_ms)
        try:
            self.parts.pen.write_input(live, make(Kind.ADVISED, b.Empty(), body))
        except (PeerError, UsageError) as error:
            # The object is full, or this device has left its fleet: advice is never worth more than a line.
            self.parts.note(Stage.JUDGED, live, advice=f"not signed: {error}")
            return
        self.go_on(live)


def advice_rows(parts: Parts, live: Live) -> list[dict[str, Any]]:
    """Return the advice in an object as `explain` lists it, newest last: who, what, and why it is stale or null."""
    tip, age_ms = live.state.history.view.tip, parts.spool.age_ms(live)
    return [
        {
            "topic": item.topic, "proposal": readable(item.proposal), "confidence": item.confidence,
            "advisor": item.author.hex(), "advisor_name": parts.adverts.name_of(item.author),
            "expires_in_ms": max(0, item.expires_age_ms - age_ms), "stale": item.why_stale(tip, age_ms) or None,
        }
        for item in live.state.advice
    ]  # fmt: skip

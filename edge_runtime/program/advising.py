"""Advice: asking for it in a body, giving it in an advisor. What it says has no authority anywhere.

An *advisor* is a plain function of one topic that an app declares (`@app.advisor("route")`) or that the device has by
configuration. It gets an `AdvisorView`, which holds plain values and nothing to act with, and returns an `Advice`, or
None to say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from msgspec import Struct

from ..base.errors import UsageError
from ..base.limits import (
    ADVICE_BYTES_MAX,
    ADVICE_CONFIDENCE_MAX,
    ADVICE_MS_DEFAULT,
    ADVICE_QUESTION_BYTES_MAX,
    ADVICE_TOPIC_BYTES_MAX,
    ADVICE_VALID_MS_DEFAULT,
    ADVICE_VALID_MS_MAX,
)
from ..objects.advice import QUESTION_PREFIX
from .arguments import MISSING, Duration, checked_name
from .calls import AdviceWait
from .payloads import decode_payload, encode_payload
from .waiting import Waiting


class Advice(Struct, frozen=True):
    """A proposal: what an advisor returns, and what a body gets.

    Attributes:
        proposal: any recordable value, at most ADVICE_BYTES_MAX bytes as CBOR.
        confidence: 0 .. 1000; a word of the advisor, and no probability of permission.
        valid_ms: so long it may be used at most, if the object does not move on before; to ADVICE_VALID_MS_MAX.
        advisor: id of the device that signed it, 64 hex digits; empty until then.
    """

    proposal: Any
    confidence: int
    valid_ms: int = ADVICE_VALID_MS_DEFAULT
    advisor: str = ""


class AdvisorView(Struct, frozen=True):
    """All that an advisor sees: plain values that nobody can change, and no way to the object, the store or an effect.

    Attributes:
        topic, question: as the body asked.
        object: its id, 64 hex digits; intent, arguments, labels, priority, age_ms: of the object.
        facts: name -> value of the facts that the advising device knows now, at most ADVISOR_FACTS_MAX.
    """

    topic: str
    question: Any
    object: str
    intent: str
    arguments: Any
    labels: tuple[str, ...]
    priority: int
    age_ms: int
    facts: Mapping[str, bool | int | float | str]


Advisor: TypeAlias = Callable[[AdvisorView], Advice | None]


def freeze(value: Any) -> Any:
    """Return decoded plain data as values that cannot be changed: tuples, and maps that are read only."""
    match value:
        case list() | tuple():
            return tuple(freeze(item) for item in value)
        case dict():
            return MappingProxyType({key: freeze(item) for key, item in value.items()})
        case _:
            return value


def spell_proposal(answer: object) -> tuple[bytes, int, int]:
    """Return (canonical CBOR of the proposal, confidence, valid_ms) of what an advisor returned.

    Raises:
        UsageError: it is no Advice, or a part of it is out of its bounds; it counts as no answer.
    """
    if not isinstance(answer, Advice):
        raise UsageError(f"an advisor returns an Advice or None, not {type(answer).__name__}")
    if type(answer.confidence) is not int or not 0 <= answer.confidence <= ADVICE_CONFIDENCE_MAX:
        raise UsageError(f"Advice(confidence={answer.confidence!r}): give a whole number from 0 to 1000")
    if type(answer.valid_ms) is not int or not 1 <= answer.valid_ms <= ADVICE_VALID_MS_MAX:
        raise UsageError(f"Advice(valid_ms={answer.valid_ms!r}): give a whole number from 1 to {ADVICE_VALID_MS_MAX}")
    return encode_payload(answer.proposal, "the proposal", ADVICE_BYTES_MAX), answer.confidence, answer.valid_ms


class AdviceCalls(Waiting):
    """The call of a context that asks for advice."""

    __slots__ = ()

    async def advice(
        self, topic: str, question: object = None, timeout: Duration | None = ADVICE_MS_DEFAULT / 1_000, *,
        default: Any = MISSING,
    ) -> Any:  # fmt: skip
        """Sleep until an advisor answers; return its `Advice`, which permits nothing: what follows is judged as ever.

        The question is shown to onlookers (`edge-runtime show`). Advice counts only for the object as the advisor saw
        it: if the object moves on meanwhile, the advisor is asked anew.

        Args:
            topic: which advisors are asked, 1 .. ADVICE_TOPIC_BYTES_MAX bytes; one question a topic at a time.
            question: any recordable value, at most ADVICE_QUESTION_BYTES_MAX bytes.
            default: returned when the time is over.

        Raises:
            TimeoutError: no fresh advice came within that time, and no default was given.
            UsageError: the topic is being asked already, or an argument is none.
        """
        ledger = self._ledger
        checked_name(topic, "a topic", ADVICE_TOPIC_BYTES_MAX)
        if any(wait.topic == topic for wait in ledger.waits(AdviceWait)):
            raise UsageError(f"advice on {topic!r} is awaited already: await it first, or ask under another topic")
        data = encode_payload(question, f"the question on {topic!r}", ADVICE_QUESTION_BYTES_MAX)
        ledger.publish(ledger.path_for("question"), QUESTION_PREFIX + topic, data)
        wait, learned_at = AdviceWait(ledger.path_for("advice"), topic), ledger.path_for("advised")
        try:
            await self._within(ledger.ask(wait), timeout, f"advice on {topic!r}")
        except TimeoutError:
            if default is MISSING:
                raise
            return default
        learned = ledger.learn(learned_at, f"advice on {topic!r}", lambda world: world.advice(topic))
        advisor, confidence, proposal = decode_payload(learned, Any, f"advice on {topic!r}")
        return Advice(proposal, confidence, advisor=advisor)

"""Running a step's function inside a world: to its end, at once, whatever it raises."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..base.errors import UsageError
from ..base.foreign import contained
from ..node.effects import AskAdvisor, StartStep
from ..node.events import AdviceGiven
from ..program.advising import Advisor, spell_proposal
from ..program.attempt import Attempt, Meter, enter_attempt
from ..program.errors import Failure, classify_exception
from ..program.results import encode_result


def run_step(
    start: StartStep, meter: Meter, report: Callable[[int, bytes], None] | None = None
) -> bytes | Failure:
    """Run a step's function to its end; a coroutine is driven by hand, and may wait for nothing outside.

    To be called in a `contextvars.Context` of its own, so that `current_attempt` is known inside only.

    Args:
        meter: what the step says it spent is counted here. report: takes what a unit says of its progress.

    Returns:
        the result's canonical CBOR, or why there is none.
    """
    attempt, owner = start.attempt.hex(), start.object.hex()
    enter_attempt(Attempt(attempt, start.try_number, owner, None, start.peer, start.done, meter, report))
    value: Any = None
    with contained() as caught:
        value = start.function(*start.arguments)
        if inspect.iscoroutine(value):
            value = _drive(value)
    if caught.error is not None:
        return classify_exception(caught.error)
    return encode_result(value, start.result_type, start.name)


def ask_advisor(advisor: Advisor, ask: AskAdvisor) -> AdviceGiven | None:
    """Ask an app's advisor; None where it says nothing, raises, or says what is out of bounds."""
    spelled: tuple[bytes, int, int] | None = None
    with contained():
        answer = advisor(ask.view)
        spelled = None if answer is None else spell_proposal(answer)
    return None if spelled is None else AdviceGiven(ask.object, ask.topic, ask.based_on, *spelled)


def _drive(coroutine: Any) -> Any:
    while True:
        try:
            waited = coroutine.send(None)
        except StopIteration as ended:
            return ended.value
        if waited is not None:
            coroutine.close()
            raise UsageError("a step in a World may not wait for the machine: use `world.takes(step, seconds=…)`")

"""Arguments by the names of their parameters, whatever kind of function is called, and lowering them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.objects.bodies import EffectClass
from edge_runtime.program.calls import Retry, StepCall
from edge_runtime.program.narrowing import named_arguments, narrow


def made(function: Any, *arguments: Any, retry: Retry | None = None) -> StepCall:
    return StepCall(
        "0/0/s:1", "s", function, arguments, b"f" * 16, b"a" * 16, None, EffectClass.IDEMPOTENT, "", None, 60_000,
        retry or Retry(), Any,
    )  # fmt: skip


def upload(file: str, max_bytes: int = 4000, *more: int, speed: float = 9.5, **rest: Any) -> tuple[Any, ...]:
    return file, max_bytes, more, speed, rest


@dataclass
class Job:
    size: int
    tags: list[str]


class Sender:
    def send(self, job: Job, most: int) -> tuple[Job, int]:
        return job, most

    def __call__(self, most: int) -> int:
        return most


async def fetch(url: str, most: int) -> None: ...


def run(call: StepCall) -> Any:
    return call.function(*call.arguments)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (made(upload, "a"), {"file": "a", "max_bytes": 4000, "more": (), "speed": 9.5}),
        (made(upload, "a", 1, 2, 3), {"file": "a", "max_bytes": 1, "more": (2, 3), "speed": 9.5}),
        (made(partial(upload, "a", speed=1.5, x=2), 7),
         {"file": "a", "max_bytes": 7, "more": (), "speed": 1.5, "x": 2}),
        (made(partial(partial(upload, speed=1), speed=2), "a"),
         {"file": "a", "max_bytes": 4000, "more": (), "speed": 2}),
        (made(partial(upload, rest=3), "a"), {"file": "a", "max_bytes": 4000, "more": (), "speed": 9.5, "rest": 3}),
        (made(Sender().send, Job(3, ["x"]), 5), {"job": {"size": 3, "tags": ["x"]}, "most": 5}),
        (made(Sender(), 5), {"most": 5}),
        (made(fetch, "u", 5), {"url": "u", "most": 5}),
        (made(min, 3, 4), {"0": 3, "1": 4}),
        (made(lambda: 1), {}),
    ],
)  # fmt: skip
def test_arguments_have_the_names_of_their_parameters(call: StepCall, named: dict[str, Any]) -> None:
    assert named_arguments(call) == named


def test_a_keyword_never_passes_for_a_parameter() -> None:
    """Behaviour: 2.7."""

    def act(role: str, /, **rest: str) -> None: ...

    assert named_arguments(made(partial(act, role="operator"), "guest"))["role"] == "guest"


@pytest.mark.parametrize(
    ("call", "bounds", "result", "changes"),
    [
        (made(upload, "a", 5000), {"max_bytes": 1000}, ("a", 1000, (), 9.5, {}), "max_bytes 5000 to 1000"),
        (made(upload, "a"), {"max_bytes": 1000}, ("a", 1000, (), 9.5, {}), "max_bytes 4000 to 1000"),
        (made(upload, "a", 10), {"max_bytes": 1000}, ("a", 10, (), 9.5, {}), ""),
        (made(upload, "a", -3), {"max_bytes": 0}, ("a", -3, (), 9.5, {}), ""),
        (made(partial(upload, x=7), "a", 1), {"x": 5, "speed": 2}, ("a", 1, (), 2, {"x": 5}),
         "x 7 to 5, speed 9.5 to 2"),
        (made(partial(upload, "a", 9), 2, 3), {"max_bytes": 4}, ("a", 4, (2, 3), 9.5, {}), "max_bytes 9 to 4"),
    ],
)  # fmt: skip
def test_numbers_are_lowered_and_never_raised(
    call: StepCall, bounds: dict[str, int], result: Any, changes: str
) -> None:
    """Behaviour: 2.4."""
    narrowed, said = narrow(call, tuple(bounds.items()), None, None)
    assert (run(narrowed), said) == (result, changes)
    assert (narrowed.attempt, narrowed.fingerprint, narrowed.path) == (call.attempt, call.fingerprint, call.path)


def test_a_bound_method_stays_one_and_a_coroutine_function_too() -> None:
    job = Job(1, [])
    narrowed, _ = narrow(made(Sender().send, job, 9), (("most", 4),), None, None)
    assert run(narrowed) == (job, 4)
    narrowed, _ = narrow(made(fetch, "u", 9), (("most", 4),), None, None)
    assert narrowed.function is fetch and narrowed.arguments == ("u", 4)


@pytest.mark.parametrize(
    ("call", "name"),
    [(made(upload, "a"), "file"), (made(upload, "a"), "size"), (made(min, 3, 4), "0"), (made(upload), "max_bytes"),
     (made(upload, "a", True), "max_bytes"), (made(upload, "a", float("nan")), "max_bytes")],
)  # fmt: skip
def test_a_bound_on_what_is_no_number_of_the_call_is_refused(call: StepCall, name: str) -> None:
    """Behaviour: 2.3."""
    with pytest.raises(UsageError, match=f"{name} is no number"):
        narrow(call, ((name, 1),), None, None)


def test_time_and_tries_are_lowered_and_never_raised() -> None:
    """Behaviour: 2.4."""
    call = made(upload, "a", retry=Retry(attempts=5, first_ms=3, max_ms=9))
    narrowed, said = narrow(call, (), 1000, 2)
    assert (narrowed.timeout_ms, narrowed.retry) == (1000, Retry(2, 3, 9))
    assert said == "timeout 60000 to 1000 ms, attempts to 2"
    assert narrow(call, (), 70_000, 6) == (call, "")
    assert narrow(made(upload, "a"), (), None, 6)[0].retry.attempts == 6

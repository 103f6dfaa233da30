"""Durable execution without a server: tasks that carry their own signed history from device to device.

A program needs `App`, `Context` and little else; inside a step `current_attempt` gives the idempotency key, and
`TerminalError`, `Busy`, `Unreachable`, `Refused`, `Incapable` or `PartialError` say why it did not work. Names are
loaded at their first use, so that `import edge_runtime` costs nothing: the command line imports it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base.errors import EdgeError as EdgeError
    from .base.errors import UsageError as UsageError
    from .client import BlockingClient as BlockingClient
    from .client import Client as Client
    from .judge.outcomes import Outcome as Outcome
    from .objects.bodies import EffectClass as EffectClass
    from .objects.bodies import End as End
    from .program.advising import Advice as Advice
    from .program.advising import AdvisorView as AdvisorView
    from .program.app import App as App
    from .program.attempt import Attempt as Attempt
    from .program.attempt import current_attempt as current_attempt
    from .program.calls import Retry as Retry
    from .program.context import Context as Context
    from .program.delegating import Child as Child
    from .program.delegating import ChildEnd as ChildEnd
    from .program.delegating import Joined as Joined
    from .program.delegating import JoinFailed as JoinFailed
    from .program.errors import BodyFreed as BodyFreed
    from .program.errors import Busy as Busy
    from .program.errors import Incapable as Incapable
    from .program.errors import PartialError as PartialError
    from .program.errors import RefinementRefused as RefinementRefused
    from .program.errors import Refused as Refused
    from .program.errors import StepFailed as StepFailed
    from .program.errors import TerminalError as TerminalError
    from .program.errors import Unreachable as Unreachable

_PLACES = {
    "Advice": "program.advising",
    "AdvisorView": "program.advising",
    "App": "program.app",
    "Attempt": "program.attempt",
    "BlockingClient": "client",
    "BodyFreed": "program.errors",
    "Busy": "program.errors",
    "Child": "program.delegating",
    "ChildEnd": "program.delegating",
    "Client": "client",
    "Context": "program.context",
    "EdgeError": "base.errors",
    "EffectClass": "objects.bodies",
    "End": "objects.bodies",
    "Incapable": "program.errors",
    "JoinFailed": "program.delegating",
    "Joined": "program.delegating",
    "Outcome": "judge.outcomes",
    "PartialError": "program.errors",
    "RefinementRefused": "program.errors",
    "Refused": "program.errors",
    "Retry": "program.calls",
    "StepFailed": "program.errors",
    "TerminalError": "program.errors",
    "Unreachable": "program.errors",
    "UsageError": "base.errors",
    "current_attempt": "program.attempt",
}


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])

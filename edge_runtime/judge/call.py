"""What one call asks, as rules read it: the names that a policy's conditions may use beside facts.

| name | value |
|---|---|
| `intent` | the object's intent |
| `step.name`, `step.effect`, `step.resource` | of the call; the effect is a word such as `idempotent` |
| `step.needs.<capability>` | true or false: does the call need it |
| `arg.<path>` | an argument of the call by its parameter's name: `arg.max_bytes`, `fact("arg.cells.0")` |
| `object.priority`, `object.name` | of the object; lower numbers are more urgent |
| `object.label.<word>` | true or false |
| `object.arg.<path>` | an argument of the object, as it is asked now |
| `creator.role`, `creator.device` | the highest role of who made the object; its id in hex |

These first words are taken: no fact may begin with one of them, so what a sensor says is never read as a call's, nor
the other way round. Nothing here is authority: an argument is compared, never believed.

Source: ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from ..base.limits import ARGUMENT_DEPTH_MAX
from ..objects.conditions import FactView, Scalar

RESERVED = ("arg", "creator", "intent", "object", "step")
_PLAIN_NAMES = ("intent", "step.name", "step.effect", "step.resource", "object.priority", "object.name",
                "creator.role", "creator.device")  # fmt: skip
_PATHS = ("arg.", "object.arg.", "object.label.", "step.needs.")
KNOWN = (*_PLAIN_NAMES, *(f"{path}…" for path in _PATHS))
# Which of a device's roles is named, if it has several.
RANKS = ("operator", "executor", "advisor", "relay")


def is_reserved(name: str) -> bool:
    """Say whether a name belongs to calls and so to no fact."""
    return name.partition(".")[0] in RESERVED


def is_known(name: str) -> bool:
    """Say whether a reserved name is one of the table above."""
    return name in _PLAIN_NAMES or any(name.startswith(path) and name != path for path in _PATHS)


class Call(Struct, frozen=True):
    """What is to be permitted: a step of an object, or (`step` empty) anything of it.

    Attributes:
        refusal: why nothing at all is permitted, by grants alone; empty if they permit.
        roles: words for what the object's creator is; creator: its 32-byte id.
        effect, resource, needs: of the step. arguments: by parameter name, plain values.
        object_arguments: plain value, as it is asked now, after refinements.
    """

    intent: str
    refusal: str = ""
    roles: tuple[str, ...] = ()
    creator: bytes = b""
    priority: int = 0
    name: str = ""
    labels: tuple[str, ...] = ()
    object_arguments: Any = None
    step: str = ""
    effect: str = ""
    resource: str = ""
    needs: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> Scalar | None:
        """Return what a reserved name means in this call; None if it has no such thing, and that is unknown."""
        first, _, rest = name.partition(".")
        match first:
            case "intent":
                return self.intent if not rest else None
            case "creator":
                role = next((word for word in RANKS if word in self.roles), "none")
                return {"role": role, "device": self.creator.hex()}.get(rest)
            case "object":
                return self._object_value(rest)
            case "step" if self.step:
                if rest.startswith("needs."):
                    return rest.removeprefix("needs.") in self.needs
                return {"name": self.step, "effect": self.effect, "resource": self.resource}.get(rest)
            case "arg" if self.step:
                return walk(self.arguments, rest)
        return None

    def _object_value(self, rest: str) -> Scalar | None:
        kind, _, path = rest.partition(".")
        match kind:
            case "priority" if not path:
                return self.priority
            case "name" if not path:
                return self.name
            case "label":
                return path in self.labels
            case "arg":
                return walk(self.object_arguments, path)
        return None


def walk(value: Any, path: str) -> Scalar | None:
    """Return the scalar at a dotted path through maps (by key) and lists (by number); None if there is none.

    At most ARGUMENT_DEPTH_MAX words are followed; a key with a dot in it cannot be named.
    """
    words = path.split(".")
    if len(words) > ARGUMENT_DEPTH_MAX:
        return None
    for word in words:
        match value:
            case Mapping():
                value = value.get(word)
            case list() | tuple() if word.isascii() and word.isdigit() and len(word) < 6:
                value = value[int(word)] if int(word) < len(value) else None
            case _:
                return None
    return value if isinstance(value, (bool, int, float, str)) else None


class CallView(Struct, frozen=True):
    """A snapshot seen by the rules for one call: reserved names come from the call, all others from the facts."""

    call: Call
    facts: FactView

    def fact_value(self, name: str, max_age_ms: int | None) -> Scalar | None:
        """Return what a name means."""
        return self.call.value(name) if is_reserved(name) else self.facts.fact_value(name, max_age_ms)

    def has_capability(self, name: str) -> bool | None:
        """Say whether a peer in contact has a capability."""
        return self.facts.has_capability(name)

    def outcome_count(self, outcome: int) -> int | None:
        """Return how many attempts of the object ended so."""
        return self.facts.outcome_count(outcome)

    def object_age_ms(self) -> int:
        """Return the object's age."""
        return self.facts.object_age_ms()

    def minute_of_day(self) -> int | None:
        """Return the minute of the day, None while the clock is not trusted."""
        return self.facts.minute_of_day()

"""What gated steps declare: which rights each try spends, and what happens when nobody knows whether one happened.

| `on_unknown` | after a crash, a silence or a claimed custody |
|---|---|
| `ask` (default) | the object sleeps until an operator says whether it happened; if it did, `ctx.run` returns None |
| `resend` | it is sent again under the same attempt id: at least once |
| `stop` | `StepFailed` with the outcome `unknown`: at most once |

All raise `UsageError` that says what to change; nothing was recorded then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from ..base.errors import UsageError
from ..base.limits import INTEGER_MAX, LIST_ITEMS_MAX, NAME_BYTES_MAX
from ..objects.bodies import EffectClass
from ..objects.gated import GATED, OnUnknown
from ..objects.rights import Amounts

OnUnknownName: TypeAlias = Literal["ask", "resend", "stop"]
WORDS = {rule.name.lower(): rule for rule in OnUnknown}


class Gate(Struct, frozen=True):
    """What a call declares beside its effect class; of one that is not gated the defaults."""

    on_unknown: OnUnknown = OnUnknown.ASK
    rights: Amounts = ()


def checked_gate(
    effect: EffectClass, not_after_ms: int | None, rights: Mapping[str, int] | None, on_unknown: str | None
) -> Gate:
    """Return what a call declares, checked against its effect class."""
    if (rights is not None) != (effect is EffectClass.BOUNDED):
        raise UsageError("effect='bounded' names the rights that each try spends, such as rights={'kits': 1}; no other")
    if effect is EffectClass.IRREVERSIBLE and not_after_ms is None:
        raise UsageError("effect='irreversible' names not_after=: the age of the object after which it must not begin")
    if on_unknown is None:
        return Gate(rights=checked_rights(rights or {}))
    if effect not in GATED:
        raise UsageError(f"on_unknown={on_unknown!r} belongs to a gated effect: leave it out, or name the effect")
    rule = WORDS.get(on_unknown)
    if rule is None:
        raise UsageError(f"on_unknown={on_unknown!r} is unknown: use one of {', '.join(WORDS)}")
    return Gate(rule, checked_rights(rights or {}))


def checked_rights(rights: Mapping[str, int]) -> Amounts:
    """Return amounts by name, ascending; each 1 .. INTEGER_MAX."""
    if not isinstance(rights, Mapping) or len(rights) > LIST_ITEMS_MAX:
        raise UsageError(f"rights are a map of at most {LIST_ITEMS_MAX} names to amounts, such as {{'kits': 1}}")
    for name, amount in rights.items():
        if not isinstance(name, str) or not 1 <= len(name.encode("utf-8", "replace")) <= NAME_BYTES_MAX:
            raise UsageError(f"the name of a right is a text of 1 to {NAME_BYTES_MAX} bytes, not {str(name)[:40]!r}")
        if type(amount) is not int or not 1 <= amount <= INTEGER_MAX:
            raise UsageError(f"rights {name!r}: {amount!r} is no amount: give a whole number from 1 on")
    return tuple(sorted(rights.items()))

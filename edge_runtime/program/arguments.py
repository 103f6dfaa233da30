"""What calls of a context take: names, needs, durations, effects, conditions; checked where they are written.

All raise `UsageError` that says what to change; nothing was recorded then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeAlias

from ..base.errors import UsageError
from ..base.limits import INTEGER_MAX, LIFETIME_MS_MAX, LIST_ITEMS_MAX, NAME_BYTES_MAX, PLACES_MAX
from ..base.units import duration_ms
from ..objects.bodies import EffectClass
from .payloads import encode_payload

Duration: TypeAlias = timedelta | float

EFFECTS = {effect.name.lower(): effect for effect in EffectClass}
OFFERED_EFFECTS = (
    EffectClass.OBSERVE, EffectClass.IDEMPOTENT, EffectClass.BOUNDED, EffectClass.IRREVERSIBLE,
)  # fmt: skip
DOTTED = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class _Missing:
    """Type of the mark for an argument that was not given, where None is a value."""


MISSING: Final = _Missing()


def checked_needs(needs: Collection[str]) -> tuple[str, ...]:
    """Return needs sorted, each once.

    Raises:
        UsageError: a text instead of a set of texts, too many, or a name that is not dotted and lower-case.
    """
    if isinstance(needs, str):
        raise UsageError(f"needs={needs!r} is one text: write needs={{{needs!r}}}")
    names = sorted(set(needs))
    if len(names) > LIST_ITEMS_MAX:
        raise UsageError(f"{len(names)} needs are too many: at most {LIST_ITEMS_MAX}")
    for name in names:
        if not DOTTED.fullmatch(checked_name(name, "a need")):
            raise UsageError(f"need {name!r} is no name: use dotted lower-case words, such as 'camera' or 'gpu.cuda'")
    return tuple(names)


def checked_peers(to: Sequence[str]) -> tuple[str, ...]:
    """Return names of peers in their order, each once; UsageError for too many, or one text instead of several."""
    if isinstance(to, str):
        raise UsageError(f"to={to!r} is one text: write to=[{to!r}]")
    names = tuple(dict.fromkeys(checked_name(name, "a peer") for name in to))
    if len(names) > PLACES_MAX:
        raise UsageError(f"{len(names)} peers are too many: at most {PLACES_MAX}")
    return names


def checked_name(name: object, what: str, bytes_max: int = NAME_BYTES_MAX) -> str:
    """Return a text of 1 to `bytes_max` bytes; UsageError names what it was to be."""
    if not isinstance(name, str) or not 1 <= len(name.encode("utf-8", "replace")) <= bytes_max:
        raise UsageError(f"{what} is a text of 1 to {bytes_max} bytes, not {str(name)[:40]!r}")
    return name


def checked_effect(effect: str | EffectClass) -> EffectClass:
    """Return the effect class of a name; UsageError lists those that this version can promise."""
    known = EFFECTS.get(effect) if isinstance(effect, str) else effect
    if known is None:
        raise UsageError(f"effect={effect!r} is unknown: use one of {', '.join(EFFECTS)}")
    if known not in OFFERED_EFFECTS:
        raise UsageError(
            f"effect {known.name.lower()!r} cannot be promised by this version: use 'idempotent' with the attempt's "
            "id as key (current_attempt().id), or 'observe' for what may run freely"
        )
    return known


def checked_duration(value: Duration, what: str, low_ms: int = 0) -> int:
    """Return whole ms, `low_ms` .. LIFETIME_MS_MAX, of a timedelta or of seconds."""
    if isinstance(value, timedelta) or (isinstance(value, (int, float)) and abs(value) <= LIFETIME_MS_MAX // 1_000):
        return max(low_ms, min(duration_ms(value), LIFETIME_MS_MAX))
    raise UsageError(f"{what}={value!r} is no duration: give a timedelta, or seconds up to ten years")


def spell_arguments(name: str, function: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    """Return the canonical bytes of what the function is called with, for the fingerprint alone."""
    spelled: list[Any] = list(args)
    while isinstance(function, partial):
        # Outer keywords win over inner ones, as in the call itself; an empty map would only change the bytes.
        spelled = [*function.args, *spelled, *([dict(function.keywords)] if function.keywords else [])]
        function = function.func
    if not callable(function):
        raise UsageError(f"ctx.run({name!r}, …) needs a function second, not {type(function).__name__}")
    return encode_payload(spelled, f"an argument of step {name!r}", INTEGER_MAX)

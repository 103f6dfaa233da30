"""What a gated call must declare; everything else is refused where it is written."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.objects.bodies import EffectClass
from edge_runtime.objects.gated import OnUnknown
from edge_runtime.program.arguments import checked_effect
from edge_runtime.program.gated import checked_gate

BOUNDED, IRREVERSIBLE = EffectClass.BOUNDED, EffectClass.IRREVERSIBLE


def test_a_gated_call_asks_an_operator_unless_it_says_otherwise() -> None:
    assert checked_gate(IRREVERSIBLE, 1, None, None).on_unknown is OnUnknown.ASK
    assert checked_gate(IRREVERSIBLE, 1, None, "stop").on_unknown is OnUnknown.STOP
    gate = checked_gate(BOUNDED, None, {"money": 2, "kits": 1}, "resend")
    assert (gate.on_unknown, gate.rights) == (OnUnknown.RESEND, (("kits", 1), ("money", 2)))


@pytest.mark.parametrize(
    ("effect", "not_after_ms", "rights", "rule", "says"),
    [
        (IRREVERSIBLE, None, None, None, "not_after="),
        (IRREVERSIBLE, 1, {"kits": 1}, None, "no other"),
        (IRREVERSIBLE, 1, None, "guess", "ask, resend, stop"),
        (BOUNDED, None, None, None, "rights="),
        (BOUNDED, None, {"kits": 0}, None, "from 1 on"),
        (BOUNDED, None, {"kits": True}, None, "from 1 on"),
        (BOUNDED, None, {"": 1}, None, "1 to 128 bytes"),
        (BOUNDED, None, ["kits"], None, "a map"),
        (EffectClass.IDEMPOTENT, 1, None, "ask", "gated effect"),
        (EffectClass.OBSERVE, None, {"kits": 1}, None, "no other"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_call(
    effect: EffectClass, not_after_ms: int | None, rights: Any, rule: str | None, says: str
) -> None:
    """Behaviour: 15.9."""
    with pytest.raises(UsageError, match=says):
        checked_gate(effect, not_after_ms, rights, rule)


def test_an_exclusive_effect_is_refused_at_the_call() -> None:
    with pytest.raises(UsageError, match="cannot be promised"):
        checked_effect("exclusive")

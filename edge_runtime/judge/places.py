"""Whom to ask: of several peers that can answer a step, the one whose turn it is.

Each peer has its own memory, estimators and prober; what one did is not held against another. One that was silent
twice comes after all that were not. Source: ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import structs

from ..base.limits import INTEGER_MAX, SILENCES_ELSEWHERE
from .evaluate import Action, Decision


def choose_peer(
    to: Sequence[str], silences: Callable[[str], int], judge: Callable[[str], Decision]
) -> tuple[str, Decision]:
    """Return the peer to ask and what was decided about it.

    Args:
        to: in order of preference, at least one.
        silences: in a row, of a peer. judge: decides as if the peer were the only one.

    Returns:
        the first that may be asked now, those silent twice last; if none may, the one whose time comes first, waiting
        for all that may wake any of them.
    """
    ranked = sorted(to, key=lambda peer: silences(peer) >= SILENCES_ELSEWHERE)
    found: list[tuple[str, Decision]] = []
    for peer in ranked:
        decision = judge(peer)
        if decision.action is Action.EXECUTION or len(ranked) == 1:
            return peer, decision
        found.append((peer, decision))
    peer, soonest = min(found, key=lambda item: _rank(item[1]))
    facts = tuple(dict.fromkeys(name for _, decision in found for name in decision.facts))
    return peer, structs.replace(soonest, facts=facts)


def _rank(decision: Decision) -> tuple[bool, int]:
    """Sleeps that end by time before those that do not, the soonest first; what ends the step comes last of all."""
    until_ms = decision.until_age_ms
    return decision.action is Action.TERMINATION, INTEGER_MAX if until_ms is None else until_ms

"""The closed list of outcomes: numbers that stand in records for ever."""

from __future__ import annotations

from edge_runtime.judge.outcomes import BLAMES_PEER, FINAL, Outcome


def test_the_numbers_of_outcomes_never_change() -> None:
    words = "ok partial unreachable timeout slow busy refused incapable invalid crashed unknown fenced expired"
    assert {outcome.name.lower(): outcome.value for outcome in Outcome} == {
        word: number for number, word in enumerate(words.split())
    }


def test_only_silence_blames_the_other_side() -> None:
    assert BLAMES_PEER == (Outcome.TIMEOUT,)


def test_what_may_be_tried_again_is_not_final() -> None:
    """Behaviour: 6.5."""
    again = {Outcome.PARTIAL, Outcome.UNREACHABLE, Outcome.TIMEOUT, Outcome.SLOW, Outcome.BUSY}
    again |= {Outcome.REFUSED, Outcome.INCAPABLE, Outcome.CRASHED}
    assert set(Outcome) - again == set(FINAL)

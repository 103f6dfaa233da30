"""What the chain remembers of gated steps: attempts that stand, unknown outcomes, and the answers that count."""

from __future__ import annotations

import msgspec

from edge_runtime.objects import bodies as b
from edge_runtime.objects.gated import FALSE, TRUE, Gates, unknown_name
from edge_runtime.objects.records import read_sealed
from tests.support.histories import attempted_body, executed

PATH = "0/0/step:1"


def outcome(number: int, **fields: object) -> b.ExecutedSealed:
    body = read_sealed(executed(PATH, outcome=number, effect=4, **fields))  # type: ignore[arg-type]
    assert isinstance(body, b.ExecutedSealed)
    return msgspec.structs.replace(body, attempt=b"\x01" * 16)


def test_an_attempt_stands_until_its_outcome_or_the_word_that_it_did_not_act() -> None:
    """Behaviour: 7.7."""
    gates = Gates()
    gates.attempt(attempted_body(1))
    assert gates.is_in_doubt(PATH, 4)
    gates.end(outcome(0), 5)
    assert not gates.is_in_doubt(PATH, 4)
    gates.attempt(attempted_body(1))
    assert gates.withhold(PATH) and not gates.withhold(PATH)
    assert not gates.is_in_doubt(PATH, 4)


def test_only_an_answer_that_knew_of_the_try_counts() -> None:
    """Behaviour: 15.5."""
    name = unknown_name(b"\x01" * 16)
    gates = Gates()
    assert gates.answer(PATH, name, TRUE, 9) is None, "nobody asked"
    gates.end(outcome(10, is_final=False), 5)
    assert gates.answer(PATH, name, TRUE, 5) is None
    assert gates.answer(PATH, unknown_name(b"\x02" * 16), TRUE, 9) is None
    assert gates.answer(PATH, name, b"\x01", 9) is None
    assert PATH in gates.unknown
    found = gates.answer(PATH, name, TRUE, 6)
    assert found is not None and found.height == 5 and PATH not in gates.unknown
    gates.end(outcome(10, is_final=False), 7)
    assert gates.answer(PATH, name, FALSE, 8) is None and PATH not in gates.unknown


def test_an_outcome_that_ends_the_step_leaves_no_question() -> None:
    gates = Gates()
    gates.end(outcome(10), 5)
    assert gates.unknown == {}


def test_after_a_claim_an_irreversible_step_is_in_doubt_until_the_branch_has_a_record_of_it() -> None:
    """Behaviour: 15.10."""
    gates = Gates()
    gates.end(outcome(2, is_final=False), 3)
    gates.claim()
    assert gates.is_in_doubt(PATH, 4) and not gates.is_in_doubt(PATH, 2) and not gates.is_in_doubt(PATH, 1)
    gates.end(outcome(10, is_final=False), 5)
    assert not gates.is_in_doubt(PATH, 4)
    gates.claim()
    assert gates.is_in_doubt(PATH, 4), "the one before had it for a while"

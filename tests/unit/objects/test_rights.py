"""Rights of one object: where each amount is after each move."""

from __future__ import annotations

from edge_runtime.objects import bodies as b
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import make
from edge_runtime.objects.rights import Rights
from tests.support.histories import attempted_body, executed


def row(rights: Rights) -> tuple[object, ...]:
    (found,) = rights.rows()
    return tuple(found[what] for what in ("left", "spent", "offered", "frozen"))


def test_a_try_spends_once_however_often_it_is_recorded_and_the_next_try_spends_again() -> None:
    """Behaviour: 15.8."""
    rights = Rights.begin((("kits", 10),))
    rights.spend(attempted_body(1, (("kits", 3),)))
    rights.spend(attempted_body(1, (("kits", 3),)))
    assert row(rights) == (7, 3, 0, 0)
    rights.spend(attempted_body(1, (("kits", 3),), try_number=2))
    assert row(rights) == (4, 6, 0, 0)


def test_what_a_record_claims_beyond_what_is_left_makes_no_right() -> None:
    rights = Rights.begin((("kits", 10),))
    rights.spend(attempted_body(1, (("kits", 30), ("gold", 1))))
    assert row(rights) == (0, 10, 0, 0)
    rights.offer((("kits", 5), ("gold", 5)))
    assert row(rights) == (0, 10, 0, 0)


def test_an_offer_takes_what_it_names_and_an_acceptance_leaves_the_rest_to_nobody() -> None:
    """Behaviour: 15.8."""
    rights = Rights.begin((("kits", 10),))
    rights.offer((("kits", 4),))
    assert row(rights) == (6, 0, 4, 0)
    rights.accept()
    assert row(rights) == (4, 0, 0, 6)


def test_a_claim_carries_none() -> None:
    """Behaviour: 15.8."""
    rights = Rights.begin((("kits", 10),))
    rights.offer((("kits", 4),))
    rights.claim()
    assert row(rights) == (0, 0, 0, 10)
    assert rights.amounts_left() == ()


def test_what_this_turn_has_made_counts_before_it_is_folded_and_not_twice() -> None:
    rights = Rights.begin((("kits", 10),))
    first = attempted_body(1, (("kits", 6),))
    made = [executed("0/0/x:1"), make(Kind.ATTEMPTED, b.Empty(), first), make(Kind.ATTEMPTED, b.Empty(), first)]
    assert rights.why_not((("kits", 4),), made) == ""
    assert rights.why_not((("kits", 5),), made) == "rights: 5 kits asked, 4 left"
    rights.spend(first)
    assert rights.why_not((("kits", 4),), made) == ""
    assert rights.why_not((("gold", 1),)) == "rights: 1 gold asked, 0 left"

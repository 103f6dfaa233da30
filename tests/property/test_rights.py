"""P10: no history of spending, offering, accepting and claiming makes a right, on one branch or over all of them."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects.rights import Amounts, Rights
from tests.support.histories import attempted_body

NAMES = ("kits", "money")
amounts = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 6), min_size=1).map(lambda x: tuple(sorted(x.items())))
moves = st.lists(
    st.tuples(st.sampled_from(("spend", "spend", "hand", "lose", "claim")), st.integers(0, 9), st.integers(0, 5), amounts),
    max_size=30,
)  # fmt: skip


def assert_nothing_is_made(rights: Rights, granted: dict[str, int]) -> None:
    parts = (rights.left, rights.spent, rights.offered, rights.frozen)
    assert all(amount >= 0 for part in parts for amount in part.values())
    for name in NAMES:
        assert sum(part.get(name, 0) for part in parts) == granted.get(name, 0)


@settings(max_examples=300, deadline=None)
@given(amounts, moves)
def test_left_and_spent_and_frozen_stay_what_was_granted_on_every_branch_and_over_all_of_them(
    granted: Amounts, made: list[tuple[str, int, int, Amounts]]
) -> None:
    """Property P10; behaviours 15.2, 15.8. Custodians go on alone while others claim what they knew of the object."""
    branches, spent = [Rights.begin(granted)], dict[bytes, Amounts]()
    for what, number, attempt, asked in made:
        rights = branches[number % len(branches)]
        match what:
            case "spend":
                body = attempted_body(attempt, asked)
                if not rights.why_not(asked):
                    # One key asks for the same on every branch: it is the same call.
                    if spent.setdefault(body.attempt, asked) == asked:
                        rights.spend(body)
                        rights.spend(body)
            case "hand" | "lose":
                rights.offer(rights.amounts_left() if number % 2 else asked)
                taken = deepcopy(rights)
                rights.claim()  # the offerer heard nothing in time, and goes on
                if what == "hand":
                    taken.accept()  # all the same the receiver has accepted
                    branches.append(taken)
            case _:
                claimed = deepcopy(rights)
                claimed.claim()
                branches.append(claimed)
        for branch in branches:
            assert_nothing_is_made(branch, dict(granted))
    total = {name: 0 for name in NAMES}
    done = {key for branch in branches for key in branch.tries}
    for key in done:
        for name, amount in spent[key[:16]]:
            total[name] += amount
    assert all(total[name] <= dict(granted).get(name, 0) for name in NAMES)


families = st.lists(
    st.tuples(st.sampled_from(("spend", "delegate", "delegate", "hand", "claim")), st.integers(0, 9), amounts), max_size=30
)


@settings(max_examples=300, deadline=None)
@given(amounts, families)
def test_rights_that_move_to_children_are_made_nowhere_in_the_whole_family(
    granted: Amounts, made: list[tuple[str, int, Amounts]]
) -> None:
    """Property P10; behaviour 10.3. Any branch of any member may delegate; what it gave is gone from it for good."""
    members, spent = [Rights.begin(granted)], dict[str, int]()
    for number, (what, at, asked) in enumerate(made):
        rights = members[at % len(members)]
        before = dict(rights.left)
        match what:
            case "spend" if not rights.why_not(asked):
                rights.spend(attempted_body(number, asked))
                for name, amount in asked:
                    spent[name] = spent.get(name, 0) + amount
            case "delegate":
                had = rights.why_not(asked) == ""
                assert rights.delegate(asked) == had, "all of it or nothing"
                if had:
                    members.append(Rights.begin(asked))
                else:
                    assert rights.left == before
            case "hand":
                rights.offer(asked)
                taken = deepcopy(rights)
                rights.claim()
                taken.accept()
                members.append(taken)
            case "claim":
                members.append(deepcopy(rights))
                members[-1].claim()
        for member in members:
            parts = (member.left, member.spent, member.offered, member.frozen, member.delegated)
            for name, amount in member.granted.items():
                assert sum(part.get(name, 0) for part in parts) == amount
    assert all(amount <= dict(granted).get(name, 0) for name, amount in spent.items())

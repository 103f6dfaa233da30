"""Custody and void entries, one situation each."""

from __future__ import annotations

from edge_runtime.objects import bodies as b
from edge_runtime.objects.codec import encode
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.grants import Role
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import Record, make
from tests.support.histories import (
    MEMBER,
    accepted,
    claimed,
    created,
    entry_on,
    first_entry,
    key,
    learned,
    offered,
    signalled,
    terminated,
)

ONE, TWO, THREE = key(1), key(2), key(3)


def start(record: Record | None = None) -> ObjectState:
    return ObjectState(first_entry(ONE, record), MEMBER)


def add(state: ObjectState, entry: object, roles: tuple[Role, ...] = MEMBER) -> str:
    return state.add(entry, roles).void  # type: ignore[arg-type]


def test_a_turn_by_another_than_the_custodian_is_void_and_stays_an_ancestor() -> None:
    """Behaviour: 12.13."""
    state = start()
    entry = entry_on(state.history, TWO, learned("0/0/a:1"))
    assert add(state, entry) == "not custodian"
    assert entry.id in state.history and state.content.script.learned == {}
    later = entry_on(state.history, ONE, learned("0/0/b:1"))
    assert add(state, later) == "" and list(state.content.script.learned) == ["0/0/b:1"]


def test_after_an_offer_the_offerer_may_only_withdraw() -> None:
    """Behaviour: 11.10."""
    state = start()
    add(state, entry_on(state.history, ONE, offered(TWO, 1)))
    assert add(state, entry_on(state.history, ONE, learned("0/0/a:1"))) == "offered"
    assert add(state, entry_on(state.history, ONE, claimed(2), epoch=2)) == ""
    assert add(state, entry_on(state.history, ONE, learned("0/0/b:1"), epoch=2)) == ""


def test_only_the_one_who_was_named_accepts_and_then_turns() -> None:
    """Behaviour: 11.9; the epoch rises once."""
    state = start()
    offer = entry_on(state.history, ONE, offered(TWO, 1))
    add(state, offer)
    assert add(state, entry_on(state.history, THREE, accepted(offer.id, 1), epoch=1)) == "offered to another"
    assert add(state, entry_on(state.history, TWO, accepted(offer.id, 1), epoch=1)) == ""
    assert state.history.view.holder == TWO.public and state.history.view.epoch == 1
    assert add(state, entry_on(state.history, ONE, learned("0/0/a:1"))) == "not custodian"
    assert add(state, entry_on(state.history, TWO, learned("0/0/b:1"))) == ""


def test_an_acceptance_that_comes_after_the_withdrawal_does_not_rule() -> None:
    """Behaviours: 11.14, 11.15: the highest epoch rules, never progress."""
    state = start()
    offer = entry_on(state.history, ONE, offered(TWO, 1))
    add(state, offer)
    late = entry_on(state.history, TWO, accepted(offer.id, 1), epoch=1)
    claim = entry_on(state.history, ONE, claimed(2), epoch=2)
    assert add(state, claim) == ""
    assert add(state, late) == ""
    work = entry_on(state.history, TWO, learned("0/0/late:1"), parents=[late.id], epoch=1)
    assert add(state, work) == ""
    assert state.history.view.tip == claim.id and state.history.view.holder == ONE.public
    assert state.content.script.learned == {}, "what another branch holds does not count by itself"


def test_equal_epochs_are_ruled_by_the_lower_id_of_the_act() -> None:
    """Behaviour: 11.15."""
    state = start(created(recovery_ms=1))
    base = [state.object]
    claims = [entry_on(state.history, who, claimed(1), parents=base, epoch=1, age_ms=10) for who in (TWO, THREE)]
    for claim in claims:
        assert add(state, claim) == ""
    assert state.history.view.act == min(claim.id for claim in claims)


def test_progress_decides_nothing_between_equal_epochs() -> None:
    """Behaviour: 11.15: whichever act has the higher id loses, with a hundred turns after it."""
    for busy, idle in ((0, 1), (1, 0)):
        state = start(created(recovery_ms=1))
        claims = [
            entry_on(state.history, who, claimed(1), parents=[state.object], epoch=1, age_ms=10) for who in (TWO, THREE)
        ]
        for claim in claims:
            add(state, claim)
        at = claims[busy]
        for number in range(100):
            at = entry_on(
                state.history, (TWO, THREE)[busy], learned(f"0/0/a:{number}"), parents=[at.id], epoch=1
            )  # fmt: skip
            assert add(state, at) == ""
        winner = min(claim.id for claim in claims)
        assert state.history.view.act == winner
        assert state.history.view.tip == (at.id if claims[busy].id == winner else claims[idle].id)


def test_a_number_that_a_losing_branch_has_seen_is_used_up() -> None:
    """Behaviour: 11.16: who claims over both heads takes a number above every offer that anybody made in them."""
    state = start()
    base = [state.object]
    tip = entry_on(state.history, ONE, learned("0/0/a:1"), parents=base)
    offers = (entry_on(state.history, ONE, offered(TWO, 1), parents=base, sequence=n) for n in range(2, 100))
    loser = next(offer for offer in offers if offer.id > tip.id)
    for entry in (tip, loser):
        assert add(state, entry) == ""
    view = state.history.view
    assert (view.tip, view.epoch, view.number, view.is_frozen) == (tip.id, 0, 1, False)
    assert add(state, entry_on(state.history, ONE, claimed(1), epoch=1)) == "epoch"
    assert add(state, entry_on(state.history, ONE, claimed(2), epoch=2)) == ""


def test_of_two_turns_of_a_cloned_author_the_lower_id_rules() -> None:
    """Behaviours: 11.15, 12.4: both are kept."""
    state = start()
    twins = [entry_on(state.history, ONE, learned("0/0/a:1", n), parents=[state.object]) for n in (1, 2)]
    for twin in twins:
        assert add(state, twin) == ""
    assert state.history.view.tip == min(twin.id for twin in twins) and len(state.history) == 3


def test_who_may_not_signal_is_void_and_who_may_is_heard() -> None:
    """Behaviour: 12.13."""
    state = start(created(may_signal=(TWO.public,)))
    assert add(state, entry_on(state.history, THREE, signalled("go"))) == "signaller not named"
    assert add(state, entry_on(state.history, TWO, signalled("go"))) == ""
    assert [item.name for item in state.untaken()] == ["go"]


def test_a_relay_appends_nothing_and_an_executor_does_not_hold() -> None:
    """Behaviours: 11.17, 12.13: the role bounds the kinds."""
    state = start()
    assert add(state, entry_on(state.history, TWO, signalled("go")), (Role.RELAY,)) == "role: kind 1"
    hold = Record(int(Kind.HOLDING), b"\x81\x00", None)
    assert add(state, entry_on(state.history, TWO, hold), (Role.EXECUTOR,)) == "role: kind 7"
    assert state.holding is None
    assert add(state, entry_on(state.history, TWO, hold), (Role.OPERATOR,)) == "" and state.holding == 0


def test_an_object_made_under_a_role_that_may_not_is_turned_by_nobody() -> None:
    """Behaviour: 12.13: else a relay could have its object claimed, or offered, and run by an executor."""
    first = first_entry(ONE, created(recovery_ms=1), offered(TWO, 1))
    state = ObjectState(first, (Role.RELAY,))
    assert state.history.placed[first.id].void == "role: kind 64" and state.content.intent == ""
    acceptance = entry_on(state.history, TWO, accepted(first.id, 1), epoch=1)
    claim = entry_on(state.history, THREE, claimed(1), epoch=1, age_ms=100, parents=[first.id])
    for entry in (acceptance, claim):
        assert add(state, entry) == "the first entry is void"


def test_a_first_entry_whose_sealed_part_is_malformed_is_kept_and_void() -> None:
    """Behaviour: 12.13: kept, as every device keeps it, and not an error."""
    good = created()
    state = start(Record(good.kind, good.clear, b"\x00\x81\x00"))
    assert state.history.placed[state.object].void == "malformed: kind 64"
    assert add(state, entry_on(state.history, ONE, learned("0/0/a:1"))) == "the first entry is void"
    assert state.content.intent == "" and state.envelope_bytes()


def test_a_first_entry_may_offer_the_object_and_may_not_hold_other_custody() -> None:
    offer = first_entry(ONE, created(), offered(TWO, 1))
    state = ObjectState(offer, MEMBER)
    assert state.history.view.is_frozen and state.history.view.number == 1
    assert add(state, entry_on(state.history, ONE, learned("0/0/a:1"))) == "offered"
    assert add(state, entry_on(state.history, TWO, accepted(offer.id, 1), epoch=1, parents=[offer.id])) == ""
    for records in ([claimed(1)], [offered(TWO, 1), learned("p")], [offered(TWO, 2)], [accepted(b"o" * 32, 0)]):
        first = first_entry(ONE, created(), *records)
        assert ObjectState(first, MEMBER).history.placed[first.id].void != ""


def test_a_first_entry_that_ends_the_object_ends_it() -> None:
    state = ObjectState(first_entry(ONE, created(), terminated()), MEMBER)
    assert state.history.view.has_ended and state.content.finish is not None


def test_custody_records_stand_where_the_format_has_them() -> None:
    """Behaviour: 12.13: an entry that says two things about custody at once says nothing."""
    state = start()
    for records in (
        [learned("p"), claimed(1)],
        [offered(TWO, 1), learned("p")],
        [offered(TWO, 1), terminated()],
        [terminated(), offered(TWO, 1)],
        [terminated(), learned("p")],
    ):
        assert add(state, entry_on(state.history, ONE, *records)) != "", records
    assert state.history.view.number == 0 and state.content.finish is None


def test_an_answer_that_is_given_twice_raises_the_epoch_once() -> None:
    """Behaviour: 11.9."""
    state = start()
    offer = entry_on(state.history, ONE, offered(TWO, 1))
    add(state, offer)
    assert add(state, entry_on(state.history, TWO, accepted(offer.id, 1), epoch=1)) == ""
    again = entry_on(state.history, TWO, accepted(offer.id, 1), epoch=1, sequence=2)
    assert add(state, again) == "no such offer stands"
    assert state.history.view.epoch == 1 and state.history.view.number == 1


def test_an_offer_takes_the_number_after_the_largest_of_its_past() -> None:
    """Behaviour: 11.10."""
    state = start()
    assert add(state, entry_on(state.history, ONE, offered(TWO, 2))) == "epoch of the offer"
    assert add(state, entry_on(state.history, ONE, offered(TWO, 0))) == "epoch of the offer"
    add(state, entry_on(state.history, ONE, offered(TWO, 1)))
    add(state, entry_on(state.history, ONE, claimed(2), epoch=2))
    assert add(state, entry_on(state.history, ONE, offered(TWO, 3), epoch=2)) == ""


def test_an_end_on_a_branch_that_does_not_rule_ends_nothing() -> None:
    """Behaviour: 11.15: `terminated` rules on the ruling chain only; the branch is kept."""
    state = start(created(recovery_ms=1))
    base = [state.object]
    claim = entry_on(state.history, TWO, claimed(1), parents=base, epoch=1, age_ms=10)
    end = entry_on(state.history, ONE, learned("0/0/a:1"), terminated(), parents=base)
    for entry in (end, claim):
        assert add(state, entry) == ""
    assert not state.history.view.has_ended and state.content.finish is None and end.id in state.history
    assert add(state, entry_on(state.history, TWO, learned("0/0/b:1"), epoch=1)) == "", "over both branches"


def test_nothing_has_effect_after_the_end() -> None:
    """Behaviour: 1.9."""
    state = start()
    add(state, entry_on(state.history, ONE, terminated()))
    assert state.content.finish is not None
    assert add(state, entry_on(state.history, ONE, learned("0/0/a:1"))) == "after the end"
    assert add(state, entry_on(state.history, ONE, claimed(1), epoch=1)) == "after the end"


def test_a_wrong_height_or_epoch_is_void() -> None:
    """Behaviour: 12.13."""
    state = start()
    assert add(state, entry_on(state.history, ONE, learned("0/0/a:1"), epoch=1)) == "epoch"
    assert add(state, entry_on(state.history, ONE, learned("0/0/a:1"), height=7)) == "height"
    assert state.content.script.learned == {} and len(state.history) == 3


def test_a_lie_about_the_height_binds_nobody_above_it() -> None:
    """Behaviour: 12.13: the largest number that an entry can hold, said by a relay, must not end the object."""
    state = start()
    lie = entry_on(state.history, TWO, signalled("lie"), height=2**63 - 1, grant=b"r" * 32)
    assert add(state, lie, (Role.RELAY,)) == "height" and state.history.heads == [lie.id]
    above = entry_on(state.history, ONE, learned("0/0/a:1"))
    assert above.height == 2 and add(state, above) == ""
    low = entry_on(state.history, TWO, signalled("lie"), height=1)
    assert add(state, low) == "height"
    over = entry_on(state.history, ONE, learned("0/0/b:1"))
    assert over.height == 4 and add(state, over) == ""
    assert state.history.is_behind(above.id, [over.id]), "a low lie hides nothing that is below it"


def test_a_claim_before_the_recovery_age_is_void_but_an_operators_word_counts() -> None:
    """Behaviour: 11.18."""
    state = start(created(recovery_ms=100))
    early = entry_on(state.history, TWO, claimed(1), epoch=1, age_ms=50)
    assert add(state, early, (Role.EXECUTOR,)) == "may not claim"
    ripe = entry_on(state.history, TWO, claimed(1), epoch=1, age_ms=100)
    assert add(state, ripe, (Role.EXECUTOR,)) == ""
    never = start()
    assert add(never, entry_on(never.history, TWO, claimed(1), epoch=1, age_ms=10**9), (Role.EXECUTOR,)) != ""
    assert add(never, entry_on(never.history, TWO, claimed(1), epoch=1), (Role.OPERATOR,)) == ""


def test_an_unknown_turn_is_kept_and_the_object_is_not_turned_here() -> None:
    """Behaviour: 1.8."""
    state = start()
    assert add(state, entry_on(state.history, ONE, Record(999, b"\x80", None))) == ""
    assert state.content.is_opaque


def test_what_a_peer_lacks_is_what_is_not_behind_its_heads() -> None:
    state = start()
    first = entry_on(state.history, ONE, learned("0/0/a:1"))
    add(state, first)
    second = entry_on(state.history, ONE, learned("0/0/b:1"))
    add(state, second)
    assert [entry.id for entry in state.history.after([first.id])] == [second.id]
    assert [entry.id for entry in state.history.after([])] == [state.object, first.id, second.id]
    assert state.history.after([second.id]) == []


def test_only_the_holders_that_the_terms_name_may_accept_or_claim() -> None:
    """Behaviour: 11.18. An operator's word is no exception; who has custody may take its own offer back."""
    terms = created(recovery_ms=1, holders=(TWO.public,))
    state = start(terms)
    offer = entry_on(state.history, ONE, offered(THREE, 1))
    add(state, offer)
    outside = entry_on(state.history, THREE, accepted(offer.id, 1), epoch=1)
    assert add(state, outside) == "not among the holders"
    claim = entry_on(state.history, THREE, claimed(2), epoch=2, age_ms=10**6)
    assert add(state, claim, (Role.OPERATOR,)) == "not among the holders"
    assert add(state, entry_on(state.history, ONE, claimed(2), epoch=2)) == "", "its own offer, taken back"
    offer = entry_on(state.history, ONE, offered(TWO, 3), epoch=2)
    add(state, offer)
    assert add(state, entry_on(state.history, TWO, accepted(offer.id, 3), epoch=3)) == ""
    assert state.history.view.holder == TWO.public


def test_a_device_that_lost_custody_to_a_claim_is_remembered_until_it_accepts_again() -> None:
    """Behaviour: 11.18."""
    state = start(created(recovery_ms=1))
    add(state, entry_on(state.history, TWO, claimed(1), epoch=1, age_ms=10))
    assert list(state.content.lost) == [ONE.public]
    offer = entry_on(state.history, TWO, offered(ONE, 2), epoch=1, age_ms=11)
    add(state, offer)
    add(state, entry_on(state.history, ONE, accepted(offer.id, 2), epoch=2, age_ms=12))
    assert state.content.lost == {}
    assert state.content.holder == ONE.public


def test_a_sleep_whose_trigger_is_malformed_or_too_deep_is_void_and_a_later_versions_is_not() -> None:
    """Behaviour: 4.9."""

    def sleep(tree: object) -> Record:
        made = make(Kind.DORMANT, b.DormantClear(5), b.DormantSealed(encode(tree), "sleeping"))
        return Record(made.kind, made.clear, made.sealed)  # as a peer sent it

    deep: list[object] = [1, 5]
    for _ in range(8):
        deep = [11, deep]
    for tree in (deep, [1, "soon"], [3, [6, "a b", 0]], 7):
        state = start()
        assert add(state, entry_on(state.history, ONE, sleep(tree))) == "malformed: kind 73"
        assert state.content.dormancy is None
    for tree in (None, [1, 5], [500, "a leaf of later"]):
        state = start()
        assert add(state, entry_on(state.history, ONE, sleep(tree))) == ""
        assert state.content.dormancy is not None

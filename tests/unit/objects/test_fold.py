"""What an object's state says, one situation each."""

from __future__ import annotations

from edge_runtime.objects import bodies as b
from edge_runtime.objects.codec import encode_value
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.intents import lineage_by_name, lineage_of_child
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import Record, make
from edge_runtime.objects.script import Resumed
from tests.support.histories import (
    MEMBER,
    ROOT,
    accepted,
    again,
    cancel_requested,
    claimed,
    created,
    dormant,
    entry_on,
    executed,
    first_entry,
    holding,
    key,
    learned,
    malformed,
    offered,
    published,
    signalled,
    terminated,
    took,
)

ONE, TWO, THREE = key(1), key(2), key(3)


def start(*more: Record) -> ObjectState:
    return ObjectState(first_entry(ONE, created(), *more), MEMBER)


def turn(state: ObjectState, *records: Record, age_ms: int = 0) -> None:
    placed = state.add(entry_on(state.history, ONE, *records, age_ms=age_ms), MEMBER)
    assert placed.void == ""


def say(state: ObjectState, *records: Record, parents: list[bytes] | None = None, age_ms: int = 0) -> bytes:
    entry = entry_on(state.history, TWO, *records, parents=parents, age_ms=age_ms)
    assert state.add(entry, MEMBER).void == ""
    return entry.id


def begun(name: str = "", parent: bytes = b"", path: str = "", slot: int = 0) -> ObjectState:
    plain = created()
    sealed = b.CreatedSealed("thing", b"\x01", name, parent, path, slot, 3, ("label",))
    clear = b.CreatedClear(8, 10_000_000, (), (), (), 0, (), (), (ROOT.public,), 0, 0)
    record = make(Kind.CREATED, clear, sealed)
    assert record.clear == plain.clear
    return ObjectState(first_entry(ONE, record), MEMBER)


def test_lineage_is_the_object_the_name_or_the_place_among_a_parents_children() -> None:
    """Two devices that submit one name, and a parent that is re-run, name the same effects."""
    assert begun().content.lineage == begun().object
    assert begun("nightly").content.lineage == lineage_by_name(ROOT.public, "nightly")
    child = begun("ignored", b"p" * 32, "0/0/split:1", 2).content
    assert child.lineage == lineage_of_child(b"p" * 32, "0/0/split:1", 2)
    assert (child.intent, child.arguments, child.spending.attempts_max, child.labels) == ("thing", b"\x01", 3, ("label",))


def test_a_step_that_is_tried_again_is_remembered_until_its_last_outcome() -> None:
    state = start()
    turn(state, executed("0/0/s:1", 1, outcome=3, is_final=False), age_ms=10)
    turn(state, executed("0/0/s:1", 2, outcome=3, is_final=False, deaths=1), age_ms=20)
    memory = state.content.steps["0/0/s:1"]
    place = memory.places[ONE.public.hex()]
    assert (memory.tries, memory.outcome, place.in_a_row, memory.deaths, memory.age_ms) == (2, 3, 2, 1, 20)
    turn(state, executed("0/0/s:1", 3, outcome=5, is_final=False), age_ms=30)
    assert (memory.tries, place.in_a_row, memory.deaths) == (3, 1, 1)
    turn(state, executed("0/0/s:1", 4), age_ms=40)
    assert state.content.steps == {} and state.content.executed == 1 and state.content.attempts == 4
    assert state.content.outcomes == {3: 2, 5: 1, 0: 1}
    (resumption,) = state.content.script.resumptions
    assert (resumption.what, resumption.path, resumption.age_ms) == (Resumed.STEP, "0/0/s:1", 40)


def test_the_body_is_resumed_in_the_order_of_the_records() -> None:
    state = start()
    ref = say(state, signalled("go", 7)) + b"\x00\x00"
    turn(state, executed("0/0/a:1"), took(b"t", b.Took.TIMER), took(ref), took(b"c", b.Took.CONDITION))
    turn(state, took(b"o" * 32, b.Took.OBJECT), took(b"x" * 32, b.Took.CANCEL))
    whats = [resumption.what for resumption in state.content.script.resumptions]
    expected = [Resumed.STEP, Resumed.TIMER, Resumed.INPUT, Resumed.CONDITION, Resumed.OBJECT, Resumed.CANCEL]
    assert whats == expected
    assert state.content.script.resumptions[2].value == encode_value(7) and state.untaken() == []


def test_an_input_that_comes_after_the_turn_that_took_it_is_what_the_turn_took() -> None:
    """Behaviour: 12.3: of more than 16 heads a turn names 16, so what it took may be no ancestor of it."""
    there, here = start(), start()
    signal = entry_on(there.history, TWO, signalled("go", 7), parents=[there.object])
    turned = entry_on(there.history, ONE, took(signal.id + b"\x00\x00"), parents=[there.object])
    for entry in (signal, turned):
        assert there.add(entry, MEMBER).void == ""
    here.add(turned, MEMBER)
    assert here.content.is_withheld, "not turned here before the input is here"
    here.add(signal, MEMBER)
    assert not here.content.is_withheld and here.content == there.content
    assert here.content_bytes() == there.content_bytes()
    assert here.content.script.resumptions[0].value == encode_value(7)


def test_a_signal_named_as_results_of_units_are_does_not_count() -> None:
    """Behaviour: 13.3: else any member could say what another has found."""
    state = start()
    say(state, signalled("unit:search", {"unit": "a"}))
    assert state.untaken() == []


def test_signals_are_taken_in_the_order_of_height_then_id() -> None:
    state = start()
    first = say(state, signalled("a", 1), signalled("a", 2))
    say(state, signalled("b", 3), parents=[state.object], age_ms=9)
    say(state, signalled("c", 4))
    assert [item.name for item in state.inputs][-1] == "c"
    of_first = [item.ref for item in state.inputs if item.ref[:32] == first]
    assert of_first == [first + b"\x00\x00", first + b"\x00\x01"], "two in one entry keep their order"
    assert [item.ref for item in state.inputs] == sorted(item.ref for item in state.inputs[:3]) + [state.inputs[3].ref]


def test_of_an_operators_words_the_highest_and_last_counts() -> None:
    state = start()
    assert state.holding is None and state.resumed_age_ms == -1
    say(state, holding(0))
    assert state.holding == 0
    say(state, holding(2), holding(1), age_ms=50)
    assert state.holding == 1, "the later of two words in one entry"
    assert state.resumed_age_ms == 50


def test_one_cancel_request_is_told_once() -> None:
    state = start()
    ids = sorted(say(state, cancel_requested(), parents=[state.object], age_ms=age_ms) for age_ms in (1, 2))
    assert state.cancel_untaken() == ids[0] and state.cancels == ids
    turn(state, took(ids[0], b.Took.CANCEL))
    assert state.cancel_untaken() is None, "the second request asks for what is under way"


def test_a_new_run_forgets_steps_and_keeps_what_was_taken_and_published() -> None:
    """Behaviour: 12.7."""
    state = start()
    ref = say(state, signalled("go")) + b"\x00\x00"
    turn(state, took(ref), learned("0/0/a:1"), published("p", 1), executed("0/0/s:1", outcome=3, is_final=False))
    turn(state, again(1), age_ms=70)
    script = state.content.script
    assert (script.run, script.arguments, script.age_ms) == (1, encode_value(1), 70)
    assert script.resumptions == [] and script.learned == {} and state.content.steps == {}
    assert state.content.published == {"p": encode_value(1)} and state.untaken() == []


def test_any_turn_ends_a_sleep() -> None:
    state = start()
    turn(state, dormant("why"), age_ms=5)
    assert state.content.dormancy == state.content.dormancy.__class__(b"\xf6", "why", 1_000, 5)
    say(state, signalled("go"))
    assert state.content.dormancy is not None, "an input is no turn"
    turn(state, learned("0/0/a:1"))
    assert state.content.dormancy is None


def test_the_devices_that_were_asked_are_remembered_until_one_accepts() -> None:
    """Behaviour: 11.14."""
    state = start()
    turn(state, offered(TWO, 1))
    state.add(entry_on(state.history, ONE, claimed(2), epoch=2), MEMBER)
    offer = entry_on(state.history, ONE, offered(THREE, 3), epoch=2)
    state.add(offer, MEMBER)
    assert state.content.offered_to == [TWO.public, THREE.public]
    state.add(entry_on(state.history, THREE, accepted(offer.id, 3), epoch=3), MEMBER)
    assert state.content.offered_to == []


def test_what_cannot_be_read_or_is_not_known_is_told_apart() -> None:
    """Behaviours: 1.8, 12.11: neither is turned here, both are carried."""
    state = start()
    turn(state, Record(int(Kind.LEARNED), b"\x80", b"\x01ciphertext"))
    assert state.content.is_withheld and not state.content.is_opaque
    turn(state, Record(999, b"\x80", None))
    assert state.content.is_opaque


def test_an_outcome_of_a_later_version_is_carried_and_not_turned() -> None:
    """Behaviour: 1.8: its number means nothing here, so nothing here may look it up."""
    state = start()
    turn(state, executed("0/0/s:1", outcome=13, is_final=False), executed("0/0/t:1", outcome=31))
    assert state.content.is_opaque and state.content.attempts == 2
    assert state.content.outcomes == {} and state.content.steps == {} and state.content.script.resumptions == []


def test_what_is_malformed_leaves_no_trace_in_the_content() -> None:
    """Behaviour: 12.13."""
    state = start()
    before = state.content_bytes()
    for kind in (Kind.LEARNED, Kind.TOOK, Kind.EXECUTED, Kind.SIGNALLED):
        entry = entry_on(state.history, ONE, malformed(kind))
        assert state.add(entry, MEMBER).void == f"malformed: kind {int(kind)}"
    assert state.content_bytes() == before


def test_the_end_keeps_how_when_and_what() -> None:
    state = start()
    turn(state, terminated(), age_ms=33)
    finish = state.content.finish
    assert finish is not None and (finish.end, finish.value, finish.age_ms) == (b.End.COMPLETED, b"\xf6", 33)


def test_another_branch_that_rules_takes_its_own_content_along() -> None:
    """Behaviour: 11.15: nothing of the branch that ruled before is left."""
    state = start()
    turn(state, learned("0/0/old:1"), published("p", "old"), dormant())
    claim = entry_on(state.history, THREE, claimed(1), learned("0/0/new:1"), parents=[state.object], epoch=1)
    assert state.add(claim, MEMBER).void == ""
    content = state.content
    assert list(content.script.learned) == ["0/0/new:1"] and content.published == {} and content.dormancy is None

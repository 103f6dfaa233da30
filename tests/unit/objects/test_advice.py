"""Advice in the fold: kept whole, fresh only for the tip and the time it was given for, equal on all devices."""

from __future__ import annotations

import random

import pytest

from edge_runtime.objects.advice import OnAdvice, fresh_topics, freshest
from edge_runtime.objects.codec import decode_value, encode_value
from edge_runtime.objects import bodies as b
from edge_runtime.objects.conditions import Truth
from edge_runtime.objects.entries import Entry
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.grants import Role
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import Record, make
from edge_runtime.objects.triggers import describe, from_tree, holds, next_due_age_ms, to_tree
from edge_runtime.objects.watching import watches
from tests.support.histories import (
    MEMBER,
    advised,
    created,
    dormant,
    entry_on,
    everything_of,
    first_entry,
    fold,
    holding,
    key,
    learned,
    shuffled,
    signalled,
)
from tests.support.views import View

ONE, TWO, THREE = key(1), key(2), key(3)


def start() -> ObjectState:
    return ObjectState(first_entry(ONE, created(), dormant()), MEMBER)


def add(state: ObjectState, author: object, *records: Record, grant: bytes | None = None) -> Entry:
    extra = {} if grant is None else {"grant": grant}
    entry = entry_on(state.history, author, *records, **extra)  # type: ignore[arg-type]
    roles = MEMBER if grant is None else (Role.ADVISOR,)
    state.add(entry, roles)
    return entry


def test_advice_is_fresh_while_its_head_is_the_tip_and_its_age_has_not_come() -> None:
    """Behaviour: 2.5."""
    state = start()
    tip = state.history.view.tip
    add(state, TWO, advised("way", "left", tip, expires_age_ms=100))
    item = state.advice[0]
    assert (item.why_stale(tip, 99), item.why_stale(tip, 100)) == ("", "expired")
    assert freshest(state.advice, "way", tip, 99) is item and freshest(state.advice, "other", tip, 99) is None
    assert fresh_topics(state.advice, tip, 99) == frozenset({"way"}) and not fresh_topics(state.advice, tip, 100)
    add(state, ONE, learned("0/0/x:1"))
    assert item.why_stale(state.history.view.tip, 0) == "based on an older head"
    assert freshest(state.advice, "way", state.history.view.tip, 0) is None


def test_an_input_of_somebody_else_does_not_make_advice_stale() -> None:
    state = start()
    tip = state.history.view.tip
    add(state, TWO, advised("way", "left", tip))
    add(state, THREE, signalled("go"))
    assert state.history.view.tip == tip and state.advice[0].why_stale(tip, 0) == ""


def test_of_two_that_are_fresh_the_more_confident_counts_and_of_equals_the_first() -> None:
    state = start()
    tip = state.history.view.tip
    for author, confidence in ((TWO, 300), (THREE, 900), (TWO, 900)):
        add(state, author, advised("way", confidence, tip, confidence=confidence))
    found = freshest(state.advice, "way", tip, 0)
    assert found is state.advice[1] and decode_value(found.spell()) == [THREE.public.hex(), 900, 900]


def test_an_advisor_may_append_nothing_but_advice() -> None:
    """Behaviour: 2.2: any other kind from it is stored and void."""
    state = start()
    before = state.content_bytes()
    for record in (signalled("go"), holding(0), learned("0/0/x:1")):
        entry = add(state, TWO, record, grant=b"a" * 32)
        assert state.history.placed[entry.id].void == f"role: kind {record.kind}"
    assert state.content_bytes() == before and len(state.history) == 4
    entry = add(state, TWO, advised("way", "left", state.history.view.tip), grant=b"a" * 32)
    assert not state.history.placed[entry.id].void and len(state.advice) == 1


@pytest.mark.parametrize("proposal", [b"", b"\xff", b"\x18\x01", b"\x81" * 16 + b"\xf6", b"\xc0\xf6"], ids=bytes.hex)
def test_a_proposal_that_no_body_could_learn_is_no_advice(proposal: bytes) -> None:
    state = start()
    body = b.AdvisedSealed("way", proposal, 5, state.history.view.tip, 100)
    entry = add(state, TWO, make(Kind.ADVISED, b.Empty(), body))
    assert not state.history.placed[entry.id].void and state.advice == []


def test_no_order_of_arrival_shows_in_advice() -> None:
    """Behaviour: 12.3."""
    state = start()
    entries = [placed.entry for placed in state.history.placed.values()]
    for n in range(8):
        author, parents = (TWO, THREE)[n % 2], state.history.view.tip
        entries.append(add(state, author, advised("way", n, parents, confidence=n * 100)))
        if n == 4:
            entries.append(add(state, ONE, learned("0/0/x:1")))
    for seed in range(20):
        other = fold(shuffled(entries, random.Random(seed)))
        assert other.content_bytes() == state.content_bytes() and everything_of(other) == everything_of(state)


def test_the_trigger_reads_back_holds_while_advice_is_fresh_and_is_no_matter_of_time() -> None:
    trigger = OnAdvice("way")
    assert from_tree(to_tree(trigger)) == trigger and describe(trigger) == "advice on way" and watches(trigger) == ()
    assert holds(trigger, View(advice=("way",))) is Truth.TRUE and holds(trigger, View()) is Truth.FALSE
    assert next_due_age_ms(trigger, 5) is None


def test_confidence_is_bounded_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="1000"):
        advised("way", "left", bytes(32), confidence=1_001)
    assert encode_value("left") == advised("way", "left", bytes(32)).body.proposal  # type: ignore[union-attr]

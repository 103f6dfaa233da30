"""Laws of histories, against the rules of the format written down a second time, plainly and slowly."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects import bodies as b
from edge_runtime.objects.entries import Entry
from edge_runtime.objects.grants import Role
from edge_runtime.objects.history import History
from edge_runtime.objects.kinds import Kind, is_turn
from edge_runtime.objects.records import Record, read_clear
from tests.support.histories import (
    entry_on,
    everything_of,
    fold,
    histories,
    key,
    learned,
    random_history,
    resealed,
    roles_of,
    shuffled,
)

orders = st.randoms(use_true_random=False)
CUSTODY_FIRST = (Kind.ACCEPTED, Kind.CLAIMED)
HOLDERS = {key(number).public: key(number) for number in range(1, 10)}


@dataclass(frozen=True)
class Ruling:
    """What rules in a set of entries, by the words of the format page."""

    epoch: int
    act: bytes
    holder: bytes
    tip: bytes
    number: int
    is_frozen: bool
    has_ended: bool


class Plainly:
    """The rules without views, depths and merges: each question looks at a whole set of entries.

    It knows only the records that the random histories write, and their sealed parts by the one malformed spelling.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = {entry.id: entry for entry in entries}
        self.past: dict[bytes, frozenset[bytes]] = {}
        self.height: dict[bytes, int] = {}
        self.before: dict[bytes, bytes] = {}  # a valid turn -> the turn that ruled in its past
        self.valid: dict[bytes, bool] = {}
        self.recovery_ms = self._clear(entries[0].records[0]).recovery_ms
        self.holders = self._clear(entries[0].records[0]).holders
        for entry in entries:
            above = [self.past[parent] | {parent} for parent in entry.parents]
            self.past[entry.id] = frozenset().union(*above)
            self.height[entry.id] = 1 + max((self.height[parent] for parent in entry.parents), default=-1)
            self.valid[entry.id] = entry.is_first or self._is_valid(entry)

    @staticmethod
    def _clear(record: Record) -> b.Body:
        body = read_clear(record)
        assert body is not None
        return body

    def ruling(self, ids: frozenset[bytes]) -> Ruling:
        """Highest epoch number; then lowest id of the act; then lowest first differing turn. Never progress."""
        turns = [self.entries[i] for i in ids if self.valid[i] and is_turn(self.entries[i].records[0].kind)]
        acts = [turn for turn in turns if turn.is_first or turn.records[0].kind in CUSTODY_FIRST]
        act = min(acts, key=lambda turn: (-turn.epoch, turn.id))
        tip = act
        while True:
            after = [turn for turn in turns if turn not in acts and self.before[turn.id] == tip.id]
            if not after:
                break
            tip = min(after, key=lambda turn: turn.id)
        offers = [turn.records[-1] for turn in turns if turn.records[-1].kind == Kind.OFFERED]
        number = max([turn.epoch for turn in acts] + [self._clear(offer).epoch for offer in offers])
        last = tip.records[-1].kind
        return Ruling(
            act.epoch, act.id, act.author, tip.id, number, last == Kind.OFFERED, last == Kind.TERMINATED
        )  # fmt: skip

    def _is_valid(self, entry: Entry) -> bool:
        roles = roles_of(entry)
        kinds = [record.kind for record in entry.records]
        if Role.OPERATOR not in roles:
            allowed = {
                (Role.EXECUTOR,): lambda kind: kind not in (Kind.REVOKED, Kind.HOLDING),
                (Role.ADVISOR,): lambda kind: kind == Kind.ADVISED,
                (Role.RELAY,): lambda kind: False,
            }[roles]
            if not all(allowed(kind) for kind in kinds):
                return False
        if entry.height != self.height[entry.id] or any(record.sealed == b"\x00\x81\x00" for record in entry.records):
            return False
        if not is_turn(kinds[0]):
            return True
        before = self.ruling(self.past[entry.id])
        self.before[entry.id] = before.tip
        if before.has_ended or any(kind in CUSTODY_FIRST for kind in kinds[1:]):
            return False
        if Kind.OFFERED in kinds[:-1] or Kind.TERMINATED in kinds[:-1]:
            return False
        number = max(before.number, entry.epoch)
        if kinds[-1] == Kind.OFFERED and self._clear(entry.records[-1]).epoch != number + 1:
            return False
        match kinds[0]:
            case Kind.ACCEPTED:
                return self._may_accept(entry, before)
            case Kind.CLAIMED:
                return self._may_claim(entry, before)
        return entry.author == before.holder and entry.epoch == before.epoch and not before.is_frozen

    def _may_accept(self, entry: Entry, before: Ruling) -> bool:
        clear = self._clear(entry.records[0])
        if not before.is_frozen or clear.offer != before.tip:
            return False
        offer = self._clear(self.entries[before.tip].records[-1])
        if self.holders and entry.author not in self.holders:
            return False
        return offer.to == entry.author and clear.epoch == entry.epoch == offer.epoch

    def _may_claim(self, entry: Entry, before: Ruling) -> bool:
        if not self._clear(entry.records[0]).epoch == entry.epoch == before.number + 1:
            return False
        if entry.author == before.holder:
            return True
        if self.holders and entry.author not in self.holders:
            return False
        if Role.OPERATOR in roles_of(entry):
            return True
        return 0 < self.recovery_ms <= entry.age_ms - self.entries[before.tip].age_ms


def compare(entries: list[Entry], order: random.Random) -> None:
    """Compare the whole, and the past of every entry."""
    history = fold(shuffled(entries, order)).history
    plainly = Plainly(entries)
    everywhere = plainly.ruling(frozenset(plainly.entries))
    view = history.view
    assert everywhere == Ruling(
        view.epoch, view.act, view.holder, view.tip, view.number, view.is_frozen, view.has_ended
    )
    for entry in entries:
        placed = history.placed[entry.id]
        assert (placed.void == "") == plainly.valid[entry.id], placed.void
        assert placed.height == plainly.height[entry.id]
        seen = plainly.ruling(plainly.past[entry.id] | {entry.id})
        assert (placed.view.epoch, placed.view.tip, placed.view.number) == (seen.epoch, seen.tip, seen.number)


@settings(max_examples=200, deadline=None)
@given(histories(), orders)
def test_what_rules_and_what_is_void_is_what_the_rules_say_plainly(entries: list[Entry], order: random.Random) -> None:
    """Behaviours: 11.15, 12.13, 11.9, 11.10, 11.14."""
    compare(entries, order)


@pytest.mark.wide
def test_the_same_holds_for_a_thousand_histories_that_are_always_these() -> None:
    """A mistake that is met once in a hundred histories is met here every time."""
    for seed in range(1_000):
        compare(random_history(seed), random.Random(seed))


@settings(max_examples=150, deadline=None)
@given(histories(), orders)
def test_merging_views_is_commutative_associative_and_idempotent(entries: list[Entry], order: random.Random) -> None:
    """So the ruling branch of any set of branches is one, however they met."""
    history = fold(entries).history
    views = [placed.view for placed in history.placed.values()]
    for _ in range(30):
        one, two, three = (order.choice(views) for _ in range(3))
        assert history._merge(one, one) == one
        assert history._merge(one, two) == history._merge(two, one)
        left = history._merge(history._merge(one, two), three)
        assert left == history._merge(one, history._merge(two, three))


@settings(max_examples=100, deadline=None)
@given(histories())
def test_the_ruling_chain_is_one_line_of_turns_each_by_whom_custody_was_with(entries: list[Entry]) -> None:
    """At most one device turns the object in each epoch."""
    history = fold(entries).history
    chain = history.chain()
    assert chain[0].is_first and chain[-1].id == history.view.tip
    holders: dict[int, bytes] = {}
    for before, entry in zip(chain, chain[1:], strict=False):
        placed = history.placed[entry.id]
        assert not placed.void and placed.previous == before.id and not entry.is_input
        assert placed.view.holder == entry.author and entry.epoch >= before.epoch
        assert holders.setdefault(entry.epoch, entry.author) == entry.author
    assert [entry.id for entry in history.chain(chain[0].id)] == [entry.id for entry in chain[1:]]


@settings(max_examples=100, deadline=None)
@given(histories())
def test_no_progress_on_another_branch_makes_it_rule(entries: list[Entry]) -> None:
    """Behaviour: 11.15: a branch that does not rule may grow for ever; only the acts of custody count."""
    state = fold(entries)
    history = state.history
    on_chain = {entry.id: None for entry in history.chain()}
    others = [
        placed for entry_id, placed in history.placed.items()
        if not placed.void and not placed.entry.is_input and entry_id not in on_chain
        and not placed.view.is_frozen and not placed.view.has_ended and placed.view.tip == entry_id
    ]  # fmt: skip
    for placed in others:
        before, content = history.view, state.content_bytes()
        at = placed.entry
        for number in range(5):
            holder = HOLDERS[placed.view.holder]
            at = entry_on(history, holder, learned(f"0/0/more:{number}"), parents=[at.id], epoch=placed.view.epoch)
            assert state.add(at, roles_of(at)).void == ""
        assert history.view == before and history.placed[at.id].view.tip == at.id
        assert state.content_bytes() == content


@settings(max_examples=100, deadline=None)
@given(histories(), orders)
def test_the_past_of_heads_is_found_whatever_heights_were_claimed(entries: list[Entry], order: random.Random) -> None:
    """What a peer with some heads lacks is what is not behind them: no more, no less, parents first."""
    history = fold(shuffled(entries, order)).history
    plainly = Plainly(entries)
    heads = [order.choice(entries).id for _ in range(order.randrange(1, 4))]
    behind = frozenset().union(*(plainly.past[head] | {head} for head in heads))
    lacking = [entry.id for entry in history.after(heads)]
    assert {entry_id: None for entry_id in lacking}.keys() == plainly.entries.keys() - behind
    assert lacking == [entry_id for entry_id in history.placed if entry_id not in behind]
    for entry in entries:
        assert history.is_behind(entry.id, heads) == (entry.id in behind)
    assert history.heads == sorted(i for i in plainly.entries if all(i not in e.parents for e in entries))


@settings(max_examples=60, deadline=None)
@given(histories(12), st.integers(0, 10**6))
def test_an_entry_that_another_signs_in_the_authors_place_is_another_entry(entries: list[Entry], pick: int) -> None:
    """Nobody can replace an entry: whatever is changed has another id, and what was there stays as it was."""
    state = fold(entries)
    entry = entries[pick % len(entries)]
    if entry.is_first:
        return
    before = {entry_id: placed for entry_id, placed in state.history.placed.items()}
    twin = resealed(entry, key(9), grant=b"r" * 32)
    placed = state.add(twin, roles_of(twin))
    assert placed.void.startswith("role") or placed.void == "height"
    assert all(state.history.placed[entry_id] is kept for entry_id, kept in before.items())
    assert everything_of(fold([*entries, twin])) == everything_of(state)


@pytest.mark.wide
def test_histories_differ_enough_to_say_something() -> None:
    """The random histories reach every reason for which an entry is void, forks, and several epochs."""
    reasons: dict[str, int] = {}
    epochs: dict[int, int] = {}
    forks = 0
    for seed in range(400):
        history: History = fold(random_history(seed)).history
        for placed in history.placed.values():
            reasons[placed.void.split(":")[0]] = reasons.get(placed.void.split(":")[0], 0) + 1
        epochs[history.view.epoch] = epochs.get(history.view.epoch, 0) + 1
        forks += len(history.heads) > 1
    assert reasons.keys() >= {
        "", "height", "role", "not custodian", "epoch", "offered", "after the end", "no such offer stands",
        "offered to another", "not among the holders", "may not claim", "epoch of the offer", "custody record out of place",
        "a record after an offer or the end", "malformed",
    }, reasons  # fmt: skip
    assert max(epochs) >= 3 and forks > 50, (epochs, forks)

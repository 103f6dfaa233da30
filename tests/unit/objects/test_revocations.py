"""Revocations: who may say them, what counts of them, and that no order shows."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_runtime.base.errors import PeerError
from edge_runtime.base.moment import Moment, Trust
from edge_runtime.objects import revocations as module
from edge_runtime.objects.cose import ADVERT_AAD, GRANT_AAD, REVOCATION_AAD, sign1
from edge_runtime.objects.entries import Entry
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.grants import Role, issue_grant, spell_map
from edge_runtime.objects.keys import SigningKey
from edge_runtime.objects.revocations import Revocation, Revocations, issue_revocation, verify_revocation, work_of
from tests.support.histories import everything_of, histories, key, roles_of, shuffled

ROOT = SigningKey.from_seed(b"r" * 32)
NOW = Moment(0, 5_000, Trust.NTP)
OPERATOR, DRONE, OTHER = key(1), key(2), key(3)
GRANT = issue_grant(ROOT, OPERATOR.public, (Role.OPERATOR,)).raw


def by_root(device: SigningKey, from_sequence: int | None = None) -> Revocation:
    return issue_revocation(ROOT, b"", ROOT.public, device.public, from_sequence, 0, NOW)


def by_operator(device: SigningKey, from_sequence: int | None = None, sequence: int = 7) -> Revocation:
    return issue_revocation(OPERATOR, GRANT, ROOT.public, device.public, from_sequence, sequence, NOW)


def kept(*found: Revocation) -> Revocations:
    revocations = Revocations()
    revocations.add([(item, 0) for item in found])
    return revocations


@pytest.mark.parametrize("made", [by_root(DRONE), by_root(DRONE, 0), by_operator(DRONE), by_operator(DRONE, 9)])
def test_what_the_root_or_an_operator_signed_is_read_back_equal(made: Revocation) -> None:
    assert verify_revocation(made.raw) == made


def test_each_flipped_bit_is_refused() -> None:
    """Behaviour: 12.1, for revocations."""
    raw = by_operator(DRONE, 9).raw
    for at in range(len(raw)):
        damaged = raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :]
        with pytest.raises(PeerError):
            verify_revocation(damaged)


@pytest.mark.parametrize("aad", [GRANT_AAD, ADVERT_AAD, b"edge-runtime/1"])
def test_a_signature_of_another_purpose_does_not_count(aad: bytes) -> None:
    with pytest.raises(PeerError, match="signature"):
        verify_revocation(sign1(ROOT, aad, spell_map(by_root(DRONE).body)))


def resigned(made: Revocation, signer: SigningKey, **fields: object) -> bytes:
    return sign1(signer, REVOCATION_AAD, spell_map(replace(made.body, **fields)))


def test_only_the_root_and_operators_of_the_fleet_revoke() -> None:
    """Behaviour: 12.4: only an operator revokes."""
    executor = issue_grant(ROOT, DRONE.public, (Role.EXECUTOR, Role.RELAY, Role.ADVISOR)).raw
    foreign = issue_grant(key(8), OPERATOR.public, (Role.OPERATOR,)).raw
    made = by_operator(OTHER)
    for raw in (
        resigned(made, DRONE, issuer=DRONE.public, grant=executor),
        resigned(made, DRONE, issuer=DRONE.public, grant=GRANT),
        resigned(made, DRONE, issuer=DRONE.public, grant=b""),
        resigned(made, OPERATOR, grant=foreign),
        resigned(made, DRONE),
        resigned(by_root(DRONE), ROOT, grant=GRANT),
        resigned(by_root(DRONE), ROOT, from_sequence=3),
        resigned(by_root(DRONE), ROOT, what=2),
    ):
        with pytest.raises(PeerError):
            verify_revocation(raw)


def test_an_operator_whose_grant_had_expired_revokes_nothing_if_its_clock_could_tell() -> None:
    grant = issue_grant(ROOT, OPERATOR.public, (Role.OPERATOR,))
    short = sign1(ROOT, GRANT_AAD, spell_map(replace(grant.body, expires_ms=4_000)))
    late = issue_revocation(OPERATOR, short, ROOT.public, DRONE.public, None, 7, NOW)
    with pytest.raises(PeerError, match="expired"):
        verify_revocation(late.raw)
    verify_revocation(issue_revocation(OPERATOR, short, ROOT.public, DRONE.public, None, 7, replace(NOW, wall_ms=3_999)).raw)
    verify_revocation(
        issue_revocation(OPERATOR, short, ROOT.public, DRONE.public, None, 7, replace(NOW, trust=Trust.RESTORED)).raw
    )


def test_of_several_the_lowest_sequence_counts_and_a_withdrawal_takes_nothing_back() -> None:
    """Behaviour: 11.4."""
    found = kept(by_root(DRONE, 9), by_operator(DRONE, 4), by_root(DRONE))
    assert found.void_from([ROOT.public]) == {DRONE.public: 4}
    assert found.is_withdrawn(DRONE.public, [ROOT.public]) and not found.is_withdrawn(OTHER.public, [ROOT.public])
    assert found.void_from([OTHER.public]) == {} and not found.is_withdrawn(DRONE.public, [OTHER.public])


def test_what_a_compromised_operator_said_before_counts_and_after_does_not() -> None:
    """Ours: a captured operator's key may not put a fleet out of work for good."""
    before, after = by_operator(DRONE, sequence=6), by_operator(OTHER, sequence=7)
    found = kept(before, after, by_root(OPERATOR, 7))
    assert found.is_withdrawn(DRONE.public, [ROOT.public])
    assert not found.is_withdrawn(OTHER.public, [ROOT.public])
    withdrawn = kept(before, after, by_root(OPERATOR))
    assert withdrawn.is_withdrawn(OTHER.public, [ROOT.public]), "a withdrawal says nothing of its earlier words"


def test_two_operators_who_revoke_each_other_are_both_revoked() -> None:
    grant = issue_grant(ROOT, OTHER.public, (Role.OPERATOR,)).raw
    back = issue_revocation(OTHER, grant, ROOT.public, OPERATOR.public, 0, 1, NOW)
    found = kept(by_operator(OTHER, 0), back)
    assert all(found.is_withdrawn(device.public, [ROOT.public]) for device in (OPERATOR, OTHER))


def test_one_more_than_fit_is_refused_but_there_is_room_for_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REVOCATIONS_MAX", 3)
    found = kept(*(by_operator(key(number)) for number in (4, 5, 6)))
    with pytest.raises(PeerError, match="more than 3"):
        found.add([(by_operator(key(7)), 0)])
    found.add([(by_root(key(7)), 0)])
    assert found.is_withdrawn(key(7).public, [ROOT.public])


@settings(max_examples=100, deadline=None)
@given(st.permutations([by_root(DRONE, 3), by_operator(DRONE), by_operator(OTHER, 5), by_root(OPERATOR, 6), by_root(OTHER)]))
def test_what_counts_does_not_depend_on_the_order(order: list[Revocation]) -> None:
    """Behaviour: 11.4."""
    one, other = kept(*order), kept()
    for item in order:
        other.add([(item, 0)])
    least = kept(by_root(DRONE, 3), by_operator(DRONE), by_operator(OTHER, 5), by_root(OPERATOR, 6), by_root(OTHER))
    for found in (one, other):
        assert found.revoked == least.revoked and found.digest([ROOT.public]) == least.digest([ROOT.public])
        assert found.void_from([ROOT.public]) == least.void_from([ROOT.public])


def fold(entries: list[Entry], void_from: dict[bytes, int]) -> ObjectState:
    state = ObjectState(entries[0], roles_of(entries[0]), void_from)
    for entry in entries[1:]:
        state.add(entry, roles_of(entry))
    return state


@settings(max_examples=150, deadline=None)
@given(
    histories(), st.dictionaries(st.integers(1, 5), st.integers(0, 12), max_size=3), st.integers(0, 100),
    st.randoms(use_true_random=False), st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_compromised_devices_later_entries_are_void_in_whatever_order_it_all_came(
    entries: list[Entry], cuts: dict[int, int], percent: int, one: random.Random, other: random.Random
) -> None:
    """Behaviour: 11.4: known before all entries, after some of them, or after all."""
    void_from = {key(number).public: sequence for number, sequence in cuts.items()}
    before = fold(shuffled(entries, one), void_from)
    came = shuffled(entries, other)
    known = max(1, len(came) * percent // 100)
    late = fold(came[:known], {})  # then the revocation comes: the same entries are folded anew
    late = fold([placed.entry for placed in late.history.placed.values()], void_from)
    for entry in came[known:]:
        late.add(entry, roles_of(entry))
    assert everything_of(before) == everything_of(late)
    for placed in before.history.placed.values():
        if placed.entry.sequence >= void_from.get(placed.entry.author, 2**63):
            assert placed.void, "whatever else is wrong with it"
        else:
            assert placed.void != "author compromised"


def of_work(*names: str, device: SigningKey = DRONE) -> Revocation:
    return issue_revocation(ROOT, b"", ROOT.public, device.public, None, 0, NOW, names)


def test_one_kind_of_work_is_withdrawn_and_the_device_stays() -> None:
    """Behaviours: 11.4, 19.1 at 1100 s."""
    found = kept(of_work("photograph", "film"), by_root(OTHER))
    root = ROOT.public
    assert verify_revocation(of_work("photograph").raw) == of_work("photograph")
    assert not found.is_withdrawn(DRONE.public, (root,)) and found.is_withdrawn(OTHER.public, (root,))
    assert (root, work_of(DRONE.public, "film")) in found.revoked
    assert found.against(DRONE.public, (root,)) is None
    assert found.against(DRONE.public, (root,), ("fly",)) is None
    assert found.against(DRONE.public, (root,), ("fly", "photograph")) is not None
    assert found.says_already(root, DRONE.public, None, ("film",))
    assert not found.says_already(root, DRONE.public, None, ("film", "fly"))
    assert not found.says_already(root, DRONE.public, None)
    assert found.says_already(root, OTHER.public, None, ("fly",)), "who is out as a whole needs no other word"


def test_a_compromised_device_is_so_as_a_whole() -> None:
    body = replace(of_work("fly").body, what=1, from_sequence=3)
    with pytest.raises(PeerError, match="as a whole"):
        verify_revocation(sign1(ROOT, REVOCATION_AAD, spell_map(body)))

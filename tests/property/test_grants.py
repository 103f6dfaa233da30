"""Laws of grants and adverts: one spelling, one signer, and never more than was given."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.base.errors import PeerError
from edge_runtime.base.moment import Trust
from edge_runtime.objects.codec import encode
from edge_runtime.objects.cose import GRANT_AAD, sign1
from edge_runtime.objects.grants import (
    NOT_BEFORE_GRACE_MS,
    Advert,
    GrantBody,
    MembershipFile,
    Role,
    check_membership,
    issue_grant,
    may_append,
    sign_advert,
    verify_advert,
    verify_grant,
)
from edge_runtime.objects.kinds import Kind, is_input, is_turn
from tests.support.histories import ROOT, entry_id_of, key

roles = st.lists(st.sampled_from(Role), unique=True, max_size=4)
times = st.integers(0, 10**13)
names = st.lists(st.text(min_size=1, max_size=20), max_size=5).map(tuple)
adverts = st.builds(
    Advert, device=st.just(key(1).public), counter=st.integers(0, 2**63 - 1), name=st.text(max_size=30),
    capabilities=names, resources=names, grant=st.binary(max_size=50),
    intents=st.lists(st.tuples(st.text(min_size=1, max_size=20), st.integers(0, 9)), max_size=4).map(tuple),
)  # fmt: skip


def signed(root: Any = ROOT, **fields: Any) -> bytes:
    """Return the bytes of a grant whose map has these fields, whatever they are."""
    plain = {"issuer": root.public, "audience": key(1).public, "roles": ["executor"], "fleet": root.public, **fields}
    return sign1(root, GRANT_AAD, encode(plain))


def refused(raw: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        verify_grant(raw)
    return str(caught.value)


@settings(max_examples=100, deadline=None)
@given(roles, st.integers(1, 9), times)
def test_a_grant_verifies_with_the_roots_key_alone(given_roles: list[Role], device: int, wall_ms: int) -> None:
    """Behaviour: 11.1."""
    grant = issue_grant(ROOT, key(device).public, given_roles, wall_ms)
    found = verify_grant(grant.raw)
    assert found == grant and found.id == entry_id_of(grant.raw)
    assert found.roles == tuple(role for role in Role if role in given_roles)
    assert (found.body.audience, found.body.issuer, found.body.fleet) == (key(device).public, ROOT.public, ROOT.public)


@settings(max_examples=200, deadline=None)
@given(roles, times, st.data())
def test_any_flipped_bit_of_a_grant_is_refused(given_roles: list[Role], wall_ms: int, data: st.DataObject) -> None:
    raw = issue_grant(ROOT, key(1).public, given_roles, wall_ms).raw
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    assert refused(bytes(changed))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.integers(2, 9))
def test_a_grant_counts_for_its_audience_and_under_its_root_only(other: int, root: int) -> None:
    """Behaviours: 11.5, 11.1."""
    raw = issue_grant(ROOT, key(1).public, (Role.EXECUTOR,)).raw
    assert check_membership([raw], key(1).public, [ROOT.public], 0, Trust.NONE)
    with pytest.raises(PeerError, match="audience"):
        check_membership([raw], key(other).public, [ROOT.public], 0, Trust.NONE)
    with pytest.raises(PeerError, match="another fleet"):
        check_membership([raw], key(1).public, [key(root).public], 0, Trust.NONE)
    with pytest.raises(PeerError, match="no grant"):
        check_membership([], key(1).public, [ROOT.public], 0, Trust.NONE)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(0, 2 * 10**12), st.sampled_from(Trust))
def test_validity_in_time_counts_while_the_clock_is_trusted(
    begins_ms: int, lasts_ms: int, wall_ms: int, trust: Trust
) -> None:
    """Behaviour: 11.3, at a contact: an untrusted clock locks nobody out."""
    raw = signed(not_before_ms=begins_ms, expires_ms=begins_ms + lasts_ms)
    in_time = begins_ms - NOT_BEFORE_GRACE_MS <= wall_ms < begins_ms + lasts_ms
    try:
        check_membership([raw], key(1).public, [ROOT.public], wall_ms, trust)
        was_let_in = True
    except PeerError as error:
        was_let_in = False
        assert "not valid at this time" in str(error)
    assert was_let_in == (in_time or trust <= Trust.RESTORED)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"not_before_ms": 0}, "spelled out"),
        ({"operations": []}, "spelled out"),
        ({"replaces": b""}, "spelled out"),
        ({"operations": ["read"]}, "not enforce"),
        ({"resources": ["valve"]}, "not enforce"),
        ({"roles": ["king"]}, "unknown role"),
        ({"fleet": key(5).public}, "chains are not accepted"),
        ({"parent": b"p" * 32}, "chains are not accepted"),
        ({"depth_left": 6}, "depth_left"),
        ({"audience": b"short"}, "audience"),
        ({"expires_ms": -1}, "range"),
        ({"more": 1}, "unknown field"),
        ({"issuer": key(5).public, "fleet": key(5).public}, "signature"),
    ],
    ids=str,
)
def test_a_grant_of_another_shape_is_refused_by_name(fields: dict[str, Any], word: str) -> None:
    """Behaviours: 11.2, 11.6: what this version does not enforce must not be taken for the whole."""
    if fields.get("expires_ms") == -1:
        with pytest.raises(ValueError, match=word):
            signed(**fields)
        return
    assert word in refused(signed(**fields))


def test_a_grant_over_four_kib_is_refused_before_it_is_read() -> None:
    assert refused(b"\x00" * 4097).startswith("oversize")
    roles_many = ["executor"] * 65
    assert "roles" in refused(signed(roles=roles_many))


def test_the_roles_bound_the_kinds_as_the_format_has_it() -> None:
    """Behaviour: 12.13: for every kind that there is and every number that may become one."""
    for kind in range(1, 1024):
        assert is_input(kind) != is_turn(kind)
        assert may_append((Role.OPERATOR,), kind)
        assert may_append((Role.EXECUTOR,), kind) == (kind not in (Kind.REVOKED, Kind.HOLDING))
        assert not may_append((Role.RELAY,), kind) and not may_append((), kind)
        assert may_append((Role.ADVISOR,), kind) == (kind == Kind.ADVISED)
        assert may_append((Role.RELAY, Role.EXECUTOR), kind) == may_append((Role.EXECUTOR,), kind)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), roles)
def test_a_membership_file_reads_back(name: str, given_roles: list[Role]) -> None:
    file = MembershipFile(name, ROOT.public, (issue_grant(ROOT, key(1).public, given_roles).raw,))
    assert MembershipFile.from_bytes(file.to_bytes()) == file


@settings(max_examples=150, deadline=None)
@given(st.recursive(st.none() | st.integers(0, 9) | st.text(max_size=5) | st.binary(max_size=40),
                    lambda inner: st.lists(inner, max_size=4), max_leaves=6))  # fmt: skip
def test_what_is_no_membership_file_is_refused(value: Any) -> None:
    data = encode(value)
    match value:
        case [str(), bytes() as root, [bytes(), *_] as grants] if len(root) == 32 and all(
            isinstance(grant, bytes) for grant in grants
        ):
            return
    for damaged in (data, data[:-1], data + b"\x00"):
        with pytest.raises(PeerError):
            MembershipFile.from_bytes(damaged)


@settings(max_examples=150, deadline=None)
@given(adverts, st.data())
def test_an_advert_reads_back_and_no_bit_of_it_can_be_another(advert: Advert, data: st.DataObject) -> None:
    raw = sign_advert(key(1), advert)
    assert verify_advert(raw) == advert
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PeerError):
        verify_advert(bytes(changed))


def test_an_advert_is_signed_by_the_device_it_speaks_of() -> None:
    advert = Advert(key(1).public, 1, "one", (), (), (), b"")
    with pytest.raises(PeerError, match="signature"):
        verify_advert(sign_advert(key(2), advert))
    with pytest.raises(PeerError, match="oversize"):
        verify_advert(b"\x00" * (8 * 1024 + 1))


def test_the_fields_with_a_default_are_left_out() -> None:
    """One grant, one spelling, one id: what a reader would have to guess is not there."""
    body = GrantBody(ROOT.public, key(1).public, ("executor",), ROOT.public)
    assert list(msgspec.to_builtins(body, builtin_types=(bytes,))) == ["issuer", "audience", "roles", "fleet"]

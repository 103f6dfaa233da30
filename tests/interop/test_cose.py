"""A foreign COSE library checks what we sign, and we accept what it signs."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import PeerError
from edge_runtime.base.moment import Trust
from edge_runtime.objects.codec import decode
from edge_runtime.objects.cose import ADVERT_AAD, ENTRY_AAD, GRANT_AAD, sign1, split1
from edge_runtime.objects.entries import verify
from edge_runtime.objects.grants import Advert, Role, check_membership, issue_grant, sign_advert, verify_advert
from tests.support.histories import ROOT, first_entry, key

pycose = pytest.importorskip("pycose", reason="module:pycose")
from pycose.algorithms import EdDSA  # noqa: E402
from pycose.headers import Algorithm  # noqa: E402
from pycose.keys import OKPKey  # noqa: E402
from pycose.keys.curves import Ed25519  # noqa: E402
from pycose.messages import Sign1Message  # noqa: E402

ONE = key(1)


def foreign_check(raw: bytes, public: bytes, aad: bytes) -> bool:
    message = Sign1Message.from_cose_obj(decode(raw), True)
    message.external_aad = aad
    message.key = OKPKey(crv=Ed25519, x=public)
    return bool(message.verify_signature())


def test_a_foreign_library_verifies_an_entry_a_grant_and_an_advert() -> None:
    grant = issue_grant(ROOT, ONE.public, (Role.EXECUTOR,))
    advert = sign_advert(ONE, Advert(ONE.public, 1, "one", ("camera",), (), (("survey", 1),), grant.raw))
    assert foreign_check(first_entry(ONE).raw, ONE.public, ENTRY_AAD)
    assert foreign_check(grant.raw, ROOT.public, GRANT_AAD)
    assert foreign_check(advert, ONE.public, ADVERT_AAD)
    assert not foreign_check(advert, ONE.public, ENTRY_AAD), "a signature counts for one purpose only"


def test_we_accept_what_a_foreign_library_signs() -> None:
    payload, signature = split1(first_entry(ONE).raw)
    message = Sign1Message(phdr={Algorithm: EdDSA}, payload=payload, external_aad=ENTRY_AAD)
    message.key = OKPKey(crv=Ed25519, x=ONE.public, d=ONE.seed)
    raw = message.encode(tag=False)
    assert raw == sign1(ONE, ENTRY_AAD, payload), "Ed25519 is deterministic: the same bytes"
    assert verify(raw).author == ONE.public and split1(raw)[1] == signature


def test_adverts_and_grants_are_checked_on_the_way_in() -> None:
    """Behaviours: 11.1, 11.5, 14.12."""
    grant = issue_grant(ROOT, ONE.public, (Role.EXECUTOR, Role.RELAY))
    found = check_membership([grant.raw], ONE.public, [ROOT.public], 0, Trust.NONE)
    assert found[0].roles == (Role.EXECUTOR, Role.RELAY)
    for device, roots in ((key(2).public, [ROOT.public]), (ONE.public, [key(9).public])):
        with pytest.raises(PeerError):
            check_membership([grant.raw], device, roots, 0, Trust.NONE)
    raw = bytearray(sign_advert(ONE, Advert(ONE.public, 1, "", (), (), (), b"")))
    raw[-1] ^= 1
    with pytest.raises(PeerError):
        verify_advert(bytes(raw))

"""Pairing over real sockets: who knows the code is let in, and who does not learns nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit, PeerError, UsageError
from edge_runtime.host.channel import FIRST_BYTES, PAIRING_FIRST_BYTES, read_first
from edge_runtime.host.dialling import over_each_link
from edge_runtime.host.discovery import Card, Sighting
from edge_runtime.host.pairing import Pairing, Wanted, read_wanted
from edge_runtime.node.commands import Join
from edge_runtime.objects.grants import MembershipFile
from edge_runtime.objects.invitations import Code
from tests.support.inviters import CODE, KEY, ROOT, Inviter, identity, newcomer

SOON_S = 10.0


@pytest.fixture
async def inviter() -> AsyncIterator[Inviter]:
    async with Inviter() as made:
        yield made


async def test_who_knows_the_code_proves_its_key_and_gets_its_file(inviter: Inviter) -> None:
    file = MembershipFile.from_bytes(await newcomer(inviter).look(SOON_S))
    assert (file.fleet_name, file.root) == ("boats", ROOT.public)
    assert inviter.admitted == [identity(b"n").key.public]


async def test_a_wrong_code_is_told_and_the_inviter_is_asked_nothing(inviter: Inviter) -> None:
    with pytest.raises(UsageError, match="but another code"):
        await newcomer(inviter, key=b"x" * 32).look(0.5)
    assert inviter.admitted == [] and "pairing: a wrong code" in inviter.failures


async def test_a_wrong_code_voids_nothing_and_the_right_one_is_heard_a_second_later(inviter: Inviter) -> None:
    """Whoever guesses costs others a second, not their invitation."""
    with pytest.raises(UsageError):
        await newcomer(inviter, key=b"x" * 32).look(0.5)
    assert await newcomer(inviter).look(SOON_S)
    assert "pairing: asked too soon after a wrong code" in inviter.failures


async def test_a_number_that_is_not_open_is_not_answered_at_all(inviter: Inviter) -> None:
    other = Code(4, CODE.secret)
    with pytest.raises(UsageError, match="No device with this invitation answered") as refusal:
        await newcomer(inviter, code=other).look(0.5)
    assert inviter.address in refusal.value.message and refusal.value.exit is Exit.FAILED


async def test_what_the_inviter_refuses_comes_back_in_its_words(inviter: Inviter) -> None:
    inviter.refusal = "The invitation is used up."
    with pytest.raises(UsageError, match="used up") as refusal:
        await newcomer(inviter).look(SOON_S)
    assert refusal.value.exit is Exit.REFUSED


async def test_a_file_leads_to_its_own_fleet_and_to_no_other(inviter: Inviter) -> None:
    with pytest.raises(UsageError, match="not to the one of the file"):
        await newcomer(inviter, root=b"z" * 32).look(SOON_S)


async def test_of_many_that_are_sighted_the_one_that_invited_is_found(inviter: Inviter) -> None:
    strangers = [await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0) for _ in range(5)]
    looking = newcomer(inviter, peers=())
    try:
        for server in strangers:
            looking.see(Sighting("0" * 16, ("127.0.0.1",), server.sockets[0].getsockname()[1], Card(1, "", "")))
        task = asyncio.create_task(looking.look(SOON_S))
        await asyncio.sleep(0)
        port = int(inviter.address.rpartition(":")[2])
        looking.see(Sighting("1" * 16, ("127.0.0.1",), port, Card(1, "", "")))
        assert await task
    finally:
        for server in strangers:
            server.close()


@pytest.mark.parametrize("length", [0, 1, FIRST_BYTES + 1, PAIRING_FIRST_BYTES - 1, PAIRING_FIRST_BYTES + 1, 65_535])
async def test_a_first_message_of_no_such_length_is_refused_before_its_bytes_are_waited_for(length: int) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(length.to_bytes(2, "big") + bytes(min(length, PAIRING_FIRST_BYTES - 1)))
    with pytest.raises(PeerError, match="length"):
        await read_first(reader)


async def test_a_slip_in_the_code_and_a_root_that_is_none_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="slip"):
        await read_wanted(Join(code=str(CODE)[:-1] + ("0" if str(CODE)[-1] != "0" else "1")))
    with pytest.raises(UsageError, match="not hex"):
        await read_wanted(Join(code=str(CODE), root="zz"))


async def test_an_inviter_that_says_nothing_costs_the_others_no_time(inviter: Inviter) -> None:
    """Whoever is first in line and takes the connection in silence keeps nobody out: all are tried side by side."""
    silent = [await asyncio.start_server(lambda reader, writer: reader.read(), "127.0.0.1", 0) for _ in range(5)]
    looking = newcomer(inviter, peers=())
    try:
        for server in silent:
            looking.see(Sighting("0" * 16, ("127.0.0.1",), server.sockets[0].getsockname()[1], Card(1, "", "")))
        looking.see(Sighting("1" * 16, ("127.0.0.1",), int(inviter.address.rpartition(":")[2]), Card(1, "", "")))
        assert await looking.look(3.0), "one silent device alone would cost 10 s"
    finally:
        for server in silent:
            server.close()


async def test_a_radio_that_goes_off_ends_the_looking_at_once(inviter: Inviter) -> None:
    inviter.silence = True
    pairing = Pairing(lambda: identity(b"n"), lambda: [])
    looking = asyncio.create_task(pairing.look(Wanted(CODE, KEY, (inviter.address,)), SOON_S, ()))
    await inviter.was_asked.wait()
    pairing.stop()
    with pytest.raises(UsageError, match="radio is off") as refusal:
        await looking
    assert refusal.value.exit is Exit.REFUSED


def test_a_link_local_address_from_elsewhere_is_tried_over_each_link_and_others_as_they_are() -> None:
    for text in ("10.0.0.2:4711", "base.local:4711", "[fd00::1]:4711", "[fe80::1%3]:4711"):
        assert over_each_link(text) == (text,)
    links = [index for index, name in socket.if_nameindex() if name != "lo"]
    assert over_each_link("[fe80::1]:4711") == tuple(f"[fe80::1%{index}]:4711" for index in links)

"""A device's own advert stays within its bound, whatever is loaded, and the next start reads it."""

from __future__ import annotations

import pytest

from edge_runtime import App
from edge_runtime.base.errors import PeerError
from edge_runtime.base.limits import ADVERT_BYTES_MAX
from edge_runtime.objects.grants import Advert, Role, issue_grant, sign_advert
from edge_runtime.objects.keys import SigningKey
from edge_runtime.testing import World


def crowded() -> App:
    """Return an app whose intents' names alone would fill several adverts."""
    app = App("crowded")
    for number in range(250):

        async def handler(ctx: object) -> None:
            """Do nothing."""

        app.intent(f"intent.{number:03}." + "x" * 100)(handler)
    return app


def test_an_advert_of_many_intents_is_cut_to_its_bound_and_the_device_starts_again() -> None:
    """Behaviour: 14.12; at the bound the first names by alphabet are told, and nothing fails."""
    world = World("one", apps=(crowded(),))
    adverts = world.device("one").node.parts.adverts
    advert, raw, _ = adverts.by_device[world.device("one").node.parts.device]
    assert len(raw) <= ADVERT_BYTES_MAX and 0 < len(advert.intents) < 250
    assert advert.intents[0][0].startswith("intent.000.")
    world.crash("one")
    again = world.device("one").node.parts.adverts
    assert again.by_device[world.device("one").node.parts.device][0].counter == advert.counter


def stranger_advert(grant: bytes, seed: int = 9) -> bytes:
    """Return the advert of a device that no world knows, which says that it can do everything."""
    key = SigningKey.from_seed(bytes([seed]) * 32)
    return sign_advert(key, Advert(key.public, 1, "stranger", ("camera",), (), (("shoot", 1),), grant))


def test_a_gossiped_advert_of_no_member_is_not_kept_nor_told_and_nothing_is_offered_to_it() -> None:
    """Behaviour: 14.11, 11.6. Signed by its device, but no fleet's root says that it is one of us."""
    world = World("base", "drone")
    adverts = world.device("base").node.parts.adverts
    moment = world.device("base").read_moment()
    drone = world.device("drone").key.public
    other_root, own_root = SigningKey.from_seed(b"r" * 32), world.device("base").root_keys[0]
    stranger = SigningKey.from_seed(bytes([9]) * 32).public
    bad = {
        b"": "encoding",
        issue_grant(other_root, stranger, (Role.EXECUTOR,)).raw: "another fleet",
        issue_grant(own_root, drone, (Role.EXECUTOR,)).raw: "audience is another device",
    }
    for grant, why in bad.items():
        with pytest.raises(PeerError, match=why):
            adverts.keep(stranger_advert(grant), 0, moment, drone)
    assert stranger not in adverts.by_device
    good = issue_grant(own_root, stranger, (Role.EXECUTOR,)).raw
    kept = adverts.keep(stranger_advert(good), 0, moment, drone)
    assert kept is not None
    assert [item.name for item in adverts.candidates(("camera",), "shoot", (), ())] == ["stranger"]


def test_a_device_in_contact_speaks_for_itself_and_a_known_grant_counts_for_one_of_two_fleets() -> None:
    world = World("base", "drone")
    members, adverts = world.device("base").node.parts.members, world.device("base").node.parts.adverts
    moment = world.device("base").read_moment()
    stranger = SigningKey.from_seed(bytes([9]) * 32)
    of_other_fleet = issue_grant(SigningKey.from_seed(b"r" * 32), stranger.public, (Role.EXECUTOR,)).raw
    members.keep_grant(issue_grant(world.device("base").root_keys[0], stranger.public, (Role.EXECUTOR,)).raw)
    assert adverts.keep(stranger_advert(of_other_fleet), 0, moment, b"") is not None, "its grant of our fleet is here"
    assert adverts.keep(stranger_advert(of_other_fleet, seed=8), 0, moment, SigningKey.from_seed(bytes([8]) * 32).public)
    names = [item.device for item in adverts.candidates(("camera",), "shoot", (), ())]
    assert names == [stranger.public], "who shows no grant of ours is offered nothing"

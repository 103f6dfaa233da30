"""What happened to those who wait: kept while the wait stands, and not longer."""

from __future__ import annotations

import pytest

from edge_runtime.node import commands as c
from edge_runtime.testing import Device, World
from tests.support.world_app import Doings, make_app

TEXT = "event(a)_and_never"


@pytest.fixture
def world() -> World:
    return World("base", "drone", apps=[make_app(Doings())])


@pytest.fixture
def base(world: World) -> Device:
    return world.device("base")


def rows(device: Device) -> list[str]:
    return [what for (what,) in device.store.run("SELECT what FROM happened WHERE path != '' ORDER BY what")]


def test_an_edge_is_kept_for_who_waits_and_for_nobody_else(world: World, base: Device) -> None:
    """Behaviour: 4.5."""
    base.submit("until", {"text": TEXT}, name="it")
    base.submit("until", {"text": "event(b)_and_never"}, name="other")
    for _ in range(3):
        base.ask(c.Raise("a"))
    assert rows(base) == ["event:a"]
    world.crash("base")
    world.run()
    assert rows(base) == ["event:a"]


def test_it_is_forgotten_when_the_object_ends_or_goes_elsewhere(world: World, base: Device) -> None:
    """Behaviour: 4.10."""
    base.submit("until", {"text": TEXT}, name="it")
    base.submit("until", {"text": TEXT}, name="goes")
    base.ask(c.Raise("a"))
    assert rows(base) == ["event:a", "event:a"]
    base.ask(c.Cancel("it"))
    assert rows(base) == ["event:a"]
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    base.ask(c.Hand("drone", "goes"))
    world.run(seconds=5)
    assert base.show("goes")["custodian_name"] == "drone" and rows(base) == []


def test_a_store_of_before_gets_its_table(base: Device, world: World) -> None:
    """Behaviour: 18.6."""
    base.submit("until", {"text": TEXT}, name="it")
    base.store.run("DROP TABLE happened")
    world.crash("base", restart=False)
    base.store = type(base.store).open(base.connection)
    world.restart("base")
    base.ask(c.Raise("a"))
    assert rows(base) == ["event:a"]

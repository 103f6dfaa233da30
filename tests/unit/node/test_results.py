"""Results for a bridge: listed with the end, told at least once, struck once told."""

from __future__ import annotations

from typing import Any

from edge_runtime.node import events as e
from edge_runtime.node.effects import ResultWaits
from edge_runtime.testing import Device, World
from tests.support.world_app import Doings, make_app


class Bridge:
    """What the host of a device is told of results."""

    def __init__(self, world: World, device: Device) -> None:
        self.device = device
        self.rows: list[dict[str, Any]] = []
        self.hints = 0
        world.watchers.append(self._see)

    def _see(self, device: Device, events: Any, turn: Any) -> None:
        for effect in turn.effects if device is self.device else ():
            if isinstance(effect, ResultWaits):
                self.hints += effect.rows is None
                self.rows.extend(effect.rows or ())

    def call(self, world: World, name: str, *arguments: Any) -> None:
        """Call something of the node's results inside a turn."""
        self.device.inbox.append(e.Called(lambda: getattr(self.device.node.results, name)(*arguments)))
        world.run(seconds=1)


def test_an_end_with_the_label_is_told_until_it_is_struck_also_across_a_crash() -> None:
    world = World("base", apps=[make_app(Doings())])
    base = world.device("base")
    bridge = Bridge(world, base)
    base.submit("greet", name="before", labels=["mqtt"])
    world.run(seconds=1)
    bridge.call(world, "watch", "mqtt")
    base.submit("greet", name="one", labels=["mqtt"])
    base.submit("greet", name="other", labels=["radio"])
    world.run(seconds=1)
    assert bridge.hints == 1
    world.crash("base")
    world.run(seconds=1)
    for _ in range(2):
        bridge.call(world, "hand_out")
    assert [row["name"] for row in bridge.rows] == ["one", "one"], "not struck: told again"
    assert bridge.rows[0]["result"] == "hello you"
    bridge.call(world, "strike", bytes.fromhex(bridge.rows[0]["object"]))
    bridge.rows.clear()
    bridge.call(world, "hand_out")
    assert bridge.rows == []


def test_an_end_that_comes_from_a_peer_is_told_too() -> None:
    world = World("base", "drone", apps=[make_app(Doings())])
    base, drone = world.device("base"), world.device("drone")
    bridge = Bridge(world, base)
    bridge.call(world, "watch", "mqtt")
    drone.submit("greet", name="far", labels=["mqtt"])
    world.link("base", "drone", up=True)
    world.run(seconds=5)
    bridge.call(world, "hand_out")
    assert [row["name"] for row in bridge.rows] == ["far"]


def test_without_a_bridge_nothing_is_kept() -> None:
    world = World("base", apps=[make_app(Doings())])
    base = world.device("base")
    base.submit("greet", labels=["mqtt"])
    world.run(seconds=1)
    tables = [name for (name,) in base.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert "results" not in tables

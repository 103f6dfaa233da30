"""`World`: several whole devices on virtual time, for tests of programs that move between devices.

    world = World("base", DevicePlan("drone", has=("camera",)), apps=[app], seed=7)
    world.device("base").submit("shoot", {"cells": 3}, name="survey")
    world.link("base", "drone", up=True)
    world.run(hours=1)
    assert world.device("base").show("survey")["end"] == "completed"

Each device is the daemon's own `Node` over a database in memory; what the machine does around it (clock, links, steps,
crashes) is done here, from one seed and without waiting: a week of a mission takes milliseconds. Nothing is faked
that decides anything. A step's function runs for real, at the moment it is released; its outcome comes after the
virtual duration that `takes` gave it, 0 ms if none.

What lives here: `world` (devices, time, crashes), `device` (one device as a person asks it), `links`, `steps`.
What must not: decisions, sockets, clocks. To read first: `World`, `Device.ask`, `World.run`. How to test it:
`tests/unit/testing` and every play and simulation.
"""

from __future__ import annotations

from .device import Device, DevicePlan
from .world import Watcher, World

__all__ = ["Device", "DevicePlan", "Watcher", "World"]

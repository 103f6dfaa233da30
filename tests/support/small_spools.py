"""Worlds whose spools hold little, and an app whose objects take as much room as they are told."""

from __future__ import annotations

import asyncio
from typing import Any

from edge_runtime import App, Context
from edge_runtime.base.units import KIB
from edge_runtime.node import commands as c
from edge_runtime.node.eviction import StoreTerms
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app

# An empty spool takes 160 KiB; three objects of 12 KiB fit beside it, and the reserve is 26 KiB.
SMALL = StoreTerms(max_bytes=256 * KIB, ended_percent=100, carried_percent=100)
KEEPS_ALL = StoreTerms(max_bytes=0)


def make_hold_app() -> App:
    """Return the app: `hold` keeps its text until it gets the signal `go`, or so many seconds are over."""
    app = App("hold")

    @app.intent("hold")
    async def hold(ctx: Context, text: str = "", seconds: int = 864_000) -> int:
        await ctx.promise("go", seconds, default=None)
        return len(text)

    @app.intent("finish")
    async def finish(ctx: Context, text: str = "") -> int:
        await asyncio.sleep(0)
        return len(text)

    return app


def make_world(*plans: str | DevicePlan, seed: int = 0) -> World:
    """Return a world whose devices offer that app and the one of plays."""
    return World(*plans, apps=[make_hold_app(), make_app(Doings())], seed=seed)


def hold(device: Device, name: str, kib: int = 12, intent: str = "hold", **fields: Any) -> dict[str, Any]:
    """Submit an object that takes so many KiB."""
    return device.submit(intent, {"text": "x" * (kib * KIB)}, name=name, **fields)


def pass_days(world: World, device: Device, days: int) -> None:
    """Let days pass, and then something happen: at such an event what is past its retention goes."""
    world.run(days=days)
    device.ask(c.Status())
    world.run(minutes=2)


def names(device: Device) -> list[str]:
    """Return the names of the objects that are here, the oldest first."""
    return [row[0] for row in device.store.run("SELECT name FROM shelf ORDER BY object").fetchall()]


def gone(device: Device) -> list[str]:
    """Return why objects went, in the order of their numbers."""
    return [row[0] for row in device.store.run("SELECT why FROM tombstones ORDER BY row").fetchall()]

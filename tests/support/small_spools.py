"""Worlds whose spools hold little, and an app whose objects take as much room as they are told."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from edge_runtime import App, Context
from edge_runtime.base.limits import STORE_RESERVE_PERCENT
from edge_runtime.base.units import KIB
from edge_runtime.node import commands as c
from edge_runtime.node.eviction import StoreTerms
from edge_runtime.node.store import Store
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_app import Doings, make_app

# Of the tables alone: what a spool may take is said beyond it, for each new table takes a page.
_EMPTY = Store.open(sqlite3.connect(":memory:", isolation_level=None))
EMPTY_BYTES = _EMPTY.run("PRAGMA page_count").fetchone()[0] * _EMPTY.run("PRAGMA page_size").fetchone()[0]


def room_for(size: int, **fields: Any) -> StoreTerms:
    """Return terms by which a spool may take so many bytes beside its empty tables before something goes."""
    shares = {"ended_percent": 100, "carried_percent": 100, **fields}
    return StoreTerms(max_bytes=(EMPTY_BYTES + size) * 100 // (100 - STORE_RESERVE_PERCENT), **shares)


SMALL = room_for(64 * KIB)  # three or four objects of 12 KiB
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

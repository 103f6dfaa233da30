"""An app whose objects stand in every status, for a page that shows them."""

from __future__ import annotations

import asyncio

from edge_runtime import App, Context, Unreachable

app = App("web")


def photograph(cell: int) -> str:
    """Take one."""
    return f"cell {cell}"


def deliver(shots: list[str]) -> str:
    """Give them away."""
    return f"delivered {len(shots)}"


def call_base(text: str) -> str:
    """Reach nobody."""
    raise Unreachable("no route to the harbour")


async def expose(seconds: float) -> str:
    """Take long."""
    await asyncio.sleep(seconds)
    return "exposed"


@app.intent("survey")
async def survey(ctx: Context, cells: int) -> str:
    """Photograph, rest, wait for the word, deliver: on whichever device can."""
    shots = [await ctx.run("photograph", photograph, cell, needs={"camera"}) for cell in range(cells)]
    await asyncio.sleep(0.5)
    await ctx.until("door.open == True")
    return await ctx.run("deliver", deliver, shots, needs={"uplink"})


@app.intent("report")
async def report(ctx: Context, text: str) -> str:
    """Call somebody who is not there."""
    return await ctx.run("call", call_base, text)


@app.intent("expose")
async def expose_long(ctx: Context, seconds: float) -> str:
    """One long step."""
    return await ctx.run("expose", expose, seconds, timeout=600)


@app.intent("rest")
async def rest(ctx: Context, seconds: float) -> str:
    """Only sleep."""
    await asyncio.sleep(seconds)
    return "rested"


@app.intent("patrol")
async def patrol(ctx: Context) -> str:
    """Wait for weather."""
    await ctx.until("wind.speed < 8 and battery.percent > 40")
    return "flown"


@app.intent("count")
async def count(ctx: Context, number: int) -> int:
    """End at once."""
    return number


@app.intent("break")
async def break_down(ctx: Context) -> None:
    """Fail."""
    raise ValueError("the lens is cracked")

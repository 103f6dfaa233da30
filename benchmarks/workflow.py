"""The workload: three recorded steps with results of about 60 bytes; and sleepers for `dormant`."""

from __future__ import annotations

import asyncio
import os

from edge_runtime import App, Context

app = App("bench")


def step(text: str, number: int) -> str:
    """One step."""
    return f"result {number} " + "x" * 50


@app.intent("three")
async def three(ctx: Context, text: str) -> str:
    """Three steps, one after the other."""
    first = await ctx.run("a", step, text, 1)
    second = await ctx.run("b", step, first, 2)
    return await ctx.run("c", step, second, 3)


def note(number: int) -> int:
    """One step before the sleep; a line in a file each time it starts, so that re-runs are counted."""
    with open(os.environ["BENCH_LOG"], "a") as log:
        log.write(f"{number}\n")
    return number


@app.intent("sleeper")
async def sleeper(ctx: Context, number: int) -> int:
    """Record a step, then sleep for a day."""
    await ctx.run("note", note, number)
    await asyncio.sleep(86_400)
    return number

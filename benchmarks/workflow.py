"""What our daemon runs: three recorded steps with results of about 60 bytes, and sleepers for `dormant`."""

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


def say_started(line: str) -> None:
    """Write a line to the log that counts starts, so that nothing that starts again stays unseen."""
    with open(os.environ["BENCH_LOG"], "a") as log:
        log.write(line + "\n")


def note(number: int) -> int:
    """One step before the sleep."""
    say_started(f"step {number}")
    return number


@app.intent("sleeper")
async def sleeper(ctx: Context, number: int) -> int:
    """Record a step, then sleep for a day. The body's own line is an effect outside a step: here that is the point."""
    say_started(f"body {number}")
    await ctx.run("note", note, number)
    await asyncio.sleep(86_400)
    return number

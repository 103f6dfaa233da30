"""What the booted device runs: it counts, sleeps until a word, and hangs once where it is told to."""

from __future__ import annotations

import os
import time
from pathlib import Path

from edge_runtime import App, Context

app = App("board")
HOME = Path("/var/lib/edge-runtime")  # what the daemon may write


def tick(number: int) -> int:
    """Take a moment, and write down that it happened."""
    time.sleep(0.1)
    with open(HOME / "ticks", "a") as file:
        file.write(f"{number}\n")
    return number


def is_first(name: str) -> bool:
    """Say whether nobody asked for this name before; across processes."""
    try:
        os.close(os.open(HOME / f"{name}.first", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


async def hang_loop() -> str:
    """Take the loop and never give it back, the first time: the mistake that a coroutine function makes most easily."""
    if is_first("loop"):
        time.sleep(3_600)
    return "past it"


@app.intent("count")
async def count(ctx: Context, most: int = 20) -> int:
    """Do steps of a tenth of a second."""
    for number in range(most):
        await ctx.run("tick", tick, number, effect="idempotent")
    return most


@app.intent("nap")
async def nap(ctx: Context) -> str:
    """Sleep until the signal `go`."""
    return str(await ctx.promise("go"))


@app.intent("hang_loop")
async def hang_in_a_step(ctx: Context) -> str:
    """Hang in a step on the loop."""
    return await ctx.run("hang", hang_loop, effect="idempotent")


@app.intent("hang_node")
async def hang_in_the_body(ctx: Context) -> str:
    """Hang in the handler itself, at the signal `go`, in a call that no exception from another thread interrupts."""
    await ctx.promise("go")
    if is_first("node"):
        time.sleep(3_600)
    return "past it"


@app.intent("look")
async def look(ctx: Context, paths: list[str]) -> dict[str, str]:
    """Say what each path does when it is opened for writing."""
    return await ctx.run("look", try_to_write, paths)


def try_to_write(paths: list[str]) -> dict[str, str]:
    """Open each for writing; nothing is written."""
    found = {}
    for path in paths:
        try:
            os.close(os.open(path, os.O_RDWR))
            found[path] = "open"
        except OSError as error:
            found[path] = os.strerror(error.errno or 0)
    return found

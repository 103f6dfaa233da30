"""Whether the handlers are the same as before."""

from __future__ import annotations

import os
import subprocess
import sys

from edge_runtime import App, Context
from edge_runtime.program.sameness import digest_of

PROGRAM = """
from edge_runtime import App, Context
from edge_runtime.program.sameness import digest_of
app = App("same")
@app.intent
async def pick(ctx: Context, color: str) -> bool:
    return color in {"red", "green", "blue"} and any(x for x in (1, 2))
print(digest_of(app.intents.values()).hex())
"""


def made(version: int = 1, steps: int = 1) -> App:
    """Return an app whose handler differs by its code."""
    app = App("same", version=version)
    if steps == 1:

        @app.intent("work")
        async def one(ctx: Context) -> None:
            await ctx.run("a", int)

    else:

        @app.intent("work")
        async def two(ctx: Context) -> None:
            await ctx.run("a", int)
            await ctx.run("b", int)

    return app


def digest(app: App) -> bytes:
    """Return the digest of an app's handlers."""
    return digest_of(app.intents.values())


def test_the_digest_changes_with_a_version_and_with_a_handlers_code_and_with_nothing_else() -> None:
    assert digest(made()) == digest(made())
    assert len({digest(made()), digest(made(version=2)), digest(made(steps=2)), digest(App("empty"))}) == 4


def test_every_process_finds_the_same_digest() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60,
            env={**os.environ, "PYTHONPATH": ".", "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1

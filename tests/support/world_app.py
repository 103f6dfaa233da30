"""The app of plays and simulations: small handlers, one for each way of waiting. Steps say what they did."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from edge_runtime import Advice, App, Busy, Child, Context, Refused, Retry, TerminalError, Unreachable, current_attempt


@dataclass(slots=True)
class Doings:
    """What the steps of one world did, and how the next ones are to fail.

    Attributes:
        done: (attempt id, step's name) in order, once per try that came to its end.
        failures: step's name -> errors for its next tries, first one first.
    """

    done: list[tuple[str, str]] = field(default_factory=list)
    failures: dict[str, list[str]] = field(default_factory=dict)

    def act(self, name: str, value: Any = None) -> Any:
        """Do one step."""
        waiting = self.failures.get(name)
        if waiting:
            match waiting.pop(0):
                case "unreachable":
                    raise Unreachable("nobody answers")
                case "busy":
                    raise Busy("come again", 30)
                case "timeout":
                    raise TimeoutError
                case "refused":
                    raise Refused("who are you?", until="credential.ok")
                case "invalid":
                    raise TerminalError("this can never work")
                case _:
                    raise RuntimeError("it broke")
        self.done.append((current_attempt().id, name))
        return value


def make_adviser(topic: str, proposal: str, confidence: int) -> App:
    """Return an app that offers nothing but an advisor who always says the same."""
    app = App("adviser")
    app.advisor(topic)(lambda view: Advice(proposal, confidence))
    return app


def make_app(doings: Doings) -> App:
    """Return the app; its steps write into `doings`."""
    app = App("world")

    @app.intent("greet")
    async def greet(ctx: Context, name: str = "you") -> str:
        return str(await ctx.run("greet", doings.act, "greet", f"hello {name}"))

    @app.intent("shoot")
    async def shoot(ctx: Context) -> str:
        return str(await ctx.run("shoot", doings.act, "shoot", "picture", needs=("camera",)))

    @app.intent("survey")
    async def survey(ctx: Context, cells: int = 3) -> int:
        for cell in range(cells):
            await ctx.run(f"fly{cell}", doings.act, "fly", cell)
            ctx.publish("progress", cell)
        await ctx.run("shoot", doings.act, "shoot", needs=("camera",))
        return cells

    @app.intent("nap")
    async def nap(ctx: Context, seconds: int = 600, times: int = 1) -> int:
        for _ in range(times):
            await asyncio.sleep(seconds)
        await ctx.run("yawn", doings.act, "yawn")
        return times

    @app.intent("ask")
    async def ask(ctx: Context, seconds: int = 3600) -> Any:
        answer = await ctx.promise("answer", seconds, default="nobody answered")
        await ctx.run("tell", doings.act, "tell")
        return answer

    @app.intent("split")
    async def split(ctx: Context, cells: int = 3, join: Any = "all", seconds: int = 3600) -> dict[str, Any]:
        joined = await ctx.delegate([Child("shoot") for _ in range(cells)], join=join, timeout=seconds)
        return {"done": sorted(joined.values), "missing": list(joined.missing)}

    @app.intent("consult")
    async def consult(ctx: Context, seconds: int = 600) -> str:
        advice = await ctx.advice("way", {"from": "base"}, seconds, default=None)
        way = "the long way" if advice is None else str(advice.proposal)
        return str(await ctx.run("go", doings.act, "go", way))

    @app.intent("until")
    async def until(ctx: Context, text: str, times: int = 1) -> int:
        for _ in range(times):
            await ctx.until(text.replace("_", " "))
        await ctx.run("go", doings.act, "go")
        return times

    @app.intent("guard")
    async def guard(ctx: Context) -> bool:
        await ctx.until("door.open == True")
        return bool(await ctx.run("ring", doings.act, "ring", True))

    @app.intent("watch")
    async def watch(ctx: Context, until: str = "changed", timeout: int = 604_800) -> Any:
        reading = await ctx.poll("door", every=(60, 3_600), timeout=timeout, until=until)
        await ctx.run("tell", doings.act, "tell")
        return reading

    @app.intent("pair")
    async def pair(ctx: Context) -> list[Any]:
        both = await asyncio.gather(
            ctx.run("left", doings.act, "left", 1), ctx.run("right", doings.act, "right", 2, retry=Retry(attempts=3))
        )
        return list(both)

    return app

"""The apps of the missions, as their users would write them; actuators are fakes that count what they did.

Each app is made once for each device, so that a fake knows where it stands. Steps close over the device's name and do
not take it as an argument: their calls are to be the same wherever the object goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edge_runtime import Advice, AdvisorView, App, Context, StepFailed, Unreachable, current_attempt


@dataclass(frozen=True, slots=True)
class Act:
    """One effect of a fake: where, of which attempt, what, when (virtual ms)."""

    device: str
    attempt: str
    step: str
    value: Any
    at_ms: int


@dataclass(slots=True)
class Actuators:
    """What the fakes of one mission did, and what they can reach.

    Attributes:
        done: effects in order, one for each try that came through.
        links: pairs of devices between which there is a way now.
        clock: returns virtual ms. is_up: says whether a device runs.
    """

    clock: Callable[[], int] = lambda: 0
    is_up: Callable[[str], bool] = lambda name: True
    done: list[Act] = field(default_factory=list)
    links: dict[frozenset[str], None] = field(default_factory=dict)

    def act(self, device: str, step: str, value: Any = None) -> Any:
        """Do one thing and count it."""
        self.done.append(Act(device, current_attempt().id, step, value, self.clock()))
        return value

    def reach(self, device: str, other: str) -> None:
        """Fail unless there is a way to another device now.

        Raises:
            Unreachable: there is none.
        """
        if frozenset((device, other)) not in self.links or not self.is_up(other):
            raise Unreachable(f"no answer from {other}")


def make_drone(fakes: Actuators, device: str) -> App:
    """Return the survey of behaviours 19.1: a photograph every 70 s, sent to the base whenever it can be reached."""
    app = App("drone")
    period_s = 70
    reserve = 30

    def photograph(cell: str) -> str:
        return str(fakes.act(device, "photograph", cell))

    def fly(way: str, east_m: int) -> str:
        return str(fakes.act(device, "fly", f"{way} to {east_m}"))

    def upload(cell: str) -> str:
        fakes.reach(device, "base")
        return str(fakes.act(device, "upload", cell))

    async def keep_reserve(ctx: Context, cells: list[str], begun: int) -> list[str]:
        """Drop the cells of least priority, the last ones: one for each percent that will lack at home."""
        lacking = reserve - int(await ctx.fact("reserve.percent", reserve))
        kept = cells[: max(begun, len(cells) - lacking)]
        return kept if len(kept) == len(cells) else await ctx.refine(kept, f"{lacking} % below the reserve at home")

    async def wait_for(ctx: Context, due_s: int, cells: list[str], begun: int, is_full: bool) -> list[str]:
        """Wait for the moment of a photograph, and for a forecast that asks for fewer of them."""
        left_s = due_s - ctx.age().total_seconds()
        try:
            if is_full:
                await ctx.until(f"reserve.percent < {reserve}", timeout=max(0, left_s))
                cells = await keep_reserve(ctx, cells, begun)
                return await wait_for(ctx, due_s, cells, begun, False)
        except TimeoutError:
            return cells
        await asyncio.sleep(max(0, left_s))
        return cells

    async def take_shortcut(ctx: Context) -> None:
        """Do as the advisor says, if it may be done soon; else the long way, which is inside the fence."""
        advice = await ctx.advice("way", "the next leg", timeout=5, default=None)
        if advice is None:
            return
        soon_s = ctx.age().total_seconds() + 10
        try:
            await ctx.run("fly", fly, "shortcut", advice.proposal, needs=("mavlink",), not_after=soon_s)
        except StepFailed as error:
            ctx.publish("shortcut", f"{error}: the long way")

    async def photograph_at(ctx: Context, cell: str, due_s: int) -> bool:
        """Take a photograph at its moment; say whether it was taken."""
        needs = ("camera", "mavlink")
        try:
            await ctx.run(
                "photograph", photograph, cell, needs=needs, not_after=due_s + 5, effect="bounded",
                rights={"photographs": 1}, on_unknown="resend",
            )  # fmt: skip
        except StepFailed:
            return False
        return True

    async def hand_over(ctx: Context, cells: list[str]) -> dict[int, Any]:
        """Ask whoever comes near with a camera to take the cells that are left."""
        await ctx.until("peer(camera)")
        rights = {"photographs": 2 * len(cells)}  # one more try of each
        return (await ctx.delegate("survey.rest", cells, needs=("camera",), timeout=3_600, rights=rights)).values

    @app.intent("survey", degrades={"cells": "subset"})
    async def survey(ctx: Context, cells: list[str]) -> dict[str, Any]:
        await ctx.run("take off", fly, "up", 0, needs=("camera", "mavlink"))
        number, missed, taken, sending = 0, 0, list[str](), list[Any]()
        asked_for, helping = cells, None
        while len(taken) < len(cells) and missed < 3:
            number += 1
            kept = await wait_for(ctx, number * period_s, cells, len(taken), len(cells) == len(asked_for))
            if kept != cells:
                helping = asyncio.ensure_future(hand_over(ctx, cells[len(kept) :]))
            cells = kept
            cell = cells[len(taken)]
            if not await photograph_at(ctx, cell, number * period_s):
                missed += 1
                continue  # its moment passed: the same cell at the next one
            missed = 0
            taken.append(cell)
            sending.append(asyncio.ensure_future(ctx.run("upload", upload, cell, to=("base",))))
            if len(taken) == 3:
                await asyncio.sleep(50)
                await take_shortcut(ctx)
        await asyncio.gather(*sending)
        others = {} if helping is None else await helping
        return {"sent": len(sending), "missed": cells[len(taken) :], "by others": others}

    @app.intent("survey.rest")
    async def survey_rest(ctx: Context, cells: list[str]) -> list[str]:
        await ctx.run("take off", fly, f"up for {cells[0]}", 0, needs=("camera", "mavlink"))
        for cell in cells:
            await asyncio.sleep(period_s)
            await ctx.run(
                "photograph", photograph, cell, needs=("camera", "mavlink"), effect="bounded",
                rights={"photographs": 1}, on_unknown="resend",
            )  # fmt: skip
        return cells

    @app.advisor("way")
    def advise(view: AdvisorView) -> Advice:
        return Advice(1_400, 950)

    return app


def make_space(fakes: Actuators, device: str) -> App:
    """Return the rover of behaviours 19.7: it drives leg by leg, and nobody can be asked within half an hour."""
    app = App("space")

    def deploy() -> None:
        fakes.act(device, "deploy")

    def drive(leg: str, way: str) -> str:
        return str(fakes.act(device, "drive", f"{leg} {way}"))

    def drill(what: str) -> str:
        return str(fakes.act(device, "drill", what))

    def dump(leg: str) -> str:
        fakes.reach(device, "orbiter")
        return str(fakes.act(device, "dump", leg))

    async def watch_science(ctx: Context) -> None:
        """Take an opportunity while it is there: 25 minutes, and Earth could answer after 28 at best."""
        while True:
            await ctx.until("science.score >= 800")
            advice = await ctx.advice("science", "worth a hole?", timeout=60, default=None)
            try:
                if advice is not None and advice.proposal == "drill":
                    await asyncio.wait_for(ctx.run("drill", drill, "rock", needs=("drill",)), 24 * 60)
                    ctx.publish("science", "drilled")
            except TimeoutError:
                ctx.publish("science", "missed: not permitted in time")
            await ctx.until("science.score < 800")

    async def take_corrections(ctx: Context, done: list[str], way: list[str]) -> None:
        """Do as Earth says if what it took for given still holds; else say how things stand."""
        async for correction in ctx.signals("correction"):
            if len(done) < correction["before"]:
                way[0] = correction["way"]
                ctx.publish("correction", f"after {len(done)} legs: now {way[0]}")
            else:
                ctx.publish("correction", f"refused: meant before leg {correction['before']}, {len(done)} are done")

    @app.intent("explore")
    async def explore(ctx: Context, legs: list[str], minutes: int) -> dict[str, Any]:
        await ctx.run("deploy", deploy, needs=("wheels",))
        done, way, dumps = list[str](), ["east"], list[Any]()
        aside = [asyncio.ensure_future(watch_science(ctx)), asyncio.ensure_future(take_corrections(ctx, done, way))]
        for leg in legs:
            await asyncio.sleep(minutes * 60)
            done.append(await ctx.run("drive", drive, leg, way[0], needs=("wheels",)))
            ctx.publish("legs", len(done))
            dumps.append(asyncio.ensure_future(ctx.run("dump", dump, leg, needs=("wheels",), to=("uhf",))))
        await asyncio.gather(*dumps)
        for task in aside:
            task.cancel()
        return {"driven": done}

    @app.intent("picture")
    async def picture(ctx: Context) -> str:
        await ctx.run("expose", lambda: "pixel" * 2_000)
        return str(await ctx.promise("archived", 400 * 3_600, default="kept"))

    @app.advisor("science")
    def advise(view: AdvisorView) -> Advice | None:
        return Advice("drill", 800) if device == "rover" else None

    return app


def make_rescue(fakes: Actuators, device: str) -> App:
    """Return the search of behaviours 19.5: buildings that whoever is near searches, and people to be brought out."""
    app = App("rescue")

    def give(kits: int) -> None:
        fakes.act(device, "give", kits)

    def bring_out(place: str) -> str:
        return str(fakes.act(device, "evacuate", place))

    def file(text: str) -> str:
        return str(fakes.act(device, "file", text))

    @app.intent("search.area")
    async def search_area(ctx: Context, buildings: list[str], hours: int) -> dict[str, Any]:
        found = await ctx.swarm("search.building", buildings, claim=2 * 3_600, timeout=hours * 3_600)
        return {"searched": len(found.found), "unreached": list(found.missing)}

    @app.unit("search.building", needs={"search"})
    def search_building(building: str) -> str:
        fakes.act(device, "search", building)
        return "victim" if device.startswith("t4") else "clear"  # only team 4 has dogs

    @app.intent("aid")
    async def aid(ctx: Context, hours: int) -> int:
        """Hand kits out as they are asked for: each is written off before it leaves, wherever that is."""
        given = 0
        try:
            async for asked in ctx.signals("give", timeout=hours * 3_600):
                try:
                    await ctx.run("give", give, asked, effect="bounded", rights={"kits": asked})
                    given += asked
                except StepFailed as error:
                    ctx.publish("refused", error.message)
        except TimeoutError:
            pass  # nobody asked for so long
        return given

    @app.intent("evacuate")
    async def evacuate(ctx: Context, place: str) -> str:
        return str(await ctx.run("evacuate", bring_out, place, needs=("medic",)))

    @app.intent("report")
    async def report(ctx: Context, text: str) -> str:
        return str(await ctx.run("file", file, text, needs=("archive",)))

    return app


APPS: dict[str, Callable[[Actuators, str], App]] = {
    "drone": make_drone, "rescue": make_rescue, "space": make_space,
}  # fmt: skip

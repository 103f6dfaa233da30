"""Pages of the spool's file damaged as a worn card damages them: zeroed, or full of noise."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.clock import Clock
from edge_runtime.host.device import make_node
from edge_runtime.host.statedir import StateDir
from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.node.effects import Answer
from edge_runtime.node.events import Asked, Restored
from edge_runtime.node.store import SpoolDamaged, StoreFailed, is_damage
from edge_runtime.node.turns import run_turn
from tests.support.daemons import Daemon, make_fleet, wait_until

PAGE = 1_024  # of a new spool
APP = """
from edge_runtime import App
app = App("page")

@app.intent("keep")
async def keep(ctx, text: str):
    await ctx.until("go.on == True")
    return len(text)
"""
SEED = 20261127


def device(folder: Path, name: str) -> Daemon:
    (folder / "page.py").write_text(APP)
    return Daemon(folder / name, "--interface", "lo", "--app", "page:app", cwd=folder)


def pages_of(file: Path, text: bytes) -> list[int]:
    """Return the numbers of the pages, from 0, that hold a text."""
    data = file.read_bytes()
    return [at // PAGE for at in range(0, len(data), PAGE) if text in data[at : at + PAGE]]


def overwrite(file: Path, page: int, how: str) -> None:
    data = b"\0" * PAGE if how == "zeroed" else random.Random(SEED + page).randbytes(PAGE)
    with open(file, "r+b") as handle:
        handle.seek(page * PAGE)
        handle.write(data)


@pytest.mark.parametrize("how", ["zeroed", "noise"])
def test_one_damaged_page_costs_one_object_until_a_peer_is_met(tmp_path: Path, how: str) -> None:
    """Behaviour: 18.3: real files and a real link; the custodian's own copy is damaged while it is off."""
    base, drone = device(tmp_path, "base"), device(tmp_path, "drone")
    make_fleet(base, drone)
    names = [f"k{number}" for number in range(5)]
    try:
        drone.start()
        base.options = (*base.options, "--peer", f"127.0.0.1:{drone.ask('status')['links']['port']}")
        base.start()
        for number, name in enumerate(names):
            base.ask("submit", intent="keep", arguments=str(number) * 9_000, name=name)
        wait_until(lambda: len(drone.ask("ls")) == len(names), what="the drone holds all")
        drone.ask("radio", on=False)
        base.stop()  # in order: all is in spool.db
        (page,) = pages_of(base.folder / "spool.db", b"2" * 1_000)[:1]
        overwrite(base.folder / "spool.db", page, how)
        base.start()
        base.ask("fact", name="go.on", value=True)
        for name in names[:2] + names[3:]:
            assert base.ask("wait", object=name)["result"] == 9_000
        wait_until(lambda: base.ask("status")["quarantined"], what="it is set aside")
        assert [row["name"] for row in base.ask("status")["quarantined"]] == ["k2"]
        drone.ask("radio", on=True)
        shown = wait_until(lambda: base.ask("show", object="k2"), what="the drone brings it")
        assert base.ask("wait", object="k2")["result"] == 9_000, shown
        assert base.ask("status")["quarantined"] == []
        assert base.ask("show", object="k2")["custodian_name"] == "base"
    finally:
        base.stop()
        drone.stop()


def ask_all(folder: Path, names: list[str]) -> tuple[str, list[str]]:
    """Open a spool and ask for everything; return how that went, and the objects that are served."""
    state = StateDir.open(folder)
    served: list[str] = []
    try:
        clock = Clock()
        try:
            node = make_node(state, (), Policy.default(), clock, "x")
        except UsageError as error:
            assert "damaged" in error.message or "malformed" in error.message, error.message
            return "not opened", served
        except StoreFailed as error:
            assert "damaged" in str(error)
            return "not opened", served
        commands = [c.Status(), c.List(), *(c.Show(name) for name in names), c.Submit("keep", "new", needs=["nobody"])]
        outcome = "served"
        for number, command in enumerate([None, *commands]):
            event = Restored() if command is None else Asked(number, command)
            try:
                turn, _ = run_turn(node, [event], clock.read)
            except StoreFailed as error:
                assert is_damage(error.__cause__) and "damaged" in str(error), error
                outcome = "said"
                continue
            except SpoolDamaged as error:
                assert "damaged" in str(error)
                return "ended", served
            for effect in turn.effects:
                if isinstance(effect, Answer):
                    assert effect.error is None or "mistake in the daemon" not in effect.error.message, effect.error
                    if isinstance(command, c.Show) and effect.error is None:
                        served.append(effect.value["name"])
        if outcome == "served" and node.quarantine.rows():
            outcome = "set aside"
        node.parts.store.connection.close()
        return outcome, served
    finally:
        state.close()


@pytest.mark.parametrize("how", ["zeroed", "noise"])
def test_whichever_page_is_damaged_it_is_said_and_no_bytes_are_believed(tmp_path: Path, how: str) -> None:
    """Behaviour: 18.3: every page of a spool in turn, those of the schema and of indexes too."""
    with device(tmp_path, "whole") as daemon:
        names = [f"k{number}" for number in range(12)]
        for number, name in enumerate(names):
            daemon.ask("submit", intent="keep", arguments=str(number % 10) * 6_000, name=name)
    whole = tmp_path / "whole"
    outcomes: Counter[str] = Counter()
    for page in range((whole / "spool.db").stat().st_size // PAGE):
        copy = tmp_path / f"page{page}"
        shutil.copytree(whole, copy, ignore=shutil.ignore_patterns("*.sock", "reserve"))
        overwrite(copy / "spool.db", page, how)
        outcome, served = ask_all(copy, names)
        outcomes[outcome] += 1
        # A page of the tree's inside is of many objects; one that holds entries is of one or two.
        outcomes["the rest is served"] += outcome == "set aside" and len(served) >= len(names) - 3
        shutil.rmtree(copy)
    print(how, dict(outcomes))
    assert outcomes["the rest is served"] >= 60, outcomes
    with sqlite3.connect(whole / "spool.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

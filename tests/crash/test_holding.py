"""Hold, release, claim and hand on real daemons: what is held survives a kill, and answers say who has heard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import Daemon, make_fleet, wait_until

APP = """
from edge_runtime import App

app = App("desk")

@app.intent("greet")
async def greet(ctx, name: str):
    return await ctx.run("say", lambda: f"hello {name}")

@app.intent("ask")
async def ask(ctx, question: str):
    answer = await ctx.promise("answer")
    return await ctx.run("say", lambda: f"{question} {answer}")
"""


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Daemon, Daemon]:
    """A base, which is an operator, and a drone; not started."""
    (tmp_path / "desk.py").write_text(APP)
    base, drone = (
        Daemon(tmp_path / name, "--interface", "lo", "--app", "desk:app", cwd=tmp_path) for name in ("base", "drone")
    )
    make_fleet(base, drone, roles="executor,relay")
    return base, drone


def run(device: Daemon, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(device.run(*words, "--json").stdout)
    return found


def meet(one: Daemon, other: Daemon) -> str:
    """Wait for the contact of two devices; return the other one's id."""
    wait_until(lambda: [row for row in one.ask("peers") if row["connected"] and row["name"]], what="contact")
    found: str = other.ask("status")["device"]
    return found


def show(device: Daemon, name: str) -> dict[str, Any]:
    found: dict[str, Any] = device.ask("show", object=name)
    return found


def test_a_hold_of_the_device_survives_a_kill_and_leaves_syncing_on(pair: tuple[Daemon, Daemon]) -> None:
    base, drone = pair
    with base, drone:
        meet(base, drone)
        assert run(base, "hold")["reached"] is True
        run(base, "submit", "greet", "--arg", "name=Ada", "--name", "ada")
        base.kill()
        base.start()
        assert run(base, "status")["held"] is True
        meet(base, drone)
        run(drone, "submit", "greet", "--arg", "name=Bob", "--name", "bob", "--wait")
        wait_until(lambda: show(base, "bob")["end"] == "completed", what="an end that came from the peer")
        held = show(base, "ada")
        assert held["end"] is None and held["steps"] == [], "nothing of it ran"
        assert "held" in base.run("explain", "ada").stdout
        run(base, "release")
        wait_until(lambda: show(base, "ada")["end"] == "completed", what="its end after the release")


def test_who_holds_an_object_elsewhere_is_told_whether_the_custodian_has_heard(pair: tuple[Daemon, Daemon]) -> None:
    base, drone = pair
    with base:
        with drone:
            drone_id = meet(base, drone)
            run(base, "submit", "ask", "--arg", "question=why", "--name", "why")
            wait_until(lambda: show(base, "why")["waits"], what="its wait")
            run(base, "hand", "why", "--to", "drone")
            wait_until(lambda: show(base, "why")["custodian"] == drone_id, what="the handover")
        wait_until(lambda: not [row for row in base.ask("peers") if row["connected"]], what="the end of the contact")
        told = run(base, "hold", "why")
        assert told["reached"] is False and told["custodian"] == drone_id and told["last_contact_ms"] >= 0
        text = base.run("signal", "why", "answer", "because").stdout
        assert "the custodian drone (last met" in text and "hears of it at the next contact" in text
        with drone:
            meet(base, drone)
            wait_until(lambda: "answer" in show(drone, "why")["signals_waiting"], what="the signal there")
            assert show(drone, "why")["end"] is None, "it heard of the hold in the same contact"
            refused = drone.run("release", "why", check=False)
            assert refused.returncode == 5 and "operator's device" in refused.stderr, "an executor's word is none"
            assert run(base, "release", "why")["reached"] is False
            wait_until(lambda: show(base, "why")["end"] == "completed", what="its end, heard of at the base")
            assert show(base, "why")["result"] == "why because"


def test_an_operator_claims_what_a_lost_device_held_and_it_goes_on(pair: tuple[Daemon, Daemon]) -> None:
    base, drone = pair
    with base:
        with drone:
            drone_id = meet(base, drone)
            run(base, "submit", "ask", "--arg", "question=where", "--name", "where")
            wait_until(lambda: show(base, "where")["waits"], what="its wait")
            run(base, "hand", "--all", "--to", "drone")
            wait_until(lambda: show(base, "where")["custodian"] == drone_id, what="the handover")
            drone.kill()
        run(base, "signal", "where", "answer", "here")
        claimed = run(base, "claim", "where")
        assert claimed["reached"] is True and claimed["custodian"] != drone_id
        wait_until(lambda: show(base, "where")["end"] == "completed", what="its end after the claim")
        with drone:
            wait_until(lambda: show(drone, "where")["end"] == "completed", what="the same, heard of by the lost device")

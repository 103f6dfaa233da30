"""A full disk, real: what comes in is refused, what runs ends from the reserve, and all goes on when there is room."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import RESERVE_BYTES
from edge_runtime.client import BlockingClient
from tests.support.cards import Card
from tests.support.daemons import Daemon, make_fleet, wait_until
from tests.support.notified import Notified

APP = """
import asyncio
from edge_runtime import App
app = App("full")

@app.intent("stages")
async def stages(ctx, steps: int, pad: int):
    await ctx.until("go.on == True")
    for step in range(steps):
        await ctx.run(f"s{step}", str.ljust, "x", pad)
    return steps

@app.intent("echo")
async def echo(ctx, text: str):
    return len(text)

@app.intent("shoot")
async def shoot(ctx):
    return await ctx.run("shoot", str, "picture", needs={"camera"})
"""
PAD = 12_000  # a result of a step, so that a few hundred of them are megabytes


def device(card: Card, folder: Path, *options: str, env: dict[str, str] | None = None) -> Daemon:
    (folder / "full.py").write_text(APP)
    daemon = Daemon(card.path / "s", "--interface", "lo", "--app", "full:app", *options, cwd=folder, env=env)
    daemon.log = folder / "daemon.log"
    return daemon


def fill_by_submissions(client: BlockingClient) -> UsageError:
    """Submit until it is refused; return the refusal."""
    for number in range(10_000):
        try:
            client.submit("echo", "y" * PAD, needs=["nobody"], name=f"filler{number}")
        except UsageError as error:
            return error
    raise AssertionError("the disk never got full")


@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_a_full_disk_refuses_what_is_new_ends_what_runs_and_goes_on_by_itself(tmp_path: Path, kind: str) -> None:
    """Behaviours: 18.2, 1.5: on a small card filled by another program and by submissions."""
    with Card(48, kind) as card, Notified(tmp_path) as systemd, device(card, tmp_path, env=systemd.env) as daemon:
        with BlockingClient(daemon.folder) as client:
            assert (daemon.folder / "reserve").stat().st_size == RESERVE_BYTES
            running = client.submit("stages", {"steps": 200, "pad": PAD}, name="running")["object"]
            ballast = card.fill(leave=2 << 20)
            refused = fill_by_submissions(client)
            assert refused.exit is Exit.REFUSED and "the disk is full" in refused.message, refused.message
            status = client.ask("status")
            assert status["storage"]["takes_in"] is False and "full" in status["trouble"]
            told = daemon.run("submit", "echo", "--arg", 'text="z"', "--json", check=False)
            assert told.returncode == int(Exit.REFUSED) and "disk is full" in told.stderr + told.stdout
            assert "TAKES IN NOTHING MORE" in daemon.run("status").stdout
            assert not (daemon.folder / "reserve").exists(), "it was given up for what runs"
            assert status["storage"]["reserve"] == 0
            wait_until(lambda: "the disk is full (intake goes on at" in systemd.status, what="systemctl status says so")
            client.ask("fact", name="go.on", value=True)
            shown = wait_until(lambda: ended(client, running), what="what ran ends from the reserve")
            assert shown["result"] == 200
            used = os.statvfs(card.path)
            assert used.f_bavail * used.f_bsize < RESERVE_BYTES, "the disk was full all the while"
            ballast.unlink()
            wait_until(lambda: client.ask("status")["storage"]["takes_in"], what="intake by itself")
            assert client.submit("echo", "again", wait=True)["result"] == 5
            assert (daemon.folder / "reserve").stat().st_size == RESERVE_BYTES
            wait_until(lambda: "the disk is full" not in systemd.status, what="and takes it back")
    log = daemon.log.read_text()
    assert "the disk is full" in log and "well again" in log


def ended(client: BlockingClient, object_id: str) -> dict[str, object] | None:
    shown = client.ask("show", object=object_id)
    return shown if shown["status"] == "ended" else None


def test_a_device_on_a_full_card_starts_and_refuses_and_one_without_any_room_says_so(tmp_path: Path) -> None:
    """Behaviour: 18.2: a start needs no room but the reserve's."""
    with Card(48) as card:
        daemon = device(card, tmp_path)
        with daemon as running:
            made = running.ask("submit", intent="echo", arguments="kept", name="kept")["object"]
            wait_until(lambda: running.ask("show", object=made)["status"] == "ended")
        card.fill()
        with daemon as running:
            assert running.ask("show", object=made)["result"] == 4
            with pytest.raises(UsageError, match="the disk is full"):
                running.ask("submit", intent="echo", arguments="new")


def test_custody_offered_to_a_device_with_a_full_disk_goes_there_when_there_is_room(tmp_path: Path) -> None:
    """Behaviour: 18.2: real links; the peer hears that nothing is to be offered, and later that something is."""
    (tmp_path / "full.py").write_text(APP)
    with Card(48) as card:
        drone = device(card, tmp_path, "--capability", "camera")
        base = Daemon(tmp_path / "base", "--interface", "lo", "--app", "full:app", cwd=tmp_path)
        make_fleet(base, drone)
        ballast = card.fill(leave=3 << 20)  # enough to open the spool, and not for the reserve
        try:
            drone.start()
            assert drone.ask("status")["storage"]["takes_in"] is False
            port = drone.ask("status")["links"]["port"]
            base.options = (*base.options, "--peer", f"127.0.0.1:{port}")
            base.start()
            wait_until(lambda: any(row["connected"] for row in base.ask("peers")), what="a contact")
            made = base.ask("submit", intent="shoot", name="survey")["object"]
            wait_until(lambda: base.ask("show", object=made)["status"] == "dormant", what="nobody is to take it")
            assert drone.ask("ls") == []
            ballast.unlink()
            shown = wait_until(lambda: ended_on(base, made), what="the drone took it once it had room")
            assert (shown["result"], shown["custodian_name"]) == ("picture", "s"), json.dumps(shown)
        finally:
            base.stop()
            drone.stop()


def ended_on(daemon: Daemon, object_id: str) -> dict[str, object] | None:
    shown = daemon.ask("show", object=object_id)
    return shown if shown["status"] == "ended" else None

"""A disk that fails: read-only, errors at flushes and writes, stalls. Served all the while, and nothing is promised."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.client import BlockingClient
from tests.support.cards import Card, slowed
from tests.support.daemons import Daemon, make_fleet, wait_until
from tests.support.notified import Notified
from tests.support.requires import require

STALL_S, WATCHDOG_S = 10.0, 16.0  # the longest flush, and WatchdogSec of the unit's least
APP = """
import asyncio
from edge_runtime import App
app = App("broken")

@app.intent("echo")
async def echo(ctx, text: str):
    return await ctx.run("len", len, text)

@app.intent("pair")
async def pair(ctx):
    await ctx.run("first", str.upper, "a")
    await ctx.until("go.on == True")
    return await ctx.run("second", str.upper, "b")
"""


def device(folder: Path, state: Path, *options: str, env: dict[str, str] | None = None) -> Daemon:
    (folder / "broken.py").write_text(APP)
    daemon = Daemon(state, "--interface", "lo", "--app", "broken:app", *options, cwd=folder, env=env)
    daemon.log = folder / f"{state.name}.log"
    return daemon


@contextmanager
def failing(daemon: Daemon, *what: str) -> Iterator[None]:
    """Let system calls of a running daemon fail, as strace's `inject` says."""
    require("command:strace")
    assert daemon.process is not None
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(daemon.process.pid)]
    calls = ",".join(item.partition(":")[0] for item in what)
    inject = [word for item in what for word in ("-e", f"inject={item}")]
    tracer = subprocess.Popen([*words, "-e", f"trace={calls}", *inject], stderr=subprocess.PIPE)
    status = Path(f"/proc/{daemon.process.pid}/task")

    def is_attached() -> bool:
        fields = [task.joinpath("status").read_text() for task in status.iterdir()]
        return all(f"TracerPid:\t{tracer.pid}\n" in text for text in fields)

    try:
        wait_until(is_attached, what="strace is attached")
        yield
    finally:
        tracer.send_signal(signal.SIGINT)  # it detaches
        tracer.wait(10)
        assert tracer.stderr is not None
        tracer.stderr.close()


def refused(daemon: Daemon) -> UsageError:
    """Submit until it is refused."""
    found: list[UsageError] = []

    def is_refused() -> bool:
        try:
            with BlockingClient(daemon.folder) as client:
                client.submit("echo", "x" * 100)
        except UsageError as error:
            found.append(error)
        return bool(found)

    wait_until(is_refused, what="a refusal")
    return found[0]


def check_it_takes_nothing_and_serves(daemon: Daemon, kept: str) -> None:
    error = refused(daemon)
    assert error.exit is Exit.REFUSED and error.details["storage"], error.message
    status = daemon.ask("status")
    assert status["storage"]["takes_in"] is False and status["trouble"] == status["storage"]["reason"]
    assert daemon.ask("show", object=kept)["result"] == 4
    assert "TAKES IN NOTHING MORE" in daemon.run("status").stdout
    assert daemon.run("submit", "echo", "--arg", 'text="z"', check=False).returncode == int(Exit.REFUSED)


def test_a_disk_that_the_kernel_made_read_only_is_served_from_and_takes_no_custody(tmp_path: Path) -> None:
    """Behaviour: 18.4: a real error of ext4 with errors=remount-ro; a peer that comes then still gets what is there."""
    with Card(options="errors=remount-ro") as card, Notified(tmp_path) as systemd:
        drone = device(tmp_path, card.path / "drone", env=systemd.env)
        base = device(tmp_path, tmp_path / "base")
        make_fleet(base, drone)
        try:
            drone.start()
            kept = drone.ask("submit", intent="echo", arguments="kept", wait=True)["object"]
            card.break_it()
            wait_until(lambda: card.is_read_only, what="the kernel remounts it")
            check_it_takes_nothing_and_serves(drone, kept)
            wait_until(lambda: "the spool cannot be written: " in systemd.status, what="systemctl status says so")
            port = drone.ask("status")["links"]["port"]
            base.options = (*base.options, "--peer", f"127.0.0.1:{port}")
            base.start()
            shown = wait_until(lambda: base.ask("show", object=kept), what="a peer gets what the drone holds")
            assert shown["result"] == 4
            made = base.ask("submit", intent="echo", arguments="b", needs=["nobody"])["object"]
            base.ask("hand", to="drone", object=made)
            wait_until(lambda: drone.ask("status")["refused"].get("storage"), what="it is refused")
            assert base.ask("show", object=made)["custodian_name"] == "base"
            assert made not in [row["object"] for row in drone.ask("ls")]
            assert any(row["connected"] for row in drone.ask("peers"))
        finally:
            base.stop()
            drone.stop()
        assert "cannot be written" in drone.log.read_text()
        card.unmount()
        card.mount()  # as after a reboot
        with drone:
            assert drone.ask("show", object=kept)["result"] == 4
            assert drone.ask("submit", intent="echo", arguments="again", wait=True)["result"] == 5


@pytest.mark.parametrize(
    "what",
    [("fsync:error=EIO", "fdatasync:error=EIO"), ("pwrite64:error=ENOSPC",), ("pwrite64:error=EROFS",), ("pwrite64:error=EIO",)],
    ids=["EIO at flushes", "ENOSPC at writes", "EROFS at writes", "EIO at writes"],
)  # fmt: skip
def test_what_a_failing_disk_did_not_keep_was_never_acknowledged(tmp_path: Path, what: tuple[str, ...]) -> None:
    """Behaviours: 18.2, 18.4: while system calls fail nothing is promised; afterwards all goes on, without a restart."""
    with Notified(tmp_path) as systemd, device(tmp_path, tmp_path / "state", env=systemd.env) as daemon:
        kept = daemon.ask("submit", intent="echo", arguments="kept", wait=True)["object"]
        pair = daemon.ask("submit", intent="pair")["object"]
        before = daemon.ask("status")["objects"]
        with failing(daemon, *what):
            check_it_takes_nothing_and_serves(daemon, kept)
            said = daemon.ask("status")["trouble"]
            wait_until(lambda: said in systemd.status, what="systemctl status says the same")
        wait_until(lambda: daemon.ask("status")["storage"]["takes_in"], what="it goes on by itself")
        wait_until(lambda: "cannot be written" not in systemd.status, what="and takes it back")
        acknowledged = daemon.ask("submit", intent="echo", arguments="after", wait=True)["object"]
        daemon.ask("fact", name="go.on", value=True)
        assert daemon.ask("wait", object=pair)["result"] == "B"
        rows = [row for row in daemon.ask("trace", object=pair) if row["kind"] == "executed"]
        assert [row["body"]["outcome"] for row in rows] == ["ok", "ok"]
        after = daemon.ask("status")["objects"]
        # What was refused is not there; one commit of which the flush alone failed may be.
        assert sum(after.values()) <= sum(before.values()) + 2
        daemon.kill()
        daemon.start()
        for object_id in (kept, pair, acknowledged):
            assert daemon.ask("show", object=object_id)["end"] == "completed"


def test_a_card_that_stalls_for_seconds_stops_neither_the_loop_nor_the_contacts(tmp_path: Path) -> None:
    """A flush that takes ten seconds: the socket answers, a contact stays up, the watchdog is fed, work goes on."""
    with Card() as card, Notified(tmp_path, WATCHDOG_S) as systemd:
        drone, base = device(tmp_path, card.path / "drone", env=systemd.env), device(tmp_path, tmp_path / "base")
        make_fleet(base, drone)
        try:
            drone.start()
            port = drone.ask("status")["links"]["port"]
            base.options = (*base.options, "--peer", f"127.0.0.1:{port}")
            base.start()
            wait_until(lambda: any(row["connected"] for row in base.ask("peers")), what="a contact")
            began_s = time.monotonic()
            card.freeze()
            answers: list[float] = []
            asker = threading.Thread(target=lambda: answers.append(submit_and_time(drone)))
            asker.start()
            fed = len(systemd.fed_s)
            wait_until(lambda: time.monotonic() - began_s > STALL_S, what="the stall")
            assert not answers, "nothing is acknowledged that is not on the card"
            with pytest.raises(UsageError, match="Not a request"):
                drone.ask("hello is no command")  # the loop answers at once
            card.thaw()
            asker.join(20)
            assert answers and answers[0] >= STALL_S - 0.5, "the submission waited for the card, and was done then"
            wait_until(lambda: len(systemd.fed_s) > fed, what="the watchdog is fed on")
            contacts = [row for row in base.ask("contacts") if row["lasted_ms"] is None]
            assert len(contacts) == 1 and contacts[0]["started_ms_ago"] > STALL_S * 1_000, "the contact stood all the while"
            assert systemd.longest_gap_s < WATCHDOG_S, "systemd would not have killed it"
        finally:
            if card.is_frozen:
                card.thaw()
            base.stop()
            drone.stop()


def submit_and_time(daemon: Daemon) -> float:
    began_s = time.monotonic()
    with BlockingClient(daemon.folder) as client:
        assert client.submit("echo", "slow", wait=True)["result"] == 4
    return time.monotonic() - began_s


def test_a_card_of_a_mebibyte_a_second_keeps_what_is_acknowledged_and_the_contacts(tmp_path: Path) -> None:
    """Behaviour: 18 (Mind): 1 MiB and 20 writes a second; a peer works with it, and the power is cut in the midst."""
    with Card() as card, slowed(card) as prefix, Notified(tmp_path, WATCHDOG_S) as systemd:
        drone, base = device(tmp_path, card.path / "drone", env=systemd.env), device(tmp_path, tmp_path / "base")
        make_fleet(base, drone)
        try:
            drone.prefix = prefix
            drone.start()
            base.options = (*base.options, "--peer", f"127.0.0.1:{drone.ask('status')['links']['port']}")
            base.start()
            wait_until(lambda: any(row["connected"] for row in base.ask("peers")), what="a contact")
            began_s = time.monotonic()
            made = [base.ask("submit", intent="echo", arguments=f"{n}" + "x" * 12_000)["object"] for n in range(60)]
            ended = [drone.ask("submit", intent="echo", arguments="y" * n, wait=True) for n in range(20)]
            took_s = time.monotonic() - began_s
            assert [row["result"] for row in ended] == list(range(20))
            wait_until(lambda: {row["object"] for row in drone.ask("ls")} >= set(made), what="the peer's objects")
            (contact,) = [row for row in base.ask("contacts") if row["lasted_ms"] is None]
            assert contact["started_ms_ago"] >= took_s * 1_000, "one contact all the while"
            assert took_s > 1.0, "the card was slow"
            assert systemd.longest_gap_s < WATCHDOG_S and drone.ask("status")["storage"]["takes_in"]
            print(f"slow card: 20 waited for and 60 from a peer in {took_s:.1f} s, fed every {systemd.longest_gap_s:.1f} s")
            card.cut()
        finally:
            base.stop()
            drone.kill()
            drone.stop()
        card.unmount()
        card.mount()
        drone.prefix = ()
        with drone:
            for row in ended:
                assert drone.ask("show", object=row["object"])["result"] == row["result"]

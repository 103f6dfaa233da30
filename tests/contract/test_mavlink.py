"""The MAVLink bridge of a real daemon against a real vehicle process (pymavlink): telemetry in, and nothing out."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.broker import free_port
from tests.support.daemons import Daemon, wait_until
from tests.support.requires import require

require("module:pymavlink")

VEHICLE = Path(__file__).resolve().parents[1] / "support" / "vehicle.py"


class Vehicle:
    """The vehicle's process."""

    def __init__(self, where: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(VEHICLE), where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        if where.startswith("udp"):
            assert self._process.stdout.readline() == "ready\n"

    def say(self, line: str) -> None:
        """Tell it what to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Vehicle:
        """Return it."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End it."""
        self.stop()


def make_daemon(folder: Path, connection: str, more: str = "", env: dict[str, str] | None = None) -> Daemon:
    """Return a daemon with this vehicle configured; not started."""
    config = folder / "config.toml"
    config.write_text(f'[facts]\nsensors = false\n[mavlink]\nconnection = "{connection}"\n{more}')
    return Daemon(folder / "state", "--config", str(config), env=env)


def facts(daemon: Daemon) -> dict[str, Any]:
    """Return the vehicle's facts that are known now."""
    return {
        row["name"].removeprefix("mavlink."): row["value"]
        for row in daemon.ask("facts")
        if row["origin"] == "mavlink" and row["age_ms"] <= row["max_age_ms"]
    }


def test_telemetry_is_facts_and_who_flies_is_told(tmp_path: Path) -> None:
    port = free_port()
    with make_daemon(tmp_path, f"udpin:127.0.0.1:{port}") as daemon, Vehicle(f"udpout:127.0.0.1:{port}") as vehicle:
        wait_until(lambda: "latitude" in facts(daemon), what="telemetry")
        assert facts(daemon) == {
            "connected": True, "heartbeat_age_ms": 0, "mode": "STABILIZE", "armed": False, "outranked": False,
            "battery_percent": 100, "latitude": 47.397742, "longitude": 8.545594, "altitude_m": 488.0, "height_m": 10.0,
        }  # fmt: skip
        for line, outranked in [
            ("mode 4", False), ("arm", False), ("mode 0", True), ("mode 3", False), ("state 5", True), ("state 4", False),
        ]:  # fmt: skip
            vehicle.say(line)
            wait_until(lambda outranked=outranked: facts(daemon)["outranked"] is outranked, what=line)  # type: ignore[misc]
        vehicle.say("battery 42")
        wait_until(lambda: facts(daemon)["battery_percent"] == 42, what="the battery")
        vehicle.say("garbage")
        vehicle.say("battery 41")
        wait_until(lambda: facts(daemon)["battery_percent"] == 41, what="what comes after bytes of no message")


def test_a_vehicle_that_falls_silent_is_told_and_its_facts_grow_too_old(tmp_path: Path) -> None:
    """Behaviour: 4.13."""
    port = free_port()
    more = 'interval = "1s"\n'
    with make_daemon(tmp_path, f"udpin:127.0.0.1:{port}", more) as daemon:
        assert facts(daemon) == {}
        with Vehicle(f"udpout:127.0.0.1:{port}") as vehicle:
            wait_until(lambda: facts(daemon).get("connected") is True, what="the first heartbeat")
            vehicle.say("silent")
            wait_until(lambda: facts(daemon).get("connected") is False, what="the silence")
            wait_until(lambda: "mode" not in facts(daemon), what="the old mode counts no more")
            assert facts(daemon)["heartbeat_age_ms"] >= 3_000
            vehicle.say("speak")
            wait_until(lambda: facts(daemon).get("connected") is True, what="the next heartbeat")
            assert facts(daemon)["mode"] == "STABILIZE"


def test_a_stream_that_ends_is_opened_again(tmp_path: Path) -> None:
    port = free_port()
    with make_daemon(tmp_path, f"tcp:127.0.0.1:{port}") as daemon:
        wait_until(lambda: bridge_of(daemon)["trouble"] != "connecting", what="nobody listens")
        for battery in (60, 50):
            with Vehicle(f"tcpin:127.0.0.1:{port}") as vehicle:
                vehicle.say(f"battery {battery}")
                wait_until(lambda battery=battery: facts(daemon).get("battery_percent") == battery, what="telemetry")  # type: ignore[misc]
            wait_until(lambda: bridge_of(daemon)["trouble"], what="the loss is told")


def test_a_vehicle_that_lets_us_wait_keeps_neither_the_daemon_nor_its_end(tmp_path: Path) -> None:
    """A connection that nobody accepts and nobody refuses hangs for minutes inside the package."""
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())  # the queue is full: whoever comes now is not answered
        with make_daemon(tmp_path, f"tcp:127.0.0.1:{listener.getsockname()[1]}") as daemon:
            wait_until(lambda: "Timeout" in (bridge_of(daemon)["trouble"] or ""), what="the trouble is named")
            began_s = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - began_s < 10


def bridge_of(daemon: Daemon) -> dict[str, Any]:
    """Return what status says of the one bridge."""
    found: dict[str, Any] = daemon.ask("status")["sources"]["bridges"][0]
    return found


def test_the_bridge_sends_nothing(tmp_path: Path) -> None:
    """No command, no heartbeat: it is never in the loop of setpoints."""
    from pymavlink.dialects.v20 import common

    coder, own = common.MAVLink(None, 1, 1), free_port()
    beat = coder.heartbeat_encode(2, 3, 1, 4, 3).pack(coder)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as vehicle:
        vehicle.bind(("127.0.0.1", 0))
        vehicle.setblocking(False)
        with make_daemon(tmp_path, f"udpin:127.0.0.1:{own}") as daemon:

            def is_connected() -> bool:
                vehicle.sendto(beat, ("127.0.0.1", own))
                return bool(facts(daemon).get("connected"))

            wait_until(is_connected, what="the heartbeat")
            assert facts(daemon)["mode"] == "GUIDED"
        with pytest.raises(BlockingIOError):
            vehicle.recv(1)


@pytest.mark.parametrize("connection", ["udpin:nowhere", "udpin:127.0.0.1:no"])
def test_a_connection_that_is_none_is_named_and_stops_nothing(tmp_path: Path, connection: str) -> None:
    with make_daemon(tmp_path, connection) as daemon:
        wait_until(lambda: connection in (bridge_of(daemon)["trouble"] or ""), what="the trouble")
        assert daemon.ask("status")["name"]


def test_without_the_package_the_daemon_runs_and_names_the_extra(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "pymavlink"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('not installed')\n")
    root = str(Path(__file__).resolve().parents[2])
    env = {"PYTHONPATH": f"{hidden.parent}:{root}"}
    with make_daemon(tmp_path, "udpin:127.0.0.1:1", env=env) as daemon:
        wait_until(lambda: "edge-runtime[mavlink]" in (bridge_of(daemon)["trouble"] or ""), what="the extra is named")

"""The MQTT bridge of a real daemon against a real broker (mosquitto): facts in, results out, and every way to lose it."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.host.bridges.mqtt import MqttBridge
from edge_runtime.host.fact_config import MqttConfig
from tests.support.broker import Broker, Listener
from tests.support.daemons import Daemon, wait_until
from tests.support.requires import require

require("command:mosquitto", "module:aiomqtt")

APP = """
import asyncio
from edge_runtime import App
app = App("greeter")
@app.intent("greet")
async def greet(ctx, name: str) -> str:
    return f"hello {name}"
@app.intent("nap")
async def nap(ctx) -> str:
    await asyncio.sleep(0.3)
    return "awake"
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker."""
    with Broker(tmp_path) as found:
        yield found


def make_daemon(folder: Path, config: str, env: dict[str, str] | None = None) -> Daemon:
    """Return a daemon with a configuration and an app; not started."""
    (folder / "greeter.py").write_text(APP)
    (folder / "config.toml").write_text(
        f'{config}\n[facts]\nsensors = false\n[[apps]]\nmodule = "greeter:app"\npath = "{folder}"\n'
    )
    return Daemon(folder / "state", "--config", str(folder / "config.toml"), env=env)


def mqtt(port: int, more: str = "") -> str:
    """Return the part of a configuration that names a broker."""
    return (
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nresults = "edge/{{name}}"\n{more}\n'
        '[[mqtt.topic]]\ntopic = "yard/+/door"\nname = "door.{1}"\n'
    )


def value_of(daemon: Daemon, name: str) -> Any:
    """Return one fact's value; None while it is not known."""
    return next((row["value"] for row in daemon.ask("facts") if row["name"] == name), None)


def bridge_of(daemon: Daemon) -> dict[str, Any]:
    """Return what status says of the one bridge."""
    found: dict[str, Any] = daemon.ask("status")["sources"]["bridges"][0]
    return found


def wait_for_bridge(daemon: Daemon, sessions: int = 1) -> None:
    """Wait until the bridge stands, so often in all."""
    wait_until(lambda: bridge_of(daemon)["sessions"] >= sessions and not bridge_of(daemon)["trouble"], what="the bridge")


def test_topics_are_facts_by_their_content_and_what_is_none_is_let_be(tmp_path: Path, broker: Broker) -> None:
    with Listener(broker.port) as other, make_daemon(tmp_path, mqtt(broker.port)) as daemon:
        other.publish("yard/North Gate/door", "42.5", retain=True)
        wait_until(lambda: value_of(daemon, "door.north_gate") == 42.5, what="a number, retained before or after")
        wait_for_bridge(daemon)
        other.publish("yard/south/door", '{"open": true, "by": "Ada", "list": [1]}')
        other.publish("yard/west/door", "ajar")
        other.publish("yard/east/door", "")
        other.publish("elsewhere", "1")
        wait_until(lambda: value_of(daemon, "door.west") == "ajar", what="a text")
        assert (value_of(daemon, "door.south.open"), value_of(daemon, "door.south.by")) == (True, "Ada")
        rows = {row["name"]: row for row in daemon.ask("facts")}
        assert {name for name in rows if name.startswith("door.")} == {
            "door.north_gate", "door.south.open", "door.south.by", "door.west",
        }  # fmt: skip
        assert (rows["door.west"]["origin"], rows["door.west"]["max_age_ms"]) == ("mqtt", 180_000)


def test_a_result_with_the_label_is_told_once_also_if_the_broker_was_away(tmp_path: Path, broker: Broker) -> None:
    with make_daemon(tmp_path, mqtt(broker.port)) as daemon:
        wait_for_bridge(daemon)
        with Listener(broker.port, "edge/#") as other:
            daemon.ask("submit", intent="greet", arguments={"name": "Ada"}, name="first", labels=["mqtt"], wait=True)
            daemon.ask("submit", intent="greet", arguments={"name": "nobody"}, name="silent", wait=True)
            wait_until(lambda: other.heard, what="the result")
        broker.stop()
        daemon.ask("submit", intent="greet", arguments={"name": "Eve"}, name="second", labels=["mqtt"], wait=True)
        daemon.kill()
        daemon.start()
        broker.start()
        with Listener(broker.port, "edge/#") as later:
            wait_until(lambda: later.heard, what="the result that waited")
            daemon.ask("submit", intent="greet", arguments={"name": "Zoe"}, name="third/x", labels=["mqtt"], wait=True)
            wait_until(lambda: len(later.heard) >= 2, what="one more")
    assert [topic for topic, _ in other.heard] == ["edge/first"]
    assert [topic for topic, _ in later.heard] == ["edge/second", "edge/third_x"]
    told = json.loads(later.heard[0][1])
    assert (told["end"], told["result"], told["intent"]) == ("completed", "hello Eve", "greet")


def test_a_result_of_the_first_turn_after_a_crash_is_told(tmp_path: Path, broker: Broker) -> None:
    """What became due while the device was off may end before anything else has begun."""
    with make_daemon(tmp_path, mqtt(broker.port)) as daemon, Listener(broker.port, "edge/#") as other:
        wait_for_bridge(daemon)
        daemon.ask("submit", intent="nap", name="slept", labels=["mqtt"])
        daemon.kill()
        threading.Event().wait(0.4)  # the nap is over while the device is off
        daemon.start()
        wait_until(lambda: other.heard, what="the result")
    assert [topic for topic, _ in other.heard] == ["edge/slept"]


def test_results_are_listed_no_more_once_the_bridge_is_gone_from_the_configuration(
    tmp_path: Path, broker: Broker
) -> None:
    with make_daemon(tmp_path, mqtt(broker.port)) as daemon:
        wait_for_bridge(daemon)
        (tmp_path / "config.toml").write_text(
            f'[facts]\nsensors = false\n[[apps]]\nmodule = "greeter:app"\npath = "{tmp_path}"\n'
        )
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not daemon.ask("status")["sources"]["bridges"], what="the reload")
        daemon.ask("submit", intent="greet", arguments={"name": "Ada"}, labels=["mqtt"], wait=True)
        assert daemon.ask("query", sql="SELECT * FROM results") == []


async def test_an_answer_to_the_question_of_an_earlier_session_hides_no_result(broker: Broker) -> None:
    """The node was slow: its old answer, that there is nothing, comes first, and the one that counts after it."""
    struck = asyncio.Event()
    bridge = MqttBridge(
        MqttConfig("127.0.0.1", broker.port, results="edge/{name}"), lambda *reading: None,
        lambda: bridge.give([]), lambda object_id: struck.set(),
    )  # fmt: skip
    session = asyncio.create_task(bridge.session(lambda: None))
    async with asyncio.timeout(10):
        while not bridge._rows._getters and not bridge._has_results._waiters:
            await asyncio.sleep(0.01)
        bridge.give([{"object": "ab", "name": "late", "intent": "greet"}])
        await struck.wait()
    session.cancel()
    with pytest.raises(asyncio.CancelledError):
        await session


def test_a_broker_that_is_not_there_yet_or_goes_is_found_again_and_stops_nothing(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with make_daemon(tmp_path, mqtt(broker.port)) as daemon:
        wait_until(lambda: "refused" in (bridge_of(daemon)["trouble"] or ""), what="the trouble is named")
        shown = daemon.ask("submit", intent="greet", arguments={"name": "Ada"}, wait=True)
        assert shown["result"] == "hello Ada"
        for sessions in (1, 2):
            with broker, Listener(broker.port) as other:
                wait_for_bridge(daemon, sessions)
                other.publish("yard/west/door", f"open {sessions}")
                wait_until(lambda sessions=sessions: value_of(daemon, "door.west") == f"open {sessions}", what="a fact")  # type: ignore[misc]


def test_a_broker_that_refuses_the_password_is_not_asked_again_before_the_configuration_is(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("wrong\n")
    with Broker(tmp_path, "drone", "right") as broker:
        more = f'user = "drone"\npassword_file = "{tmp_path / "secret"}"'
        with make_daemon(tmp_path, mqtt(broker.port, more)) as daemon:
            wait_until(lambda: "refuses this device" in (bridge_of(daemon)["trouble"] or ""), what="the refusal")
            (tmp_path / "secret").write_text("right\n")
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGHUP)
            wait_for_bridge(daemon)
            assert "wrong" not in daemon.log.read_text() and "right" not in daemon.log.read_text()


def test_a_new_topic_in_the_configuration_is_heard_after_a_reload(tmp_path: Path, broker: Broker) -> None:
    with make_daemon(tmp_path, mqtt(broker.port)) as daemon, Listener(broker.port) as other:
        wait_for_bridge(daemon)
        config = tmp_path / "config.toml"
        config.write_text(config.read_text() + '[[mqtt.topic]]\ntopic = "wind"\nname = "wind.speed"\n')
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        other.publish("wind", "7", retain=True)
        wait_until(lambda: value_of(daemon, "wind.speed") == 7, what="the new fact")


def test_without_the_package_the_daemon_runs_and_names_the_extra(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "aiomqtt.py").write_text("raise ImportError('not installed')\n")
    root = str(Path(__file__).resolve().parents[2])
    with make_daemon(tmp_path, mqtt(1), env={"PYTHONPATH": f"{hidden}:{root}"}) as daemon:
        wait_until(lambda: "edge-runtime[mqtt]" in (bridge_of(daemon)["trouble"] or ""), what="the extra is named")
        assert daemon.ask("submit", intent="greet", arguments={"name": "Ada"}, wait=True)["result"] == "hello Ada"


def test_radio_off_ends_no_bridge_on_this_machine(tmp_path: Path, broker: Broker) -> None:
    with make_daemon(tmp_path, mqtt(broker.port)) as daemon, Listener(broker.port) as other:
        wait_for_bridge(daemon)
        daemon.ask("radio", on=False)
        other.publish("yard/west/door", "shut", retain=True)
        wait_until(lambda: value_of(daemon, "door.west") == "shut", what="the fact")

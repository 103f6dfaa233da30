"""A real MQTT broker for tests: mosquitto on loopback, with what was retained kept in memory only."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from tests.support.daemons import wait_until


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """One broker on one port; it may be stopped and started again.

    Args:
        user, password: who may connect; everybody where `user` is empty.
    """

    def __init__(self, folder: Path, user: str = "", password: str = "") -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._file = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {'false' if user else 'true'}", "user root"]
        if user:
            passwords = folder / "passwords"
            tool = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
            subprocess.run([tool, "-b", "-c", str(passwords), user, password], check=True, capture_output=True)
            lines.append(f"password_file {passwords}")
        self._file.write_text("\n".join(lines) + "\n")

    def start(self) -> Broker:
        """Start it and wait until it listens."""
        path = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "mosquitto"
        self._process = subprocess.Popen([path, "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._listens, 10, "the broker listens")
        return self

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it; clients lose their connection."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(10)

    def __enter__(self) -> Broker:
        """Start."""
        return self.start()

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self.stop()


class Listener:
    """A foreign client: publishes, and remembers what comes on the topics of one pattern."""

    def __init__(self, port: int, pattern: str = "#") -> None:
        from paho.mqtt import client as paho

        self.heard: list[tuple[str, bytes]] = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self.heard.append((message.topic, message.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(pattern, 1)

    def publish(self, topic: str, payload: str, retain: bool = False) -> None:
        """Publish one message and wait until the broker has it."""
        self._client.publish(topic, payload, 1, retain).wait_for_publish(10)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Listener:
        """Return the client."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Disconnect."""
        self.close()

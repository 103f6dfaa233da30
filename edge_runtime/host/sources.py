"""Where facts come from outside the node: sensors, files, MQTT, MAVLink. Built anew when the configuration is read.

Sensors are read whether or not anything here waits for a fact: a body may ask for one at any line, and `explain` shows
them. It costs a short-lived thread once a minute; the node hears only what differs. What is not configured is not
even imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from ..base.limits import FACT_CONTENT_BYTES_MAX
from ..judge.fact_names import FILE, MAX_AGE_INTERVALS, SENSOR
from ..node.events import Called
from .clock import boot_ms
from .config import Config
from .fact_config import MavlinkConfig, MqttConfig
from .sensors.feed import Feed
from .sensors.ticker import Source, Ticker
from .thread import NodeThread

if TYPE_CHECKING:
    from .bridges.keeper import Keeper
    from .bridges.mqtt import MqttBridge
    from .sensors.readers import Value

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Sources:
    """All of them. `state`: a folder on the disk that matters."""

    def __init__(self, thread: NodeThread, state: Path, loop: asyncio.AbstractEventLoop, spawn: Spawn) -> None:
        self._thread = thread
        self._state = state
        self._spawn = spawn
        self._feed = Feed(thread.offer, boot_ms, loop)
        self._ticker = Ticker(self._feed.take, boot_ms, loop)
        self._config = Config()
        self._is_radio_on = True
        self._mqtt: MqttBridge | None = None
        self._keepers: dict[Keeper, asyncio.Task[None]] = {}

    # --- Life -----------------------------------------------------------------------------------------------------

    def replace(self, config: Config, is_radio_on: bool) -> None:
        """Read these sources from now on; what stood before is ended."""
        self._config, self._is_radio_on = config, is_radio_on
        self._feed.forget()
        self._ticker.replace(_sources_of(config, self._state))
        self._start_bridges()

    def follow_radio(self, is_on: bool) -> None:
        """The radio was switched: bridges to other machines end, or begin; those on this machine are let be."""
        if is_on != self._is_radio_on:
            self._is_radio_on = is_on
            self._start_bridges()

    def signal(self) -> None:
        """A link came up."""
        for keeper in self._keepers:
            keeper.signal()

    def close(self) -> None:
        """Read no more; the runtime ends the tasks."""
        self._ticker.close()
        self._feed.close()

    def report(self) -> dict[str, Any]:
        """Return what `status` says of sources."""
        return {
            "ticks": self._ticker.ticks, "told": self._feed.told, "being_read": self._ticker.stuck,
            "bridges": [keeper.report() for keeper in self._keepers],
        }  # fmt: skip

    # --- Bridges --------------------------------------------------------------------------------------------------

    def _start_bridges(self) -> None:
        for task in self._keepers.values():
            task.cancel()
        self._keepers.clear()
        self._mqtt = None
        if self._config.mqtt is not None:
            self._start_mqtt(self._config.mqtt)
        if self._config.mavlink is not None:
            self._start_mavlink(self._config.mavlink)

    def _start_mqtt(self, config: MqttConfig) -> None:
        from .bridges.keeper import is_local
        from .bridges.mqtt import MqttBridge

        if self._is_radio_on or is_local(config.host):
            self._mqtt = MqttBridge(config, self._feed.take, self._ask_for_results, self._strike)
            self._keep(f"mqtt {config.host}:{config.port}", self._mqtt.session)

    def _start_mavlink(self, config: MavlinkConfig) -> None:
        from .bridges.mavlink import MavlinkBridge, is_on_board

        if self._is_radio_on or is_on_board(config.connection):
            bridge = MavlinkBridge(config, self._feed.take, boot_ms)
            self._keep(f"mavlink {config.connection}", bridge.session)

    def _keep(self, name: str, session: Callable[[Callable[[], None]], Coroutine[Any, Any, None]]) -> None:
        from .bridges.keeper import Keeper

        keeper = Keeper(name, session, Random())
        self._keepers[keeper] = self._spawn(keeper.run())

    # --- Results --------------------------------------------------------------------------------------------------

    def give_results(self, rows: Sequence[dict[str, Any]] | None) -> None:
        """Hand the node's labelled results to the bridge; None: there are some."""
        if self._mqtt is not None:
            self._mqtt.give(rows)

    def _ask_for_results(self) -> None:
        if self._thread.node is not None:
            self._thread.post(Called(self._thread.node.results.hand_out))

    def _strike(self, object_id: str) -> None:
        if self._thread.node is not None:
            self._thread.post(Called(partial(self._thread.node.results.strike, bytes.fromhex(object_id))))


def _sources_of(config: Config, state: Path) -> list[Source]:
    found: list[Source] = []
    if config.facts.sensors:
        from .sensors.readers import make_readers

        every_ms = config.facts.interval_ms
        readers = tuple(make_readers(state))
        found.append(Source("sensors", readers, SENSOR, every_ms, MAX_AGE_INTERVALS * every_ms))
    for file in config.facts.file:
        reader = partial(read_file, Path(file.path), file.name)
        found.append(Source("files", (reader,), FILE, file.interval_ms, file.max_age_ms))
    return found


def read_file(path: Path, name: str) -> dict[str, Value]:
    """Return the facts in a file.

    Raises:
        OSError, ValueError: it is not there, no regular file, too large, or holds no fact: what it said grows old.
    """
    from .sensors.content import read_content

    if not path.is_file():
        raise ValueError(f"{path} is no file")  # a pipe would hold the reader up
    with path.open("rb") as file:
        return read_content(name, file.read(FACT_CONTENT_BYTES_MAX + 1))

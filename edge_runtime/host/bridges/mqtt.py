"""MQTT: what comes on configured topics is a fact, results of objects with the label are published.

A result is published with QoS 1 and struck from the spool's list after the broker has it: at least once, also across
restarts of either. Facts need no such care: a broker tells retained values again.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ...base.errors import UsageError
from ...base.limits import BRIDGE_CONNECT_MS_MAX, FACTS_MAX
from ...judge.fact_names import MQTT
from ..fact_config import MqttConfig, TopicConfig
from ..sensors.content import read_content, word_of
from ..sensors.ticker import Take

if TYPE_CHECKING:
    import aiomqtt

Row: TypeAlias = dict[str, Any]
# Broker's answers that time does not change: bad protocol, identifier, user or password, not authorised (MQTT 3.1.1
# section 3.2.2.3; their like in MQTT 5).
REFUSALS = (1, 2, 4, 5, 132, 133, 134, 135, 138, 140)


def match_topic(topic: TopicConfig, heard: str) -> str | None:
    """Return the fact's name for a topic that was heard; None if the pattern does not match.

    Source: MQTT 3.1.1 section 4.7 (wildcards).
    """
    pattern, levels = topic.topic.split("/"), heard.split("/")
    matches: list[str] = []
    for position, level in enumerate(pattern):
        if level == "#":
            break
        if position >= len(levels) or level not in ("+", levels[position]):
            return None
        if level == "+":
            matches.append(word_of(levels[position]))
    else:
        if len(levels) != len(pattern):
            return None
    return re.sub(r"\{(\d)\}", lambda found: matches[int(found[1]) - 1], topic.name)


def result_topic(template: str, row: Row) -> str:
    """Return the topic of one result; what would be a wildcard or a level of its own in a name is replaced."""
    parts = {name: re.sub(r"[+#/\x00]", "_", str(row[name] or row["object"])) for name in ("object", "name", "intent")}
    return template.format(**parts)


class MqttBridge:
    """One broker.

    Args:
        take: takes a reading. ask: asks the node for labelled objects that ended and are not published yet; they
            come by `give`. strike: takes one from that list.

    Attributes:
        refused: messages that were no facts.
    """

    def __init__(
        self, config: MqttConfig, take: Take, ask: Callable[[], None], strike: Callable[[str], None]
    ) -> None:
        self._config = config
        self._take = take
        self._ask = ask
        self._strike = strike
        self._rows: asyncio.Queue[Sequence[Row]] = asyncio.Queue()
        self._has_results = asyncio.Event()
        self.refused = 0

    def give(self, rows: Sequence[Row] | None) -> None:
        """Take what the node says: rows to be published; None: an object with the label ended."""
        if rows is not None:
            self._rows.put_nowait(rows)  # one answer for one question: it holds no more than a few
        if rows is None or rows:  # an old answer may stand before this one: then nobody waits for rows
            self._has_results.set()

    async def session(self, stands: Callable[[], None]) -> None:
        """Connect, subscribe, and work until the connection is lost.

        Raises:
            UsageError: the package is missing, or the broker refuses us. Others: not reachable, or lost.
        """
        try:
            import aiomqtt
        except ImportError:
            raise UsageError("[mqtt] needs the package aiomqtt: pip install 'edge-runtime[mqtt]'.") from None
        config = self._config
        client = aiomqtt.Client(
            config.host, config.port, username=config.user or None, password=_password_of(config),
            timeout=BRIDGE_CONNECT_MS_MAX / 1_000, max_queued_incoming_messages=FACTS_MAX,
            tls_context=ssl.create_default_context() if config.tls else None,
        )  # fmt: skip
        try:
            async with client:
                if config.topic:
                    await client.subscribe([(topic.topic, 0) for topic in config.topic])
                stands()
                async with asyncio.TaskGroup() as group:
                    publishing = group.create_task(self._publish(client))
                    try:
                        await self._listen(client)
                    finally:
                        publishing.cancel()
        except aiomqtt.MqttCodeError as error:
            if getattr(error.rc, "value", error.rc) in REFUSALS:
                raise UsageError(f"The broker {config.host} refuses this device: {error}.") from None
            raise

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload
            self._hear(str(message.topic), payload if isinstance(payload, bytes) else str(payload).encode())

    def _hear(self, heard: str, payload: bytes) -> None:
        for topic in self._config.topic:
            name = match_topic(topic, heard)
            if name is None:
                continue
            try:
                values = read_content(name, payload)
            except ValueError:
                self.refused += 1
                continue
            for key, value in values.items():
                self._take(key, value, MQTT, topic.interval_ms, topic.max_age_ms)

    async def _publish(self, client: aiomqtt.Client) -> None:
        """Publish what waits, then what comes; the list is in the spool, so nothing is kept here."""
        self._rows = asyncio.Queue()  # what was asked in the last session is asked again
        while self._config.results:
            self._has_results.clear()
            self._ask()
            rows = await self._rows.get()
            for row in rows:
                payload = json.dumps(row, default=str).encode()
                await client.publish(result_topic(self._config.results, row), payload, qos=1)
                self._strike(row["object"])
            if not rows:
                await self._has_results.wait()


def _password_of(config: MqttConfig) -> str | None:
    if not config.password_file:
        return None
    try:
        return Path(config.password_file).read_text().partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"[mqtt] password_file cannot be read: {error}.") from None

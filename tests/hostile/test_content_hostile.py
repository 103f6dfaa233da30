"""Whatever a file or a topic holds: facts within bounds, or one clear refusal. Never another error, never the daemon."""

from __future__ import annotations

import json
import sqlite3

from hypothesis import example, given
from hypothesis import strategies as st

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import FACT_CONTENT_BYTES_MAX, FACT_FIELDS_MAX
from edge_runtime.host.bridges.mqtt import match_topic
from edge_runtime.host.fact_config import TopicConfig
from edge_runtime.host.sensors.content import read_content
from edge_runtime.judge.fact_names import MQTT
from edge_runtime.node.facts import Facts
from edge_runtime.node.store import Store

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
contents = st.binary(max_size=FACT_CONTENT_BYTES_MAX + 1) | values.map(lambda value: json.dumps(value).encode())
TOPIC = TopicConfig(topic="yard/+/door", name="door.{1}")
FACTS = Facts(Store.open(sqlite3.connect(":memory:", isolation_level=None)))


@given(st.text(max_size=40), contents)
@example("yard/a/door", b"[" * 4_000)
@example("yard/a/door", b"9" * 4_000)
@example("yard/a/door", b'{"a":' * 800)
@example("yard/" + "x" * 200 + "/door", b"1")
def test_any_content_on_any_topic_is_facts_or_one_refusal(level: str, data: bytes) -> None:
    for topic in (level, f"yard/{level}/door"):
        name = match_topic(TOPIC, topic)
        if name is None:
            continue
        try:
            found = read_content(name, data)
        except ValueError:
            continue
        assert 0 < len(found) <= FACT_FIELDS_MAX
        for key, value in found.items():
            try:
                FACTS.put(key, value, MQTT, 1_000, 1)
            except UsageError:
                continue
            assert FACTS.by_name[key].value == value

"""Topics as names of facts, and names of objects as topics. The bridge itself: `tests/contract/test_mqtt.py`."""

from __future__ import annotations

import pytest

from edge_runtime.host.bridges.mqtt import match_topic, result_topic
from edge_runtime.host.fact_config import TopicConfig


@pytest.mark.parametrize(
    ("pattern", "name", "heard", "found"),
    [
        ("door", "door.open", "door", "door.open"),
        ("door", "door.open", "door/1", None),
        ("yard/+/door", "door.{1}", "yard/North Gate/door", "door.north_gate"),
        ("yard/+/door", "door.{1}", "yard/door", None),
        ("+/+", "{2}.{1}", "a/b", "b.a"),
        ("yard/#", "yard.last", "yard/a/b", "yard.last"),
        ("yard/#", "yard.last", "yard", "yard.last"),
        ("#", "all", "anything/at/all", "all"),
        ("yard/+/#", "y.{1}", "yard/a/b/c", "y.a"),
        ("+", "x.{1}", "", "x._"),
    ],
)
def test_a_topic_becomes_a_facts_name(pattern: str, name: str, heard: str, found: str | None) -> None:
    """MQTT 3.1.1 section 4.7."""
    assert match_topic(TopicConfig(topic=pattern, name=name), heard) == found


def test_a_name_makes_no_levels_or_wildcards_in_the_topic_of_a_result() -> None:
    row = {"object": "ab12", "name": "a/+#b", "intent": "greet"}
    assert result_topic("edge/{intent}/{name}", row) == "edge/greet/a___b"
    assert result_topic("edge/{name}", {**row, "name": None}) == "edge/ab12"

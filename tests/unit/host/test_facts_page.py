"""docs/facts.md: its names, bounds and configuration are the ones in force."""

from __future__ import annotations

import re
from pathlib import Path

from edge_runtime.base import limits
from edge_runtime.base.units import format_duration
from edge_runtime.host.config import read_config
from edge_runtime.host.fact_config import MavlinkConfig
from edge_runtime.judge.fact_names import REGISTERED
from edge_runtime.judge.outranking import OUTRANKED, VEHICLE

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "facts.md").read_text()


def test_every_registered_name_has_its_row_in_the_same_order() -> None:
    rows = [
        f"| `{item.name}` | {item.kind.value} | {item.unit or '–'} | "
        f"{format_duration(item.interval_ms) if item.interval_ms else 'told'} | "
        f"{format_duration(item.max_age_ms) if item.interval_ms else 'until it changes'} | {item.origin} | {item.source} |"
        for item in REGISTERED
    ]
    assert re.findall(r"^\| `.*\|$", PAGE, re.MULTILINE) == rows


def test_the_configuration_on_the_page_is_in_order_and_says_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0])
    config = read_config(file)
    assert config.mqtt is not None and config.mavlink is not None and len(config.facts.file) == 1
    assert config.mavlink == MavlinkConfig(connection=config.mavlink.connection)
    assert config.mqtt.topic[0].max_age_ms == 12 * 60 * 60 * 1_000


def test_the_bounds_on_the_page_are_the_ones_in_force() -> None:
    for text in (
        f"At {limits.FACTS_MAX:,} facts",
        f"at most {limits.FACT_NAME_BYTES_MAX} bytes",
        f"a text of at most {limits.FACT_VALUE_BYTES_MAX} bytes",
        f"after {limits.BRIDGE_WAIT_MS_FIRST // 1_000} s, doubled up to {limits.BRIDGE_WAIT_MS_MAX // 1_000} s",
        f'needs=("{VEHICLE}",)', f"`{OUTRANKED}`",
    ):  # fmt: skip
        assert text in PAGE

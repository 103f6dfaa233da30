"""docs/advice.md: its handler and advisor run as they stand, and its configuration is one."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

from edge_runtime.base.limits import ADVICE_MS_DEFAULT, ADVICE_VALID_MS_DEFAULT
from edge_runtime.base.units import MINUTE_MS
from edge_runtime.host.config import AdvisorConfig, read_config
from edge_runtime.testing import World

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "advice.md").read_text()


def block(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    assert len(found) == 1
    return str(found[0])


def load() -> Any:
    module = ModuleType("routes")
    exec(compile(block("python"), "docs/advice.md", "exec"), module.__dict__)
    return module


def test_the_handler_follows_its_advisor_and_goes_on_without_it() -> None:
    world = World("base", apps=[load().app])
    base = world.device("base")
    base.submit("deliver", {"goal": "lake"}, name="calm")
    world.run(seconds=1)
    assert base.show("calm")["result"] == "flew by the river"
    base.fact("wind.speed", 20)
    base.submit("deliver", {"goal": "lake"}, name="storm")
    world.run(minutes=1)
    assert base.show("storm")["result"] == "flew the long way"


def test_the_configuration_is_one_and_its_numbers_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(block("toml"))
    advisor = read_config(tmp_path / "config.toml").advisor
    plain = AdvisorConfig()
    assert advisor == AdvisorConfig("http://localhost:8080", "qwen2.5-3b-instruct")
    assert (advisor.topics, advisor.timeout_s, advisor.calls_per_hour) == (["*"], plain.timeout_s, plain.calls_per_hour)


def test_the_times_on_the_page_are_those_of_the_code() -> None:
    assert MINUTE_MS == ADVICE_MS_DEFAULT and 10 * MINUTE_MS == ADVICE_VALID_MS_DEFAULT

"""`[[schedule]]` and files of submissions: what is taken, and what is refused with what to write."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.units import DAY_MS, HOUR_MS
from edge_runtime.host.config import read_config
from edge_runtime.host.task_config import EXAMPLE, Dropped, schedules_of

ONE = '[[schedule]]\nname = "water"\nintent = "sample"\n'


def read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    read_config(file)


def test_the_example_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(EXAMPLE)
    (found,) = schedules_of(read_config(file).schedule)
    assert (found.name, found.every_ms, found.task.intent) == ("water", HOUR_MS, "sample.water")
    assert found.task.name == "water-{slot}" and found.task.arguments == {"depth_m": 3}


def test_a_time_of_day_and_all_terms_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(ONE + 'daily = "06:30"\nlifetime = "2d"\nobject = "w.{slot}.x"\nlabels = ["outbox"]\npriority = 2\n')
    (found,) = schedules_of(read_config(file).schedule)
    assert (found.minute, found.every_ms, found.task.lifetime_ms) == (390, 0, 2 * DAY_MS)
    assert (found.task.name, found.task.labels, found.task.priority) == ("w.{slot}.x", ["outbox"], 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ONE, "give one of"),
        (ONE + 'every = "1h"\ndaily = "06:00"\n', "give one of"),
        (ONE + 'every = "10ms"\n', "not between 1 s and"),
        (ONE + 'every = "hourly"\n', "every"),
        (ONE + 'daily = "24:00"\n', 'such as "06:00"'),
        (ONE + 'every = "1h"\nobject = "same"\n', "needs {slot} once"),
        (ONE + 'every = "1h"\nlifetime = "9000d"\n', "lifetime 9000d"),
        (ONE + 'every = "1h"\n' + ONE + 'every = "2h"\n', "two are named 'water'"),
        (ONE + 'every = "1h"\ncolour = "red"\n', "colour"),
        (ONE.replace("water", "Water Works") + 'every = "1h"\n', "name"),
    ],
)
def test_what_is_not_right_is_refused_with_what_to_write(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert says in refused.value.message and "config.toml" in refused.value.message


def test_a_toml_date_in_arguments_is_a_text() -> None:
    found = msgspec.toml.decode('intent = "a"\narguments = {from = 2026-01-02T03:04:05Z}\n', type=Dropped)
    assert found.command("n").arguments == {"from": "2026-01-02T03:04:05Z"}

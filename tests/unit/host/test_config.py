"""`config.toml`: what is taken, and that what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.host.config import EXAMPLE, Config, read_config
from edge_runtime.judge.plan import Pass


def write(folder: Path, text: str) -> Path:
    """Return a file of this text."""
    file = folder / "config.toml"
    file.write_text(text)
    return file


def test_the_example_that_errors_show_is_itself_in_order(tmp_path: Path) -> None:
    found = read_config(write(tmp_path, EXAMPLE))
    assert found.device.name == "drone-1"
    assert found.device.capabilities == ["camera"]
    assert found.network.peers == ["base.local:4711"]
    assert (found.apps[0].module, found.apps[0].path) == ("survey:app", "/opt/survey")


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert read_config(write(tmp_path, "")) == Config()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[device]\ncolour = 'red'", "colour"),
        ("[devise]\nname = 'x'", "devise"),
        ("[network]\nlisten = 4711", r"\$.network.listen"),
        ("[network]\npeers = 'base:1'", r"\$.network.peers"),
        ("[device]\ncapabilities = ['Camera']", r"\$.device.capabilities"),
        ("[device]\ncapabilities = ['a..b']", r"\$.device.capabilities"),
        ("[[apps]]\npath = '/opt'", "module"),
        ("[apps]\nmodule = 'x'", r"\$.apps"),
        ("[device\nname = 'x'", "line"),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_an_example(tmp_path: Path, text: str, named: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UsageError, match=named) as caught:
        read_config(file)
    assert str(file) in caught.value.message
    assert "[[apps]]" in caught.value.message
    assert caught.value.exit is Exit.USAGE


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read"):
        read_config(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"name = '\xff'")
    with pytest.raises(UsageError, match=r"broken\.toml cannot be read"):
        read_config(broken)


def test_lists_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="64"):
        read_config(write(tmp_path, f"[device]\ncapabilities = {[f'c{number}' for number in range(65)]}"))


PASS = '[[plan]]\npeer = "orbiter"\nstart = 2026-03-01T06:00:00Z\nend = 2026-03-01T06:08:00+00:00\n'


def test_a_contact_plan_is_read_by_destination_in_wall_time_with_its_error_and_delay(tmp_path: Path) -> None:
    """Behaviour: 19.7."""
    text = f'{PASS}error_s = 5\ndelay_s = 1.5\n{PASS.replace("T06", "T09")}{PASS.replace("orbiter", "earth")}'
    plans = read_config(write(tmp_path, text)).plans()
    start_ms = 1_772_344_800_000
    assert list(plans) == ["orbiter", "earth"]
    assert plans["orbiter"].passes[0] == Pass(start_ms + 1_500, start_ms + 480_000, 5_000)
    assert len(plans["orbiter"].passes) == 2
    assert plans["earth"].passes == (Pass(start_ms, start_ms + 480_000),)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (PASS.replace("T06:08", "T05:08"), r"\[\[plan\]\] number 1 \('orbiter'\): end is not after start"),
        (PASS.replace("T06:00:00Z", "T06:00:00"), r"\$.plan\[0\].start"),
        (PASS + "error_s = -1", r"\$.plan\[0\].error_s"),
        (PASS.replace("peer", "pier"), r"pier"),
        ("[pacing]\ndelay_per_attempt_s = 0", r"\$.pacing.delay_per_attempt_s"),
        ("[pacing]\ndelay_per_attempt_s = 901", r"\$.pacing.delay_per_attempt_s"),
    ],
)
def test_what_is_wrong_in_a_plan_or_in_pacing_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        read_config(write(tmp_path, text))
    assert "config.toml" in caught.value.message
    assert "2026-03-01T06:00:00Z" in caught.value.message


def test_the_cost_of_an_attempt_is_three_seconds_of_delay_unless_said_otherwise(tmp_path: Path) -> None:
    assert Config().pacing.delay_per_attempt_s == 3
    assert read_config(write(tmp_path, "[pacing]\ndelay_per_attempt_s = 300")).pacing.delay_per_attempt_s == 300


def test_a_capability_with_a_condition_is_read_and_a_wrong_condition_is_named(tmp_path: Path) -> None:
    """Behaviour: 8.4."""
    path = tmp_path / "config.toml"
    path.write_text('[[cannot]]\ncapability = "camera"\nwhen = "battery.percent < 20"\n')
    [reservation] = read_config(path).reservations()
    assert reservation.subject == "camera"
    path.write_text('[[cannot]]\ncapability = "camera"\nwhen = "battery <"\n')
    with pytest.raises(UsageError, match=r"config.toml: \[\[cannot\]\] camera: when: "):
        read_config(path)

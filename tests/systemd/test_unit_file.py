"""The unit file, judged by systemd itself without booting one: it parses, and its sandbox is tight."""

from __future__ import annotations

import re
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from tests.support.requires import require

UNIT = Path(__file__).parents[2] / "systemd" / "edge-runtime.service"
EXPOSURE_TENTHS_MAX = (
    15  # of 100; 5 for the network that the daemon exists for, and what peers and socket need
)


class UnitParser(RawConfigParser):
    """Keys of a unit file keep their case."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture
def unit() -> RawConfigParser:
    """The unit's sections; a key that stands several times keeps its last value."""
    parser = UnitParser(strict=False)
    parser.read_string(UNIT.read_text())
    return parser


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; its whole answer."""
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def at_an_installed_program(text: str) -> str:
    """The unit as after installation: `verify` insists that the program exists, so `true` takes its place."""
    changed = re.sub(
        r"^ExecStart=/opt/edge-runtime/bin/edge-runtime ", "ExecStart=/bin/true ", text, flags=re.M
    )
    assert changed != text, "the unit starts something else than the installed program"
    return changed


def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    require("systemd-analyze")
    copy = tmp_path / UNIT.name
    copy.write_text(at_an_installed_program(UNIT.read_text()))
    answer = analyze("verify", str(copy))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_a_misspelt_line_would_be_noticed(tmp_path: Path) -> None:
    require("systemd-analyze")
    copy = tmp_path / UNIT.name
    copy.write_text(at_an_installed_program(UNIT.read_text()).replace("WatchdogSec=", "WatchdogSecs="))
    assert "WatchdogSecs" in analyze("verify", str(copy)).stderr


def test_the_sandbox_is_tight() -> None:
    require("systemd-analyze")
    answer = analyze(
        "security", "--offline=true", f"--threshold={EXPOSURE_TENTHS_MAX}", "--no-pager", str(UNIT)
    )
    score = re.search(r"exposure level for edge-runtime.service: ([\d.]+)", answer.stdout)
    assert score, answer.stderr
    print(f"exposure {score[1]}")
    assert answer.returncode == 0, answer.stdout
    assert float(score[1]) <= EXPOSURE_TENTHS_MAX / 10


def test_a_sandbox_with_one_wall_down_would_be_noticed(tmp_path: Path) -> None:
    require("systemd-analyze")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("CapabilityBoundingSet=\n", ""))
    assert (
        analyze("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS_MAX}", str(copy)).returncode != 0
    )


def test_an_offline_device_is_started_and_never_given_up(unit: RawConfigParser) -> None:
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Service"]["Restart"] == "always"
    for order in ("After", "Requires", "Wants", "BindsTo"):
        assert order not in unit["Unit"], "an offline board without a clock must start too"


def test_a_refused_system_call_is_an_error_and_not_a_kill(unit: RawConfigParser) -> None:
    assert unit["Service"]["SystemCallErrorNumber"] == "EPERM"


def test_the_unit_runs_the_daemon_where_the_documents_say(unit: RawConfigParser) -> None:
    service = unit["Service"]
    assert service["ExecStart"].split()[1:] == [
        "run", "--state", "/var/lib/edge-runtime", "--config", "/etc/edge-runtime/config.toml"
    ]  # fmt: skip
    for folder in ("StateDirectory", "RuntimeDirectory", "ConfigurationDirectory", "User", "Group"):
        assert service[folder] == "edge-runtime"
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert "DynamicUser" not in service, "files on a card keep their owner"

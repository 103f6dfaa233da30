"""What the scripts of `deploy/` say and refuse, without a machine to install on."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest

from edge_runtime.host.config import Config, read_config
from edge_runtime.judge.policy import Policy
from tests.support.daemons import ROOT
from tests.support.requires import require

DEPLOY = ROOT / "deploy"
SCRIPTS = sorted(DEPLOY.rglob("*.sh"))


def sh(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    command = ["sh", str(DEPLOY / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    require("command:shellcheck")
    answer = subprocess.run(
        ["shellcheck", str(script)], capture_output=True, text=True, timeout=60, check=False, cwd=script.parent
    )
    assert (answer.returncode, answer.stdout) == (0, "")


@pytest.mark.parametrize("script", ["install.sh", "wheelhouse.sh"])
def test_help_names_each_option_that_the_script_takes(script: str) -> None:
    text = sh(script, "--help").stdout
    for option in re.findall(r"^ +(?:-h \| )?(--[a-z-]+)\) ?", (DEPLOY / script).read_text(), re.M):
        assert option in (text + "--help"), option
    assert "#" not in text and "set -eu" not in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--what", "--what is no option"),
        ("--device", "--device needs a value"),
        ("--device video0", "a path such as /dev/video0"),
        ("--device /dev/../etc/shadow", "a path such as /dev/video0"),
        ("--group nobody-has-it", "there is no such group"),
        ("--operator nobody-is-it", "there is no such user"),
        ("--extras mqtt;id", "names with commas between"),
        ("--wheelhouse /proc", "holds no wheels"),
        ("--join /nowhere", "there is no such file"),
        ("--purge", "goes with --uninstall"),
    ],
)
def test_wrong_use_of_the_installer_is_one_clear_line(words: str, says: str) -> None:
    answer = sh("install.sh", *words.split())
    assert (answer.returncode, answer.stdout) == (2, "")
    assert says in answer.stderr and answer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "say where to"),
        ("--arch armv7l x", "aarch64 or x86_64"),
        ("--python 3.9 x", "3.11 or newer"),
        ("one two", "one DIR"),
    ],
)
def test_wrong_use_of_the_wheelhouse_is_one_clear_line(words: str, says: str) -> None:
    answer = sh("wheelhouse.sh", *words.split())
    assert (answer.returncode, answer.stdout) == (2, "")
    assert says in answer.stderr and answer.stderr.count("\n") == 1


def uncommented(text: str) -> str:
    """The sample with all of its examples taken in: lines that begin with # and no space."""
    return re.sub(r"^#(?=[a-z\[])", "", text, flags=re.M)


def test_the_sample_configuration_changes_nothing_and_all_of_its_examples_are_right(tmp_path: Path) -> None:
    sample = DEPLOY / "config.toml"
    assert read_config(sample) == Config()
    whole = tmp_path / "config.toml"
    whole.write_text(uncommented(sample.read_text()))
    found = read_config(whole)
    assert found.schedule and found.drop
    assert found.apps and found.mqtt and found.mavlink and found.plans() and found.reservations()
    assert found.join.invitation and found.web and found.drop and found.schedule and found.store.max_bytes
    assert set(tomllib.loads(whole.read_text())) <= {field.name for field in msgspec.structs.fields(Config)}


def test_the_sample_policy_is_right_and_the_daemon_does_not_read_it_by_itself() -> None:
    sample = DEPLOY / "policy.example.toml"
    assert len(Policy.parse(sample.read_text(), "sample").rules) == 2
    assert not (DEPLOY / "policy.toml").exists(), "a policy beside the configuration would be in force"

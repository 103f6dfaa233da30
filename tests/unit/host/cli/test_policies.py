"""`policy check` and `policy test` as typed: exit codes, JSON, and a difference that a person can act on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit
from edge_runtime.host.cli import main as cli

POLICY = '[[rule]]\nname = "charged"\nwhen = "battery.percent >= 40"\neffect = "permit"\n'
GOOD = '[[case]]\nname = "full"\nintent = "x"\nfacts = { battery.percent = 50 }\nexpect = "permit"\nrule = "charged"\n'
BAD = '[[case]]\nname = "empty"\nintent = "x"\nfacts = { battery.percent = 10 }\nexpect = "permit"\n'


def write(folder: Path, cases: str, policy: str = POLICY) -> str:
    (folder / "policy.toml").write_text(policy)
    file = folder / "policy.test.toml"
    file.write_text(cases)
    return str(file)


def test_cases_that_come_out_as_expected_end_with_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "test", write(tmp_path, GOOD)]) == Exit.OK
    assert capsys.readouterr().out.startswith("1 of 1 cases came out as expected")


def test_a_case_that_comes_out_otherwise_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, GOOD + BAD)
    assert cli.main(["policy", "test", file]) == Exit.FAILED
    assert capsys.readouterr().out.splitlines() == [
        "FAILED empty",
        "    expected permit, came to reject",
        "      rule 'charged' [battery.percent >= 40]: its condition is false (battery.percent = 10)",
        f"1 of 2 cases came out as expected ({tmp_path / 'policy.toml'}).",
    ]
    assert cli.main(["policy", "test", file, "--json"]) == Exit.FAILED
    value = json.loads(capsys.readouterr().out)
    assert (value["ok"], value["cases"], value["failed"]) == (False, 2, 1)
    assert [result["ok"] for result in value["results"]] == [True, False]
    assert value["results"][1]["rules"][0]["reads"] == {"battery.percent": 10}


def test_another_policy_may_be_named_and_what_is_not_right_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "night.toml").write_text(POLICY)
    file = write(tmp_path, 'policy = "night.toml"\n' + GOOD, policy="[[rule]]")
    assert cli.main(["policy", "test", file]) == Exit.OK
    for cases, policy in ((GOOD, "[[rule]]"), ("[[case]]", POLICY), ('policy = "none.toml"\n' + GOOD, POLICY)):
        assert cli.main(["policy", "test", write(tmp_path, cases, policy)]) == Exit.USAGE
    assert "none.toml cannot be read" in capsys.readouterr().err
    assert cli.main(["policy", "test", str(tmp_path / "gone.toml"), "--json"]) == Exit.USAGE

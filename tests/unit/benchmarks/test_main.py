"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import pytest

from benchmarks import main as module
from benchmarks.main import main
from benchmarks.processes import Unusable
from benchmarks.results import Result, Start

FOUND = Start(0.2, 33.0, 100.0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Return what is asked for instead of measuring it."""
    calls: list[tuple[str, bool]] = []

    def run(options: argparse.Namespace) -> Result:
        calls.append((options.name, options.small))
        return FOUND

    monkeypatch.setattr(module, "_run", run)
    return calls


@pytest.mark.parametrize("words", ["start --small --json", "--small --json start", "--json start --small"])
def test_options_are_taken_before_and_after_the_name(
    words: str, asked: list[tuple[str, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 0
    assert asked == [("start", True)]
    assert msgspec.json.decode(capsys.readouterr().out.splitlines()[-1], type=Start) == FOUND


def test_without_json_it_prints_tables_for_people(
    asked: list[tuple[str, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["start"]) == 0
    assert asked == [("start", False)]
    assert capsys.readouterr().out.startswith("| ready s | rss MB | import ms |\n")


def test_what_cannot_be_measured_is_one_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(options: argparse.Namespace) -> Result:
        raise Unusable("the daemon did not start")

    monkeypatch.setattr(module, "_run", run)
    assert main(["steps", "--json"]) == 1
    assert capsys.readouterr() == ("", "benchmarks: the daemon did not start\n")


@pytest.mark.parametrize("words", [[], ["sleep"], ["table"]])
def test_an_unknown_or_missing_name_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == 2


def test_a_file_that_is_no_result_or_not_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.json").write_text("{}")
    assert main(["table", str(tmp_path / "x.json")]) == 1
    assert "run it with --json" in capsys.readouterr().err
    assert main(["table", str(tmp_path / "y.json")]) == 1
    assert "y.json" in capsys.readouterr().err

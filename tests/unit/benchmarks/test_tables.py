"""Results as Markdown, and docs/benchmarks.md as what the command prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.main import main
from benchmarks.results import FLOOR, WORKLOAD, Start, Steps, StepsRow, read_result
from benchmarks.tables import page, result_table

ROOT = Path(__file__).parents[3]
NAMES = ("steps", "dormant", "dormant-100000", "start", "wake")
RESULTS = [ROOT / "benchmarks" / "results" / f"{name}.json" for name in NAMES]


def test_a_result_is_a_markdown_table_and_what_was_not_measured_is_a_dash() -> None:
    found = Steps(WORKLOAD, (StepsRow(FLOOR, 1, 1067.2, 0.86, 1.44, 0.53, None),), None, None)
    assert result_table(found) == (
        "| system | width | per s | p50 ms | p99 ms | cpu ms each | flushes each |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| floor | 1 | 1067.2 | 0.86 | 1.44 | 0.53 | – |\n"
        "\n"
        "3 recorded steps; ours over the best peer: – one at a time, – 50 wide."
    )


def test_our_figures_stand_beside_the_bars_below_the_tables() -> None:
    assert page([Start(0.3, 34.0, 100.0)]) == (
        "| ready s | rss MB | import ms |\n"
        "| --- | --- | --- |\n"
        "| 0.3 | 34.0 | 100.0 |\n"
        "\n"
        "| ours | bar | measured |  |\n"
        "| --- | --- | --- | --- |\n"
        "| cold start to ready, s | ≤ 0.25 | 0.3 | missed by 20 % |\n"
        "| idle memory, MB | ≤ 35 | 34 | met |"
    )


def test_the_page_shows_what_the_command_prints_of_the_kept_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", *map(str, RESULTS)]) == 0
    tables = re.findall(r"(?m)(?:^\|.*\n)+", capsys.readouterr().out)
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert len(tables) == len(RESULTS) + 1
    for table in tables:
        assert table in text, f"docs/benchmarks.md lacks this table; run `python -m benchmarks table`:\n{table}"


def test_the_page_explains_each_bar_that_is_missed() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    missed = re.findall(
        r"(?m)^\| (.*?) \| [≤≥] .* \| missed.* \|$", page([read_result(f.read_bytes()) for f in RESULTS])
    )
    for what in missed:
        assert f"- **{what}**:" in text, f"docs/benchmarks.md does not say why this bar is missed: {what}"


PACING = sorted((ROOT / "benchmarks" / "results").glob("backoff_*.json"))


def test_the_page_shows_the_pacing_tables_of_the_kept_results() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert len(PACING) == 3
    for file in PACING:
        assert result_table(read_result(file.read_bytes())) in text, f"docs/benchmarks.md is not {file.name}"

"""For every level: its marker by directory, skips that fail in CI, a list of what did not run, and what may run beside it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.requires import VARIABLE, must_all_run

TESTS = Path(__file__).parent
MARKERS = {"scenarios": "plays"}  # a folder whose marker has another name
# Levels that use the machine itself (processes, namespaces, mounts): of each, one test at a time, for several at once would
# only wait for each other. All others share what workers there are.
ONE_AT_A_TIME = frozenset({"browser", "card", "contract", "crash", "demo", "hostile", "interop", "netns", "systemd"})


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a misspelt `EDGE_REQUIRE` before anything runs."""
    must_all_run()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with the level whose directory holds it, so that `-m netns` picks a level."""
    for item in items:
        if TESTS in item.path.parents and item.path.parent != TESTS:
            level = item.path.relative_to(TESTS).parts[0]
            item.add_marker(MARKERS.get(level, level))
            if level in ONE_AT_A_TIME:
                item.add_marker(pytest.mark.xdist_group(level))


def _fail_if_all_must_run(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome == "skipped" and not hasattr(report, "wasxfail") and must_all_run():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\n({VARIABLE}=all: what cannot run is a failure)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip, whoever asked for it, into a failure where all must run."""
    report = yield
    _fail_if_all_must_run(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself whole."""
    report = yield
    _fail_if_all_must_run(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name each thing that did not run, under the reason why."""
    names: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        names.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)
    if not names:
        return
    terminalreporter.section("not run on this machine")
    for reason, skipped in sorted(names.items()):
        terminalreporter.write_line(f"{reason}  ({len(skipped)})")
        for nodeid in skipped:
            terminalreporter.write_line(f"    {nodeid}")

"""`/metrics`: read by Prometheus' own parsers, bounded, and true."""

from __future__ import annotations

import subprocess

from prometheus_client.parser import text_string_to_metric_families

from tests.support.daemons import ROOT, Daemon
from tests.support.requires import require
from tests.support.web import request, url_of

NAMES = frozenset({"version", "status", "ownership", "state", "reason"})


def scrape(daemon: Daemon) -> str:
    """Return the page."""
    status, headers, body = request(url_of(daemon), "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    return body.decode()


def values_of(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return the samples by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text) for sample in family.samples
    }  # fmt: skip


def test_the_clients_parser_reads_it_and_it_says_what_status_says(daemon: Daemon) -> None:
    found, status = values_of(scrape(daemon)), daemon.ask("status")
    assert found["edge_runtime_up", ()] == 1
    for name, count in status["objects"].items():
        assert found["edge_runtime_objects", (("status", name),)] == count
    assert found["edge_runtime_contacts", ()] == status["contacts"] == 0
    assert found["edge_runtime_radio_on", ()] == 1
    assert found["process_resident_memory_bytes", ()] > 1_000_000


def test_the_page_of_the_docs_names_every_metric(daemon: Daemon) -> None:
    page = (ROOT / "docs" / "status-page.md").read_text()
    samples = {name for name, _ in values_of(scrape(daemon)) if name.startswith("edge_runtime_")}
    assert len(samples) > 20
    assert sorted(name for name in samples if f"`{name}" not in page) == []


def test_promtool_finds_nothing_to_improve(daemon: Daemon) -> None:
    require("command:promtool")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape(daemon), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_more_objects_make_no_more_series_and_no_label_holds_a_name_of_others(daemon: Daemon) -> None:
    before = values_of(scrape(daemon))
    for number in range(20):
        daemon.ask("submit", intent="patrol", name=f"many-{number}")
    after = values_of(scrape(daemon))
    assert set(after) == set(before)
    assert {label for _, labels in after for label, _ in labels} <= NAMES


def test_what_counts_up_never_goes_down(daemon: Daemon) -> None:
    first = values_of(scrape(daemon))
    daemon.ask("submit", intent="count", arguments={"number": 1}, wait=True)
    second = values_of(scrape(daemon))
    counters = [key for key in first if key[0].endswith("_total")]
    assert counters
    assert all(second[key] >= first[key] for key in counters)
    assert second["edge_runtime_turns_total", ()] > first["edge_runtime_turns_total", ()]

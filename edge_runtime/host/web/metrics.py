"""`/metrics`: this device in the text format of Prometheus. Names, units and types by its conventions.

Labels come from closed lists (statuses, states, outcomes of the door); never an object, a device or a name that others
choose, so that a device with 100,000 objects has as many series as one with none. What counts up counts from the start
of the daemon.

Source: prometheus.io/docs/practices/naming and /docs/instrumenting/exposition_formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ...node.effects import Effect, Send
from ...node.events import ContactOpened, Event, Heard
from ...node.fading import Presence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # the format that every version of Prometheus reads
REFUSALS_SHOWN = 64  # reasons; they are words of the code, and fewer
SPOOL_FILES = ("spool.db", "spool.db-wal")


class Tally(Struct):
    """What is counted after each commit, on the node thread."""

    events: int = 0
    contacts: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0

    def count(self, events: Sequence[Event], effects: Sequence[Effect]) -> None:
        """Count one turn."""
        self.events += len(events)
        for event in events:
            if isinstance(event, Heard):
                self.received_bytes += event.bytes_size
            elif isinstance(event, ContactOpened):
                self.contacts += 1
        for effect in effects:
            if isinstance(effect, Send):
                self.sent_bytes += sum(len(message) for message in effect.messages)


class Readings(Struct):
    """What one scrape is made of. `status` and `peers` are the node's answers, None where it gave none."""

    version: str
    turns: int
    tally: Tally
    onlookers: int
    state: Path
    status: Mapping[str, Any] | None
    peers: Sequence[Mapping[str, Any]]


def render(readings: Readings) -> bytes:
    """Return the page of one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(readings))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collector:
    """Hands one scrape's families to the library, which writes them."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        yield from _of_host(self._readings)
        status = self._readings.status
        yield _gauge("up", "1 if the node answered this scrape.", status is not None)
        if status is not None:
            yield from _of_node(status)
            yield from _of_machine(status)
            yield _labelled(
                GaugeMetricFamily, "peers", "Devices known, by state.", "state",
                {state.value.replace(" ", "_"): 0 for state in Presence}
                | _count([str(peer["state"]).replace(" ", "_") for peer in self._readings.peers]),
            )  # fmt: skip


def _of_host(readings: Readings) -> Iterator[Metric]:
    info = GaugeMetricFamily("edge_runtime_build_info", "The version that runs; always 1.", labels=["version"])
    info.add_metric([readings.version], 1)
    yield info
    tally = readings.tally
    yield _counter("turns", "Transactions of the node that were committed.", readings.turns)
    yield _counter("events", "Events that the node handled.", tally.events)
    yield _counter("contacts_opened", "Contacts with peers that began.", tally.contacts)
    yield _counter("received_bytes", "Bytes of messages that peers sent.", tally.received_bytes)
    yield _counter("sent_bytes", "Bytes of messages sent to peers.", tally.sent_bytes)
    yield _gauge("web_onlookers", "Live status pages.", readings.onlookers)
    size = sum(file.stat().st_size for name in SPOOL_FILES if (file := readings.state / name).exists())
    yield _gauge("spool_size_bytes", "Bytes of the spool's files on the disk.", size)


def _of_node(status: Mapping[str, Any]) -> Iterator[Metric]:
    yield _labelled(GaugeMetricFamily, "objects", "Objects held here, by status.", "status", status["objects"])
    sizes = {name: status["bytes"][name] for name in ("own", "carried", "ended", "tombstones")}
    what = "Bytes of objects and of what is left of them."
    yield _labelled(GaugeMetricFamily, "objects_size_bytes", what, "ownership", sizes)
    yield _gauge("contacts", "Contacts with peers now.", status["contacts"])
    yield _gauge("revoked_devices", "Devices whose grants are known to be withdrawn.", status["revoked"])
    yield _gauge("radio_on", "1 if this device may transmit.", status["radio"] == "on")
    yield _gauge("held", "1 if an operator holds this device: no new effects.", bool(status["held"]))
    yield _gauge("queued_objects", "Objects that wait to be looked at.", status["queued"])
    yield _counter("evaluations", "Looks at objects.", status["evaluations"])
    yield _gauge("facts", "Facts known.", status["facts"]["known"])
    yield _counter("facts_dropped", "Facts dropped beyond the bound.", status["facts"]["dropped"])
    yield _counter("facts_refused", "Facts refused.", status["facts"]["refused"])
    refused = dict(list(status["refused"].items())[:REFUSALS_SHOWN])
    yield _labelled(CounterMetricFamily, "entries_refused", "Entries of peers refused, by reason.", "reason", refused)


def _of_machine(status: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("steps_running", "Steps that run now.", status.get("steps_running", 0))
    yield _gauge("hung_threads", "Threads of steps that never came back.", status.get("hung_threads", 0))
    yield _gauge("apps_failed", "Apps that could not be loaded.", len(status.get("apps_failed", ())))
    yield _gauge("store_failing", "1 while the spool cannot be written.", bool(status.get("trouble")))
    refused = dict(list(status.get("links", {}).get("refused", {}).items())[:REFUSALS_SHOWN])
    yield _labelled(CounterMetricFamily, "links_refused", "Connections refused, by reason.", "reason", refused)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"edge_runtime_{name}", text, value=float(value))


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"edge_runtime_{name}", text, value=float(value))


def _labelled(
    family: type[GaugeMetricFamily] | type[CounterMetricFamily], name: str, text: str, label: str,
    values: Mapping[str, float],
) -> Metric:  # fmt: skip
    found = family(f"edge_runtime_{name}", text, labels=[label])
    for value, number in values.items():
        found.add_metric([value], float(number))
    return found


def _count(words: Sequence[str]) -> dict[str, int]:
    return {word: words.count(word) for word in dict.fromkeys(words)}

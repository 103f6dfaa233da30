"""The snapshot: what a decision may see, and the digest by which it is recognised."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from edge_runtime.base.moment import Trust
from edge_runtime.base.units import DAY_MS, HOUR_MS
from edge_runtime.judge.facts import Fact
from edge_runtime.objects.condition_text import parse
from edge_runtime.objects.conditions import Truth, evaluate
from tests.support.snapshots import snapshot


def test_a_stale_fact_is_unknown_and_fresh_asks_for_less() -> None:
    """Behaviour: 4.13."""
    facts = {"battery.percent": Fact("battery.percent", 80, 94_000, "sensor", 30_000)}
    for life_ms, plain, fresh in (
        (99_000, Truth.TRUE, Truth.TRUE),
        (99_001, Truth.TRUE, Truth.UNKNOWN),
        (124_001, Truth.UNKNOWN, Truth.UNKNOWN),
    ):
        view = replace(snapshot(life_ms=life_ms), facts=facts)
        assert evaluate(parse("battery.percent > 40"), view) is plain
        assert evaluate(parse("fresh(battery.percent, seconds(5)) > 40"), view) is fresh


def test_has_asks_for_a_peer_in_contact_and_a_wake_for_any_device_known() -> None:
    view = snapshot(met=frozenset({"uplink"}), known=frozenset({"camera"}))
    assert view.has_capability("uplink")
    assert not view.has_capability("camera")
    assert view.knows_peer("uplink")
    assert view.knows_peer("camera")
    assert not view.knows_peer("gpu")


def test_what_an_object_saw_is_read_from_the_snapshot() -> None:
    other = bytes(32)
    view = snapshot(signals=frozenset({"go"}), outcomes={3: 2}, ended={other: True})
    assert view.has_signal("go")
    assert not view.has_signal("stop")
    assert (view.outcome_count(3), view.outcome_count(5)) == (2, 0)
    assert (view.has_ended(other), view.has_ended(bytes([1]) * 32)) == (True, None)


@pytest.mark.parametrize(("trust", "minute"), [(Trust.NONE, None), (Trust.RESTORED, None), (Trust.PEER, 390)])
def test_the_time_of_day_needs_a_trusted_clock(trust: Trust, minute: int | None) -> None:
    """Behaviour: 4.11."""
    view = snapshot(wall_ms=20_000 * DAY_MS + 6 * HOUR_MS + 1_800_000, trust=trust)
    assert view.minute_of_day() == minute
    assert view.by_time().minute_of_day() == minute
    assert view.by_time().object_age_ms() == view.age_ms


CHANGES: list[dict[str, Any]] = [
    {"facts": {"a": Fact("a", 2, 1_000_000, "user", 60_000)}},
    {"facts": {"a": Fact("a", 1.5, 1_000_000, "user", 60_000)}},
    {"facts": {"a": Fact("a", True, 1_000_000, "user", 60_000)}},
    {"facts": {"a": Fact("a", 1, 999_000, "user", 60_000)}},  # older: `fresh` may tell
    {"facts": {"b": Fact("b", 1, 1_000_000, "user", 60_000)}},
    {"facts": {}},
    {"age_ms": 60_001},
    {"wall_ms": 60_000},  # another minute of the day
    {"trust": Trust.NTP},
    {"capabilities": ("camera",)},
    {"met": frozenset({"uplink"})},
    {"known": frozenset({"uplink"})},
    {"signals": frozenset({"go"})},
    {"outcomes": {3: 1}},
    {"policy": bytes([1]) * 16},
    {"ended": {bytes(32): True}},
    {"ended": {bytes(32): False}},
]


def test_whatever_may_alter_a_judgement_alters_the_digest() -> None:
    """Behaviour: 1.2."""
    plain = snapshot({"a": 1})
    digests = [plain.digest(), *(replace(plain, **change).digest() for change in CHANGES)]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 16 for digest in digests)


def test_what_cannot_alter_a_judgement_leaves_the_digest() -> None:
    """Behaviour: 1.2."""
    one = snapshot({"a": 1, "b": 2}, met=frozenset({"x", "y"}))
    other = snapshot({"b": 2, "a": 1}, met=frozenset({"y", "x"}), life_ms=5_000_000)
    assert one.digest() == other.digest()  # order, and where the device's own clock stands
    stale = replace(snapshot(), facts={"a": Fact("a", 1, 0, "user", 10)})
    assert stale.digest() == snapshot().digest()
